"""The config.json of a VALL-E in valle's own format; see families.native. This module does not import torch.

Fields: {format, name, model: {ModelConfig}, codec: {kind, ...}, front_end, symbols, limits, sampling, equalize, pace}.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vallecli.checkpoints.contents import Contents
from vallecli.errors import DamagedCheckpoint, short
from vallecli.families.base import Limits
from vallecli.families.native import CONFIG, FIRST_FAMILY, config_of
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.symbols import read_symbols
from vallecli.text.pace import Pace

NAME = "native"  # of the family
MAX_LENGTH = 200  # characters of a name, fields of an object
# Of checkpoints whose config.json is older than the field: it identifies the results of batches, and stays as it is.
PACES = {"nano": {"base": 0.44, "per_letter": 0.0685, "shortest": 0.72, "longest": 1.45, "slack": 0.35}}
MAX_LIMIT = 2**16  # frames of a prompt, characters of a sentence: above any model


def recognise(contents: Contents) -> bool:
    """Return whether there is a config.json in this format."""
    return config_of(contents, FIRST_FAMILY) is not None


def read_config(contents: Contents, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of config.json as those of a Checkpoint. Raises DamagedCheckpoint."""
    return parse(config_of(contents, FIRST_FAMILY) or {}, contents.folder / CONFIG, options)


def parse(config: Mapping[str, Any], path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a Checkpoint, without its tensors; loader options override what is stored.

    Raises DamagedCheckpoint.
    """
    heads, prefix_mode, symbols = options.get("heads"), options.get("prefix_mode"), options.get("symbols")
    given = {"n_heads": heads, "nar_n_heads": heads, "prefix_mode": None if prefix_mode is None else int(prefix_mode)}
    overrides = {name: value for name, value in given.items() if value is not None}
    try:
        model = ModelConfig.from_dict({**config["model"], **overrides})
        for name, kind in {"name": str, "front_end": str, "codec": dict}.items():
            if not isinstance(config[name], kind) or len(config[name]) > MAX_LENGTH:
                raise ValueError(f"{name} cannot be {short(config[name])}")
        if type(equalize := config.get("equalize", 0.0)) not in (int, float) or not 0 <= equalize <= 1:
            raise ValueError(f"equalize cannot be {short(equalize)}")
        if not isinstance(sampling := config.get("sampling", {}), dict):
            raise ValueError(f"sampling cannot be {short(sampling)}")
        return {
            "name": config["name"],
            "model": model,
            "front_end": config["front_end"],
            "symbols": read_symbols(symbols, model.text_vocab) if symbols else _symbols(config),
            "codec": config["codec"],
            "limits": _limits(config["limits"]),
            "sampling": sampling,
            "equalize": equalize,
            "pace": Pace(**config.get("pace", PACES.get(config["name"], {}))),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
        raise DamagedCheckpoint(f"{path} is not a complete configuration: {reason}") from error


def _limits(values: Any) -> Limits:
    limits = Limits(**values)
    for name, limit in vars(limits).items():
        if type(limit) is not int or limit > MAX_LIMIT:
            raise ValueError(f"{name} cannot be {short(limit)}")
    return limits


def _symbols(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    symbols = config.get("symbols")
    if symbols is None:
        return None
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise ValueError("symbols is not a list of strings")
    return tuple(symbols)
