"""The inputs of the three models as the published program builds them: histories, windows, and the loops of fine.

Suffixes of tensors: S text ids, N semantic tokens, K interleaved coarse codes, T frames, Q codebooks, L positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from vallecli.decoding.finite import FiniteLogits
from vallecli.decoding.sampling import SMALLEST_UNIFORM
from vallecli.families.bark.config import (
    COARSE_CODEBOOKS,
    COARSE_INFER,
    COARSE_PAD,
    CODEBOOK_SIZE,
    FINE_HISTORY,
    FINE_PAD,
    FINE_STRIDE,
    MAX_COARSE_HISTORY,
    MAX_HISTORY,
    MAX_SEMANTIC_INPUT,
    MAX_TEXT,
    NUM_CODEBOOKS,
    POSITIONS,
    RATIO,
    SEMANTIC_INFER,
    SEMANTIC_PAD,
    SEMANTIC_SIZE,
    TEXT_OFFSET,
    TEXT_PAD,
    WINDOW,
    frames_of,
)
from vallecli.families.bark.gpt import Fine, SemanticPrefix


@dataclass(frozen=True, eq=False)
class History:
    """A voice as all models read it: semantic tokens (N,), the first two codebooks (T, 2), and all of them (T, 8)."""

    semantic_N: Tensor
    coarse_TQ: Tensor
    fine_TQ: Tensor


def semantic_prefix(text_S: Tensor, history: History | None) -> SemanticPrefix:
    """Return the input of the semantic model, given ids of the vocabulary (S,), of which the first 256 are used."""
    text = F.pad(text_S[:MAX_TEXT] + TEXT_OFFSET, (0, max(0, MAX_TEXT - len(text_S))), value=TEXT_PAD)
    known = text_S.new_zeros(0) if history is None else history.semantic_N[-MAX_HISTORY:]
    known = F.pad(known, (0, MAX_HISTORY - len(known)), value=SEMANTIC_PAD)
    return SemanticPrefix(torch.cat([text, known, text_S.new_tensor([SEMANTIC_INFER])]))


# Coarse


@dataclass(frozen=True)
class Span:
    """Codes that are decoded in one go: from a step to another, behind the input of the first window."""

    first: int
    end: int


@dataclass(eq=False)
class CoarseRun:
    """The windows of one utterance, and the codes so far. Codes are those of the vocabulary of the model.

    Each window has an input: 256 semantic tokens around the place, and the last codes. The published program computes
    it again for each window of 60 codes; here, windows whose input only continues the previous one are one span, which
    gives the same numbers.
    """

    semantic_N: Tensor
    history: History | None = None
    max_history: int = MAX_COARSE_HISTORY
    window: int = WINDOW
    codes: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Cut the history to what is used."""
        self.max_semantic = int(self.max_history / RATIO)
        known_N, codes_K = self.semantic_N[:0], self.semantic_N[:0]
        if self.history is not None:
            offsets_Q = CODEBOOK_SIZE * torch.arange(COARSE_CODEBOOKS, device=known_N.device)
            flat_K = (self.history.coarse_TQ + offsets_Q + SEMANTIC_SIZE).flatten()
            available = len(self.history.semantic_N)
            count = min(self.max_semantic, available - available % 2, int(len(flat_K) / RATIO))
            if count:
                known_N = self.history.semantic_N[-count:]
                codes_K = flat_K[-round(count * RATIO) :][:-2]  # the last frame is left out, as published
        self._known = len(known_N)
        self._semantic_N = torch.cat([known_N, self.semantic_N])
        self._codes_K = codes_K
        self.steps = COARSE_CODEBOOKS * frames_of(len(self.semantic_N))

    @property
    def done(self) -> int:
        """Return the number of codes so far."""
        return sum(len(codes_K) for codes_K in self.codes)

    def _places(self, step: int) -> tuple[int, int]:
        """Return where the semantic tokens and the codes of the window at a step begin."""
        place = self._known + round(step / RATIO)
        return max(0, place - self.max_semantic), max(0, len(self._codes_K) + step - self.max_history)

    def spans(self) -> Iterator[Span]:
        """Yield the spans of all steps."""
        first = 0
        for step in range(self.window, self.steps, self.window):
            if self._places(step) != self._places(first):
                yield Span(first, step)
                first = step
        if self.steps:
            yield Span(first, self.steps)

    def input(self, step: int) -> Tensor:
        """Return the input (L,) of the window at a step, given the codes before it."""
        codes_K = torch.cat([self._codes_K, *self.codes])[: len(self._codes_K) + step]
        first, _ = self._places(step)
        semantic = self._semantic_N[first : first + MAX_SEMANTIC_INPUT]
        semantic = F.pad(semantic, (0, MAX_SEMANTIC_INPUT - len(semantic)), value=COARSE_PAD)
        return torch.cat([semantic, semantic.new_tensor([COARSE_INFER]), codes_K[-self.max_history :]])

    def add(self, classes_K: Tensor) -> None:
        """Add the codes of a span, as classes of the engine (K,)."""
        self.codes.append(classes_K + SEMANTIC_SIZE)

    def result(self) -> Tensor:
        """Return all codes (T, 2), 0 to 1023."""
        codes_K = torch.cat([self._codes_K[:0], *self.codes])
        return (codes_K - SEMANTIC_SIZE).view(-1, COARSE_CODEBOOKS) % CODEBOOK_SIZE


# Fine


@torch.inference_mode()
def refine(
    model: Fine,
    given_TQ: Tensor,
    history: History | None,
    *,
    temperature: float | None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Given the first 1 to 7 codebooks (T, Q), return all (T, 8); by argmax if `temperature` is None.

    One pass for each codebook predicts 1024 frames, of which later ones see earlier ones; longer speech has passes
    every 512 frames. Raises NotFinite.
    """
    frames, given = given_TQ.shape
    past_TQ = given_TQ.new_zeros(0, NUM_CODEBOOKS) if history is None else history.fine_TQ[-FINE_HISTORY:]
    known = len(past_TQ)
    codes_TQ = F.pad(given_TQ, (0, NUM_CODEBOOKS - given), value=FINE_PAD)
    codes_TQ = torch.cat([past_TQ, codes_TQ])
    codes_TQ = F.pad(codes_TQ, (0, 0, 0, max(0, POSITIONS - len(codes_TQ))), value=FINE_PAD)
    total, finite = len(codes_TQ), FiniteLogits()
    for loop in range(max(0, math.ceil((frames - (POSITIONS - known)) / FINE_STRIDE)) + 1):
        start = min(FINE_STRIDE * loop, total - POSITIONS)
        fill = min(known + FINE_STRIDE * loop, total - FINE_STRIDE) - start
        view_TQ = codes_TQ[start : start + POSITIONS]
        for codebook in range(given, NUM_CODEBOOKS):
            # Frames of padding are predicted as well, as published: the next codebooks read them.
            end = POSITIONS if codebook < NUM_CODEBOOKS - 1 else min(POSITIONS, known + frames - start)
            logits_TV = model.logits(view_TQ, codebook, slice(fill, end), CODEBOOK_SIZE).float()
            if temperature is None:
                view_TQ[fill:end, codebook] = finite.argmax(logits_TV)
                continue
            finite.note(logits_TV.amax(-1))
            uniform_TV = torch.rand(logits_TV.shape, generator=generator).clamp_(min=SMALLEST_UNIFORM)
            gumbel_TV = -(-uniform_TV.to(logits_TV.device).log()).log()
            view_TQ[fill:end, codebook] = (logits_TV / temperature + gumbel_TV).argmax(-1)
    finite.check()
    return codes_TQ[known : known + frames].clone()
