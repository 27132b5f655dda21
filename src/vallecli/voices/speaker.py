"""Speaker embeddings of Resemblyzer (GE2E, arXiv 1710.10467), by its weights and torch alone.

The package itself needs webrtcvad, which needs a compiler, and librosa. Only the file of weights in it is used here:
`pip install --no-deps Resemblyzer`. Silence is removed by audio.prompt.

Suffixes: N samples, T frames, M mel bands, K windows, E = 256 values of an embedding.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vallecli.audio import prompt
from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.checkpoints import weights
from vallecli.checkpoints.local import sha256
from vallecli.errors import DamagedCheckpoint, DependencyMissing

PACKAGE, FILE = "resemblyzer", "pretrained.pt"
SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"  # of version 0.1.4; thresholds are for it

RATE = 16_000  # Hz
N_FFT, HOP = 400, 160  # 25 ms and 10 ms
MELS = 40
WINDOW = 160  # frames: 1.6 s
STEP = 77  # frames from window to window: 1.3 windows a second
MIN_COVERAGE = 0.75  # of the last window by the recording
VOLUME = 10 ** (-30 / 20)  # RMS that quieter recordings are raised to
HIDDEN, LAYERS = 256, 3

# Recordings with a self_similarity below seem to have several speakers: 75.0% of 400 recordings of two speakers are
# below, and 1.5% of 800 of one (examples/voices/two_speakers.py).
SEVERAL_SPEAKERS = 0.584
SHARE = 0.2
MIN_WINDOWS = 3  # 2.7 s
EXCERPTS, EXCERPT_SECONDS = 10, 3

Embedding = npt.NDArray[np.float32]


class SpeakerEncoderMissing(DependencyMissing):
    """The file of Resemblyzer's weights is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "comparing speakers needs the package Resemblyzer",
            "Run: pip install --no-deps Resemblyzer==0.1.4 (with its dependencies, it would need a compiler)",
        )


class SpeakerEncoder(nn.Module):
    """LSTM over mel spectra; the last state gives the embedding."""

    mels_FM: Tensor
    window_N: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, HIDDEN, LAYERS, batch_first=True)
        self.linear = nn.Linear(HIDDEN, HIDDEN)
        self.register_buffer("mels_FM", _mel_filters(), persistent=False)
        self.register_buffer("window_N", torch.hann_window(N_FFT), persistent=False)

    def forward(self, mels_KTM: Tensor) -> Tensor:
        """Given mel spectra (K, T, M), return embeddings (K, E) of unit length."""
        _, (state, _) = self.lstm(mels_KTM)
        return nn.functional.normalize(self.linear(state[-1]).relu(), dim=1)

    def mel_spectrum(self, wav_N: Tensor) -> Tensor:
        """Given audio (N,) at RATE, return its mel power spectrum (T, M)."""
        spectrum_FT = torch.stft(
            wav_N, N_FFT, HOP, window=self.window_N, center=True, pad_mode="constant", return_complex=True
        )
        return spectrum_FT.abs().square().T @ self.mels_FM

    @torch.inference_mode()
    def windows(self, wav_N: Wav) -> Embedding:
        """Given speech (N,) at RATE, return the embeddings (K, E) of its windows."""
        frames = -(-(len(wav_N) + 1) // HOP)
        starts = list(range(0, max(1, frames - WINDOW + STEP + 1), STEP))
        if len(starts) > 1 and (len(wav_N) - starts[-1] * HOP) / (WINDOW * HOP) < MIN_COVERAGE:
            starts.pop()
        padded_N = np.pad(wav_N, (0, max(0, (starts[-1] + WINDOW) * HOP - len(wav_N))))
        mel_TM = self.mel_spectrum(torch.from_numpy(padded_N.astype(np.float32)))
        mels_KTM = torch.stack([mel_TM[start : start + WINDOW] for start in starts])
        embeddings: Embedding = self(mels_KTM).numpy()
        return embeddings


def _mel_filters() -> Tensor:
    """Return triangular filters (F, M) of unit area on Slaney's mel scale: linear up to 1 kHz, then logarithmic."""
    knee, per_mel, log_step = 1000.0, 200 / 3, np.log(6.4) / 27
    highest = knee / per_mel + np.log(RATE / 2 / knee) / log_step
    mels = np.linspace(0, highest, MELS + 2)
    logarithmic = knee * np.exp(log_step * (mels - knee / per_mel))
    edges = np.where(mels < knee / per_mel, mels * per_mel, logarithmic)
    bins_F1 = np.linspace(0, RATE / 2, N_FFT // 2 + 1)[:, None]
    rising = (bins_F1 - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins_F1) / (edges[2:] - edges[1:-1])
    filters_FM = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    return torch.from_numpy(filters_FM.astype(np.float32))


def weights_file() -> Path | None:
    """Return the file of weights in the installed package, which is not imported; None if there is none."""
    found = importlib.util.find_spec(PACKAGE)
    places = () if found is None else found.submodule_search_locations or ()
    return next((path for place in places if (path := Path(place) / FILE).is_file()), None)


@cache
def encoder() -> SpeakerEncoder:
    """Return the encoder. Raises SpeakerEncoderMissing, and DamagedCheckpoint for other weights than the published."""
    path = weights_file()
    if path is None:
        raise SpeakerEncoderMissing
    if sha256(path) != SHA256:
        raise DamagedCheckpoint(
            f"{path} is not the file of Resemblyzer 0.1.4", "pip install --no-deps --force-reinstall Resemblyzer==0.1.4"
        )
    model = SpeakerEncoder()
    state = weights.read(path)["model_state"]
    model.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith("similarity_")})
    return model.eval()


def embed(wav_N: Wav, sample_rate: int) -> Embedding:
    """Return the embedding (E,) of speech (N,) without silence, at `sample_rate` in Hz. Raises as `encoder`."""
    mean_E = encoder().windows(_at_rate(wav_N, sample_rate)).mean(axis=0)
    return np.asarray(mean_E / np.linalg.norm(mean_E), np.float32)


def self_similarity(wav_N: Wav, sample_rate: int) -> float | None:
    """Return how similar the parts of speech (N,) are, by the embeddings of its windows; None if it is too short.

    It is the cosine that SHARE of all pairs of windows do not reach: with two speakers, many pairs are of both. Of more
    than half a minute, excerpts are used. `sample_rate` is in Hz. Raises as `encoder`.
    """
    wav_N = prompt.without_pauses(_at_rate(wav_N, sample_rate), RATE)
    length = EXCERPT_SECONDS * RATE
    if len(wav_N) > EXCERPTS * length:
        starts = np.linspace(0, len(wav_N) - length, EXCERPTS).astype(int)
        wav_N = np.concatenate([wav_N[start : start + length] for start in starts])
    windows_KE = encoder().windows(wav_N)
    if len(windows_KE) < MIN_WINDOWS:
        return None
    cosines = (windows_KE @ windows_KE.T)[np.triu_indices(len(windows_KE), 1)]
    return float(np.quantile(cosines, SHARE))


def seems_mixed(wav_N: Wav, sample_rate: int) -> bool | None:
    """Return whether speech (N,) seems to be of several speakers; None if it is too short. See `self_similarity`."""
    found = self_similarity(wav_N, sample_rate)
    return None if found is None else found < SEVERAL_SPEAKERS


def similarity(one_E: Embedding, other_E: Embedding) -> float:
    """Return the cosine of two embeddings."""
    return float(np.dot(one_E, other_E))


def _at_rate(wav_N: Wav, sample_rate: int) -> Wav:
    """Return audio at RATE, raised to VOLUME if it is quieter."""
    wav_N = resample(wav_N, sample_rate, RATE)
    rms = float(np.sqrt(np.mean(wav_N.astype(np.float64) ** 2)))
    return wav_N * np.float32(VOLUME / rms) if 0 < rms < VOLUME else wav_N
