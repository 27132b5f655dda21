"""VALL-E in valle's own format; see families.native.

config.json: {format, name, model: {ModelConfig}, codec: {kind, ...}, front_end, symbols, limits, sampling, equalize}.
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
from vallecli.families.causal import Limits
from vallecli.families.native import CONFIG, FIRST_FAMILY, TENSORS, config_of, write
from vallecli.families.valle.checkpoint import Checkpoint, build
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.stored import Stored
from vallecli.families.valle.symbols import read_symbols


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint folder. Raises DamagedCheckpoint."""
    contents = Contents(folder)
    if not recognise(contents):
        raise DamagedCheckpoint(f"{folder} is not a checkpoint in valle's own format", "Give a complete folder.")
    return read(open_contents(contents), {})


def recognise(contents: Contents) -> bool:
    """Return whether there is a config.json in this format."""
    return config_of(contents, FIRST_FAMILY) is not None


def open_contents(contents: Contents) -> Stored:
    """Return what is stored in a checkpoint folder. Raises DamagedCheckpoint."""
    config, folder = config_of(contents, FIRST_FAMILY) or {}, contents.folder
    if contents.beside(TENSORS) is None:
        raise DamagedCheckpoint(f"{folder} has no {TENSORS}", "Give a complete checkpoint folder.")
    return Stored(path=folder, tensors=read_safetensors(folder / TENSORS), options=config)


def read(stored: Stored, options: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint; loader options override what is stored. Raises DamagedCheckpoint."""
    config, path = stored.options, stored.path / CONFIG
    heads, prefix_mode, symbols = options.get("heads"), options.get("prefix_mode"), options.get("symbols")
    given = {"n_heads": heads, "nar_n_heads": heads, "prefix_mode": None if prefix_mode is None else int(prefix_mode)}
    overrides = {name: value for name, value in given.items() if value is not None}
    try:
        model = ModelConfig.from_dict({**config["model"], **overrides})
        for name, kind in {"name": str, "front_end": str, "codec": dict}.items():
            if not isinstance(config[name], kind):
                raise ValueError(f"{name} cannot be {config[name]!r}")
        if not 0 <= (equalize := config.get("equalize", 0.0)) <= 1:
            raise ValueError(f"equalize cannot be {equalize!r}")
        return Checkpoint(
            name=config["name"],
            path=stored.path,
            model=model,
            tensors=check_tensors(stored.path / TENSORS, stored.tensors),
            front_end=config["front_end"],
            symbols=read_symbols(symbols, model.text_vocab) if symbols else _symbols(config),
            codec=config["codec"],
            limits=Limits(**config["limits"]),
            sampling=config.get("sampling", {}),
            equalize=equalize,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
        raise DamagedCheckpoint(f"{path} is not a complete configuration: {reason}") from error


def _symbols(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    symbols = config.get("symbols")
    if symbols is None:
        return None
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise ValueError("symbols is not a list of strings")
    return tuple(symbols)


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
