"""How the next code is drawn from the AR's logits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

KEEP_ALL = 2**31  # codes: more than there are
LEAST = 2.0**-26  # below the smallest number above 0 that is drawn, so that noise is finite


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


class Knobs:
    """The knobs of a number of rows as tensors (B, 1), each row's neutral where it is greedy or leaves one off.

    `rows` may be a slice of them, so that neighbours never change what a row is told.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.temperature_B1 = torch.ones(rows, 1, device=device)
        self.top_k_B1 = torch.full((rows, 1), KEEP_ALL, device=device)
        self.top_p_B1 = torch.full((rows, 1), torch.inf, device=device)
        self.chance_B1 = torch.zeros(rows, 1, device=device)  # 0 for greedy, 1 for drawn
        self._told: dict[int, Sampling] = {}

    def set(self, row: int, sampling: Sampling) -> None:
        """Tell a row how to choose."""
        greedy = sampling.greedy
        self.temperature_B1[row] = 1.0 if greedy else sampling.temperature
        self.top_k_B1[row] = KEEP_ALL if greedy or not sampling.top_k else sampling.top_k
        self.top_p_B1[row] = torch.inf if greedy or sampling.top_p == 1 else sampling.top_p
        self.chance_B1[row] = 0.0 if greedy else 1.0
        self._told[row] = sampling

    def forget(self, row: int) -> None:
        """Leave a row out of account for what follows."""
        self._told.pop(row, None)

    @property
    def drawn(self) -> bool:
        """Return whether chance has a say in any row."""
        return not all(sampling.greedy for sampling in self._told.values())

    @property
    def cut(self) -> int:
        """Return the largest top-k of any row, 0 for none."""
        return max((0 if told.greedy else told.top_k for told in self._told.values()), default=0)

    @property
    def nucleus(self) -> bool:
        """Return whether any row has a top-p."""
        return any(not told.greedy and told.top_p < 1 for told in self._told.values())


def choose(logits_BV: Tensor, knobs: Knobs, uniform_BV: Tensor, rows: slice = slice(None)) -> Tensor:
    """Given float32 logits (B, V) and numbers from 0 to 1, return the next codes (B,) of these rows of the knobs.

    A code is drawn by adding Gumbel noise to the logits and taking the largest (the Gumbel-max trick), for rounding
    seldom changes that: a row among others gives the codes of the same row alone. Without noise it is the likeliest.
    """
    scores_BV = logits_BV / knobs.temperature_B1[rows]
    if cut := min(knobs.cut, logits_BV.shape[-1]):
        top_k_B1 = knobs.top_k_B1[rows]
        smallest = scores_BV.topk(cut).values.gather(-1, top_k_B1.clamp(max=cut) - 1)
        scores_BV = scores_BV.masked_fill((scores_BV < smallest) & (top_k_B1 <= cut), -torch.inf)
    if knobs.nucleus:
        ordered, places = scores_BV.sort(descending=True)
        before = F.pad(ordered.softmax(-1).cumsum(-1)[:, :-1], (1, 0))  # nothing is before the likeliest: it stays
        ordered = ordered.masked_fill(before > knobs.top_p_B1[rows], -torch.inf)
        scores_BV = torch.zeros_like(ordered).scatter(-1, places, ordered)
    if knobs.drawn:
        gumbel_BV = -(-uniform_BV.clamp(min=LEAST).log()).log()
        scores_BV = scores_BV + knobs.chance_B1[rows] * gumbel_BV
    return scores_BV.argmax(-1)
