"""What every codec does, whichever one a checkpoint was trained with."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Codec(Protocol):
    """Audio to discrete codes and back, on the grid of `vallecli.constants`."""

    @property
    def sample_rate(self) -> int:
        """Samples a second."""

    @property
    def frame_rate(self) -> int:
        """Frames a second."""

    @property
    def num_codebooks(self) -> int:
        """Codes a frame, coarse to fine."""

    def encode(self, wav_BN: Tensor) -> Tensor:
        """Given float32 audio (B, N) in -1..1, return int64 codes (B, T, Q), T = ceil(N / 320)."""

    def decode(self, codes_BTQ: Tensor) -> Tensor:
        """Given codes (B, T, Q), return float32 audio (B, T * 320)."""
