"""VALL-E in valle's own format; see families.native.

config.json: see native_config.
model.safetensors: tensors under `ar.`, `nar.` and, if the codec is included, `codec.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vallecli.checkpoints.contents import Contents
from vallecli.checkpoints.modules import check_tensors, state_to_store
from vallecli.checkpoints.weights import read_safetensors
from vallecli.errors import DamagedCheckpoint
from vallecli.families.native import CONFIG, FIRST_FAMILY, TENSORS, config_of, write
from vallecli.families.valle.checkpoint import Checkpoint, build
from vallecli.families.valle.native_config import parse, recognise
from vallecli.families.valle.stored import Stored


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint folder. Raises DamagedCheckpoint."""
    contents = Contents(folder)
    if not recognise(contents):
        raise DamagedCheckpoint(f"{folder} is not a checkpoint in valle's own format", "Give a complete folder.")
    return read(open_contents(contents), {})


def open_contents(contents: Contents) -> Stored:
    """Return what is stored in a checkpoint folder. Raises DamagedCheckpoint."""
    config, folder = config_of(contents, FIRST_FAMILY) or {}, contents.folder
    if contents.beside(TENSORS) is None:
        raise DamagedCheckpoint(f"{folder} has no {TENSORS}", "Give a complete checkpoint folder.")
    return Stored(path=folder, tensors=read_safetensors(folder / TENSORS), options=config)


def read(stored: Stored, options: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint; loader options override what is stored. Raises DamagedCheckpoint."""
    fields = parse(stored.options, stored.path / CONFIG, options)
    tensors = check_tensors(stored.path / TENSORS, stored.tensors)
    return Checkpoint(path=stored.path, tensors=tensors, **fields)


def config_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the content of config.json for a checkpoint."""
    return {
        "name": checkpoint.name,
        "model": checkpoint.model.to_dict(),
        "codec": dict(checkpoint.codec),
        "front_end": checkpoint.front_end,
        "symbols": checkpoint.symbols,
        "limits": vars(checkpoint.limits),
        "sampling": dict(checkpoint.sampling),
        "equalize": checkpoint.equalize,
        "pace": vars(checkpoint.pace),
    }


def stored_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, checked against its models, tied ones once. Raises DamagedCheckpoint."""
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if name.startswith("codec.")}
    for prefix, model in zip(("ar", "nar"), build(checkpoint), strict=True):
        tensors |= {f"{prefix}.{name}": tensor for name, tensor in state_to_store(model).items()}
    return tensors


def save(folder: Path, checkpoint: Checkpoint, *, dtype: torch.dtype = torch.float32) -> None:
    """Write a checkpoint folder with its tensors in `dtype`; tied tensors must be there once. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, config_json(checkpoint), checkpoint.tensors, dtype=dtype)
