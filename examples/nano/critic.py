"""Critics that tell decoded speech from real speech, for the decoder to learn from; they live in training only.

They look where the decoder can act: at log-mel magnitudes. Phases, which its source and filters do not choose, would
give it away whatever it did. Losses and feature matching are those of EnCodec (arXiv 2210.13438, section 3.4).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = (1, 16, 32, 32)
KERNEL = (3, 5)  # frames and mel bands
SLOPE = 0.1  # of the leaky ReLU
CENTRE, SCALE = -5.0, 2.0  # of log-mel magnitudes of speech


class Critic(nn.Module):
    """Convolutions over frames and mel bands of one resolution; each halves the bands."""

    def __init__(self) -> None:
        super().__init__()
        edge = (KERNEL[0] // 2, KERNEL[1] // 2)
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv2d(a, b, KERNEL, (1, 2), edge)) for a, b in pairwise(CHANNELS)
        )
        self.last = nn.utils.parametrizations.weight_norm(nn.Conv2d(CHANNELS[-1], 1, 3, padding=1))

    def forward(self, mel_BTM: Tensor) -> list[Tensor]:
        """Given log-mel magnitudes (B, T, M), return what each layer makes of them, the verdicts last."""
        x, found = (mel_BTM[:, None] - CENTRE) / SCALE, []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
            found.append(x)
        return [*found, self.last(x)]


class Critics(nn.ModuleList):
    """One critic for each resolution."""

    def loss(self, decoded: list[Tensor], real: list[Tensor]) -> Tensor:
        """Given log-mel magnitudes (B, T, M) at each resolution, return the hinge loss of the critics."""
        terms = []
        for critic, out, wanted in zip(self, decoded, real, strict=True):
            terms.append(F.relu(1 + critic(out.detach())[-1]).mean() + F.relu(1 - critic(wanted)[-1]).mean())
        return torch.stack(terms).mean()

    def judge(self, decoded: list[Tensor], real: list[Tensor]) -> dict[str, Tensor]:
        """Given log-mel magnitudes (B, T, M) at each resolution, return the losses of who made the decoded ones."""
        fooled, matched = [], []
        for critic, out, wanted in zip(self, decoded, real, strict=True):
            *features, verdict = critic(out)
            with torch.no_grad():
                *right, _ = critic(wanted)
            fooled.append(F.relu(1 - verdict).mean())
            matched += [F.l1_loss(a, b) / b.abs().mean() for a, b in zip(features, right, strict=True)]
        return {"fooled": torch.stack(fooled).mean(), "matched": torch.stack(matched).mean()}
