"""From tracks to files: one loudness for all tracks of a work, found in a first pass and applied in a second one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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

    def apply(self, blocks: Iterable[Wav], sample_rate: int) -> Iterator[Wav]:
        """Yield audio with the gain, in blocks (N,)."""
        if self.gain:
            blocks = (wav_N * np.float32(10 ** (self.gain / 20)) for wav_N in blocks)
        yield from limit(blocks, sample_rate, MAX_PEAK) if self.limited else blocks


def find_level(
    tracks: Sequence[Track],
    *,
    loudness: float | None,
    gain: float = 0.0,
    on_progress: OnProgress = lambda seconds: None,
) -> Level:
    """Return the level of tracks that belong together, such as the chapters of a book.

    `loudness` in LUFS is that of all of them together, before `gain` in dB is added; None leaves it as it is.
    """
    if loudness is None and not gain:
        return Level()
    meter, before = Meter(tracks[0].sample_rate), 0.0
    for track in tracks:
        for wav_N in _counted(track, on_progress, before):
            meter.add(wav_N)
        before += track.seconds
    measured = meter.integrated()
    if loudness is not None and measured is not None:
        gain += loudness - measured
    peak = meter.peak * 10 ** (gain / 20)
    return Level(measured, gain, limited=peak > 10 ** (MAX_PEAK / 20))


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
