"""Sampling of the next code from logits."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from torch import Tensor

from vallecli.errors import short
from vallecli.settings import MAX_WINDOW

KEEP_ALL = 2**31  # codes: more than any codebook has
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 1e-8, 1e8
MOST_SIGMAS = 1e6  # standard deviations: more than there are between any two of some thousand logits
SMALLEST_UNIFORM = 2.0**-26  # below the smallest positive random number, so that the noise is finite


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling parameters. The filters apply in this order: top-n-sigma, temperature, top-k, top-p.

    For models with `CausalModel.tempered_last`: top-n-sigma, top-p, top-k, temperature.
    """

    greedy: bool = False
    """Choose the most likely code each time; the other parameters then have no effect."""
    temperature: float = 1.0
    top_k: int = 0
    """Keep the k most likely codes (ties with the k-th are kept); 0 keeps all."""
    top_p: float = 1.0
    """Keep the most likely codes whose probabilities add up to this value; 1 keeps all."""
    top_n_sigma: float = 0.0
    """Keep codes whose logit is at most n standard deviations below the largest (arXiv 2411.07641); 0 keeps all."""
    min_eos_p: float = 0.0
    """EOS ends the sequence once its probability reaches this, even if another code is sampled; 0 disables it."""
    repetition_window: int = 0
    """Repetition-aware sampling (VALL-E 2, arXiv 2406.05370, section 3.3): the codes to look back on; 0 disables it."""
    repetition_ratio: float = 0.1
    """A code that is more than this share of the window is sampled again, from all codes, without the filters."""
    seed: int = 0
    min_frames: int = 1
    """EOS is masked before this number of frames."""
    max_frames: int | None = None
    """Decoding stops at this number of frames; None leaves the limit to the model."""

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter of another type or outside its range; they may come from a file."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, TYPES[field.name]) or (isinstance(value, bool) and field.name != "greedy"):
                raise ValueError(f"{field.name} cannot be {short(value)}")
        if not 0 < self.temperature < math.inf:
            raise ValueError(
                f"temperature is {self.temperature:g}, it must be a number above 0 (use greedy instead of 0)"
            )
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}, it must be 0 (off) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p:g}, it must be above 0 and at most 1")
        if not 0 <= self.top_n_sigma < math.inf:
            raise ValueError(f"top_n_sigma is {self.top_n_sigma:g}, it must be 0 (off) or more")
        if not 0 <= self.min_eos_p <= 1:
            raise ValueError(f"min_eos_p is {self.min_eos_p:g}, it must be a probability (0 disables it)")
        if not 0 <= self.repetition_window <= MAX_WINDOW:
            raise ValueError(f"repetition_window is {self.repetition_window}, it must be 0 (off) to {MAX_WINDOW}")
        if not 0 <= self.repetition_ratio <= 1:
            raise ValueError(f"repetition_ratio is {self.repetition_ratio:g}, it must be 0 to 1")
        if self.min_frames < 0 or (self.max_frames is not None and self.max_frames < max(self.min_frames, 1)):
            raise ValueError(f"{self.min_frames} to {self.max_frames} frames is not a range of lengths")

    @property
    def finite_temperature(self) -> float:
        """Return the temperature, at least so high and so low that scores divided by it are finite in float32.

        At both ends the limit is reached: the most likely code, and codes that are all equally likely.
        """
        return min(max(self.temperature, LOWEST_TEMPERATURE), HIGHEST_TEMPERATURE)


TYPES: dict[str, tuple[type, ...]] = {  # of the parameters
    "greedy": (bool,),
    **dict.fromkeys(("temperature", "top_p", "top_n_sigma", "min_eos_p", "repetition_ratio"), (Real,)),
    **dict.fromkeys(("top_k", "seed", "min_frames", "repetition_window"), (Integral,)),
    "max_frames": (Integral, type(None)),
}


class SamplingTable:
    """The sampling parameters of all rows of a batch, as tensors (B, 1); a value is neutral where a filter is off.

    A slice of rows can be sampled: the parameters of a row never depend on its neighbours.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.temperature_B1 = torch.ones(rows, 1, device=device)
        self.top_k_B1 = torch.full((rows, 1), KEEP_ALL, device=device)
        self.top_p_B1 = torch.full((rows, 1), torch.inf, device=device)
        self.sigmas_B1 = torch.full((rows, 1), torch.inf, device=device)
        self.min_eos_B = torch.full((rows,), torch.inf, device=device)  # probability of EOS that ends a sequence
        self.window_B1 = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self.repeated_B = torch.zeros(rows, device=device)  # as many equal codes in the window are not too many
        self.noise_B1 = torch.zeros(rows, 1, device=device)  # 0 for greedy rows, 1 for sampled ones
        self._rows: dict[int, Sampling] = {}

    def set(self, row: int, sampling: Sampling) -> None:
        """Set the parameters of a row."""
        greedy = sampling.greedy
        self.temperature_B1[row] = 1.0 if greedy and not sampling.min_eos_p else sampling.finite_temperature
        self.min_eos_B[row] = sampling.min_eos_p or torch.inf
        self.top_k_B1[row] = KEEP_ALL if greedy or not sampling.top_k else min(sampling.top_k, KEEP_ALL)
        self.top_p_B1[row] = torch.inf if greedy or sampling.top_p == 1 else sampling.top_p
        self.sigmas_B1[row] = (
            torch.inf if greedy or not sampling.top_n_sigma else min(sampling.top_n_sigma, MOST_SIGMAS)
        )
        self.window_B1[row] = window = 0 if greedy else sampling.repetition_window
        self.repeated_B[row] = sampling.repetition_ratio * window
        self.noise_B1[row] = 0.0 if greedy else 1.0
        self._rows[row] = sampling

    def forget(self, row: int) -> None:
        """Ignore a row in the properties below."""
        self._rows.pop(row, None)

    @property
    def sampled(self) -> bool:
        """Return whether any row needs random numbers."""
        return not all(sampling.greedy for sampling in self._rows.values())

    @property
    def max_top_k(self) -> int:
        """Return the largest top-k of any row, 0 for none."""
        return max((0 if row.greedy else row.top_k for row in self._rows.values()), default=0)

    @property
    def any_top_p(self) -> bool:
        """Return whether any row uses top-p."""
        return any(not row.greedy and row.top_p < 1 for row in self._rows.values())

    @property
    def any_min_eos_p(self) -> bool:
        """Return whether any row ends by the probability of EOS."""
        return any(row.min_eos_p > 0 for row in self._rows.values())

    @property
    def max_window(self) -> int:
        """Return the largest window of repetition-aware sampling of any row, 0 for none."""
        return max((0 if row.greedy else row.repetition_window for row in self._rows.values()), default=0)

    @property
    def any_sigma(self) -> bool:
        """Return whether any row uses top-n-sigma."""
        return any(not row.greedy and row.top_n_sigma > 0 for row in self._rows.values())


def scores(
    logits_BV: Tensor, table: SamplingTable, rows: slice = slice(None), *, tempered_last: bool = False
) -> Tensor:
    """Given float32 logits (B, V), return the scores (B, V) whose softmax codes are sampled from, by the filters.

    `tempered_last` is the order of CausalModel.tempered_last.
    """
    temperature_B1 = table.temperature_B1[rows]
    if not tempered_last:
        logits_BV = logits_BV / temperature_B1
    if table.any_sigma:
        logits_BV = _top_n_sigma(logits_BV, table.sigmas_B1[rows])
    filters = (_top_p, _top_k) if tempered_last else (_top_k, _top_p)
    for keep in filters:
        logits_BV = keep(logits_BV, table, rows)
    return logits_BV / temperature_B1 if tempered_last else logits_BV


def _top_k(scores_BV: Tensor, table: SamplingTable, rows: slice) -> Tensor:
    if cut := min(table.max_top_k, scores_BV.shape[-1]):
        top_k_B1 = table.top_k_B1[rows]
        smallest = scores_BV.topk(cut).values.gather(-1, top_k_B1.clamp(max=cut) - 1)
        scores_BV = scores_BV.masked_fill((scores_BV < smallest) & (top_k_B1 <= cut), -torch.inf)
    return scores_BV


def _top_p(scores_BV: Tensor, table: SamplingTable, rows: slice) -> Tensor:
    if not table.any_top_p:
        return scores_BV
    ordered, places = scores_BV.sort(descending=True)
    before = F.pad(ordered.softmax(-1).cumsum(-1)[:, :-1], (1, 0))  # 0 for the most likely code: it always stays
    ordered = ordered.masked_fill(before > table.top_p_B1[rows], -torch.inf)
    return torch.zeros_like(ordered).scatter(-1, places, ordered)


def draw(scores_BV: Tensor, table: SamplingTable, uniform_BV: Tensor, rows: slice = slice(None)) -> Tensor:
    """Given `scores` (B, V) and random numbers in 0..1, return the next codes (B,) for these rows of the table.

    A code is sampled by adding Gumbel noise to the scores and taking the argmax (the Gumbel-max trick), because
    rounding rarely changes that: a row of a batch gets the same codes as the same row alone. Greedy rows get no noise.
    """
    if table.sampled:
        gumbel_BV = -(-uniform_BV.clamp(min=SMALLEST_UNIFORM).log()).log()
        scores_BV = scores_BV + table.noise_B1[rows] * gumbel_BV
    return scores_BV.argmax(-1)


def draw_unrepeated(
    codes_B: Tensor,
    logits_BV: Tensor,
    past_BT: Tensor,
    frames_B: Tensor,
    table: SamplingTable,
    uniform_BV: Tensor,
    rows: slice = slice(None),
) -> Tensor:
    """Return codes (B,), of which those are drawn again that fill more of their window than their row allows.

    `past_BT` has the earlier codes, `frames_B` says how many. They are drawn from the logits (B, V) without filters, at
    the row's temperature, with random numbers of their own. See Sampling.repetition_window.
    """
    back_K = torch.arange(1, table.max_window + 1, device=codes_B.device)
    places_BK = frames_B[:, None] - back_K
    past_BK = past_BT.gather(1, places_BK.clamp(min=0))
    equal_BK = (past_BK == codes_B[:, None]) & (places_BK >= 0) & (back_K <= table.window_B1[rows])
    again_B = draw(logits_BV / table.temperature_B1[rows], table, uniform_BV, rows)
    return torch.where(equal_BK.sum(-1) > table.repeated_B[rows], again_B, codes_B)


def _top_n_sigma(scores_BV: Tensor, sigmas_B1: Tensor) -> Tensor:
    """Mask scores more than n standard deviations below the largest; masked classes do not count in the deviation."""
    present = scores_BV.isfinite()
    count_B1 = present.sum(-1, keepdim=True)
    mean_B1 = scores_BV.masked_fill(~present, 0.0).sum(-1, keepdim=True) / count_B1
    squares_B1 = (scores_BV - mean_B1).square().masked_fill(~present, 0.0).sum(-1, keepdim=True)
    deviation_B1 = (squares_B1 / (count_B1 - 1).clamp(min=1)).sqrt()  # unbiased, as torch.std
    lowest_B1 = scores_BV.amax(-1, keepdim=True) - sigmas_B1 * deviation_B1.clamp(min=torch.finfo(torch.float32).tiny)
    return scores_BV.masked_fill(scores_BV < lowest_B1, -torch.inf)
