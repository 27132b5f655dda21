"""Perth's watermark (Resemble AI, MIT): the mark of a sentence, and what its detector computes for each frame.

A convolutional network changes the magnitudes below 2 kHz of an STFT at 32 kHz; three others, for slow, normal and fast
speech, find the change. The mark says yes or no and has no payload. The weights are read as data from the installed
distribution resemble-perth, whose code is not imported: without torchaudio it would not mark, and not say so.

Letters of shapes: N samples, F frequency bins, T frames of 10 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.checkpoints import local, modules, weights
from vallecli.decoding.linear import product
from vallecli.errors import DamagedWatermark, WatermarkMissing

DISTRIBUTION, VERSION = "resemble-perth", "1.0.1"
WEIGHTS = "perth/perth_net/pretrained/implicit/perth_net_250000.pth.tar"
WEIGHTS_SHA256 = "a15bce457ebc53ce5e6c9c3f11df78cf7ee2bf9cdab0a798902135b4c4027670"

SAMPLE_RATE = 32_000  # Hz
WINDOW = 2_048  # samples of the STFT
HOP = 320  # samples: 10 ms
MIN_SAMPLES = WINDOW // 2 + 1  # the STFT pads by reflection
FRAME_RATE = SAMPLE_RATE // HOP  # Hz
BANDS = 128  # frequency bins that the networks see, up to 2 kHz
HIDDEN = 256  # channels of the networks
MIN_MAGNITUDE = 1e-9
OFFSET_DB, RANGE_DB = 180, 195  # a level is (dB + OFFSET_DB) / RANGE_DB: 0 for MIN_MAGNITUDE, about 1 for full scale
ACTIVE = 0.05  # of the loudest frame's summed level; quieter frames are neither marked nor used by the detector
STRETCHES = {"slow": 1.25, "normal": 1.0, "fast": 0.75}  # network -> how much longer it sees the time axis
MAX_PEAK = 1.0  # full scale


class _Convolution(nn.Module):
    """A convolution over time as one matrix product per frame: torch's own rounds differently per number of threads."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, width)  # for the names of the tensors

    def forward(self, x_CT: Tensor) -> Tensor:
        weight_OCK = self.conv.weight
        outputs, _, width = weight_OCK.shape
        padded_CT = F.pad(x_CT, (width // 2, width // 2))
        near_TCK = padded_CT.unfold(1, width, 1).permute(1, 0, 2)  # the neighbours of each frame
        return product(near_TCK.flatten(1), weight_OCK.reshape(outputs, -1), self.conv.bias).T


class Network(nn.Module):
    """Seven convolutions over time, with a reach of 15 frames to each side."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        sizes = [(BANDS, HIDDEN, 1), *[(HIDDEN, HIDDEN, 7)] * 5, (HIDDEN, outputs, 1)]
        self.layers = nn.ModuleList(_Convolution(*size) for size in sizes)

    def forward(self, level_FT: Tensor) -> Tensor:
        """Given levels (BANDS, T), return (outputs, T)."""
        x_CT = level_FT
        *hidden, last = self.layers
        for layer in hidden:
            x_CT = F.leaky_relu(layer(x_CT), 0.01)
        out_CT: Tensor = last(x_CT)
        return out_CT


class Marked(NamedTuple):
    """Audio (N,), and whether it has the mark."""

    wav: Wav
    watermarked: bool


class FrameScores(NamedTuple):
    """What one detector network computed for its T frames, which cover the whole of the audio."""

    weight_T: np.ndarray[tuple[int], np.dtype[np.float64]]
    """How sure the network is to be the right one for the speed of the audio: the logit of a softmax over networks."""
    mark_T: np.ndarray[tuple[int], np.dtype[np.float64]]
    """Near 1 with a mark, near 0 without."""
    active_T: np.ndarray[tuple[int], np.dtype[np.bool_]]


def weights_file() -> Path:
    """Return the file of Perth's weights in the installed distribution. Raises WatermarkMissing, DamagedWatermark."""
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise WatermarkMissing(f"{DISTRIBUTION} is not installed", VERSION) from error
    path = Path(str(distribution.locate_file(WEIGHTS)))
    try:
        intact = local.sha256(path) == WEIGHTS_SHA256
    except OSError as error:
        raise DamagedWatermark(f"{DISTRIBUTION} {distribution.version} has no weights at {path}", VERSION) from error
    if not intact:
        raise DamagedWatermark(f"{path} of {DISTRIBUTION} {distribution.version} has other weights", VERSION)
    return path


def _load(network: Network, prefix: str, tensors: Mapping[str, Tensor], path: Path, device: torch.device) -> Network:
    modules.load_into(network.layers, tensors, f"{prefix}.", path)
    return network.to(device).eval().requires_grad_(False)


def _place(device: torch.device) -> torch.device:
    """Return where the networks of audio from a device compute: an STFT is not available everywhere."""
    return device if device.type == "cuda" else torch.device("cpu")


@cache
def marker(device: torch.device) -> Marker:
    """Return the marker for audio from a device. Raises WatermarkMissing and DamagedWatermark."""
    return Marker(_place(device))


class Marker:
    """Marks one sentence at a time, so that a sentence's audio does not depend on others."""

    def __init__(self, device: torch.device) -> None:
        path = weights_file()
        with modules.skeletons():
            network = Network(BANDS)
        tensors = weights.read_tensors(path, verify=False)
        self.device, self.network = device, _load(network, "encoder.layers", tensors, path, device)

    @torch.inference_mode()
    def mark(self, wav_N: Wav, sample_rate: int) -> Marked:
        """Return mono float audio (N,) at `sample_rate` in Hz with the mark, at the same length.

        Audio of less than 32 ms, digital silence and audio that is not finite are returned unchanged. The mark raises
        the peak by up to a tenth; if that exceeds full scale, the audio is scaled down to it or, if it was louder
        before, to the peak it had.
        """
        wide_N = resample(wav_N, sample_rate, SAMPLE_RATE)
        if len(wide_N) < MIN_SAMPLES:
            return Marked(wav_N, False)
        spectrum_FT = _stft(torch.from_numpy(np.ascontiguousarray(wide_N)).to(self.device))
        level_FT = _levels(spectrum_FT)
        active_T = _active(level_FT)
        if not bool(active_T.any()):
            return Marked(wav_N, False)
        low_FT = level_FT[:BANDS]
        before_FT, after_FT = (_magnitudes(level) for level in (low_FT, low_FT + self.network(low_FT)))
        change_FT = torch.zeros_like(spectrum_FT)
        # The phase stays. torch's functions for angles round differently per number of threads.
        change_FT[:BANDS] = spectrum_FT[:BANDS] * ((after_FT - before_FT) * active_T / before_FT)
        # The STFT is linear: only the change is transformed back, and the rest of the audio is not resampled.
        change_N = torch.istft(change_FT, WINDOW, HOP, window=_window(self.device), length=len(wide_N)).cpu().numpy()
        change_N = _fit(resample(change_N, SAMPLE_RATE, sample_rate), len(wav_N))
        return Marked(_limit(wav_N + change_N, max(MAX_PEAK, float(np.abs(wav_N).max()))), True)


def _fit(wav_N: Wav, length: int) -> Wav:
    """Return audio with exactly `length` samples: resampling there and back can round to one more or less."""
    return np.pad(wav_N[:length], (0, max(0, length - len(wav_N))))


def _limit(wav_N: Wav, most: float) -> Wav:
    """Return audio whose peak is at most `most`."""
    peak = float(np.abs(wav_N).max())
    limited: Wav = wav_N if peak <= most else (wav_N * np.float32(most / peak)).clip(-most, most)
    return limited


def _window(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, device=device)


def _stft(wav_N: Tensor) -> Tensor:
    """Return the complex spectrum (F, T) of audio at SAMPLE_RATE."""
    return torch.stft(wav_N, WINDOW, HOP, window=_window(wav_N.device), return_complex=True)


def _levels(spectrum_FT: Tensor) -> Tensor:
    """Return the levels (F, T) of a spectrum."""
    return (20 * spectrum_FT.abs().clamp(min=MIN_MAGNITUDE).log10() + OFFSET_DB) / RANGE_DB


def _magnitudes(level_FT: Tensor) -> Tensor:
    """Return the magnitudes (F, T) of levels."""
    return torch.pow(10.0, (level_FT * RANGE_DB - OFFSET_DB) / 20)


def _active(level_FT: Tensor) -> Tensor:
    """Return which frames are not silent compared with the loudest one (T,); none for digital silence or NaN."""
    sum_T = level_FT.sum(dim=0)
    return sum_T > ACTIVE * sum_T.max()


class Detector:
    """The three networks that find the mark."""

    def __init__(self, device: torch.device) -> None:
        """Raises WatermarkMissing and DamagedWatermark."""
        path = weights_file()
        tensors = weights.read_tensors(path, verify=False)
        self.device = _place(device)
        self.networks = {}
        for name in STRETCHES:
            with modules.skeletons():
                network = Network(2)
            self.networks[name] = _load(network, f"decoder.{name}_layers", tensors, path, self.device)

    @torch.inference_mode()
    def frames(self, wav_N: Wav) -> list[FrameScores]:
        """Given mono audio (N,) at SAMPLE_RATE with at least MIN_SAMPLES, return the scores of each network."""
        level_FT = _levels(_stft(torch.from_numpy(np.ascontiguousarray(wav_N, np.float32)).to(self.device)))
        active_T = _active(level_FT)
        low_BFT, active_BCT = level_FT[None, :BANDS], active_T[None, None].float()
        scores = []
        for name, stretch in STRETCHES.items():
            length = int(level_FT.shape[1] * stretch)
            stretched_BFT = F.interpolate(low_BFT, size=length, mode="linear", align_corners=True)
            weight_T, mark_T = self.networks[name](stretched_BFT[0]).double().cpu().numpy()
            active = F.interpolate(active_BCT, size=length, mode="nearest")[0, 0].bool().cpu().numpy()
            scores.append(FrameScores(weight_T, mark_T, active))
        return scores
