"""From tracks to files: one loudness for all tracks of a work, found in a first pass and applied in a second one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from vallecli.audio import levels
from vallecli.audio.files import open_output
from vallecli.audio.labels import Labels
from vallecli.audio.levels import Level
from vallecli.audio.pcm import Wav
from vallecli.audio.provenance import Provenance
from vallecli.longform.assemble import Track

LOUDNESS = -18.0  # LUFS: that of most audiobooks and podcasts in mono

OnProgress = Callable[[float], object]
"""Receives the seconds of audio that are done; it may raise, to stop."""


def find_level(
    tracks: Sequence[Track],
    *,
    loudness: float | None,
    gain: float = 0.0,
    on_progress: OnProgress = lambda seconds: None,
) -> Level:
    """Return the level of tracks that belong together, such as the chapters of a book; see `audio.levels.find_level`.

    `loudness` in LUFS is that of all of them together. Each of several passes reports its progress from 0.
    """

    def blocks() -> Iterator[Wav]:
        before = 0.0
        for track in tracks:
            yield from _counted(track, on_progress, before)
            before += track.seconds

    return levels.find_level(blocks, tracks[0].sample_rate, loudness=loudness, gain=gain)


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
