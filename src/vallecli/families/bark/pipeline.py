"""From requests to codes: both causal models decode their sequences in batches, side by side, then the fine model.

Semantic tokens are decoded only as the coarse model has rows free, so that both batches stay full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol

import numpy as np
import torch
from torch import Tensor

from vallecli.decoding import engine
from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.request import CausalOutput, CausalRequest, Source
from vallecli.decoding.sampling import Sampling
from vallecli.errors import NothingSpoken
from vallecli.families.bark.config import COARSE_CODEBOOKS, MAX_SEMANTIC, frames_of
from vallecli.families.bark.gpt import Fine
from vallecli.families.bark.stages import CoarseRun, History, Span, refine, semantic_prefix
from vallecli.families.base import Generated, Request, Tag

RETRIES = 1  # with another seed, if the model ends before the first token
SEED_RETRY, SEED_COARSE, SEED_FINE = 1, 2, 3  # stages that derive seeds


def derived_seed(seed: int, stage: int, step: int = 0) -> int:
    """Return the seed of a later stage of a sentence: 63 bits, unrelated from one stage or step to the next."""
    return int(np.random.SeedSequence([seed, stage, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Models(Protocol):
    """The part of the backend that the pipeline uses."""

    fine: Fine
    fine_temperature: float
    running: bool

    def history_of(self, request: Request) -> History | None:
        """Return the voice of a request."""


@dataclass(eq=False)
class Text(Generic[Tag]):
    """The sentences of one text that wait for its first one, whose codes will be their voice."""

    history: History | None = None
    waiting: list[Utterance[Tag]] = field(default_factory=list)
    begun: bool = False


@dataclass(eq=False)
class Utterance(Generic[Tag]):
    """A request on its way through the models."""

    tag: Tag
    request: Request
    history: History | None
    text: Text[Tag] | None = None
    """Of a first sentence that others wait for."""
    attempt: int = 0
    stop_reason: str = ""
    log_probability: float = 0.0
    semantic_N: Tensor | None = None
    coarse: CoarseRun | None = None
    spans: Iterator[Span] = field(default_factory=lambda: iter(()))
    span: Span | None = None

    @property
    def sampling(self) -> Sampling:
        """Return the sampling of the request."""
        return self.request.sampling

    @property
    def semantic(self) -> Tensor:
        """Return the semantic tokens (N,), once they are decoded."""
        assert self.semantic_N is not None
        return self.semantic_N

    def semantic_request(self, device: torch.device) -> CausalRequest:
        """Return what the semantic model decodes."""
        ids_S = torch.tensor(self.request.tokens.ids, device=device)
        sampling = self.sampling
        if self.attempt:
            sampling = replace(sampling, seed=derived_seed(sampling.seed, SEED_RETRY, self.attempt))
        return CausalRequest(semantic_prefix(ids_S, self.history), sampling, MAX_SEMANTIC)

    def spoken(self, output: CausalOutput) -> bool:
        """Store semantic tokens and prepare their windows; return whether there are any."""
        self.semantic_N, self.stop_reason = output.codes_T, str(output.stop_reason)
        self.log_probability = output.log_probability
        self.coarse = CoarseRun(output.codes_T, self.history)
        self.spans = self.coarse.spans()
        self.span = next(self.spans, None)
        return self.span is not None

    def coarse_request(self) -> CausalRequest:
        """Return what the coarse model decodes next."""
        assert self.coarse is not None
        assert self.span is not None
        return coarse_request(self.coarse, self.span, self.sampling)

    def add(self, output: CausalOutput) -> bool:
        """Store the codes of a span; return whether there are more to decode."""
        assert self.coarse is not None
        self.coarse.add(output.codes_T)
        self.span = next(self.spans, None)
        return self.span is not None


def coarse_request(run: CoarseRun, span: Span, sampling: Sampling) -> CausalRequest:
    """Return what the coarse model decodes for a span; each has its own seed."""
    seed = derived_seed(sampling.seed, SEED_COARSE, span.first)
    sampling = replace(sampling, seed=seed, min_frames=0, max_frames=None, min_eos_p=0.0)
    return CausalRequest(run.input(span.first), sampling, span.end - span.first)


def fine_codes(models: Models, coarse_TQ: Tensor, history: History | None, sampling: Sampling) -> Tensor:
    """Return all codes (T, 8), given the first two codebooks (T, 2)."""
    temperature = None if sampling.greedy or not models.fine_temperature else models.fine_temperature
    generator = torch.Generator().manual_seed(derived_seed(sampling.seed, SEED_FINE))
    return refine(models.fine, coarse_TQ, history, temperature=temperature, generator=generator)


class Pipeline(Generic[Tag]):
    """The requests of one call of `Backend.generate`."""

    def __init__(
        self,
        models: Models,
        semantic: ContinuousBatcher,
        coarse: ContinuousBatcher,
        requests: Iterable[tuple[Tag, Request]],
        *,
        on_frame: Callable[[Tag, int], None] | None,
        on_error: Callable[[Tag, Exception], None] | None,
    ) -> None:
        self.models, self._semantic, self._coarse = models, semantic, coarse
        self._requests, self._on_frame, self._on_error = iter(requests), on_frame, on_error
        self._started: deque[Utterance[Tag]] = deque()  # that wait for the semantic model
        self._spoken: deque[Utterance[Tag]] = deque()  # that wait for the coarse model
        self._text: Text[Tag] = Text()
        self._tokens = self._decode_semantic()

    def run(self) -> Iterator[tuple[Tag, Generated]]:
        """Yield the codes of each request as it is done."""
        spans = engine.decode(
            self._coarse,
            Source(self._next_span),
            on_frame=lambda item, _: self._report(item, frames_of(len(item.semantic))),
            on_error=self._fail,
        )
        for item, output in spans:
            if item.add(output):
                self._spoken.append(item)
                continue
            assert item.coarse is not None
            try:
                codes_TQ = fine_codes(self.models, item.coarse.result(), item.history, item.sampling)
            except Exception as error:
                self._fail(item, error)
                continue
            self._release(item, History(item.semantic, codes_TQ[:, :COARSE_CODEBOOKS], codes_TQ))
            yield item.tag, Generated(codes_TQ, item.stop_reason, item.log_probability)

    def _report(self, item: Utterance[Tag], frames: int) -> None:
        if self._on_frame is not None:
            self._on_frame(item.tag, frames)

    def _fail(self, item: Utterance[Tag], error: Exception) -> None:
        if self._on_error is None:
            raise error
        self._on_error(item.tag, error)
        self._release(item, item.history)

    def _release(self, item: Utterance[Tag], history: History | None) -> None:
        """Let the sentences that wait for this one start, in its voice."""
        if item.text is None:
            return
        item.text.history, item.text.begun = history, True
        for waiting in item.text.waiting:
            waiting.history = history
        self._started.extend(item.text.waiting)
        item.text.waiting = []

    # Semantic tokens

    def _decode_semantic(self) -> Iterator[tuple[Utterance[Tag], CausalOutput]]:
        return engine.decode(
            self._semantic,
            Source(self._next_request),
            on_frame=lambda item, tokens: self._report(item, frames_of(tokens)),
            on_error=self._fail,
        )

    def _next_request(self) -> tuple[Utterance[Tag], CausalRequest] | None:
        item = self._started.popleft() if self._started else self._fetch()
        return None if item is None else (item, item.semantic_request(self._semantic.model.device))

    def _fetch(self) -> Utterance[Tag] | None:
        """Return the next request that need not wait for another, None if there are no more."""
        for tag, request in self._requests:
            try:
                item = Utterance(tag, request, self.models.history_of(request))
            except Exception as error:
                if self._on_error is None:
                    raise
                self._on_error(tag, error)
                continue
            if self.models.running and request.first:
                self._text = item.text = Text()
            elif self.models.running and not self._text.begun:
                self._text.waiting.append(item)
                continue
            elif self.models.running:
                item.history = self._text.history
            return item
        return None

    def _next_spoken(self) -> Utterance[Tag] | None:
        """Return an utterance with its semantic tokens; None if there is none now."""
        while True:
            found = next(self._tokens, None)
            if found is None:  # requests may have come since it ended
                self._tokens = self._decode_semantic()
                found = next(self._tokens, None)
            if found is None:
                return None
            item, output = found
            if item.spoken(output):
                return item
            if item.attempt < RETRIES and not item.sampling.greedy:
                item.attempt += 1
                self._started.append(item)
            else:
                self._fail(item, NothingSpoken(item.request.text))

    def _next_span(self) -> tuple[Utterance[Tag], CausalRequest] | None:
        item = self._spoken.popleft() if self._spoken else self._next_spoken()
        return None if item is None else (item, item.coarse_request())
