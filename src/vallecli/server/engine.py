"""The thread that owns the synthesizer: one continuous batch that requests join at any time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from vallecli.decoding.request import Source
from vallecli.errors import explain
from vallecli.families.base import Request
from vallecli.quality.candidates import Choice
from vallecli.server.scheduler import Place, Scheduler
from vallecli.synthesizer import Synthesizer


@dataclass
class Work:
    """What the engine has done since it started."""

    busy_seconds: float = 0.0
    audio_seconds: float = 0.0
    sentences: int = 0


class Engine:
    """Decodes the sentences of a scheduler until it is closed."""

    def __init__(
        self, synthesizer: Synthesizer, scheduler: Scheduler, *, slots: int, on_fatal: Callable[[Exception], None]
    ) -> None:
        """`on_fatal` receives an error after which nothing can be decoded; all utterances have failed by then."""
        self.synthesizer, self.scheduler, self.slots = synthesizer, scheduler, slots
        self.work = Work()
        self._on_fatal = on_fatal
        self._places: set[Place] = set()  # in the engine
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, after the scheduler was closed."""
        self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        """Return whether the engine can decode."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self.scheduler.wait():
                self._decode()
        except Exception as error:
            for place in self._places:
                self.scheduler.failed(place, error)
            self.scheduler.abort(error)
            self._on_fatal(error)

    def _decode(self) -> None:
        """Decode sentences, and those that come meanwhile, until there are none left."""
        begin = time.perf_counter()

        def fetch() -> tuple[Place, Request, Choice] | None:
            found = self.scheduler.next()
            if found is not None:
                self._places.add(found[0])
            return found

        pieces = self.synthesizer.pieces(
            Source(fetch), slots=self.slots, on_frame=lambda place, _: self.scheduler.check(place), on_error=self._fail
        )
        for place, piece in pieces:
            self._places.discard(place)
            self.work.audio_seconds += piece.seconds
            self.work.sentences += 1
            now = time.perf_counter()
            self.work.busy_seconds += now - begin
            begin = now
            self.scheduler.done(place, piece)
        self.work.busy_seconds += time.perf_counter() - begin

    def _fail(self, place: Place, error: Exception) -> None:
        """End the utterance of a sentence. Raises an error that is of the device, after which others fail, too."""
        if isinstance(error, RuntimeError) and explain(error) is None and self.synthesizer.device.type != "cpu":
            raise error
        self._places.discard(place)
        self.scheduler.failed(place, error)
