"""Intervals: reproducible, wider for few speakers, paired differences of equal runs are nothing."""

from __future__ import annotations

import numpy as np
import pytest

from vallecli.quality import intervals
from vallecli.quality.intervals import draw, mean, mean_difference, ratio, ratio_difference, share

SPEAKERS = [f"s{row // 5}" for row in range(50)]  # ten speakers with five rows each
VALUES = np.random.default_rng(1).normal(3, 1, 50)


def test_a_total_is_inside_its_interval_and_the_same_every_time() -> None:
    found = mean(VALUES, draw(SPEAKERS))
    assert found == mean(VALUES, draw(SPEAKERS))
    assert found is not None
    assert found.value == pytest.approx(VALUES.mean())
    assert found.low < found.value < found.high
    assert found.rows == 50


def test_each_draw_has_as_many_speakers_as_there_are_with_all_their_rows() -> None:
    counts_BR = draw(["a"] * 3 + ["b"] * 7)
    assert set(counts_BR.sum(axis=1)) <= {6, 10, 14}
    first, second = counts_BR[:, :3].sum(axis=1), counts_BR[:, 3:].sum(axis=1)
    assert np.array_equal(first / 3 + second / 7, np.full(len(counts_BR), 2))


def test_independent_rows_give_the_interval_of_a_normal_distribution() -> None:
    found = mean(VALUES, draw([str(row) for row in range(50)]))
    assert found is not None
    half = intervals.Z * VALUES.std() / np.sqrt(50)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


def test_rows_that_depend_on_their_speaker_give_a_wider_interval() -> None:
    values = np.repeat(np.random.default_rng(2).normal(0, 1, 10), 5)
    clustered, independent = mean(values, draw(SPEAKERS)), mean(values, draw([str(row) for row in range(50)]))
    assert clustered is not None
    assert independent is not None
    assert clustered.high - clustered.low > 1.5 * (independent.high - independent.low)


def test_a_ratio_is_errors_over_words_not_the_mean_of_rates() -> None:
    found = ratio(np.array([1.0, 0.0]), np.array([1.0, 9.0]), draw(["a", "b"]))
    assert found is not None
    assert found.value == 0.1
    assert (found.low, found.high) == (0, 1)


def test_rows_without_a_value_do_not_count() -> None:
    values = np.array([1.0, np.nan, 3.0])
    found = mean(values, draw(["a", "b", "c"]))
    assert found is not None
    assert (found.value, found.rows) == (2, 2)
    assert mean(np.full(3, np.nan), draw(["a", "b", "c"])) is None
    assert ratio(np.zeros(2), np.zeros(2), draw(["a", "b"])) is None


def test_the_difference_of_equal_runs_is_nothing() -> None:
    found = mean_difference(VALUES, VALUES, draw(SPEAKERS))
    assert found is not None
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_paired_interval_is_narrower_than_the_runs() -> None:
    counts_BR = draw(SPEAKERS)
    better = VALUES + 0.1 + np.random.default_rng(3).normal(0, 0.01, 50)
    paired, alone = mean_difference(VALUES, better, counts_BR), mean(VALUES, counts_BR)
    assert paired is not None
    assert alone is not None
    assert paired.value == pytest.approx(0.1, abs=0.01)
    assert 0 < paired.low < paired.high < 0.2
    assert paired.high - paired.low < (alone.high - alone.low) / 10


def test_a_difference_uses_the_rows_that_both_have() -> None:
    counts_BR = draw(["a", "b", "c"])
    first = (np.array([1.0, np.nan, 2.0]), np.array([10.0, 10.0, 10.0]))
    second = (np.array([2.0, 9.0, 2.0]), np.array([10.0, 10.0, 10.0]))
    found = ratio_difference(first, second, counts_BR)
    assert found is not None
    assert found.value == pytest.approx(0.05)
    assert found.rows == 2


@pytest.mark.parametrize(
    ("count", "rows", "low", "high"), [(0, 60, 0.0, 0.0602), (60, 60, 0.9398, 1.0), (5, 100, 0.0215, 0.1118)]
)
def test_shares_have_wilsons_interval(count: int, rows: int, low: float, high: float) -> None:
    found = share(count, rows)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert found.low <= found.value <= found.high


def test_no_rows_have_no_share() -> None:
    assert share(0, 0) is None
