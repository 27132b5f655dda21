"""Our own format: a folder with config.json and model.safetensors.

config.json: {format: "vallecli-1", name, model: {ModelConfig}, codec: {kind, ...}, front_end, limits, sampling}.
model.safetensors: tensors under `ar.`, `nar.` and `codec.`, half precision allowed, tied tensors stored once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vallecli.errors import DamagedCheckpoint
from vallecli.formats.base import Checkpoint, Limits
from vallecli.model.config import ModelConfig

FORMAT = "vallecli-1"
CONFIG, TENSORS = "config.json", "model.safetensors"


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint folder; tensors come back as float32. DamagedCheckpoint tells what is wrong with it."""
    config = _read_config(folder / CONFIG)
    try:
        tensors = {key: tensor.float() for key, tensor in load_file(folder / TENSORS).items()}
    except FileNotFoundError as error:
        raise DamagedCheckpoint(f"{folder} has no {TENSORS}", "Give a complete checkpoint folder.") from error
    except (SafetensorError, OSError) as error:
        raise DamagedCheckpoint(f"{folder / TENSORS} is damaged: {error}", "Copy or download it again.") from error
    try:
        return Checkpoint(
            name=config["name"],
            path=folder,
            model=ModelConfig.from_dict(config["model"]),
            tensors=tensors,
            front_end=config["front_end"],
            codec=config["codec"],
            limits=Limits(**config["limits"]),
            sampling=config.get("sampling", {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
        raise DamagedCheckpoint(f"{folder / CONFIG} is not a complete configuration: {reason}") from error


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedCheckpoint(f"{path.parent} has no {CONFIG}", "Give a complete checkpoint folder.") from error
    except (ValueError, OSError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}", "Copy or download it again.") from error
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
        "limits": vars(limits),
        "sampling": dict(sampling),
    }
    parts = {name: folder / f"{name}.part" for name in (TENSORS, CONFIG)}
    save_file({key: tensor.to(dtype).contiguous() for key, tensor in tensors.items()}, parts[TENSORS])
    parts[CONFIG].write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for name, part in parts.items():
        part.replace(folder / name)
