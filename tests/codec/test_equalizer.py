"""Equalizing moves the average spectrum of speech towards that of another recording."""

from __future__ import annotations

import numpy as np
import pytest

from vallecli.codec.equalizer import BANDS, HALF_FRAMES, HOP, MAX_DB, SAMPLE_RATE, average_spectrum, equalize
from vallecli.codec.nano import mel_edges

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


def test_speech_that_has_the_wanted_spectrum_does_not_change_at_any_level() -> None:
    wav_N = noise()
    np.testing.assert_allclose(equalize(wav_N, average_spectrum(0.1 * wav_N), 1.0), wav_N, atol=1e-4)


def test_the_correction_depends_on_share_and_length() -> None:
    wav_N = noise()
    before = average_spectrum(wav_N)
    moved = average_spectrum(equalize(wav_N, before - 6.0 * HIGH, 0.5)) - before
    frames = len(wav_N) * 5 / 6 / HOP  # one sixth is a pause
    expected = -6.0 * 0.5 * frames / (frames + HALF_FRAMES)
    assert moved[HIGH].mean() - moved[LOW].mean() == pytest.approx(expected, abs=0.2)


def test_less_speech_is_corrected_less_and_none_beyond_the_limit() -> None:
    def moved(seconds: float, by: float) -> float:
        wav_N = noise(seconds)
        before = average_spectrum(wav_N)
        after = average_spectrum(equalize(wav_N, before - by * HIGH, 1.0)) - before
        return float(after[LOW].mean() - after[HIGH].mean())

    assert moved(0.5, 6.0) < 0.6 * moved(4.0, 6.0)
    assert moved(8.0, 40.0) < MAX_DB


def test_the_peak_is_kept_and_silence_and_clicks_do_not_change() -> None:
    wav_N = noise()
    towards = average_spectrum(wav_N) + 9.0 * HIGH
    assert np.abs(equalize(wav_N, towards, 1.0)).max() == pytest.approx(np.abs(wav_N).max(), rel=1e-5)
    assert not equalize(np.zeros_like(wav_N), towards, 1.0).any()
    np.testing.assert_array_equal(equalize(wav_N[:HOP], towards, 1.0), wav_N[:HOP])
    assert not len(equalize(wav_N[:0], towards, 1.0))
