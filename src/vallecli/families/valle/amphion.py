"""Amphion VALL-E v1: a folder with args.json (JSON5), symbols.dict and checkpoint/<epoch>/ with the weights.

The weights are a state dict in lifeiteng/vall-e's names, in pytorch_model.bin or, written by newer versions of
accelerate, in model.safetensors with every tied tensor once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vallecli.checkpoints.contents import Contents
from vallecli.checkpoints.small_files import parse_json, read_text
from vallecli.checkpoints.strict_json import MAX_CHARS_JSON5, loads5
from vallecli.errors import CheckpointError, DamagedCheckpoint, UnknownFormat, short
from vallecli.families.valle import lifeiteng
from vallecli.families.valle.checkpoint import Checkpoint
from vallecli.families.valle.stored import Stored
from vallecli.text.espeak import EspeakFrontEnd

ARGS, SYMBOLS, CHECKPOINTS = "args.json", "symbols.dict", "checkpoint"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
EPOCH = re.compile(r"epoch-(\d+)_step-(\d+)_loss-[\d.]+$")
MAX_NAME = 200  # characters of a name in a message
DEPTH = 3  # a weight file is at most that many folders below args.json
DEFAULTS = {"nhead": 16, "prefix_mode": 0, "share_embedding": True}  # of the base config that args.json refers to


def recognise(contents: Contents) -> bool:
    """Return whether there is an args.json in the folder, or above a weight file."""
    return home(contents.path) is not None


def home(path: Path) -> Path | None:
    """Return the folder with args.json that a folder or a weight file belongs to; None if there is none."""
    weight_file = path.is_file() and path.name in WEIGHTS
    folders = list(path.absolute().parents)[:DEPTH] if weight_file else [path]
    return next((folder for folder in folders if (folder / ARGS).is_file()), None)


def open_contents(contents: Contents) -> Stored:
    """Return what an experiment folder, or one of its weight files, stores. Raises CheckpointError."""
    path = contents.path
    folder = home(path) or path
    args = _read_args(folder / ARGS)
    if (kind := args.get("model_type", "VALLE")) != "VALLE":
        name = short(kind).strip("'")
        raise UnknownFormat(f"{folder} is Amphion's {name}, and not its VALLE")
    file = find_weights(folder) if path.is_dir() else path
    preprocess = _table(folder, args, "preprocess")
    if (codec := preprocess.get("acoustic_token_extractor", "Encodec")) != "Encodec":
        name = short(codec).strip("'")
        raise CheckpointError(f"{folder} uses codes of {name}, which valle cannot decode")
    table = preprocess.get("symbols_dict", SYMBOLS)
    home_contents = Contents(folder)
    symbols = home_contents.beside(table if isinstance(table, str) else SYMBOLS)  # only the name counts
    contents.used |= {folder / ARGS, *home_contents.used}
    tensors = contents.tensors(file)
    if lifeiteng.TEXT_KEY not in tensors and lifeiteng.LEGACY_TEXT_KEY not in tensors:
        raise UnknownFormat(f"{file} has {ARGS} of Amphion, but its {len(tensors)} tensors are of another model")
    return Stored(
        path=path,
        tensors=tensors,
        options={**_table(folder, args, "model"), "phone_extractor": preprocess.get("phone_extractor", "espeak")},
        symbols=symbols,
    )


def find_weights(folder: Path) -> Path:
    """Return the weight file of the latest epoch, as Amphion chooses it, or the one in the folder itself."""
    saved = [(match, path) for path in folder.glob(f"{CHECKPOINTS}/*") if (match := EPOCH.search(path.name))]
    ordered = sorted(saved, key=lambda item: (int(item[0][1]), int(item[0][2])), reverse=True)
    candidates = [path / name for path in [*[path for _, path in ordered[:1]], folder] for name in WEIGHTS]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked = " or ".join(str(path.relative_to(folder)) for path in candidates)
    raise DamagedCheckpoint(f"{folder} has no weights: there is no {looked}", "Download the folder again.")


def read(stored: Stored, options: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint. Raises CheckpointError."""
    settings = lifeiteng.merged({**DEFAULTS, **stored.options}, options)
    model, tensors = lifeiteng.convert(stored.path, stored.tensors, settings, stop="argmax")
    if model.n_languages or model.cross_attention or model.stage_alphas:
        raise DamagedCheckpoint(f"{stored.path} has {ARGS} of Amphion, but the weights are of another model")
    espeak = settings["phone_extractor"] == "espeak"
    return Checkpoint(
        name=stored.path.absolute().stem,
        path=stored.path,
        model=model,
        tensors=tensors,
        front_end=EspeakFrontEnd.name if espeak else str(settings["phone_extractor"])[:MAX_NAME],
        symbols=lifeiteng.symbols_of(stored, options, model),
        codec=lifeiteng.CODEC,
        limits=lifeiteng.LIMITS,
    )


def _read_args(path: Path) -> Mapping[str, Any]:
    what = "a configuration of Amphion"
    return parse_json(path, read_text(path, what, MAX_CHARS_JSON5), what, loads5)


def _table(folder: Path, args: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = args.get(name, {})
    if not isinstance(table, Mapping):
        raise DamagedCheckpoint(f"{folder / ARGS} is not a configuration of Amphion: {name} is not an object")
    return table
