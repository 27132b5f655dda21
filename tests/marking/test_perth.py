"""The watermark: the published arithmetic, sentences that do not depend on others, and damaged packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from voiced import voiced

from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.checkpoints import weights
from vallecli.errors import DamagedWatermark, DependencyMissing, WatermarkMissing
from vallecli.marking import perth

CPU = torch.device("cpu")
FROZEN = [0.00935, 0.00647, 0.00753, 0.01346, 0.00442, -0.00124, -0.00258, 0.00221]
RATE = perth.SAMPLE_RATE


def reference_network(tensors: dict[str, Any], name: str, x_FT: np.ndarray) -> np.ndarray:
    """Compute a network from the specification in float64."""
    for layer in range(7):
        weight, bias = (tensors[f"{name}.{layer}.conv.{part}"].double().numpy() for part in ("weight", "bias"))
        width = weight.shape[2]
        padded = np.pad(x_FT, ((0, 0), (width // 2, width // 2)))
        taps = [weight[:, :, tap] @ padded[:, tap : tap + x_FT.shape[1]] for tap in range(width)]
        x_FT = sum(taps) + bias[:, None]
        if layer < 6:
            x_FT = np.where(x_FT > 0, x_FT, 0.01 * x_FT)
    return x_FT


def reference_spectrum(wav_N: np.ndarray) -> np.ndarray:
    """Compute the STFT (F, T) from the specification: 2048 samples, hop 320, periodic Hann, reflected at the ends."""
    padded = np.pad(wav_N.astype(np.float64), 1024, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    starts = range(0, len(padded) - 2047, 320)
    return np.stack([np.fft.rfft(window * padded[start : start + 2048]) for start in starts], axis=1)


def reference_levels(spectrum_FT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return levels (F, T) and which frames are active (T,)."""
    level_FT = (20 * np.log10(np.maximum(np.abs(spectrum_FT), 1e-9)) + 180) / 195
    sums_T = level_FT.sum(axis=0)
    return level_FT, sums_T > 0.05 * sums_T.max()


def reference_mark(wav_N: Wav, tensors: dict[str, Any]) -> np.ndarray:
    """Mark audio at 32 kHz (N,) as the specification says, with all of it transformed back."""
    spectrum_FT = reference_spectrum(wav_N)
    level_FT, active_T = reference_levels(spectrum_FT)
    changed_FT = level_FT.copy()
    changed_FT[:128, active_T] += reference_network(tensors, "encoder.layers", level_FT[:128])[:, active_T]
    magnitude_FT = 10 ** ((195 * changed_FT - 180) / 20)
    frames_TN = np.fft.irfft((magnitude_FT * np.exp(1j * np.angle(spectrum_FT))).T, 2048)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    total, weight = np.zeros((2, len(wav_N) + 2048 + 320))
    for index, frame_N in enumerate(frames_TN):
        span = slice(index * 320, index * 320 + 2048)
        total[span] += window * frame_N
        weight[span] += window**2
    return (total / np.maximum(weight, 1e-11))[1024 : 1024 + len(wav_N)]


@pytest.fixture(scope="module")
def tensors() -> dict[str, Any]:
    return dict(weights.read_tensors(perth.weights_file()))


@pytest.fixture(scope="module")
def marker() -> perth.Marker:
    return perth.marker(CPU)


@pytest.fixture(scope="module")
def detector() -> perth.Detector:
    return perth.Detector(CPU)


def test_the_mark_is_that_of_the_specification(marker: perth.Marker, tensors: dict[str, Any]) -> None:
    wav_N = voiced(1.3, RATE)
    wav_N[20_000:30_000] = 0  # frames that are not active stay unchanged
    expected_N = reference_mark(wav_N, tensors)
    marked_N, watermarked = marker.mark(wav_N, RATE)
    assert watermarked
    assert np.abs(expected_N - wav_N).max() > 0.01  # of a mark that can be compared
    np.testing.assert_allclose(marked_N, expected_N, atol=2e-5)
    assert np.array_equal(marked_N[22_100:27_900], wav_N[22_100:27_900])


def test_frozen_values_of_a_mark(marker: perth.Marker) -> None:
    """These came from this arithmetic when it agreed with resemble-perth 1.0.1 to -72 dB."""
    change_N = marker.mark(voiced(0.5, 24_000), 24_000).wav - voiced(0.5, 24_000)
    np.testing.assert_allclose(change_N[1_000:9_000:1_000], FROZEN, atol=2e-5)


def test_frame_scores_are_those_of_the_specification(detector: perth.Detector, tensors: dict[str, Any]) -> None:
    wav_N = voiced(1.1, RATE, 2)
    level_FT, active_T = reference_levels(reference_spectrum(wav_N))
    for scores, name, stretch in zip(detector.frames(wav_N), ("slow", "normal", "fast"), (1.25, 1, 0.75), strict=True):
        length = int(level_FT.shape[1] * stretch)
        places = np.linspace(0, level_FT.shape[1] - 1, length)
        stretched_FT = np.stack([np.interp(places, np.arange(level_FT.shape[1]), row) for row in level_FT[:128]])
        expected_2T = reference_network(tensors, f"decoder.{name}_layers", stretched_FT)
        np.testing.assert_allclose([scores.weight_T, scores.mark_T], expected_2T, atol=2e-3)
        nearest = np.floor(np.arange(length) * level_FT.shape[1] / length).astype(int)
        assert np.array_equal(scores.active_T, active_T[nearest])


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100])
def test_marked_audio_has_the_same_length_and_is_finite(marker: perth.Marker, rate: int) -> None:
    for samples in (rate // 2, rate // 2 + 1, rate // 2 + 2):
        wav_N = voiced(1, rate)[:samples]
        marked_N, watermarked = marker.mark(wav_N, rate)
        assert watermarked
        assert (marked_N.shape, marked_N.dtype) == (wav_N.shape, np.float32)
        assert np.isfinite(marked_N).all()
        assert 10 < 10 * np.log10((wav_N**2).sum() / ((marked_N - wav_N) ** 2).sum()) < 25  # dB


def test_frequencies_above_the_mark_are_not_resampled(marker: perth.Marker) -> None:
    """A resampler would remove what is next to half the sample rate."""
    wav_N = voiced(1, 24_000) + (0.05 * np.sin(2 * np.pi * 11_900 / 24_000 * np.arange(24_000))).astype(np.float32)
    change_F = np.abs(np.fft.rfft(marker.mark(wav_N, 24_000).wav - wav_N))
    assert change_F[3_000:].max() < 1e-3 * change_F.max()


@pytest.mark.parametrize("threads", [2, 3])
def test_a_mark_does_not_depend_on_the_number_of_threads(marker: perth.Marker, threads: int) -> None:
    wav_N = voiced(3, 24_000)
    alone_N = marker.mark(wav_N, 24_000).wav
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert np.array_equal(marker.mark(wav_N, 24_000).wav, alone_N)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("wav_N", [voiced(0.03, RATE), np.zeros(RATE, np.float32), np.zeros(0, np.float32)])
def test_audio_that_is_too_short_or_silent_stays_as_it_is(marker: perth.Marker, wav_N: Wav) -> None:
    marked_N, watermarked = marker.mark(wav_N, RATE)
    assert not watermarked
    assert np.array_equal(marked_N, wav_N)


def test_the_shortest_audio_that_can_be_marked(marker: perth.Marker) -> None:
    assert marker.mark(voiced(1, RATE)[:1_025], RATE).watermarked
    assert not marker.mark(voiced(1, RATE)[:1_024], RATE).watermarked


def test_audio_that_is_not_finite_is_returned_for_others_to_refuse(marker: perth.Marker) -> None:
    wav_N = voiced(1, RATE)
    wav_N[5_000] = np.nan
    assert not marker.mark(wav_N, RATE).watermarked


@pytest.mark.parametrize(("level", "most"), [(1.0, 1.0), (0.999, 1.0), (1.4, 1.4)])
def test_the_peak_is_scaled_down_to_full_scale_or_to_what_it_was(
    marker: perth.Marker, level: float, most: float
) -> None:
    wav_N = voiced(2, RATE, 3)
    wav_N *= np.float32(level) / np.abs(wav_N).max()
    marked_N = marker.mark(wav_N, RATE).wav
    assert np.abs(marked_N).max() <= np.float32(most)
    assert np.corrcoef(marked_N, wav_N)[0, 1] > 0.95


def test_only_the_difference_is_resampled(marker: perth.Marker) -> None:
    """At another rate, the mark is the one at 32 kHz, resampled."""
    wav_N = voiced(1, 24_000)
    wide_N = resample(wav_N, 24_000, RATE)
    change_N = resample(marker.mark(wide_N, RATE).wav - wide_N, RATE, 24_000)
    np.testing.assert_allclose(marker.mark(wav_N, 24_000).wav, wav_N + change_N, atol=1e-5)


class Distribution:
    """An installed distribution in another folder."""

    version = "9.9"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def locate_file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of the installed weights that can be damaged."""
    path = tmp_path / perth.WEIGHTS
    path.parent.mkdir(parents=True)
    shutil.copy(perth.weights_file(), path)
    monkeypatch.setattr(perth.metadata, "distribution", lambda name: Distribution(tmp_path))
    return path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [flip, Path.unlink, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(path.read_bytes()[:-100])],
    ids=["flipped", "missing", "empty", "truncated"],
)
@pytest.mark.parametrize("load", [perth.Marker, perth.Detector])
def test_damaged_packages_are_refused(
    package: Path, damage: Callable[[Path], Any], load: Callable[[torch.device], Any]
) -> None:
    assert perth.weights_file() == package
    damage(package)
    with pytest.raises(DamagedWatermark, match=r"9\.9") as caught:
        load(CPU)
    assert caught.value.exit_code == DependencyMissing.exit_code == 7
    assert "resemble-perth==1.0.1" in caught.value.hint


def test_a_missing_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perth, "DISTRIBUTION", "no-such-package")
    with pytest.raises(WatermarkMissing, match="is not installed"):
        perth.Marker(CPU)
