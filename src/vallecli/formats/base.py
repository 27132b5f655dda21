"""What every format is read into, and how its tensors get into a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vallecli.errors import DamagedCheckpoint
from vallecli.model.config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a model was trained on, and so what it can be asked for."""

    max_prompt_frames: int
    max_text_chars: int


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint in our own names, whatever file it came from."""

    name: str
    path: Path
    model: ModelConfig
    tensors: Mapping[str, Tensor]
    """Keys begin with `ar.`, `nar.` or `codec.`."""
    front_end: str
    """The text front end's name and version, for example `arpabet-1`."""
    symbols: Sequence[str] = ()
    """What the front end has ids for, where each checkpoint has a table of its own."""
    codec: Mapping[str, Any]
    """`kind` and the options of that codec."""
    limits: Limits
    sampling: Mapping[str, float] = field(default_factory=dict)
    """The defaults this model was evaluated with."""


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: str | PathLike[str]) -> None:
    """Put the tensors under `prefix` into the module; DamagedCheckpoint tells what is missing or has another shape."""
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
    module.load_state_dict({key: tensor for key, tensor in complete.items() if tensor is not None})


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
