"""Which sentence is decoded next: requests share one continuous batch, fairly between clients and between requests.

The event loop submits utterances; the thread of the engine fetches their sentences as slots become free. An utterance
receives its pieces in order.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vallecli.errors import VallecliError
from vallecli.families.base import Request
from vallecli.quality.candidates import Choice
from vallecli.synthesizer import Piece

AHEAD = 4  # sentences of an utterance that may be decoded and not be fetched by its client


class Cancelled(Exception):
    """The client of an utterance does not wait for it any more."""


class Closed(VallecliError):
    """The engine has stopped, or is about to."""


@dataclass(eq=False)
class Utterance:
    """The sentences of one text, on their way through the engine."""

    client: str
    """Utterances of different clients have the same share of the engine."""
    sentences: Sequence[tuple[Request, Choice]]
    on_piece: Callable[[Piece | None], None]
    """Receives each piece in order, then None. It is called in the thread of the engine."""
    on_error: Callable[[Exception], None]
    begun: int = 0
    """Sentences that the engine has fetched."""
    passed_on: int = 0
    fetched: int = 0
    """Pieces that the client has fetched, see `Scheduler.fetched`."""
    cancelled: bool = False
    pieces: dict[int, Piece] = field(default_factory=dict)
    started: float = 0.0
    """When its first sentence was fetched."""

    @property
    def ready(self) -> bool:
        """Return whether another sentence may be begun."""
        return not self.cancelled and self.begun < len(self.sentences) and self.begun - self.fetched < AHEAD


@dataclass(frozen=True, eq=False)
class Place:
    """A sentence of an utterance, by its number from 0."""

    utterance: Utterance
    number: int


class Scheduler:
    """The utterances that wait or are being spoken. All methods may be called in any thread."""

    def __init__(self, *, interleave: bool = True) -> None:
        """Without `interleave`, all sentences of an utterance are begun before those of another one."""
        self.interleave = interleave
        self.decoding = 0  # sentences in the engine
        self.waiting = 0  # utterances of which no sentence was begun
        self._condition = threading.Condition()
        self._clients: dict[str, deque[Utterance]] = {}  # those to be asked first come first
        self._closed = False

    def submit(self, utterance: Utterance) -> None:
        """Add an utterance. Raises Closed."""
        with self._condition:
            if self._closed:
                raise Closed("the server is shutting down", "Try again later, or another server.")
            self._clients.setdefault(utterance.client, deque()).append(utterance)
            self.waiting += 1
            self._condition.notify_all()

    def cancel(self, utterance: Utterance) -> None:
        """Begin no more sentences of an utterance, and let the engine drop those that it has; it may be done."""
        with self._condition:
            utterance.cancelled = True
            self._remove(utterance)

    def fetched(self, utterance: Utterance) -> None:
        """Count a piece that the client has fetched, so that another sentence may be begun."""
        with self._condition:
            utterance.fetched += 1
            self._condition.notify_all()

    def close(self) -> None:
        """Accept no more utterances, and let `wait` return False once the others are done."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def abort(self, error: Exception) -> None:
        """Accept no more utterances, and end those that wait."""
        self.close()
        with self._condition:
            left = [utterance for utterances in self._clients.values() for utterance in utterances]
        for utterance in left:
            self.cancel(utterance)
            utterance.on_error(error)

    # The thread of the engine

    def wait(self) -> bool:
        """Wait for a sentence to begin; return False if there will be none."""
        with self._condition:
            while True:
                if self._choose() is not None:
                    return True
                if self._closed and not self._clients:
                    return False
                self._condition.wait()

    def next(self) -> tuple[Place, Request, Choice] | None:
        """Return the next sentence to decode, None if there is none now."""
        with self._condition:
            utterance = self._choose()
            if utterance is None:
                return None
            if not utterance.begun:
                self.waiting -= 1
                utterance.started = time.perf_counter()
            place = Place(utterance, utterance.begun)
            utterance.begun += 1
            self.decoding += 1
            done = utterance.begun == len(utterance.sentences)
            if done:
                self._remove(utterance)
            if done or self.interleave:
                self._rotate(utterance)
            return place, *utterance.sentences[place.number]

    def check(self, place: Place) -> None:
        """Raise Cancelled if nobody waits for a sentence."""
        if place.utterance.cancelled:
            raise Cancelled

    def done(self, place: Place, piece: Piece) -> None:
        """Pass on the piece of a sentence, in order."""
        utterance = place.utterance
        with self._condition:
            self.decoding -= 1
            if utterance.cancelled:
                return
            utterance.pieces[place.number] = piece
        while (following := utterance.pieces.pop(utterance.passed_on, None)) is not None:
            utterance.passed_on += 1
            utterance.on_piece(following)
        if utterance.passed_on == len(utterance.sentences):
            utterance.on_piece(None)

    def failed(self, place: Place, error: Exception) -> None:
        """End an utterance because of the error of a sentence."""
        utterance = place.utterance
        with self._condition:
            self.decoding -= 1
            if utterance.cancelled:
                return
            utterance.cancelled = True
            self._remove(utterance)
        utterance.on_error(error)

    def _choose(self) -> Utterance | None:
        """Return the utterance whose sentence is next: of the first client with any, the first with any."""
        for utterances in self._clients.values():
            for utterance in utterances:
                if utterance.ready or not self.interleave:
                    return utterance
        return None

    def _rotate(self, utterance: Utterance) -> None:
        """Move an utterance behind the others of its client, and its client behind the others."""
        utterances = self._clients.pop(utterance.client, None)
        if utterances is None:
            return
        if utterance in utterances:
            utterances.remove(utterance)
            utterances.append(utterance)
        self._clients[utterance.client] = utterances

    def _remove(self, utterance: Utterance) -> None:
        utterances = self._clients.get(utterance.client)
        if utterances is None or utterance not in utterances:
            return
        utterances.remove(utterance)
        if not utterances:
            del self._clients[utterance.client]
        if not utterance.begun:
            self.waiting -= 1
        self._condition.notify_all()
