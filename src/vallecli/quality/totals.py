"""Totals of scores with intervals, and the comparison of two runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vallecli.quality import intervals
from vallecli.quality.intervals import Counts, Interval, Values
from vallecli.quality.scores import Score, values

MANNERS = ("pitch_median", "pitch_range", "rate", "level", "background", "reverberation")
FAILURES = ("failed", "cut_off", "unheard", "garbled")


@dataclass(frozen=True)
class Metric:
    """A number of each row whose total is its mean; that of the word error rate is errors over words."""

    name: str
    label: str
    """For people."""
    field: str
    """Of a score; see scores.values."""
    absolute: bool = False
    """Whether its sign is dropped."""
    scale: float = 1.0
    """Factor of the label's unit."""


WER = Metric("wer", "WER, %", "errors", scale=100)
METRICS = (
    WER,
    Metric("similarity", "similarity (Resemblyzer)", "similarity"),
    Metric("similarity_wavlm", "similarity (WavLM)", "similarity_wavlm"),
    Metric("similarity_to_reference", "similarity to the reference", "similarity_to_reference"),
    Metric("ovrl", "DNSMOS overall", "opinion.ovrl"),
    Metric("sig", "DNSMOS signal", "opinion.sig"),
    Metric("bak", "DNSMOS background", "opinion.bak"),
    Metric("seconds", "duration, s", "seconds"),
    Metric("pitch_median", "pitch, semitones", "manner.pitch_median"),
    Metric("pitch_range", "pitch range, semitones", "manner.pitch_range"),
    Metric("rate", "speaking rate, %", "manner.rate"),
    Metric("level", "level, dB", "manner.level"),
    Metric("background", "background, points", "manner.background"),
    Metric("reverberation", "reverberation, s", "manner.reverberation"),
    *(Metric(f"{name}_distance", "", f"manner.{name}", absolute=True) for name in MANNERS),
    Metric("emotion", "emotion, cosine", "manner.emotion"),
)


def totals(scores: Sequence[Score]) -> dict[str, Any]:
    """Return the totals of rows as values of JSON; docs/eval.md describes them. Metrics without values are left out."""
    counted = Counter(score.failure for score in scores if score.failure is not None)
    counts_BR = intervals.draw([score.speaker for score in scores])
    metrics = {metric.name: _total(metric, scores, counts_BR) for metric in METRICS}
    return {
        "rows": len(scores),
        "speakers": len({score.speaker for score in scores}),
        "seconds": round(sum(score.seconds or 0.0 for score in scores), 3),
        "failures": {name: counted[name] for name in FAILURES},
        "failure_rate": _written(intervals.share(counted.total(), len(scores))),
        "doubtful": sum(score.doubtful for score in scores),
        "tried": sum(score.tried for score in scores),
        "rows_tried": sum(score.tried > 0 for score in scores),
        "metrics": {name: _written(found) for name, found in metrics.items() if found is not None},
    }


def compare(first: Mapping[str, Score], second: Mapping[str, Score]) -> dict[str, Any]:
    """Return the differences of two runs, second minus first, over the rows that both have with the same text.

    Each is a mapping from id to score. The intervals are paired: each draw has the same rows of both.
    """
    shared = [name for name in first if name in second and first[name].text == second[name].text]
    ours, theirs = [first[name] for name in shared], [second[name] for name in shared]
    counts_BR = intervals.draw([score.speaker for score in ours])
    metrics = {}
    for metric in METRICS:
        one, other = _columns(metric, ours), _columns(metric, theirs)
        found = intervals.ratio_difference(one, other, counts_BR)
        if found is not None:
            known_R = np.isfinite(np.stack([*one, *other])).all(axis=0)
            before, after = (float(top[known_R].sum() / bottom[known_R].sum()) for top, bottom in (one, other))
            metrics[metric.name] = {"first": round(before, 6), "second": round(after, 6), **_difference(found)}
    failed = [np.array([float(score.failure is not None) for score in run]) for run in (ours, theirs)]
    changed = intervals.mean_difference(failed[0], failed[1], counts_BR)
    if changed is not None:
        rates = {"first": round(float(failed[0].mean()), 6), "second": round(float(failed[1].mean()), 6)}
        metrics = {"failure_rate": {**rates, **_difference(changed)}, **metrics}
    return {
        "rows": len(shared),
        "only_in_first": len(first) - len(shared),
        "only_in_second": len(second) - len(shared),
        "speakers": len({score.speaker for score in ours}),
        "metrics": metrics,
    }


def _total(metric: Metric, scores: Sequence[Score], counts_BR: Counts) -> Interval | None:
    return intervals.ratio(*_columns(metric, scores), counts_BR)


def _columns(metric: Metric, scores: Sequence[Score]) -> tuple[Values, Values]:
    """Return the numerators and the denominators of a metric (R,)."""
    tops_R = np.array([np.nan if value is None else value for value in values(scores, metric.field)], float)
    if metric.absolute:
        tops_R = np.abs(tops_R)
    if metric is WER:
        return tops_R, np.array([np.nan if value is None else value for value in values(scores, "words")], float)
    return tops_R, np.ones(len(tops_R))


def _written(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {name: value if name == "rows" else round(value, 6) for name, value in asdict(interval).items()}


def _difference(interval: Interval) -> dict[str, Any]:
    found = _written(interval) or {}
    return {"difference": found.pop("value", None), **found}
