"""The Vocos decoder: ConvNeXt over frames, then one inverse STFT (arXiv 2306.00814).

Parameter names and shapes are those of the published `charactr/vocos-encodec-24khz` file, which turns EnCodec's codes
into audio. nano's codec is built from the same blocks, without the bandwidth condition.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.checkpoints.modules import check_finite
from vallecli.checkpoints.weights import read_tensors
from vallecli.codec.base import ENCODEC_GRID, Codec, reading_weights

KERNEL = 7  # frames seen by one depthwise convolution
BANDWIDTHS = [1.5, 3.0, 6.0, 12.0]  # kbps, each with a row in the norms
TABLES, FEATURES = 16, 128  # EnCodec's codebooks at the highest bandwidth, and the width of their vectors
DIM, LAYERS, N_FFT = 384, 8, 4 * ENCODEC_GRID.hop  # of the published model
ENCODEC = "feature_extractor.encodec."  # stored by the package, not needed for decoding
BITS = 10  # per code
MAX_MAGNITUDE = 1e2  # bounds exp() of the magnitude, as published


class AdaLayerNorm(nn.Module):
    """Layer norm whose scale and shift are rows of a table, chosen by a condition (the bandwidth id)."""

    def __init__(self, conditions: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.scale = nn.Embedding(conditions, dim)
        self.shift = nn.Embedding(conditions, dim)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x_BTD: Tensor, condition: Tensor) -> Tensor:
        """Given frames (B, T, D) and one condition id, return frames (B, T, D)."""
        out: Tensor = F.layer_norm(x_BTD, (self.dim,), eps=1e-6) * self.scale(condition) + self.shift(condition)
        return out


def _norm(dim: int, conditions: int) -> nn.Module:
    return AdaLayerNorm(conditions, dim) if conditions else nn.LayerNorm(dim, eps=1e-6)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, norm, two pointwise layers and a learned scale, around a residual."""

    def __init__(self, dim: int, hidden: int, *, scale: float, conditions: int = 0) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(dim, dim, KERNEL, padding=KERNEL // 2, groups=dim)
        self.norm = _norm(dim, conditions)
        self.pwconv1 = nn.Linear(dim, hidden)
        self.pwconv2 = nn.Linear(hidden, dim)
        self.gamma = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x_BDT: Tensor, condition: tuple[Tensor, ...] = ()) -> Tensor:
        """Given frames (B, D, T), return frames (B, D, T)."""
        y = self.norm(self.dwconv(x_BDT).transpose(1, 2), *condition)  # (B, T, D)
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        out: Tensor = x_BDT + y.transpose(1, 2)
        return out


class Backbone(nn.Module):
    """Features (B, C, T) to frames (B, T, D): one convolution and `layers` ConvNeXt blocks."""

    def __init__(self, channels: int, dim: int, hidden: int, layers: int, *, conditions: int = 0) -> None:
        super().__init__()
        self.embed = nn.Conv1d(channels, dim, KERNEL, padding=KERNEL // 2)
        self.norm = _norm(dim, conditions)
        self.convnext = nn.ModuleList(
            ConvNeXtBlock(dim, hidden, scale=1 / layers, conditions=conditions) for _ in range(layers)
        )
        self.final_layer_norm = nn.LayerNorm(dim, eps=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features_BCT: Tensor, condition: Tensor | None = None) -> Tensor:
        """Given features (B, C, T) and, in the conditioned variant, a bandwidth id, return frames (B, T, D)."""
        chosen = () if condition is None else (condition,)
        x = self.norm(self.embed(features_BCT).transpose(1, 2), *chosen).transpose(1, 2)  # (B, D, T)
        for block in self.convnext:
            x = block(x, chosen)
        out: Tensor = self.final_layer_norm(x.transpose(1, 2))
        return out


class ISTFT(nn.Module):
    """Inverse STFT with "same" padding: T frames give exactly T * hop samples."""

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, spectrum_BFT: Tensor) -> Tensor:
        """Given a complex spectrum (B, n_fft/2+1, T), return audio (B, T * hop)."""
        frames = spectrum_BFT.shape[-1]
        # torch.istft cannot do this padding: it checks the envelope at the very edges, where it is zero.
        parts = torch.fft.irfft(spectrum_BFT, self.n_fft, dim=1) * self.window[:, None]  # (B, n_fft, T)
        squares = self.window.square()[None, :, None].expand(1, -1, frames)
        length = (frames - 1) * self.hop + self.n_fft
        audio, envelope = (
            F.fold(p, (1, length), (1, self.n_fft), stride=(1, self.hop))[:, 0, 0] for p in (parts, squares)
        )
        cut = slice((self.n_fft - self.hop) // 2, (self.n_fft - self.hop) // 2 + frames * self.hop)
        return audio[:, cut] / envelope[:, cut]


class ISTFTHead(nn.Module):
    """Frames (B, T, D) to audio: log-magnitude and phase of each bin, then the inverse STFT."""

    def __init__(self, dim: int, n_fft: int, hop: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, n_fft + 2)
        self.istft = ISTFT(n_fft, hop)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Given frames (B, T, D), return audio (B, T * hop)."""
        log_magnitude, phase = self.out(x_BTD).float().transpose(1, 2).chunk(2, dim=1)  # (B, n_fft/2+1, T) each
        audio: Tensor = self.istft(torch.polar(log_magnitude.exp().clamp(max=MAX_MAGNITUDE), phase))
        return audio


class Codebooks(nn.Module):
    """The tables of EnCodec's codebooks, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.codebook_weights = nn.Parameter(torch.zeros(TABLES * ENCODEC_GRID.codebook_size, FEATURES))

    def forward(self, codes_BTQ: Tensor) -> Tensor:
        """Given codes (B, T, Q), return the sum of their vectors as features (B, C, T)."""
        rows = codes_BTQ + ENCODEC_GRID.codebook_size * torch.arange(codes_BTQ.shape[-1], device=codes_BTQ.device)
        return F.embedding(rows, self.codebook_weights).sum(2).transpose(1, 2)


class VocosDecoder(nn.Module):
    """EnCodec's codes to audio, with fewer artefacts than EnCodec's decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor = Codebooks()
        self.backbone = Backbone(FEATURES, DIM, 3 * DIM, LAYERS, conditions=len(BANDWIDTHS))
        self.head = ISTFTHead(DIM, N_FFT, ENCODEC_GRID.hop)

    @classmethod
    def from_weights(cls, path: Path) -> Self:
        """Return the decoder with the weights of the published file, or the same in .safetensors.

        Raises DamagedCheckpoint if the file cannot be read or has other tensors.
        """
        hint = "Download it again: valle checkpoints pull vocos-encodec-24khz"
        with reading_weights(path, "the weights of Vocos", hint):
            tensors = read_tensors(path)
            decoder = cls()
            decoder.load_state_dict({key: tensor for key, tensor in tensors.items() if not key.startswith(ENCODEC)})
            for name, tensor in decoder.state_dict().items():
                check_finite(tensor, name, path)
        return decoder.eval().requires_grad_(False)

    def forward(self, codes_BTQ: Tensor) -> Tensor:
        """Given codes (B, T, Q) of one of the bandwidths, Q = 2, 4, 8 or 16, return audio (B, T * 320)."""
        kbps = codes_BTQ.shape[-1] * ENCODEC_GRID.frame_rate * BITS / 1000
        condition = torch.tensor(BANDWIDTHS.index(kbps), device=codes_BTQ.device)
        out: Tensor = self.head(self.backbone(self.feature_extractor(codes_BTQ), condition))
        return out


class VocosCodec(nn.Module):
    """EnCodec's encoder and the Vocos decoder, as a `codec.base.Codec`."""

    grid = ENCODEC_GRID

    def __init__(self, encoder: Codec, decoder: VocosDecoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, wav_BN: Tensor) -> Tensor:
        """Given float32 audio (B, N) in -1..1, return int64 codes (B, T, 8), T = ceil(N / 320)."""
        return self.encoder.encode(wav_BN)

    @torch.inference_mode()
    def decode(self, codes_BTQ: Tensor) -> Tensor:
        """Given codes (B, T, Q), Q = 2, 4, 8 or 16, return float32 audio (B, T * 320)."""
        out: Tensor = self.decoder(codes_BTQ)
        return out
