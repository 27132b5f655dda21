"""What the backends of this package share: computations on token ids, for comparison with other implementations.

Ids may be lists, numpy arrays or tensors; results are tensors on the CPU, ids in int64 and logits in float32.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vallecli.checkpoints.modules import assign, convert
from vallecli.checkpoints.weights import MappedFiles
from vallecli.decoding import engine
from vallecli.decoding.linear import quantize
from vallecli.decoding.request import CausalRequest
from vallecli.decoding.sampling import Sampling
from vallecli.families.base import Voice
from vallecli.families.causal import CausalBackend

Ids = Sequence[Any] | np.ndarray[Any, Any] | Tensor
WEIGHT_STD = 0.03  # of random weights


class LlamaBackend(CausalBackend):
    """A CausalBackend with helpers for token ids."""

    def ids(self, values: Ids, classes: int, name: str, width: int | None = None) -> Tensor:
        """Return ids in 0..classes-1 as (L,), or as (L, width). Raises ValueError for anything else."""
        ids = torch.as_tensor(values)
        if ids.is_floating_point() and ids.numel():  # an empty list becomes a float tensor
            raise ValueError(f"{name} is {str(ids.dtype).removeprefix('torch.')}, it must be whole numbers")
        if not ids.numel() and width is not None:
            ids = ids.reshape(-1, width)
        if ids.ndim != (1 if width is None else 2) or (width is not None and ids.shape[1] != width):
            raise ValueError(f"{name} is {tuple(ids.shape)}, it must be {'(L,)' if width is None else f'(L, {width})'}")
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < classes:
            raise ValueError(f"{name} has ids outside 0 to {classes - 1}")
        return ids.long().to(self.device)

    def prompt_ids(self, values: Ids) -> Tensor:
        """Return the codes of a prompt (P, Q). Raises ValueError."""
        return self.ids(values, self.grid.codebook_size, "prompt_codes", self.grid.codebooks)

    def voice_codes(self, voice: Voice) -> Tensor:
        """Return the codes (P, Q) of a voice."""
        return torch.from_numpy(voice.codes_PQ).long().to(self.device)

    def sampling_of(self, frames: int | None, exclude_eos: bool, changes: Mapping[str, Any]) -> Sampling:
        """Return the default sampling with other fields, for at most `frames`, or exactly these if EOS is excluded."""
        sampling = replace(self.sampling, **changes)
        if frames is not None:
            sampling = replace(sampling, max_frames=frames, min_frames=min(sampling.min_frames, frames))
        if exclude_eos:
            sampling = replace(sampling, min_frames=sampling.max_frames or sys.maxsize)
        return sampling

    def decode_alone(self, request: CausalRequest) -> Tensor:
        """Return codebook 1 (T,) of a request, decoded with the cache."""
        with self.batcher(1) as batcher:
            return engine.decode_one(batcher, request).codes_T.cpu()


def fill(
    model: nn.Module,
    layers: nn.ModuleList,
    tensors: Mapping[str, Tensor],
    path: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Assign tensors under our names to a model from `skeletons`, and move it to a device and a precision.

    With torch.int8, the matrices inside the layers are stored in 8 bits, and everything else in float32. Raises
    DamagedCheckpoint.
    """
    assign(model, tensors, "", path)
    if dtype == torch.int8:
        mapped = MappedFiles()
        quantize(layers, replaced=lambda linear: mapped.release(list(linear.parameters())))
    convert(model, device, torch.float32 if dtype == torch.int8 else dtype)
    model.eval()


def random_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return random weights for a model from `skeletons`, norms apart from 0.

    They are views of one random array, so that they need no more memory than the largest, in float64, so that a model
    copies them, as it does from a file.
    """
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    largest = max(shape.numel() for shape in shapes.values())
    numbers = WEIGHT_STD * torch.randn(largest, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tensors = {name: numbers[: shape.numel()].view(shape) for name, shape in shapes.items()}
    return {name: tensor + 1 if "norm" in name else tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
