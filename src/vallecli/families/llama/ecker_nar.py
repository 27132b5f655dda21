"""The parallel loops of e-c-k-e-r/vall-e: codebooks 2 to 8 by the NAR, and codebook 1 by demasking (NAR-len).

Suffixes of tensors: T generated frames, Q codebooks, V classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vallecli.decoding.finite import FiniteLogits
from vallecli.decoding.sampling import SMALLEST_UNIFORM, Sampling
from vallecli.families.llama.ecker import MASK, Conditions, Ecker
from vallecli.families.llama.ecker_config import NUM_CODEBOOKS

RESCALE = 0.7  # of classifier-free guidance in the NAR, published default
MASKED_RESCALE, MASKED_STRENGTH = 0.75, 2.5  # in NAR-len: published default, and least strength
STEPS = 25  # of NAR-len, published default
SIGMAS = 1.0  # NAR-len keeps logits at most that many standard deviations below the largest


def guide(logits_TV: Tensor, null_TV: Tensor, strength: float, rescale: float) -> Tensor:
    """Return logits (T, V) guided away from those without text and prompt (arXiv 2207.12598).

    They are then rescaled towards the standard deviation of the unguided ones (arXiv 2305.08891, section 3.4).
    """
    guided_TV = null_TV + (logits_TV - null_TV) * strength
    return guided_TV * (rescale * logits_TV.std() / guided_TV.std() + 1 - rescale)


@dataclass(frozen=True, eq=False)
class NarInput:
    """Codebook 1 of the speech (T,), and what it was generated from."""

    conditions: Conditions
    codes_T: Tensor


@torch.inference_mode()
def refine(model: Ecker, inputs: Sequence[NarInput], *, strength: float = 0.0) -> list[Tensor]:
    """Return all codes (T, 8) of each input by argmax, one pass a level over all inputs.

    A `strength` above 0 is that of classifier-free guidance, which needs a second sequence for each input. Raises
    NotFinite.
    """
    spoken = [item for item in inputs if len(item.codes_T)]
    conditions = [item.conditions for item in spoken]
    known = [item.codes_T[:, None] for item in spoken]
    finite = FiniteLogits()
    for level in range(1, NUM_CODEBOOKS if spoken else 1):
        pairs = list(zip(conditions, known, strict=True))
        logits = _guided(partial(model.nar_logits, level=level), pairs, strength=strength, rescale=RESCALE)
        known = [
            torch.cat([known_TQ, finite.argmax(logits_TV)[:, None]], 1)
            for known_TQ, logits_TV in zip(known, logits, strict=True)
        ]
    finite.check()
    done = iter(known)
    return [next(done) if len(item.codes_T) else item.codes_T.new_zeros(0, NUM_CODEBOOKS) for item in inputs]


def _guided(
    logits: Callable[[list[tuple[Conditions, Tensor]]], list[Tensor]],
    pairs: list[tuple[Conditions, Tensor]],
    *,
    strength: float,
    rescale: float,
) -> list[Tensor]:
    """Return float32 logits (T, V) of each pair of conditions and response, guided if the strength is above 0."""
    nulls = [(conditions.null(), response) for conditions, response in pairs] if strength else []
    out = [logits_TV.float() for logits_TV in logits(pairs + nulls)]
    if not strength:
        return out
    return [
        guide(with_TV, null_TV, strength, rescale)
        for with_TV, null_TV in zip(out[: len(pairs)], out[len(pairs) :], strict=True)
    ]


@dataclass(frozen=True, eq=False)
class MaskedInput:
    """The number of frames T of speech, and what to generate it from."""

    conditions: Conditions
    frames: int
    sampling: Sampling
    """Only greedy, temperature and seed have an effect."""


class _Row:
    """Progress of one input: codebook 1 with MASK, and how sure the model was of each frame."""

    def __init__(self, item: MaskedInput) -> None:
        text_S = item.conditions.text_S
        self.item = item
        self.codes_T = text_S.new_full((item.frames,), MASK)
        self.scores_T = torch.ones(item.frames, device=text_S.device)
        self.masked_T = torch.ones_like(self.codes_T, dtype=torch.bool)
        self._generator = torch.Generator().manual_seed(item.sampling.seed)

    def mask(self, step: int, noise: float) -> None:
        """Mask the frames that the model was least sure of; fewer of them as the noise goes from 0 to 1."""
        count = int(math.cos(noise * math.pi / 2) * self.item.frames)
        count = max(1, min(count, self.item.frames - step))
        self.masked_T = torch.zeros_like(self.masked_T)
        self.masked_T[self.scores_T.topk(count, largest=False).indices] = True
        self.codes_T = self.codes_T.masked_fill(self.masked_T, MASK)

    def predict(self, logits_TV: Tensor, noise: float) -> None:
        """Choose a code for every frame from logits (T, V), note how likely it is, and fill the masked frames."""
        lowest_T1 = logits_TV.amax(-1, keepdim=True) - SIGMAS * logits_TV.std(-1, keepdim=True)
        kept_TV = logits_TV.masked_fill(logits_TV < lowest_T1, -torch.inf)
        choice_TV = kept_TV
        if not self.item.sampling.greedy:
            temperature = self.item.sampling.finite_temperature * (1 - noise)
            uniform_TV = torch.rand(logits_TV.shape, generator=self._generator).to(logits_TV.device)
            gumbel_TV = -(-uniform_TV.clamp(min=SMALLEST_UNIFORM).log()).log()
            choice_TV = kept_TV + temperature * gumbel_TV  # the argmax is a sample at this temperature
        chosen_T = choice_TV.argmax(-1)
        self.codes_T = torch.where(self.masked_T, chosen_T, self.codes_T)
        self.scores_T = kept_TV.softmax(-1).gather(-1, chosen_T[:, None])[:, 0]


@torch.inference_mode()
def demask(
    model: Ecker,
    inputs: Sequence[MaskedInput],
    *,
    strength: float = 0.0,
    steps: int = STEPS,
    on_step: Callable[[int], None] | None = None,
) -> list[Tensor]:
    """Return codebook 1 (T,) of each input, predicted in a number of passes over all frames of all inputs.

    Each pass predicts the frames that are masked; the next masks again those that the model was least sure of, fewer
    each time (MaskGIT, arXiv 2202.04200). Greedy inputs are deterministic; for others, the temperature falls to 0.
    Raises NotFinite.
    """
    rows, finite = [_Row(item) for item in inputs], FiniteLogits()
    strength = max(strength, MASKED_STRENGTH)
    for step in range(steps):
        noise = step / max(steps - 1, 1)
        for row in rows:
            row.mask(step, noise)
        pairs = [(row.item.conditions, row.codes_T) for row in rows]
        for row, logits_TV in zip(
            rows, _guided(model.masked_logits, pairs, strength=strength, rescale=MASKED_RESCALE), strict=True
        ):
            finite.note(logits_TV.amax(-1))
            row.predict(logits_TV, noise)
        if on_step is not None:
            on_step(step)
    finite.check()
    return [row.codes_T for row in rows]
