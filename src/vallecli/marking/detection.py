"""Where in a recording Perth's watermark is, and how sure that is.

The score of audio is near 1 with the mark and near 0 without. It is an average, so a marked part of a long recording
is found in windows. docs/responsible-use.md has the measurements behind the thresholds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.marking.perth import FRAME_RATE, MIN_SAMPLES, SAMPLE_RATE, STRETCHES, Detector, FrameScores

# Seconds of a recording that are not silent -> the score from which it counts as marked, at its own speed and at the
# best of many others. Averages over few frames vary more; less is too short to say.
THRESHOLDS = ((2.0, 0.7, 0.85), (1.0, 0.8, 0.9), (0.5, 0.9, 0.95))
MIN_SECONDS = THRESHOLDS[-1][0]
PART_THRESHOLDS = (0.9, 0.97)  # of a window: a long recording has many, and one is enough
CERTAIN = 0.97  # no other speed is tried from here on
WINDOW_SECONDS, STEP_SECONDS = 3.0, 1.0  # a window is as long as the recording if that is shorter
BLOCK_SECONDS = 60.0  # s that the networks see at a time
SPEEDS = sorted((round(0.9 + 0.01 * step, 2) for step in range(21)), key=lambda speed: abs(speed - 1))

NORMAL = list(STRETCHES).index("normal")

MARKED, NOT_MARKED, UNKNOWN = "marked", "not marked", "too short or silent to say"
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Detection:
    """The result for a recording; times are in seconds."""

    verdict: str
    """MARKED, NOT_MARKED or UNKNOWN."""
    score: float | None
    """Of the whole recording; None for UNKNOWN."""
    best_score: float | None
    """The largest score of a window; that of a recording that is shorter than a window."""
    marked: tuple[tuple[float, float], ...] = ()
    """Where the marked windows begin and end."""
    speed: float = 1.0
    """At which the mark was found: 1.05 means that the recording is 5 % faster than what was marked."""


@dataclass(frozen=True)
class _Window:
    start: float  # s
    end: float
    score: float
    active: float  # s that are not silent


def detect(wav_N: Wav, sample_rate: int, detector: Detector, *, thorough: bool = False) -> Detection:
    """Return whether and where mono audio (N,) at `sample_rate` in Hz has the mark.

    `thorough` also searches for speeds from 0.90 to 1.10 of what was marked, and needs a higher score for them.
    """
    found = _at_speed(wav_N, sample_rate, detector, 1.0)
    if not thorough or found.verdict != NOT_MARKED:
        return found
    best = found
    for speed in SPEEDS[1:]:
        tried = _at_speed(wav_N, sample_rate, detector, speed)
        if (tried.best_score or 0) > (best.best_score or 0):
            best = tried
        if (best.best_score or 0) >= CERTAIN:
            break
    return best if best.verdict == MARKED else found


def _at_speed(wav_N: Wav, sample_rate: int, detector: Detector, speed: float) -> Detection:
    """Return the result for a recording that is `speed` times as fast as what was marked."""
    wide_N = resample(wav_N, round(sample_rate / speed), SAMPLE_RATE)
    whole, windows = _scores(wide_N, detector)
    if whole is None or whole.active < MIN_SECONDS:
        return Detection(UNKNOWN, None, None)
    column = int(speed != 1)
    lowest = next(pair for seconds, *pair in THRESHOLDS if whole.active >= seconds)[column]
    best = max([window.score for window in windows], default=whole.score)
    if whole.score < lowest and best < PART_THRESHOLDS[column]:
        return Detection(NOT_MARKED, whole.score, best, (), speed)
    parts = [window for window in windows if window.score >= lowest] or [whole]
    spans = tuple((round(start / speed, 2), round(end / speed, 2)) for start, end in _joined(parts))
    return Detection(MARKED, whole.score, best, spans, speed)


def _joined(windows: list[_Window]) -> list[tuple[float, float]]:
    """Return where windows begin and end; those that overlap or touch are one."""
    spans: list[tuple[float, float]] = []
    for start, end in sorted((window.start, window.end) for window in windows):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


class _Sums:
    """Of one network's frames: how many are active up to each frame, and the sums of their two outputs."""

    def __init__(self, frames: FrameScores, stretch_rate: float) -> None:
        """`stretch_rate` is the number of the network's frames per second."""
        self.rate = stretch_rate
        values_3T = np.stack([np.ones_like(frames.mark_T), frames.weight_T, frames.mark_T]) * frames.active_T
        self.sums_3T = np.concatenate([np.zeros((3, 1)), values_3T.cumsum(axis=1)], axis=1)

    def between(self, start: float, end: float) -> Scores:
        """Return (active frames, sum of the weights, sum of the marks) between two times in seconds."""
        last = self.sums_3T.shape[1] - 1
        first, end_frame = (round(min(last, time * self.rate)) for time in (start, end))
        sums: Scores = self.sums_3T[:, end_frame] - self.sums_3T[:, first]
        return sums


def _window(sums_S3: Scores, start: float, end: float) -> _Window | None:
    """Return a window with the score for the sums of each network (S, 3); None if a network has no active frame."""
    if not sums_S3[:, 0].all():
        return None
    weight_S, mark_S = (sums_S3[:, column] / sums_S3[:, 0] for column in (1, 2))
    share_S = np.exp(weight_S - weight_S.max())
    score = float(np.clip(share_S @ mark_S / share_S.sum(), 0, 1))
    return _Window(start, end, score, float(sums_S3[NORMAL, 0]) / FRAME_RATE)


def _scores(wav_N: Wav, detector: Detector) -> tuple[_Window | None, list[_Window]]:
    """Return the score of audio at SAMPLE_RATE, None if it is too short or silent, and those of its windows.

    Windows with less than MIN_SECONDS that are not silent are left out.
    """
    seconds = len(wav_N) / SAMPLE_RATE
    stride = BLOCK_SECONDS - WINDOW_SECONDS  # each window is within a block
    total_S3 = np.zeros((len(STRETCHES), 3))
    windows = []
    for start in np.arange(0, seconds, stride).tolist():
        block_N = wav_N[int(start * SAMPLE_RATE) : int((start + BLOCK_SECONDS) * SAMPLE_RATE)]
        length = len(block_N) / SAMPLE_RATE
        if len(block_N) < MIN_SAMPLES or (start and length <= WINDOW_SECONDS):  # the block before has all of it
            break
        rates = [FRAME_RATE * stretch for stretch in STRETCHES.values()]
        sums = [_Sums(frames, rate) for frames, rate in zip(detector.frames(block_N), rates, strict=True)]
        is_last = start + length >= seconds
        total_S3 += np.stack([of.between(0, math.inf if is_last else stride) for of in sums])
        for begin in _begins(length):
            end = begin + WINDOW_SECONDS
            sums_S3 = np.stack([of.between(begin, end) for of in sums])
            window = _window(sums_S3, start + begin, min(start + end, seconds))
            if window is not None and window.active >= MIN_SECONDS:
                windows.append(window)
    return _window(total_S3, 0.0, seconds), windows


def _begins(seconds: float) -> list[float]:
    """Return where the windows of a block begin; the last one ends with the block."""
    last = max(0.0, seconds - WINDOW_SECONDS)
    begins: list[float] = np.arange(0, last, STEP_SECONDS).tolist()
    return [*begins, last]
