"""Resampling keeps duration, pitch and level, and changes nothing at equal rates."""

from __future__ import annotations

import numpy as np
import pytest

from vallecli.audio.effects import resample
from vallecli.audio.stream import Wav


def tone(rate: int, hertz: float = 440.0, seconds: float = 0.5) -> Wav:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("to_rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("from_rate", [16_000, 24_000, 48_000])
def test_a_tone_stays_the_same_tone(from_rate: int, to_rate: int) -> None:
    wav_N = resample(tone(from_rate), from_rate, to_rate)
    assert wav_N.dtype == np.float32
    assert abs(len(wav_N) - to_rate // 2) <= 1
    middle = slice(to_rate // 20, to_rate * 2 // 5)  # the filter rings at both ends
    np.testing.assert_allclose(wav_N[middle], tone(to_rate)[middle], atol=2e-3)


def test_equal_rates_return_the_input_itself() -> None:
    wav_N = tone(24_000)
    assert resample(wav_N, 24_000, 24_000) is wav_N


def test_frequencies_above_half_the_new_rate_are_removed() -> None:
    wav_N = resample(tone(24_000, hertz=10_000), 24_000, 16_000)
    assert np.abs(wav_N[800:-800]).max() < 1e-4


def test_the_input_is_not_modified() -> None:
    wav_N = tone(24_000)
    resample(wav_N, 24_000, 16_000)
    np.testing.assert_array_equal(wav_N, tone(24_000))


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_empty_audio_stays_empty(rate: int) -> None:
    assert resample(np.zeros(0, np.float32), rate, 48_000).shape == (0,)


@pytest.mark.parametrize("rates", [(0, 24_000), (24_000, 0), (-1, 24_000)])
def test_impossible_rates_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot resample"):
        resample(tone(24_000), *rates)
