"""Tensors of a checkpoint into torch modules: checked, without copies, part by part.

Files stay mapped into memory; they must be replaced rather than written to while their tensors are in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vallecli.checkpoints.weights import MappedFiles
from vallecli.errors import DamagedCheckpoint

CPU = torch.device("cpu")


def check_tensors(path: str | PathLike[str], tensors: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """Return the tensors if they are floats with all their values stored, else raise DamagedCheckpoint."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise DamagedCheckpoint(f"{path} has {type(tensor).__name__} {name!r} among its tensors")
        if not tensor.is_floating_point():
            dtype = str(tensor.dtype).removeprefix("torch.")
            raise DamagedCheckpoint(f"{path} stores {name} as {dtype}, not as floating point")
        if tensor.is_meta or tensor.layout != torch.strided or not tensor.is_contiguous():
            raise DamagedCheckpoint(f"{path} does not store all values of {name}")  # a few can be expanded to many
    return tensors


@contextmanager
def skeletons() -> Iterator[None]:
    """Create modules on the meta device: weights that will be replaced need neither memory nor random numbers."""
    with torch.device("meta"), _NoInit():
        yield


class _NoInit(TorchFunctionMode):
    """Skips random initialization: on the meta device it costs a second, the import of torch's compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return the tensor of a random initializer as it is, and what any other function returns."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_"):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: str | PathLike[str]) -> None:
    """Assign the tensors under `prefix` to a module, in float32, without a copy if they are float32 already.

    DamagedCheckpoint names tensors that are missing, unknown or of another shape.
    """
    assign(module, tensors, prefix, path)
    convert(module, CPU, torch.float32)


def assign(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: str | PathLike[str]) -> None:
    """Assign the tensors under `prefix` to a module, in their own precision. A mapped file is not read for it.

    DamagedCheckpoint names tensors that are missing, unknown or of another shape.
    """
    own = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    wanted = module.state_dict()
    shared = _aliases(module)
    complete = {key: own.get(key, own.get(shared.get(key, key))) for key in wanted}
    problems = [f"{prefix}{key} is missing" for key, tensor in complete.items() if tensor is None]
    problems += [f"{prefix}{key} is unknown" for key in own.keys() - wanted.keys()]
    problems += [
        f"{prefix}{key} is {tuple(tensor.shape)} instead of {tuple(wanted[key].shape)}"
        for key, tensor in complete.items()
        if tensor is not None and tensor.shape != wanted[key].shape
    ]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise DamagedCheckpoint(f"{path} does not fit its own config: {'; '.join(sorted(problems)[:3])}{more}")
    module.load_state_dict(complete, assign=True)
    for name, stored in shared.items():  # assigning separates tied parameters
        owner, _, last = name.rpartition(".")
        setattr(module.get_submodule(owner), last, module.get_parameter(stored))


def convert(module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a module to a device and a precision, part by part, so that it is never in memory twice."""
    mapped = MappedFiles()
    for part in reversed(list(module.modules())):  # inner modules first
        before = [parameter.detach() for parameter in part.parameters(recurse=False)]
        part.to(device, dtype)
        after = part.parameters(recurse=False)
        mapped.release(old for old, new in zip(before, after, strict=True) if old.data_ptr() != new.data_ptr())


def _aliases(module: nn.Module) -> dict[str, str]:
    """Return the stored name of each tied parameter, for all of its names but the first."""
    first: dict[int, str] = {}
    tied = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        stored = first.setdefault(id(parameter), name)
        if stored != name:
            tied[name] = stored
    return tied


def state_to_store(module: nn.Module) -> dict[str, Tensor]:
    """Return the module's state without the second names of tied parameters."""
    tied = _aliases(module)
    return {key: tensor for key, tensor in module.state_dict().items() if key not in tied}
