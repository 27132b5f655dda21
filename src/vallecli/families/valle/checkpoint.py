"""What every format is read into, and how its tensors get into the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vallecli.errors import DamagedCheckpoint
from vallecli.checkpoints.weights import MappedFiles
from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.nar import NAR
from vallecli.decoding.quantize import quantize

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a model was trained on, and so what it can be asked for."""

    max_prompt_frames: int
    max_text_chars: int

    def __post_init__(self) -> None:
        """Raise ValueError for limits that nothing is within; they may come from a file."""
        for name, limit in vars(self).items():
            if not isinstance(limit, int) or limit < 1:
                raise ValueError(f"{name} cannot be {limit!r}")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint in our own names, whatever file it came from."""

    name: str
    path: Path
    model: ModelConfig
    tensors: Mapping[str, Tensor]
    """Keys begin with `ar.`, `nar.` or, where the codec comes along, `codec.`; in any precision."""
    front_end: str
    """The text front end's name and version, for example `arpabet-1`."""
    symbols: tuple[str, ...] | None = None
    """What each text id stands for, in front ends whose table comes with the checkpoint; None if it is not there."""
    codec: Mapping[str, Any]
    """`kind` and the options of that codec."""
    limits: Limits
    sampling: Mapping[str, float] = field(default_factory=dict)
    """The defaults this model was evaluated with."""
    equalize: float = 0.0
    """How much of the difference to the prompt's average spectrum is made good, 0 to 1; see codec.equalizer."""

    @property
    def parameters(self) -> int:
        """Return how many numbers the two language models hold."""
        return sum(tensor.numel() for key, tensor in self.tensors.items() if key.startswith(("ar.", "nar.")))


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What was found at a path, before it is understood: tensors under their published names, mapped, not read."""

    path: Path
    tensors: Mapping[str, Tensor]
    options: Mapping[str, Any]
    """What is stored beside the tensors."""
    symbols: Path | None = None
    """The table of text symbols that lies beside the weights."""


def check_tensors(path: Path, tensors: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """Return the tensors if they are floats, all of whose values are there, else raise DamagedCheckpoint."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise DamagedCheckpoint(f"{path} holds {type(tensor).__name__} {name!r} among its tensors")
        if not tensor.is_floating_point():
            raise DamagedCheckpoint(f"{path} holds {name} as {str(tensor.dtype).removeprefix('torch.')}, not as floats")
        if tensor.is_meta or tensor.layout != torch.strided or not tensor.is_contiguous():
            raise DamagedCheckpoint(f"{path} does not hold all values of {name}")  # a few values can pass for many
    return tensors


def outline(config: ModelConfig) -> tuple[AR, NAR]:
    """Return models on the meta device: weights that will be replaced need neither memory nor random numbers."""
    with torch.device("meta"), _NoInit():
        return AR(config).eval(), NAR(config).eval()


def build(checkpoint: Checkpoint) -> tuple[AR, NAR]:
    """Return the models of a checkpoint, in float32; see load_into. Raises DamagedCheckpoint."""
    ar, nar = outline(checkpoint.model)
    load_into(ar, checkpoint.tensors, "ar.", checkpoint.path)
    load_into(nar, checkpoint.tensors, "nar.", checkpoint.path)
    return ar, nar


def build_to_speak(checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype) -> tuple[AR, NAR]:
    """Return the models on a device and in a precision, without what only training needs. Raises DamagedCheckpoint.

    In torch.int8, weights are held in 8 bits and all else in float32.
    """
    ar, nar = outline(checkpoint.model)
    _assign(ar, checkpoint.tensors, "ar.", checkpoint.path)
    _assign(nar, checkpoint.tensors, "nar.", checkpoint.path)
    mapped = MappedFiles()

    def replaced(linear: nn.Linear) -> None:
        mapped.let_go(linear.parameters())

    if dtype == torch.int8:
        quantize(ar, replaced=replaced)
        quantize(nar, replaced=replaced)
    nar.fix_stages(replaced=replaced)
    for model in (ar, nar):
        _convert(model, device, torch.float32 if dtype == torch.int8 else dtype)
    return ar, nar


class _NoInit(TorchFunctionMode):
    """Leaves out random initial values: on the meta device they cost a second, the import of torch's compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return the tensor of a random initializer as it is, and what any other function returns."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_"):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: str | PathLike[str]) -> None:
    """Make the tensors under `prefix` the module's, in float32 and without a copy where they are so already.

    The file they are in stays mapped into memory, and must be replaced rather than written to while they are in use.
    DamagedCheckpoint tells what is missing or has another shape.
    """
    _assign(module, tensors, prefix, path)
    _convert(module, CPU, torch.float32)


def _assign(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: str | PathLike[str]) -> None:
    """Make the tensors under `prefix` the module's, as they are. Nothing is read of a file that is mapped."""
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
    for name, stored in shared.items():  # assigning has torn apart what is tied
        owner, _, last = name.rpartition(".")
        setattr(module.get_submodule(owner), last, module.get_parameter(stored))


def _convert(module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Bring a module to a device and into a precision, part by part, so that what it was never is in memory at once."""
    mapped = MappedFiles()
    for part in reversed(list(module.modules())):  # what is inside first
        before = [parameter.detach() for parameter in part.parameters(recurse=False)]
        part.to(device, dtype)
        after = part.parameters(recurse=False)
        mapped.let_go(old for old, new in zip(before, after, strict=True) if old.data_ptr() != new.data_ptr())


def _aliases(module: nn.Module) -> dict[str, str]:
    """Return, for each tied parameter but the first of its name, the name that is stored."""
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
