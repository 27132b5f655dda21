"""Speech gets the average spectrum of another recording."""

from __future__ import annotations

import numpy as np
import pytest

from vallecli.codec.equalizer import BANDS, HALF_TRUSTED, MOST_DB, average_spectrum, equalize
from vallecli.codec.nano import mel_edges
from vallecli.constants import HOP, SAMPLE_RATE

FREQUENCIES = mel_edges(BANDS)[1:-1].numpy()
HIGH = FREQUENCIES > 5000
LOW = FREQUENCIES < 4000


def noise(seconds: float = 2.0) -> np.ndarray:
    """Return white noise with a pause in it."""
    wav_N = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE)).astype(np.float32)
    wav_N[len(wav_N) // 3 : len(wav_N) // 2] = 0
    return wav_N


def test_pauses_do_not_count() -> None:
    wav_N = noise()
    silent = np.concatenate([np.zeros(SAMPLE_RATE, np.float32), wav_N])
    np.testing.assert_allclose(average_spectrum(silent), average_spectrum(wav_N), atol=0.1)


def test_speech_with_the_spectrum_it_should_have_stays_as_it_is_at_any_level() -> None:
    wav_N = noise()
    np.testing.assert_allclose(equalize(wav_N, average_spectrum(0.1 * wav_N), 1.0), wav_N, atol=1e-4)


def test_the_share_of_the_difference_that_can_be_trusted_is_made_good() -> None:
    wav_N = noise()
    before = average_spectrum(wav_N)
    moved = average_spectrum(equalize(wav_N, before - 6.0 * HIGH, 0.5)) - before
    frames = len(wav_N) * 5 / 6 / HOP  # one sixth is a pause
    expected = -6.0 * 0.5 * frames / (frames + HALF_TRUSTED)
    assert moved[HIGH].mean() - moved[LOW].mean() == pytest.approx(expected, abs=0.2)


def test_less_speech_is_moved_less_and_none_by_more_than_the_most() -> None:
    def moved(seconds: float, by: float) -> float:
        wav_N = noise(seconds)
        before = average_spectrum(wav_N)
        after = average_spectrum(equalize(wav_N, before - by * HIGH, 1.0)) - before
        return float(after[LOW].mean() - after[HIGH].mean())

    assert moved(0.5, 6.0) < 0.6 * moved(4.0, 6.0)
    assert moved(8.0, 40.0) < MOST_DB


def test_the_peak_stays_and_nothing_is_added_to_silence_or_to_a_click() -> None:
    wav_N = noise()
    towards = average_spectrum(wav_N) + 9.0 * HIGH
    assert np.abs(equalize(wav_N, towards, 1.0)).max() == pytest.approx(np.abs(wav_N).max(), rel=1e-5)
    assert not equalize(np.zeros_like(wav_N), towards, 1.0).any()
    np.testing.assert_array_equal(equalize(wav_N[:HOP], towards, 1.0), wav_N[:HOP])
    assert not len(equalize(wav_N[:0], towards, 1.0))
