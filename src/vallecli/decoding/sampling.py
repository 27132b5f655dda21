"""How the next code is drawn from the AR's logits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The knobs of AR decoding. The filters act in this order: temperature, top-k, top-p."""

    greedy: bool = False
    """Take the likeliest code every time; the other knobs are then without effect."""
    temperature: float = 1.0
    top_k: int = 0
    """Keep the k likeliest codes (ties with the k-th are kept); 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest codes that together reach this probability; 1 keeps all."""
    seed: int = 0
    min_frames: int = 1
    """EOS is forbidden before this many frames."""
    max_frames: int | None = None
    """Decoding stops here at the latest; None leaves it to the model's own limit."""

    def __post_init__(self) -> None:
        """Raise ValueError for a knob outside its range."""
        if not 0 < self.temperature < math.inf:
            raise ValueError(
                f"temperature is {self.temperature:g}, it must be a number above 0 (use greedy instead of 0)"
            )
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}, it must be 0 (off) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p:g}, it must be above 0 and at most 1")
        if self.min_frames < 0 or (self.max_frames is not None and self.max_frames < max(self.min_frames, 1)):
            raise ValueError(f"{self.min_frames} to {self.max_frames} frames is not a range of lengths")


def sample(
    logits_BV: Tensor, *, temperature: float, top_k: int, top_p: float, generator: torch.Generator | None
) -> Tensor:
    """Given logits (B, V), return token ids (B,) drawn with the generator."""
    logits_BV = logits_BV.float() / temperature
    if 0 < top_k < logits_BV.shape[-1]:
        smallest = logits_BV.topk(top_k).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < smallest, -torch.inf)
    probabilities = logits_BV.softmax(-1)
    if top_p < 1:
        ordered, places = probabilities.sort(descending=True)
        before = F.pad(ordered.cumsum(-1)[:, :-1], (1, 0))  # the likeliest always stays: nothing comes before it
        probabilities = torch.zeros_like(ordered).scatter(-1, places, ordered.masked_fill(before > top_p, 0))
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]
