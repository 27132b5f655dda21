"""One loudness for all tracks of a work, without clipping, and the same samples however they are divided."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from vallecli.audio.files import read_audio
from vallecli.audio.levels import Level
from vallecli.audio.limiter import limit
from vallecli.longform.assemble import Clip, Track
from vallecli.longform.master import find_level, write_track

RATE = 24_000
CEILING = 10 ** (-1 / 20)


def speechlike(seconds: float, seed: int, level: float) -> np.ndarray:
    """Return noise in syllables, with loud moments, as speech has them."""
    random = np.random.default_rng(seed)
    time_N = np.arange(int(seconds * RATE)) / RATE
    wav_N = random.normal(0, level, len(time_N)) * np.clip(np.sin(2 * np.pi * 2 * time_N), 0.05, 1) ** 2
    wav_N[::7_001] *= 4
    return np.clip(wav_N, -0.99, 0.99)


@pytest.fixture
def tracks(tmp_path: Path) -> list[Track]:
    """Two tracks, one louder than the other."""
    made = []
    for number, level in enumerate((0.05, 0.12)):
        track = Track(RATE)
        for part in range(3):
            path = tmp_path / f"{number}{part}.flac"
            soundfile.write(path, speechlike(3, 10 * number + part, level), RATE)
            track.append(Clip.of(path))
            track.pause(0.5)
        made.append(track)
    return made


def rendered(track: Track, level: Level) -> np.ndarray:
    return np.concatenate(list(level.apply(track.blocks(), RATE)))


def lufs(wav_N: np.ndarray) -> float:
    return float(pyloudnorm.Meter(RATE).integrated_loudness(wav_N.astype(np.float64)))


@pytest.mark.parametrize("loudness", [-30.0, -23.0, -18.0, -16.0])
def test_all_tracks_together_have_the_loudness_and_peaks_below_the_limit(tracks: list[Track], loudness: float) -> None:
    level = find_level(tracks, loudness=loudness)
    wavs = [rendered(track, level) for track in tracks]
    assert lufs(np.concatenate(wavs)) == pytest.approx(loudness, abs=0.2)
    assert lufs(wavs[1]) - lufs(wavs[0]) > 3  # one gain for both: their relation stays
    assert all(np.abs(wav_N).max() <= CEILING + 1e-6 for wav_N in wavs)
    assert [len(wav_N) for wav_N in wavs] == [track.samples for track in tracks]


def test_a_gain_is_added_to_the_loudness(tracks: list[Track]) -> None:
    plain, louder = (find_level(tracks, loudness=-30, gain=gain) for gain in (0.0, 3.0))
    assert louder.gain == pytest.approx(plain.gain + 3)
    assert find_level(tracks, loudness=None, gain=-6).gain == -6
    assert find_level(tracks, loudness=None) == Level()


def test_silence_stays_silent() -> None:
    track = Track(RATE)
    track.pause(2)
    level = find_level([track], loudness=-18)
    assert (level.measured, level.gain, level.limited) == (None, 0, False)
    assert not rendered(track, level).any()


def test_the_limiter_changes_only_what_is_near_a_peak_however_audio_is_divided() -> None:
    wav_N = speechlike(2, 0, 0.05).astype(np.float32)
    wav_N[RATE] = 2.5
    limited = [
        np.concatenate(
            list(limit([wav_N[a:b] for a, b in itertools.pairwise([*range(0, len(wav_N), step), None])], RATE, -1))
        )
        for step in (len(wav_N), 1_000, 24_007)
    ]
    for other in limited[1:]:
        np.testing.assert_array_equal(other, limited[0])
    assert len(limited[0]) == len(wav_N)
    assert np.abs(limited[0]).max() <= CEILING + 1e-6
    far = np.abs(np.arange(len(wav_N)) - RATE) > 0.2 * RATE
    far &= np.abs(wav_N) < CEILING
    np.testing.assert_allclose(limited[0][far], wav_N[far], atol=1e-6)


@pytest.mark.parametrize("format", ["flac", "m4b", "mp3"])
def test_a_file_has_the_track_and_appears_when_it_is_complete(tracks: list[Track], tmp_path: Path, format: str) -> None:
    path = tmp_path / f"out.{format}"
    seen: list[float] = []

    def stop(seconds: float) -> None:
        assert not path.exists()
        seen.append(seconds)
        if seconds > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_track(tracks[0], path, Level(), format=format, force=False, on_progress=stop)
    assert not list(tmp_path.glob("*.part"))
    assert not list(tmp_path.glob(".*.part"))
    assert not path.exists()
    assert seen == sorted(seen)
    write_track(tracks[0], path, Level(gain=-6.0), format=format, force=False)
    found = read_audio(path, sample_rate=RATE)
    assert abs(len(found) - tracks[0].samples) <= 1_152
    expected = rendered(tracks[0], Level(gain=-6.0))
    if format == "flac":
        np.testing.assert_allclose(found, expected, atol=2 / 32_768)
    assert np.std(found) == pytest.approx(np.std(expected), rel=0.15)
