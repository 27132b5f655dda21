"""Our own format: a folder with config.json and model.safetensors.

config.json: {format: "vallecli-1", name, model: {ModelConfig}, codec: {kind, ...}, front_end, symbols, limits,
sampling, equalize}. model.safetensors: tensors under `ar.`, `nar.` and, where the codec comes along, `codec.`; half
precision allowed, tied tensors stored once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from vallecli.errors import DamagedCheckpoint
from vallecli.families.valle.checkpoint import Checkpoint, Contents, Limits, check_tensors
from vallecli.families.valle.symbols import read_symbols
from vallecli.checkpoints.weights import AGAIN, read_safetensors
from vallecli.families.valle.config import ModelConfig

FORMAT = "vallecli-1"
CONFIG, TENSORS = "config.json", "model.safetensors"


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint folder. DamagedCheckpoint tells what is wrong with it."""
    return read(open_folder(folder))


def is_folder(folder: Path) -> bool:
    """Return whether there is a config.json; an experiment of Amphion may have one beside its args.json."""
    return (folder / CONFIG).is_file() and not (folder / "args.json").exists()


def open_folder(folder: Path) -> Contents:
    """Return what is in a checkpoint folder. Raises DamagedCheckpoint."""
    config = _read_config(folder / CONFIG)
    if not (folder / TENSORS).is_file():
        raise DamagedCheckpoint(f"{folder} has no {TENSORS}", "Give a complete checkpoint folder.")
    return Contents(path=folder, tensors=read_safetensors(folder / TENSORS), options=config)


def read(
    contents: Contents, *, symbols: Path | None = None, heads: int | None = None, prefix_mode: int | None = None
) -> Checkpoint:
    """Return the checkpoint, with what the user wants otherwise than it is stored. Raises DamagedCheckpoint."""
    config, path = contents.options, contents.path / CONFIG
    given = {"n_heads": heads, "nar_n_heads": heads, "prefix_mode": prefix_mode}
    otherwise = {name: value for name, value in given.items() if value is not None}
    try:
        model = ModelConfig.from_dict({**config["model"], **otherwise})
        for name, kind in {"name": str, "front_end": str, "codec": dict}.items():
            if not isinstance(config[name], kind):
                raise ValueError(f"{name} cannot be {config[name]!r}")
        if not 0 <= (equalize := config.get("equalize", 0.0)) <= 1:
            raise ValueError(f"equalize cannot be {equalize!r}")
        return Checkpoint(
            name=config["name"],
            path=contents.path,
            model=model,
            tensors=check_tensors(contents.path / TENSORS, contents.tensors),
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
        raise ValueError("symbols is not a list of texts")
    return tuple(symbols)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedCheckpoint(f"{path.parent} has no {CONFIG}", "Give a complete checkpoint folder.") from error
    except (ValueError, OSError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}", AGAIN) from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise DamagedCheckpoint(f"{path} does not say that it is in the format {FORMAT}")
    return config


def save(
    folder: Path,
    *,
    name: str,
    model: ModelConfig,
    tensors: Mapping[str, Tensor],
    front_end: str,
    codec: Mapping[str, Any],
    limits: Limits,
    sampling: Mapping[str, float],
    symbols: tuple[str, ...] | None = None,
    equalize: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a checkpoint folder with its tensors in `dtype`; tied tensors must be there once (state_to_store)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        "name": name,
        "model": model.to_dict(),
        "codec": dict(codec),
        "front_end": front_end,
        "symbols": symbols,
        "limits": vars(limits),
        "sampling": dict(sampling),
        "equalize": equalize,
    }
    parts = {name: folder / f"{name}.part" for name in (TENSORS, CONFIG)}
    try:
        save_file(_apart({key: tensor.to(dtype).contiguous() for key, tensor in tensors.items()}), parts[TENSORS])
        text = json.dumps(config, indent=2, ensure_ascii=False)
        parts[CONFIG].write_text(text + "\n", encoding="utf-8")
        parts[TENSORS].chmod(parts[CONFIG].stat().st_mode)  # safetensors lets only the owner read it
        for name, part in parts.items():
            part.replace(folder / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without memory in common, which safetensors does not store."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        apart[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return apart
