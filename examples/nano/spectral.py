"""Losses on mel magnitudes, as `vallecli.codec.nano.LogMel` computes them, in a version that trains fast on a CPU.

Nearly all of the codec's training time is spent in spectrograms. Here the gradient of a power spectrum is one inverse
real transform of half a spectrum; the gradient of torch's `rfft` is a transform of a whole complex spectrum.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.codec.nano import LOG_FLOOR, mel_filters


class Power(torch.autograd.Function):
    """The power spectrum (..., N/2+1) of real frames (..., N)."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor) -> Tensor:
        """Return |rfft|²."""
        spectrum = torch.fft.rfft(frames)
        ctx.save_for_backward(spectrum)
        real, imaginary = spectrum.real, spectrum.imag
        return torch.addcmul(real * real, imaginary, imaginary)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of the frames: the sum over k of 2 g_k Re(X_k exp(2πikn/N)).

        The inverse real transform counts the inner bins twice already, the first and the last bin only once.
        """
        (spectrum,) = ctx.saved_tensors
        weighted = spectrum * gradient
        weighted[..., 0] *= 2
        weighted[..., -1] *= 2
        return torch.fft.irfft(weighted, norm="forward")


class MelLosses(nn.Module):
    """Two losses between the mel magnitudes of two signals, at one resolution. A window is four hops long."""

    filters: Tensor
    window: Tensor

    def __init__(self, window: int, n_mels: int) -> None:
        super().__init__()
        self.hop = window // 4
        self.register_buffer("filters", mel_filters(n_mels, window).T.contiguous(), persistent=False)
        self.register_buffer("window", torch.hann_window(window), persistent=False)

    def log_mel(self, wav_BN: Tensor) -> Tensor:
        """Given audio (B, N), return log-mel magnitudes (B, T, n_mels), T = N // hop; the remainder is dropped."""
        wav_BN = wav_BN[:, : wav_BN.shape[1] // self.hop * self.hop]
        padded = F.pad(wav_BN[:, None], (3 * self.hop // 2, 3 * self.hop - 3 * self.hop // 2), mode="reflect")
        hops = padded.view(len(wav_BN), -1, self.hop)
        frames = hops.shape[1] - 3
        pieces = torch.cat([hops[:, part : part + frames] for part in range(4)], -1)
        power: Tensor = Power.apply(pieces * self.window)  # type: ignore[no-untyped-call]
        return ((power + LOG_FLOOR**2).sqrt() @ self.filters).clamp(min=LOG_FLOOR).log()

    def forward(self, out_BN: Tensor, wav_BN: Tensor) -> tuple[Tensor, Tensor]:
        """Given decoded and original audio (B, N), return two losses.

        The mean L1 distance of the logarithms weights all bands of all frames equally. The spectral convergence (arXiv
        1808.06719; the norm of the difference of the magnitudes divided by the norm of the original's, averaged over B)
        gives weight to loud parts: the harmonics of vowels.
        """
        with torch.no_grad():
            wanted = self.log_mel(wav_BN)
        found = self.log_mel(out_BN)
        off_B = (found.exp() - wanted.exp()).square().sum((1, 2))
        convergence = (off_B / wanted.exp().square().sum((1, 2))).sqrt().mean()
        return F.l1_loss(found, wanted), convergence
