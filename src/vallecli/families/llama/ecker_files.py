"""The files of e-c-k-e-r/vall-e: one safetensors file (.sft) with the configuration in its metadata, or valle's own
format. The tokenizer is tokenizer.json next to the weights, or in the folder that was given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vallecli.checkpoints import strict_json, weights
from vallecli.checkpoints.contents import Contents
from vallecli.checkpoints.modules import check_tensors
from vallecli.checkpoints.small_files import read_text
from vallecli.codec.base import ENCODEC_GRID
from vallecli.errors import CheckpointError, DamagedCheckpoint, UnknownFormat, short
from vallecli.families.base import Description, Export, Options
from vallecli.families.llama.ecker import UNUSED, our_tensors
from vallecli.families.llama.ecker_config import LANGUAGES, EckerConfig, parse_metadata, read_config
from vallecli.families.llama.published import Published
from vallecli.families.native import CONFIG, TENSORS, config_of

NAME = "ecker"
CODEC = "vocos"  # decodes EnCodec's codes, as the published program does by default
TOKENIZER = "tokenizer.json"
SUFFIXES = (".sft", ".safetensors")
MARKER = "resps_emb.embeddings.0.weight"  # a tensor that no other model has
MAX_TOKENIZER_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Configuration, tensors under our names, and what is known about the text."""

    name: str
    path: Path
    config: EckerConfig
    tensors: Mapping[str, Tensor]
    symbols: Mapping[str, int]
    """Ids of phonemes as the checkpoint stores them, {} if it does not."""
    tokenizer: str | None
    """Text of tokenizer.json."""
    tokenizer_source: str = ""

    @property
    def parameters(self) -> int:
        """Return the number of parameters."""
        return sum(tensor.numel() for tensor in self.tensors.values())


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """What is known about the text, without tensors; see Checkpoint."""

    path: Path
    config: EckerConfig
    symbols: Mapping[str, int]
    tokenizer: str | None
    tokenizer_source: str = ""


def recognise(contents: Contents) -> bool:
    """Return whether there is a weight file of this layout, or a config.json of valle for this family."""
    return config_of(contents, NAME) is not None or bool(_weight_files(contents))


def _weight_files(contents: Contents) -> list[Path]:
    """Return the weight files of this layout, by the names of their tensors. Raises DamagedCheckpoint."""
    candidates = [path for path in contents.files if path == contents.file or path.suffix in SUFFIXES]
    return [path for path in candidates if MARKER in contents.tensors(path)]


def _weight_file(contents: Contents) -> Path:
    """Return the weight file. Raises CheckpointError if a folder has several."""
    found = _weight_files(contents)
    if len(found) > 1:
        names = ", ".join(path.relative_to(contents.folder).as_posix() for path in found)
        raise CheckpointError(f"{contents.path} has several checkpoints: {names}", "Give one of these files.")
    return found[0]


def _open(contents: Contents, path: Path) -> tuple[EckerConfig, Published, dict[str, int]]:
    """Return configuration, tensors and symbols of a published file. Raises DamagedCheckpoint."""
    metadata = weights.safetensors_metadata(path)
    if "config" not in metadata:
        raise UnknownFormat(
            f"{path} has the tensors of e-c-k-e-r/vall-e, but no configuration in its metadata",
            "Use the published .sft file, or export it again with metadata.",
        )
    published = Published(contents.tensors(path), path, UNUSED)
    try:
        config = read_config(parse_metadata(metadata, "config"), published)
        symbols = parse_metadata(metadata, "userdata").get("symmap", {})
        return config, published, _symbols(symbols)
    except ValueError as error:
        raise DamagedCheckpoint(f"{path} is not a model that can be read: {error}") from error


def _symbols(values: Any) -> dict[str, int]:
    if not isinstance(values, dict) or not all(type(index) is int for index in values.values()):
        raise ValueError("its symbols are not a table of ids")
    return values


def read(contents: Contents, options: Options) -> Checkpoint:
    """Return the checkpoint. Raises CheckpointError."""
    if (config := config_of(contents, NAME)) is not None:
        return _read_native(contents, config, options)
    path = _weight_file(contents)
    sizes, published, symbols = _open(contents, path)
    source = find_tokenizer(contents, path, options)
    return Checkpoint(
        name=contents.name,
        path=path,
        config=sizes,
        tensors=our_tensors(published, sizes),
        symbols=symbols,
        tokenizer=None if source is None else read_tokenizer(source),
        tokenizer_source=str(source),
    )


def text_part(contents: Contents, options: Options) -> TextPart:
    """Return what is known about the text, without reading values of tensors. Raises CheckpointError."""
    if (config := config_of(contents, NAME)) is not None:
        stored = _read_native(contents, config, options)
        return TextPart(
            path=stored.path,
            config=stored.config,
            symbols=stored.symbols,
            tokenizer=stored.tokenizer,
            tokenizer_source=stored.tokenizer_source,
        )
    path = _weight_file(contents)
    sizes, _, symbols = _open(contents, path)
    source = find_tokenizer(contents, path, options)
    text = None if source is None else read_tokenizer(source)
    return TextPart(path=path, config=sizes, symbols=symbols, tokenizer=text, tokenizer_source=str(source))


def find_tokenizer(contents: Contents, weight_file: Path, options: Options) -> Path | None:
    """Return the tokenizer of the loader option, next to the weights, or in the folder; None without one."""
    if (given := options.get("tokenizer")) is not None:
        return Path(given)
    candidates = (weight_file.with_name(TOKENIZER), contents.folder / TOKENIZER)
    found = [path for path in candidates if path.is_file()][:1]
    contents.used.update(found)
    return found[0] if found else None


def read_tokenizer(path: Path) -> str:
    """Return the text of a tokenizer.json. Raises CheckpointError."""
    return read_text(path, "a tokenizer of phonemes", MAX_TOKENIZER_BYTES)


def _read_native(contents: Contents, config: Mapping[str, Any], options: Options) -> Checkpoint:
    path = contents.beside(TENSORS)
    if path is None:
        raise DamagedCheckpoint(f"{contents.folder} has no {TENSORS}", "Give a complete checkpoint folder.")
    try:
        sizes, symbols = EckerConfig.from_dict(config["model"]), _symbols(config["symbols"])
        if not isinstance(name := config["name"], str):
            raise ValueError(f"its name is {short(name)}")
        if config["codec"] != {"kind": CODEC}:
            raise ValueError(f"its codec is {short(config['codec'])}")
        stored = config.get("tokenizer")
    except (KeyError, TypeError, ValueError) as error:
        reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
        raise DamagedCheckpoint(f"{contents.folder / CONFIG} is not a complete configuration: {reason}") from error
    given = None if stored is not None and options.get("tokenizer") is None else find_tokenizer(contents, path, options)
    return Checkpoint(
        name=name,
        path=contents.folder,
        config=sizes,
        tensors=check_tensors(path, contents.tensors(path)),
        symbols=symbols,
        tokenizer=read_tokenizer(given) if given else None if stored is None else json.dumps(stored),
        tokenizer_source=str(given or contents.folder / CONFIG),
    )


def describe(contents: Contents) -> Description:
    """Return the description of the checkpoint, without reading values of tensors. Raises CheckpointError."""
    from vallecli.text.ecker import EckerFrontEnd

    if config_of(contents, NAME) is not None:
        checkpoint = read(contents, {})
        sizes, tensors, tokenizer = checkpoint.config, checkpoint.tensors, checkpoint.tokenizer is not None
    else:
        path = _weight_file(contents)
        sizes, _, _ = _open(contents, path)
        tensors, tokenizer = contents.tensors(path), find_tokenizer(contents, path, {}) is not None
    values = sizes.to_dict()
    return Description(
        family=NAME,
        config={**values.pop("llama"), **values, "front_end": EckerFrontEnd.name, "codec": CODEC},
        grid=ENCODEC_GRID,
        languages=LANGUAGES[: sizes.languages],
        tensors={name: tuple(tensor.shape) for name, tensor in tensors.items()},
        missing=() if tokenizer else (f"{TOKENIZER} is missing (option tokenizer=FILE)",),
    )


def export(checkpoint: Checkpoint) -> Export:
    """Return the checkpoint in valle's own format, with its tokenizer if there is one. Raises CheckpointError."""
    tokenizer = None
    if checkpoint.tokenizer is not None:
        try:
            tokenizer = strict_json.loads_object(checkpoint.tokenizer)
        except ValueError as error:
            raise CheckpointError(f"{checkpoint.tokenizer_source} is not a tokenizer.json: {error}") from error
    return Export(
        config={
            "family": NAME,
            "name": checkpoint.name,
            "model": checkpoint.config.to_dict(),
            "codec": {"kind": CODEC},
            "symbols": dict(checkpoint.symbols),
            "tokenizer": tokenizer,
        },
        tensors=checkpoint.tensors,
    )
