"""A loudness is reached within 0.3 LU by the measure of pyloudnorm, with peaks in range; silence stays silent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyloudnorm
import pytest

from vallecli.audio.levels import Leveller
from vallecli.audio.loudness import MAX_PEAK
from vallecli.audio.pcm import Wav
from vallecli.errors import NotFinite

RATE = 24_000


def speechlike(seconds: float = 5.0) -> Wav:
    """Noise with syllables, pauses and a few peaks, as loud as speech."""
    time_N = np.arange(int(seconds * RATE)) / RATE
    loud_N = np.sin(2 * np.pi * 2 * time_N) ** 2 * (np.sin(2 * np.pi * 0.3 * time_N) > -0.3)
    noise_N = np.convolve(np.random.default_rng(0).normal(size=len(time_N)), np.ones(8) / 8, "same")
    wav_N = 0.15 * loud_N * noise_N
    wav_N[RATE // 2 :: RATE] = 0.8
    return wav_N.astype(np.float32)


def pieces(wav_N: Wav) -> Iterator[Wav]:
    yield from np.split(wav_N, [100, 30_000, 30_001, 90_000])


def levelled(wav_N: Wav, **options: float) -> tuple[Wav, Leveller]:
    leveller = Leveller(RATE, **options)
    return np.concatenate(list(leveller.apply(pieces(wav_N)))), leveller


def loudness(wav_N: Wav) -> float:
    return float(pyloudnorm.Meter(RATE).integrated_loudness(wav_N))


def peak(wav_N: Wav) -> float:
    return float(20 * np.log10(np.abs(wav_N).max()))


def test_without_effects_the_same_arrays_are_passed_on() -> None:
    given = list(pieces(speechlike()))
    assert all(one is other for one, other in zip(Leveller(RATE).apply(iter(given)), given, strict=True))


@pytest.mark.parametrize("target", [-40.0, -23.0, -18.0, -16.0])
@pytest.mark.parametrize("gain", [0.0, -3.0, 1.0])
def test_the_loudness_is_reached(target: float, gain: float) -> None:
    wav_N = speechlike()
    done_N, leveller = levelled(wav_N, loudness=target, gain=gain)
    assert loudness(done_N) == pytest.approx(target + gain, abs=0.3)
    assert len(done_N) == len(wav_N)
    assert peak(done_N) <= MAX_PEAK + 0.01
    assert leveller.notes == ()


def test_a_loudness_that_is_not_reached_is_noted() -> None:
    done_N, leveller = levelled(speechlike(), loudness=-5)
    assert peak(done_N) <= MAX_PEAK + 0.01
    assert leveller.notes == (f"its loudness is {leveller.notes[0].split()[3]} LUFS, not -5, because of its peaks",)
    assert float(leveller.notes[0].split()[3]) == pytest.approx(loudness(done_N), abs=0.3)


@pytest.mark.parametrize("gain", [-60.0, -6.0])
def test_a_negative_gain_is_exact(gain: float) -> None:
    done_N, _ = levelled(speechlike(), gain=gain)
    np.testing.assert_allclose(done_N, speechlike() * 10 ** (gain / 20), rtol=1e-5)


@pytest.mark.parametrize("gain", [0.5, 6.0, 60.0])
def test_a_positive_gain_keeps_peaks_in_range_and_everything_in_its_place(gain: float) -> None:
    done_N, _ = levelled(speechlike(), gain=gain)
    assert len(done_N) == len(speechlike())
    assert peak(done_N) <= MAX_PEAK + 0.01
    quiet = slice(RATE * 7 // 10, RATE * 9 // 10)  # behind a peak by more than the limiter's release
    if gain < 10:
        np.testing.assert_allclose(done_N[quiet], speechlike()[quiet] * 10 ** (gain / 20), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("wav_N", [np.zeros(0, np.float32), np.zeros(10, np.float32), np.zeros(50_000, np.float32)])
def test_silence_stays_silent(wav_N: Wav) -> None:
    leveller = Leveller(RATE, loudness=-18, gain=6)
    done = list(leveller.apply([wav_N]))
    assert sum(map(len, done)) == len(wav_N)
    assert not any(part.any() for part in done)
    assert leveller.notes == ()


def test_long_audio_is_the_same_as_short_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = levelled(speechlike(), loudness=-18)
    monkeypatch.setattr("vallecli.audio.levels.MAX_MEMORY", 1_000)  # in a file
    np.testing.assert_array_equal(levelled(speechlike(), loudness=-18)[0], expected)


@pytest.mark.parametrize("options", [{"loudness": -18.0}, {"gain": 6.0}])
def test_damaged_audio_is_not_hidden(options: dict[str, float]) -> None:
    wav_N = speechlike()
    wav_N[1000] = np.nan
    with pytest.raises(NotFinite):
        levelled(wav_N, **options)
