"""What every codec does, whichever one a checkpoint was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from vallecli.errors import CheckpointError, DamagedCheckpoint


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


def read_weights(path: Path, what: str, hint: str) -> Mapping[str, Any]:
    """Return the tensors of a .safetensors file or one of PyTorch's; nothing in the file is executed.

    Raises CheckpointError if the file cannot be read and DamagedCheckpoint if it does not hold `what`.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}", hint) from error
    except Exception as error:  # torch, pickle, zip and safetensors each have their own for a damaged file
        raise not_weights(path, what, error, hint) from error
    if not isinstance(tensors, Mapping):
        raise DamagedCheckpoint(f"{path} holds no weights by name", hint)
    return tensors


def not_weights(path: Path, what: str, error: Exception, hint: str) -> DamagedCheckpoint:
    """Return the error of a file whose tensors are not those of `what`, told by the first line of another error."""
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return DamagedCheckpoint(f"{path} does not hold {what}: {first_line}", hint)
