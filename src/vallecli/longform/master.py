"""From tracks to files: one loudness for all tracks of a work, found in a first pass and applied in a second one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vallecli.audio.files import open_output
from vallecli.audio.labels import Labels
from vallecli.audio.limiter import limit
from vallecli.audio.loudness import MAX_PEAK, Meter
from vallecli.audio.pcm import Wav
from vallecli.audio.provenance import Provenance
from vallecli.longform.assemble import Track

LOUDNESS = -18.0  # LUFS: that of most audiobooks and podcasts in mono
TOLERANCE = 0.1  # LU
MAX_PASSES = 3  # behind the limiter
MIN_SLOPE = 0.3  # of the loudness against the gain

OnProgress = Callable[[float], object]
"""Receives the seconds of audio that are done; it may raise, to stop."""


@dataclass(frozen=True)
class Level:
    """How loud tracks are, and how they are changed."""

    measured: float | None = None
    """LUFS of all tracks together; None for silence, and if it was not measured."""
    gain: float = 0.0
    """dB."""
    limited: bool = False
    """Whether peaks are turned down to MAX_PEAK: else, the gain would let them clip."""
    reached: float | None = None
    """LUFS of the result, which the limiter keeps below the target if there are too many peaks."""

    def apply(self, blocks: Iterable[Wav], sample_rate: int) -> Iterator[Wav]:
        """Yield audio with the gain, in blocks (N,)."""
        if self.gain:
            blocks = (wav_N * np.float32(_factor(self.gain)) for wav_N in blocks)
        yield from limit(blocks, sample_rate, MAX_PEAK) if self.limited else blocks


def find_level(
    tracks: Sequence[Track],
    *,
    loudness: float | None,
    gain: float = 0.0,
    on_progress: OnProgress = lambda seconds: None,
) -> Level:
    """Return the level of tracks that belong together, such as the chapters of a book.

    `loudness` in LUFS is that of all of them together, before `gain` in dB is added; None leaves it as it is. As the
    limiter makes speech softer, it is measured again behind it, until the loudness is within TOLERANCE, or MAX_PASSES.
    """
    if loudness is None and not gain:
        return Level()
    measured, peak = _measure(tracks, Level(), on_progress)
    change = 0.0 if loudness is None or measured is None else loudness - measured
    level = Level(measured, change + gain, limited=peak * _factor(change + gain) > _factor(MAX_PEAK))
    if loudness is None or measured is None or not level.limited:
        return replace(level, reached=None if measured is None else measured + level.gain)
    before, slope = Level(), 1.0  # LU that the result is louder for each dB of gain
    for left in reversed(range(MAX_PASSES)):
        reached, _ = _measure(tracks, level, on_progress)
        level = replace(level, reached=reached)
        missing = 0.0 if reached is None else loudness + gain - reached
        if reached is None or abs(missing) <= TOLERANCE or not left:
            break
        if before.reached is not None and level.gain != before.gain:
            slope = min(1.0, max(MIN_SLOPE, (reached - before.reached) / (level.gain - before.gain)))
        before, level = level, replace(level, gain=level.gain + missing / slope)
    return level


def _measure(tracks: Sequence[Track], level: Level, on_progress: OnProgress) -> tuple[float | None, float]:
    """Return the loudness in LUFS and the peak of tracks at a level."""
    meter, before = Meter(tracks[0].sample_rate), 0.0
    for track in tracks:
        for wav_N in level.apply(_counted(track, on_progress, before), track.sample_rate):
            meter.add(wav_N)
        before += track.seconds
    return meter.integrated(), meter.peak


def _factor(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def write_track(
    track: Track,
    path: Path,
    level: Level,
    *,
    format: str,
    force: bool,
    provenance: Provenance | None = None,
    labels: Labels | None = None,
    finish: Callable[[BinaryIO], object] | None = None,
    on_progress: OnProgress = lambda seconds: None,
) -> None:
    """Write a track to a file, which appears when it is complete; see `audio.files.open_output`."""
    with open_output(
        path,
        sample_rate=track.sample_rate,
        format=format,
        force=force,
        provenance=provenance,
        labels=labels,
        finish=finish,
    ) as output:
        for wav_N in level.apply(_counted(track, on_progress), track.sample_rate):
            output.write(wav_N)


def _counted(track: Track, on_progress: OnProgress, before: float = 0.0) -> Iterator[Wav]:
    """Yield the blocks of a track; `before` are the seconds of earlier ones."""
    samples = 0
    for wav_N in track.blocks():
        on_progress(before + samples / track.sample_rate)
        yield wav_N
        samples += len(wav_N)
