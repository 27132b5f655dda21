"""Loudness is that of another implementation of BS.1770, in pieces as at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyloudnorm
import pytest

from vallecli.audio.loudness import Meter
from vallecli.audio.pcm import Wav

RATES = [8_000, 16_000, 24_000, 44_100, 48_000]


def speechlike(rate: int, seconds: float, seed: int = 0) -> Wav:
    """Noise with syllables and pauses."""
    time_N = np.arange(int(seconds * rate)) / rate
    loud_N = np.sin(2 * np.pi * 2 * time_N) ** 2 * (np.sin(2 * np.pi * 0.3 * time_N) > -0.3)
    noise_N = np.random.default_rng(seed).normal(size=len(time_N))
    return (0.1 * loud_N * np.convolve(noise_N, np.ones(8) / 8, "same")).astype(np.float32)


def loudness_of(pieces: Iterable[Wav], rate: int) -> tuple[float | None, float]:
    meter = Meter(rate)
    for wav_N in pieces:
        meter.add(wav_N)
    return meter.integrated(), meter.peak


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [1.0, 3.33, 12.0])
def test_loudness_is_that_of_pyloudnorm(rate: int, seconds: float) -> None:
    wav_N = speechlike(rate, seconds)
    measured, peak = loudness_of([wav_N], rate)
    assert measured == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(wav_N), abs=0.3)
    assert peak == np.abs(wav_N).max()


def test_pieces_have_the_loudness_of_the_whole() -> None:
    wav_N = speechlike(24_000, 5)
    cuts = np.cumsum(np.random.default_rng(1).integers(0, 20_000, 20))
    assert loudness_of(np.split(wav_N, cuts), 24_000) == loudness_of([wav_N], 24_000)


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.39, 0.45])
def test_short_audio_has_a_loudness_too(seconds: float) -> None:
    wav_N = speechlike(24_000, 0.25)[6000 - int(0.05 * 24_000) :]
    tiled_N = np.tile(wav_N, 20)
    measured, _ = loudness_of([tiled_N[: int(seconds * 24_000)]], 24_000)
    assert measured == pytest.approx(pyloudnorm.Meter(24_000).integrated_loudness(tiled_N), abs=1.5)


@pytest.mark.parametrize("wav_N", [np.zeros(0, np.float32), np.zeros(24_000, np.float32), np.zeros(10, np.float32)])
def test_silence_has_no_loudness(wav_N: Wav) -> None:
    assert loudness_of([wav_N], 24_000) == (None, 0.0)


def test_a_meter_ends_once() -> None:
    meter = Meter(24_000)
    meter.add(speechlike(24_000, 1))
    assert meter.integrated() == meter.integrated()
    with pytest.raises(ValueError, match="already"):
        meter.add(speechlike(24_000, 1))
