"""95 % intervals of totals: a bootstrap over speakers and, for each of them, over sentences.

Sentences of one speaker resemble each other, so drawing sentences alone would make intervals too narrow.
B draws, R rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 2000
SEED = 0  # equal rows give equal intervals
COVERAGE = 95  # percent
Z = 1.959964  # of a normal distribution, for COVERAGE

Counts = npt.NDArray[np.float64]  # (B, R): how often each draw has each row
Values = npt.NDArray[np.float64]  # (R,); NaN where a row has no value


@dataclass(frozen=True)
class Interval:
    """A total and its interval."""

    value: float
    low: float
    high: float
    rows: int
    """With a value."""


def draw(speakers: Sequence[str]) -> Counts:
    """Given the speaker of each row, return how often each draw has each row (B, R).

    As many speakers are drawn as there are, with replacement, and for each as many of its rows as it has.
    """
    generator = np.random.default_rng(SEED)
    places: dict[str, list[int]] = {}
    for place, speaker in enumerate(speakers):
        places.setdefault(speaker, []).append(place)
    groups = [np.array(rows) for rows in places.values()]
    counts_BR = np.zeros((DRAWS, len(speakers)))
    for counts_R in counts_BR:
        for chosen in generator.integers(len(groups), size=len(groups)):
            rows = groups[chosen]
            np.add.at(counts_R, rows[generator.integers(len(rows), size=len(rows))], 1)
    return counts_BR


def ratio(numerators: Values, denominators: Values, counts_BR: Counts) -> Interval | None:
    """Return the total of `numerators` over that of `denominators`, as the word error rate is; None without values."""
    known_R = np.isfinite(numerators) & np.isfinite(denominators)
    tops_R, bottoms_R = np.where(known_R, numerators, 0), np.where(known_R, denominators, 0)
    if bottoms_R.sum() == 0:
        return None
    value = float(tops_R.sum() / bottoms_R.sum())
    return _interval(value, _ratios(tops_R, bottoms_R, counts_BR), int(known_R.sum()))


def mean(values: Values, counts_BR: Counts) -> Interval | None:
    """Return the mean; None without values."""
    return ratio(values, np.ones(len(values)), counts_BR)


def ratio_difference(first: tuple[Values, Values], second: tuple[Values, Values], counts_BR: Counts) -> Interval | None:
    """Return the second ratio minus the first one, of the same rows: each draw has the same rows of both.

    Rows without a value in one of them do not count.
    """
    known_R = np.isfinite(np.stack([*first, *second])).all(axis=0)
    parts = [np.where(known_R, part, 0) for part in (*first, *second)]
    if parts[1].sum() == 0 or parts[3].sum() == 0:
        return None
    value = float(parts[2].sum() / parts[3].sum() - parts[0].sum() / parts[1].sum())
    drawn_B = _ratios(parts[2], parts[3], counts_BR) - _ratios(parts[0], parts[1], counts_BR)
    return _interval(value, drawn_B, int(known_R.sum()))


def mean_difference(first: Values, second: Values, counts_BR: Counts) -> Interval | None:
    """Return the second mean minus the first one, as `ratio_difference`."""
    ones = np.ones(len(first))
    return ratio_difference((first, ones), (second, ones), counts_BR)


def share(count: int, rows: int) -> Interval | None:
    """Return a share of rows with Wilson's interval, which is no point where no row or each row counts."""
    if rows == 0:
        return None
    value, extra = count / rows, Z**2 / rows
    middle = (value + extra / 2) / (1 + extra)
    half = Z / (1 + extra) * math.sqrt(value * (1 - value) / rows + extra / (4 * rows))
    return Interval(value, max(0.0, middle - half), min(1.0, middle + half), rows)


def _ratios(tops_R: Values, bottoms_R: Values, counts_BR: Counts) -> npt.NDArray[np.float64]:
    """Return the ratio of each draw (B,); NaN for a draw that has no row with a value."""
    bottoms_B = counts_BR @ bottoms_R
    ratios_B: npt.NDArray[np.float64] = counts_BR @ tops_R / np.where(bottoms_B > 0, bottoms_B, np.nan)
    return ratios_B


def _interval(value: float, drawn_B: npt.NDArray[np.float64], rows: int) -> Interval:
    drawn_B = drawn_B[np.isfinite(drawn_B)]
    tail = (100 - COVERAGE) / 2
    low, high = np.percentile(drawn_B, [tail, 100 - tail]) if len(drawn_B) else (value, value)
    return Interval(value, float(low), float(high), rows)
