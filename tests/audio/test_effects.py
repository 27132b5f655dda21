"""Resampling keeps duration, pitch and level; stretching keeps pitch and level."""

from __future__ import annotations

import numpy as np
import pytest

from vallecli.audio.effects import resample, stretch
from vallecli.audio.stream import Wav
from vallecli.errors import NotFinite


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


def hertz_of(wav_N: Wav, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(wav_N * np.hanning(len(wav_N)), 8 * len(wav_N)))
    return float(np.argmax(spectrum)) * rate / (8 * len(wav_N))


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_speed_changes_the_duration_and_neither_pitch_nor_level(rate: int, speed: float) -> None:
    wav_N = stretch(tone(rate, seconds=2), rate, speed)
    assert wav_N.dtype == np.float32
    assert len(wav_N) == round(2 * rate / speed)
    middle = wav_N[rate // 10 : -rate // 10]
    assert hertz_of(middle, rate) == pytest.approx(440, rel=0.005)
    assert np.sqrt(np.mean(np.square(middle))) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_words_keep_their_places(speed: float) -> None:
    rate = 24_000
    wav_N, places = np.zeros(4 * rate, np.float32), [0.1, 1.0, 2.2, 3.7]  # seconds
    for place in places:
        wav_N[int(place * rate) : int((place + 0.2) * rate)] = tone(rate, seconds=0.2)
    loud_N = np.convolve(np.abs(stretch(wav_N, rate, speed)), np.ones(240) / 240, "same") > 0.1
    begins = np.flatnonzero(np.diff(loud_N.astype(int)) == 1) / rate
    np.testing.assert_allclose(begins, np.array(places) / speed, atol=0.06)


@pytest.mark.parametrize("samples", [1, 2, 10, 999, 5_000])
@pytest.mark.parametrize("speed", [0.5, 0.77, 2.0])
def test_short_audio_has_its_exact_length_too(samples: int, speed: float) -> None:
    assert len(stretch(np.ones(samples, np.float32), 24_000, speed)) == max(1, round(samples / speed))


def test_equal_inputs_are_stretched_equally_and_stay_as_they_were() -> None:
    wav_N = np.random.default_rng(0).normal(size=200_000).astype(np.float32)  # more than a block of the filter
    before_N = wav_N.copy()
    np.testing.assert_array_equal(stretch(wav_N, 24_000, 0.9), stretch(wav_N, 24_000, 0.9))
    np.testing.assert_array_equal(wav_N, before_N)


def test_no_change_returns_the_input_itself() -> None:
    wav_N = tone(24_000)
    assert stretch(wav_N, 24_000, 1) is wav_N
    assert stretch(wav_N[:0], 24_000, 2).shape == (0,)


@pytest.mark.parametrize("speed", [0.0, 0.49, 2.01, -1.0, float("nan"), float("inf")])
def test_impossible_speeds_are_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="cannot change the speed"):
        stretch(tone(24_000), 24_000, speed)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_damaged_audio_is_not_hidden_by_stretching(bad: float) -> None:
    wav_N = tone(24_000)
    wav_N[100] = bad
    with pytest.raises(NotFinite):
        stretch(wav_N, 24_000, 1.5)
