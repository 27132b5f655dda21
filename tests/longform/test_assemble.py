"""Tracks: every clip is where its place says, sample by sample, and the rest is silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.errors import AudioNotFound
from vallecli.longform.assemble import BLOCK, Clip, Track

RATE = 24_000


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Three clips of noise; the last one has another sample rate."""
    random = np.random.default_rng(0)
    for name, rate, samples in [("a", RATE, 5_001), ("b", RATE, 12_345), ("c", 16_000, 8_001)]:
        soundfile.write(tmp_path / f"{name}.flac", random.uniform(-0.5, 0.5, samples), rate)
    return [Clip.of(tmp_path / f"{name}.flac") for name in "abc"]


def whole(track: Track, **part: int) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.float32), *track.blocks(**part)])


def test_clips_are_in_their_places_and_the_rest_is_silent(clips: list[Clip]) -> None:
    track = Track(RATE)
    track.pause(3.5)  # more than a block
    placed = [track.append(clips[0])]
    track.pause(0.25)
    placed.append(track.append(clips[1], factor=0.5))
    placed.append(track.place(clips[2], track.samples + 100))
    track.extend(track.samples + 2 * BLOCK)
    track.extend(7)
    wav_N = whole(track)
    assert placed[0].start == 3.5 * RATE
    assert placed[1].start == placed[0].end + 6_000
    assert placed[2].end - placed[2].start == 12_002  # 8001 samples at 16 kHz
    assert len(wav_N) == track.samples == placed[2].end + 2 * BLOCK
    for place, factor in zip(placed, (1.0, 0.5, 1.0), strict=True):
        np.testing.assert_array_equal(
            wav_N[place.start : place.end], place.clip.read(RATE) * np.float32(factor), strict=True
        )
        wav_N[place.start : place.end] = 0
    assert not wav_N.any()


def test_any_part_is_that_part_of_the_whole(clips: list[Clip]) -> None:
    track = Track(RATE)
    for clip in clips:
        track.append(clip)
        track.pause(0.1)
    wav_N = whole(track)
    cuts = [0, 1, 5_000, 5_001, 7_000, 20_000, 30_000, track.samples]
    for start in cuts:
        for end in cuts:
            if start <= end:
                np.testing.assert_array_equal(whole(track, start=start, end=end), wav_N[start:end])


def test_a_stem_has_only_its_clips_and_stems_add_up(clips: list[Clip]) -> None:
    track = Track(RATE)
    placed = [track.append(clip) for clip in clips]
    stems = [np.concatenate(list(track.blocks(only=[place]))) for place in placed]
    np.testing.assert_array_equal(sum(stems), whole(track))
    assert all(len(stem) == track.samples for stem in stems)


def test_clips_cannot_overlap(clips: list[Clip]) -> None:
    track = Track(RATE)
    track.append(clips[0])
    with pytest.raises(ValueError, match="before the end"):
        track.place(clips[1], 5_000)


def test_clips_that_are_gone_or_changed_are_errors(clips: list[Clip], tmp_path: Path) -> None:
    soundfile.write(clips[0].path, np.zeros(3), RATE)
    with pytest.raises(AudioNotFound, match="changed"):
        clips[0].read(RATE)
    clips[1].path.unlink()
    with pytest.raises(AudioNotFound):
        clips[1].read(RATE)
    with pytest.raises(AudioNotFound):
        Clip.of(tmp_path / "none.flac")
