"""nano's codec: log-mel spectrum, ConvNeXt, residual vector quantization, ConvNeXt, source-filter synthesis.

24 kHz, 75 frames per second, 8 codebooks of 1024: the grid of EnCodec at 6 kbps, so that the language models need no
change. Codebook 1 is trained to classify phonemes (as a speech model trains that of SpeechTokenizer, arXiv 2308.16692),
which leaves the timbre of the speaker to codebooks 2 to 8.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.codec.base import ENCODEC_GRID
from vallecli.codec.source_filter import SourceFilter
from vallecli.codec.vocos import Backbone
from vallecli.errors import short

N_FFT = 1280  # samples per window
MAX_SIZE, MAX_LAYERS = 2048, 64  # far above any codec: sizes may come from a damaged file
LOG_FLOOR = 1e-5  # smallest mel magnitude; anything below counts as silence


@dataclass(frozen=True, kw_only=True)
class NanoCodecConfig:
    """Widths and depths of the networks; the audio grid is fixed."""

    n_mels: int = 100
    encoder_dim: int = 192
    encoder_layers: int = 3
    latent_dim: int = 64
    decoder_dim: int = 256
    decoder_layers: int = 6

    def __post_init__(self) -> None:
        """Raise ValueError for impossible sizes; they may come from a file."""
        for name, size in asdict(self).items():
            if type(size) is not int or not 1 <= size <= (MAX_LAYERS if name.endswith("_layers") else MAX_SIZE):
                raise ValueError(f"{name} cannot be {short(size)}")

    def to_dict(self) -> dict[str, int]:
        """Return the fields as in config.json."""
        return asdict(self)


def mel_edges(n_mels: int) -> Tensor:
    """Return the edges of mel bands in Hz (n_mels + 2,), evenly spaced on the HTK mel scale; band i peaks at i + 1."""
    top = 2595 * torch.log10(torch.tensor(1 + ENCODEC_GRID.sample_rate / 2 / 700, dtype=torch.float64))
    return 700 * (10 ** (torch.linspace(0, 1, n_mels + 2, dtype=torch.float64) * top / 2595) - 1)


def mel_filters(n_mels: int, n_fft: int) -> Tensor:
    """Return triangular filters (n_mels, n_fft/2+1) between the edges of `mel_edges`, each with unit area in Hz."""
    edges = mel_edges(n_mels)
    bins = torch.linspace(0, ENCODEC_GRID.sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2 / (edges[2:] - edges[:-2])[:, None]
    return (torch.minimum(rise, fall).clamp(min=0) * area).float()


class LogMel(nn.Module):
    """Audio (B, N) to natural-log mel magnitudes (B, n_mels, N // hop)."""

    filters: Tensor
    window: Tensor

    def __init__(self, n_mels: int, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        with torch.device("cpu"):  # also in a module on the meta device: no checkpoint stores these
            self.register_buffer("filters", mel_filters(n_mels, n_fft), persistent=False)
            self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, wav_BN: Tensor) -> Tensor:
        """Given audio (B, N) with N a multiple of hop, return (B, n_mels, N // hop)."""
        edge = self.n_fft - self.hop
        padded = F.pad(wav_BN[:, None], (edge // 2, edge - edge // 2), mode="reflect")[:, 0]
        spectrum = torch.stft(padded, self.n_fft, self.hop, window=self.window, center=False, return_complex=True)
        power = torch.view_as_real(spectrum).square().sum(-1)  # cheaper than abs() of complex numbers
        return (self.filters @ (power + LOG_FLOOR**2).sqrt()).clamp(min=LOG_FLOOR).log()


def quantize(latents_BTD: Tensor, codebooks_QVD: Tensor) -> Tensor:
    """Return codes (B, T, Q) of latents (B, T, D): in each codebook (V, D) the entry nearest to the residual."""
    codes = []
    for table_VD in codebooks_QVD:
        codes.append(torch.cdist(latents_BTD, table_VD[None]).argmin(-1))
        latents_BTD = latents_BTD - F.embedding(codes[-1], table_VD)
    return torch.stack(codes, -1)


class NanoCodec(nn.Module):
    """Audio at 24 kHz to codes and back, a `codec.base.Codec`."""

    grid = ENCODEC_GRID

    codebooks: Tensor

    def __init__(self, config: NanoCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.mel = LogMel(config.n_mels, N_FFT, ENCODEC_GRID.hop)
        width = config.encoder_dim
        self.encoder = Backbone(config.n_mels, width, 3 * width, config.encoder_layers)
        self.project = nn.Linear(width, config.latent_dim)
        self.register_buffer(
            "codebooks", torch.zeros(ENCODEC_GRID.codebooks, ENCODEC_GRID.codebook_size, config.latent_dim)
        )
        width = config.decoder_dim
        self.decoder = Backbone(config.latent_dim, width, 3 * width, config.decoder_layers)
        self.voice = SourceFilter(width)

    def latents(self, wav_BN: Tensor) -> Tensor:
        """Given audio (B, N), N a multiple of 320, return latents before quantization (B, T, latent_dim)."""
        centred = (self.mel(wav_BN) + 5) / 4  # natural-log magnitudes of speech are around -5
        out: Tensor = self.project(self.encoder(centred))
        return out

    def synthesize(self, latents_BTD: Tensor) -> Tensor:
        """Given quantized latents (B, T, latent_dim), return audio (B, T * 320)."""
        out: Tensor = self.voice(self.decoder(latents_BTD.transpose(1, 2)))
        return out

    @torch.inference_mode()
    def encode(self, wav_BN: Tensor) -> Tensor:
        """Given audio (B, N) in -1..1, return codes (B, T, 8), T = ceil(N / 320)."""
        return quantize(self.latents(F.pad(wav_BN, (0, -wav_BN.shape[1] % ENCODEC_GRID.hop))), self.codebooks)

    def dequantize(self, codes_BTQ: Tensor) -> Tensor:
        """Given codes (B, T, Q), Q up to 8 codebooks, return their latents (B, T, latent_dim)."""
        tables = zip(codes_BTQ.unbind(-1), self.codebooks, strict=False)
        return torch.stack([F.embedding(code, table) for code, table in tables]).sum(0)

    @torch.inference_mode()
    def decode(self, codes_BTQ: Tensor) -> Tensor:
        """Given codes (B, T, Q), Q up to 8 codebooks, return audio (B, T * 320)."""
        return self.synthesize(self.dequantize(codes_BTQ))
