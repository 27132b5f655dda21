"""Tensors of a checkpoint into torch modules: checked, without copies, part by part.

Files stay mapped into memory; they must be replaced rather than written to while their tensors are in use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vallecli.checkpoints.weights import AGAIN, MappedFiles
from vallecli.errors import CheckpointError, DamagedCheckpoint

CPU = torch.device("cpu")
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
MAX_SHARING = 2  # times that a value may be used: heads may be tied to embeddings


def check_tensors(path: str | PathLike[str], tensors: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """Return the tensors if they are floats with all their values stored, else raise DamagedCheckpoint."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise DamagedCheckpoint(f"{path} has {type(tensor).__name__} {name!r} among its tensors")
        if tensor.dtype not in FLOATS:
            dtype = str(tensor.dtype).removeprefix("torch.")
            raise DamagedCheckpoint(f"{path} stores {name} as {dtype}, not as floating point of 16 to 64 bits")
        if tensor.is_meta or tensor.layout != torch.strided or not tensor.is_contiguous():
            raise DamagedCheckpoint(f"{path} does not store all values of {name}")  # a few can be expanded to many
    if sum(tensor.nbytes for tensor in tensors.values()) > MAX_SHARING * _stored_bytes(tensors.values()):
        raise DamagedCheckpoint(f"{path} is refused: its tensors share their values")  # a model has a copy of each
    return tensors


def _stored_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the number of bytes that tensors occupy together; those that several share count once."""
    total = reached = 0
    for first, end in sorted((tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes) for tensor in tensors):
        total += max(0, end - max(first, reached))
        reached = max(reached, end)
    return total


class FiniteCheck:
    """Refuses weights that are NaN or infinite, or too large for a precision, by their names in the file.

    It reads all values of a tensor once. So it is called where they are read anyway, to be converted.
    """

    def __init__(
        self, module: nn.Module, prefix: str, path: str | PathLike[str], dtype: torch.dtype = torch.float32
    ) -> None:
        """`module` has the tensors of the file, and their names without the prefix."""
        stored = reversed(module.state_dict(keep_vars=True).items())  # the first name of a tied one is that of the file
        self._names = {id(tensor): f"{prefix}{name}" for name, tensor in stored}
        self._path, self._dtype = path, dtype

    def __call__(self, tensors: Iterable[Tensor]) -> None:
        """Check those tensors that are the file's and have not been checked yet. Raises CheckpointError."""
        for tensor in tensors:
            if (name := self._names.pop(id(tensor), None)) is not None:
                largest = check_finite(tensor, name, self._path)
                if largest > torch.finfo(self._dtype).max:
                    kind = str(self._dtype).removeprefix("torch.")
                    hint = "" if self._dtype == torch.float32 else "Compute in float32."
                    raise CheckpointError(f"{self._path} has values in {name} that are too large for {kind}", hint)


def check_finite(tensor: Tensor, name: str, path: str | PathLike[str]) -> float:
    """Return the largest magnitude in a tensor, 0 if it is empty. DamagedCheckpoint for NaN and infinity."""
    if not tensor.numel():
        return 0.0
    least, greatest = (float(bound) for bound in tensor.detach().aminmax())  # NaN if any value is
    if not math.isfinite(least) or not math.isfinite(greatest):
        raise DamagedCheckpoint(f"{path} is damaged: {name} has values that are NaN or infinite", AGAIN)
    return max(-least, greatest)


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
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_", "trunc_normal_"):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: str | PathLike[str]) -> None:
    """Assign the tensors under `prefix` to a module, in float32, without a copy if they are float32 already.

    DamagedCheckpoint names tensors that are missing, unknown, of another shape, or not finite.
    """
    assign(module, tensors, prefix, path)
    convert(module, CPU, torch.float32, FiniteCheck(module, prefix, path))


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


def convert(module: nn.Module, device: torch.device, dtype: torch.dtype, check: FiniteCheck) -> None:
    """Move a module to a device and a precision, part by part, so that it is never in memory twice.

    Each part is checked first. Raises CheckpointError.
    """
    mapped = MappedFiles()
    for part in reversed(list(module.modules())):  # inner modules first
        before = [parameter.detach() for parameter in part.parameters(recurse=False)]
        check(chain(part.parameters(recurse=False), part.buffers(recurse=False)))
        part.to(device, dtype)
        mapped.release(before)  # also what is not converted: the check has read it, and it may not be needed soon


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
