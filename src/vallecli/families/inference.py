"""Models for inference: from the tensors of a checkpoint, or from random numbers of a published size."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Protocol

import torch
from torch import Tensor, nn

from vallecli.checkpoints.modules import FiniteCheck, assign, convert, state_to_store
from vallecli.checkpoints.weights import MappedFiles
from vallecli.decoding.linear import Replaced, is_short, pack, packer, unpacked_dtype

WEIGHT_STD = 0.03  # of random weights


class Simplify(Protocol):
    """Removes from a model what only training needs."""

    def __call__(self, *, replaced: Replaced) -> None:
        """Simplify; `replaced` receives each layer whose weights are no longer needed."""


def fill(
    model: nn.Module,
    layers: nn.Module,
    tensors: Mapping[str, Tensor],
    prefix: str,
    path: str | PathLike[str],
    *,
    device: torch.device,
    dtype: torch.dtype,
    simplify: Simplify | None = None,
) -> None:
    """Assign the tensors under `prefix` to a model from `skeletons`, and move it to a device and a precision.

    On a CPU, the matrices inside `layers` are packed; with int8 and float16, everything else is in float32. Raises
    DamagedCheckpoint, also for values that are NaN or infinite, and CheckpointError for those that are too large.
    """
    assign(model, tensors, prefix, path)
    packed = packer(dtype, device, short=is_short(model))
    precision = unpacked_dtype(dtype, packed)
    mapped, check = MappedFiles(), FiniteCheck(model, prefix, path, precision if dtype == torch.int8 else dtype)

    def replaced(linear: nn.Linear) -> None:
        check(linear.parameters())
        mapped.release(linear.parameters())

    if simplify is not None:
        simplify(replaced=replaced)
    if packed is not None:
        pack(layers, packed, replaced=replaced)
    convert(model, device, precision, check)
    model.eval()


def random_tensors(models: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return random weights for models from `skeletons`, under the prefix of each; those of norms are near 1.

    All are views of one random array, so that they need no more memory than the largest, in float64, which is no
    model's precision, so that each model copies them, as it does from a file.
    """
    shapes = {
        f"{prefix}{name}": tensor.shape
        for prefix, model in models.items()
        for name, tensor in state_to_store(model).items()
    }
    largest = max(shape.numel() for shape in shapes.values())
    numbers = WEIGHT_STD * torch.randn(largest, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tensors = {name: numbers[: shape.numel()].view(shape) for name, shape in shapes.items()}
    return {name: tensor + 1 if "norm" in name and tensor.ndim == 1 else tensor for name, tensor in tensors.items()}
