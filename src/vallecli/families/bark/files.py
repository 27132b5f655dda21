"""The files of Bark: three .pt files as suno published them, the layout of transformers, or valle's own format.

suno: text.pt, coarse.pt and fine.pt (or text_2.pt, ...), each with `model` and `model_args`; training state in them is
not read. Copies as .safetensors have the arguments in a .json file of the same name, as some fine-tuned models do.
transformers: pytorch_model.bin or model.safetensors with config.json; EnCodec and presets are among its files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from vallecli.checkpoints import lookup, small_files, weights
from vallecli.checkpoints.contents import CONFIGURATIONS, Contents
from vallecli.checkpoints.modules import check_tensors
from vallecli.codec.base import ENCODEC_GRID
from vallecli.errors import CheckpointError, DamagedCheckpoint, MissingCheckpoint, short
from vallecli.families.bark.config import (
    COARSE,
    FINE,
    HEAD_WIDTH,
    LANGUAGES,
    MAX_LAYERS,
    MODELS,
    NUM_CODEBOOKS,
    POSITIONS,
    SEMANTIC,
    VOCABULARIES,
    BarkConfig,
    GptConfig,
)
from vallecli.families.base import Description, Export, Options
from vallecli.families.native import CONFIG, TENSORS, config_of

NAME = "bark"
CODEC = "codec."  # prefix of the tensors of EnCodec, if they are stored
VOCABULARY = "bark-vocabulary"  # entry of the registry
VOCABULARIES_BESIDE = ("vocab.txt", "tokenizer.json")
MAX_VOCABULARY_BYTES = 2**24  # the published tokenizer.json has 3 MB
PREFIX = "_orig_mod."  # of torch.compile, in suno's files
IGNORED = re.compile(
    r"(.*\.)?attn\.bias|.*lora_(left|right)_(weight|bias)"
)  # masks; parts of fine-tuning that are unused

# Published names -> ours, in both layouts. The names of suno come first.
RENAMES = (
    (r"transformer\.wte\.|input_embeds_layer\.", "embedding."),
    (r"transformer\.wtes\.|input_embeds_layers\.", "embeddings."),
    (r"transformer\.wpe\.|position_embeds_layer\.", "positions."),
    (r"transformer\.ln_f\.|layernorm_final\.", "norm."),
    (r"(?:transformer\.h|layers)\.(\d+)\.(?:ln_|layernorm_)([12])\.", r"layers.\1.norm\2."),
    (r"(?:transformer\.h|layers)\.(\d+)\.attn\.(?:c_attn|att_proj)\.", r"layers.\1.qkv."),
    (r"(?:transformer\.h|layers)\.(\d+)\.attn\.(?:c_proj|out_proj)\.", r"layers.\1.out."),
    (r"(?:transformer\.h|layers)\.(\d+)\.mlp\.(?:c_fc|in_proj)\.", r"layers.\1.up."),
    (r"(?:transformer\.h|layers)\.(\d+)\.mlp\.(?:c_proj|out_proj)\.", r"layers.\1.down."),
    (r"lm_heads\.(\d+)\.(?:0\.)?", r"heads.\1."),
    (r"lm_head\.(?:0\.)?", "head."),
)
TRANSFORMERS = {"semantic.": SEMANTIC, "coarse_acoustics.": COARSE, "fine_acoustics.": FINE}  # prefix -> model
TRANSFORMERS_CODEC = "codec_model."
DEFAULT_HEADS = 12  # of transformers, which leaves out default values
MARKER = "semantic.input_embeds_layer.weight"  # of the layout of transformers


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Configuration, tensors under our names, and where the vocabulary is."""

    name: str
    path: Path
    config: BarkConfig
    tensors: Mapping[str, Tensor]
    """Under `semantic.`, `coarse.`, `fine.`, and `codec.` if EnCodec is stored."""
    vocabulary: Path | None

    @property
    def codec(self) -> dict[str, Tensor]:
        """Return the tensors of EnCodec, {} if they are not stored."""
        return {name.removeprefix(CODEC): tensor for name, tensor in self.tensors.items() if name.startswith(CODEC)}

    @property
    def parameters(self) -> int:
        """Return the number of parameters of the language models."""
        return sum(tensor.numel() for name, tensor in self.tensors.items() if not name.startswith(CODEC))


@dataclass(frozen=True)
class _Part:
    """One model of the files: its tensors under our names without a prefix, and its arguments as stored."""

    path: Path
    tensors: dict[str, Tensor]
    arguments: Mapping[str, Any] = field(default_factory=dict)


# Recognition


def recognise(contents: Contents) -> bool:
    """Return whether the contents are of this family, by the names and sizes of tensors. Raises CheckpointError."""
    if config_of(contents, NAME) is not None:
        return True
    if contents.file is not None:
        return _role(contents.tensors(contents.file)) is not None
    for path in _weight_files(contents.files):
        with suppress(DamagedCheckpoint):  # others can be intact; loading says what is wrong with this one
            if _role(contents.tensors(path)) is not None:
                return True
    return False


def _weight_files(files: Iterable[Path]) -> list[Path]:
    return [path for path in files if path.suffix in weights.SUFFIXES]


def _role(tensors: Mapping[str, Any]) -> str | None:
    """Return which of MODELS a file of suno's layout has, NAME for all of transformers' layout, None for others."""
    if MARKER in tensors:
        return NAME
    found = {_bare(name): tensor for name, tensor in tensors.items() if ".wte" in name or "lm_head" in name}
    if "transformer.wtes.0.weight" in found:
        return FINE if _rows(found["transformer.wtes.0.weight"]) == VOCABULARIES[FINE][0] else None
    head = found.get("lm_head.weight", found.get("lm_head.0.weight"))
    sizes = _rows(found.get("transformer.wte.weight")), _rows(head)
    return next((model for model in (SEMANTIC, COARSE) if VOCABULARIES[model] == sizes), None)


def _rows(tensor: Any) -> int:
    return int(tensor.shape[0]) if isinstance(tensor, Tensor) and tensor.ndim else 0


def _bare(name: str) -> str:
    return name.removeprefix(PREFIX)


# Parts


def _parts(contents: Contents) -> tuple[dict[str, _Part], dict[str, Tensor]]:
    """Return the three models and the tensors of EnCodec, {} if they are not stored. Raises CheckpointError."""
    roles = _roles(contents)
    found = [path for paths in roles.values() for path in paths]
    if len(found) > (1 if NAME in roles else len(roles)):
        names = ", ".join(path.relative_to(contents.folder).as_posix() for path in sorted(found))
        raise CheckpointError(
            f"{contents.path} has several checkpoints of Bark: {names}", "Give a folder with the files of one of them."
        )
    if NAME in roles:
        return _transformers_parts(contents, roles[NAME][0])
    if missing := [model for model in MODELS if model not in roles]:
        raise CheckpointError(
            f"{contents.folder} has no {' and no '.join(missing)} model of Bark",
            "Put the three files into one folder, and give the folder.",
        )
    return {model: _suno_part(contents, roles[model][0], model) for model in MODELS}, {}


def _roles(contents: Contents) -> dict[str, list[Path]]:
    """Return the files of each of MODELS, or of NAME. One of suno's files is completed by the others in its folder."""
    if (file := contents.file) is None:
        found = [(path, _role(contents.tensors(path))) for path in _weight_files(contents.files)]
    else:
        own = _role(contents.own_tensors)
        beside = () if own == NAME else (path for path in _weight_files(sorted(file.parent.iterdir())) if path != file)
        others = ((path, _other(contents, path)) for path in beside)
        found = [(file, own), *((path, role) for path, role in others if role != own)]
    roles: dict[str, list[Path]] = {}
    for path, role in found:
        if role is not None:
            roles.setdefault(role, []).append(path)
    return roles


def _other(contents: Contents, path: Path) -> str | None:
    """Return the role of another file in the folder of one of suno's; None for files that cannot be read."""
    try:
        role = _role(contents.tensors(path))
    except CheckpointError:
        return None
    return None if role == NAME else role


def _suno_part(contents: Contents, path: Path, model: str) -> _Part:
    raw = contents.raw(path)
    arguments = raw.get("model_args") if isinstance(raw, Mapping) else None
    if not isinstance(arguments, Mapping):
        arguments = _arguments_beside(path, model)
    tensors = {_bare(name): tensor for name, tensor in contents.tensors(path).items()}
    return _Part(path, _renamed(path, tensors), arguments)


def _arguments_beside(path: Path, model: str) -> Mapping[str, Any]:
    """Return the arguments in NAME.json or config.json next to a file without them, {} if there are none."""
    for candidate in (path.with_suffix(".json"), path.with_name(CONFIG)):
        if candidate.is_file():
            values = small_files.read_json(candidate)
            for nested in (values.get("model_args"), values.get(model), values):
                if isinstance(nested, Mapping) and "n_head" in nested:
                    return nested
    return {}


def _transformers_parts(contents: Contents, path: Path) -> tuple[dict[str, _Part], dict[str, Tensor]]:
    config_file = path.with_name(CONFIGURATIONS[0])
    config = small_files.read_json(config_file) if config_file.is_file() else {}
    found: dict[str, dict[str, Tensor]] = {model: {} for model in MODELS}
    codec: dict[str, Tensor] = {}
    for name, tensor in contents.tensors(path).items():
        if name.startswith(TRANSFORMERS_CODEC):
            codec[name.removeprefix(TRANSFORMERS_CODEC)] = tensor
            continue
        prefix = next((prefix for prefix in TRANSFORMERS if name.startswith(prefix)), None)
        if prefix is None:
            raise DamagedCheckpoint(f"{path} has a tensor of unknown use: {short(name)}")
        found[TRANSFORMERS[prefix]][name.removeprefix(prefix)] = tensor
    parts = {}
    for prefix, model in TRANSFORMERS.items():
        values = config.get(f"{prefix.removesuffix('.')}_config")
        if not isinstance(values, Mapping | None):
            raise DamagedCheckpoint(f"{config_file} is not a complete configuration: {short(values)}")
        arguments = {} if values is None else {"n_head": values.get("num_heads", DEFAULT_HEADS)}
        parts[model] = _Part(path, _renamed(path, found[model]), arguments)
    return parts, dict(check_tensors(path, codec)) if codec else {}


def _renamed(path: Path, tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of one model under our names; tied ones once. Raises DamagedCheckpoint."""
    kept = check_tensors(path, {name: tensor for name, tensor in tensors.items() if not IGNORED.fullmatch(name)})
    ours = {}
    for name, tensor in kept.items():
        for pattern, replacement in RENAMES:
            name, replaced = re.subn(f"^(?:{pattern})", replacement, name)
            if replaced:
                break
        ours[name] = tensor
    for index in range(1, NUM_CODEBOOKS):  # tied; files with each tensor once have either name
        if (head := ours.pop(f"heads.{index - 1}.weight", None)) is not None:
            ours[f"embeddings.{index}.weight"] = head
    return ours


# Sizes


def _sizes(part: _Part, model: str, heads: int | None) -> GptConfig:
    """Return the sizes of a model: the shapes of its tensors, and the number of heads as stored. DamagedCheckpoint."""
    tensors = part.tensors
    table = tensors.get("positions.weight")
    if table is None or table.ndim != 2 or table.shape[0] != POSITIONS:
        raise DamagedCheckpoint(f"{part.path} has no table of {POSITIONS} positions for its {model} model")
    width = table.shape[1]
    layers = next((n for n in range(MAX_LAYERS + 1) if f"layers.{n}.qkv.weight" not in tensors), MAX_LAYERS + 1)
    stored = part.arguments.get("n_head")
    try:
        if heads is None:
            heads = stored if stored is not None else max(1, width // HEAD_WIDTH)
        return GptConfig(layers=layers, width=width, heads=heads, bias="layers.0.qkv.bias" in tensors)
    except ValueError as error:
        raise DamagedCheckpoint(f"{part.path} has sizes that no model has: {error}") from error


# Reading


def read(contents: Contents, options: Options) -> Checkpoint:
    """Return the checkpoint. Raises CheckpointError and UsageError."""
    vocabulary = find_vocabulary(contents, options)
    if (config := config_of(contents, NAME)) is not None:
        return _read_native(contents, config, vocabulary)
    parts, codec = _parts(contents)
    config_of_all = BarkConfig(**{model: _sizes(part, model, options.get("heads")) for model, part in parts.items()})
    tensors = {f"{model}.{name}": tensor for model, part in parts.items() for name, tensor in part.tensors.items()}
    return Checkpoint(
        name=contents.name if contents.file is None else contents.folder.absolute().name,
        path=contents.folder,
        config=config_of_all,
        tensors={**tensors, **{f"{CODEC}{name}": tensor for name, tensor in codec.items()}},
        vocabulary=vocabulary,
    )


def _read_native(contents: Contents, config: Mapping[str, Any], vocabulary: Path | None) -> Checkpoint:
    path = contents.beside(TENSORS)
    if path is None:
        raise DamagedCheckpoint(f"{contents.folder} has no {TENSORS}", "Give a complete checkpoint folder.")
    try:
        sizes = BarkConfig.from_dict(config["model"])
        if not isinstance(name := config["name"], str):
            raise ValueError(f"its name is {short(name)}")
    except (KeyError, TypeError, ValueError) as error:
        reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
        raise DamagedCheckpoint(f"{contents.folder / CONFIG} is not a complete configuration: {reason}") from error
    tensors = check_tensors(path, contents.tensors(path))
    for model in MODELS:  # before memory is allocated
        _check_sizes(path, tensors, model, sizes.of(model))
    return Checkpoint(name=name, path=contents.folder, config=sizes, tensors=tensors, vocabulary=vocabulary)


def _check_sizes(path: Path, tensors: Mapping[str, Tensor], model: str, sizes: GptConfig) -> None:
    table = tensors.get(f"{model}.positions.weight")
    layers = {name.split(".")[2] for name in tensors if name.startswith(f"{model}.layers.")}
    if table is None or table.shape != (POSITIONS, sizes.width) or len(layers) != sizes.layers:
        raise DamagedCheckpoint(f"{path} does not fit its own config: the {model} model has other sizes")


def find_vocabulary(contents: Contents, options: Options) -> Path | None:
    """Return the vocabulary of the loader option, next to the weights, or of the registry if it is installed."""
    if (given := options.get("tokenizer")) is not None:
        return Path(given)
    beside = next((path for name in VOCABULARIES_BESIDE if (path := contents.beside(name)) is not None), None)
    if beside is not None:
        return beside
    try:
        return lookup.find(VOCABULARY)
    except MissingCheckpoint:
        return None


def read_vocabulary(path: Path) -> str:
    """Return the text of a vocabulary. Raises CheckpointError."""
    return small_files.read_text(path, "a vocabulary", MAX_VOCABULARY_BYTES)


def describe(contents: Contents) -> Description:
    """Return the description of the checkpoint, without reading values of tensors. Raises CheckpointError."""
    from vallecli.text.wordpiece import WordPieceFrontEnd

    checkpoint = read(contents, {})
    return Description(
        family=NAME,
        config={
            **checkpoint.config.to_dict(),
            "front_end": WordPieceFrontEnd.name,
            "codec": "encodec",
            "codec_stored": bool(checkpoint.codec),
        },
        grid=ENCODEC_GRID,
        languages=LANGUAGES,
        tensors={name: tuple(tensor.shape) for name, tensor in checkpoint.tensors.items()},
        missing=()
        if checkpoint.vocabulary is not None
        else (f"the vocabulary {VOCABULARIES_BESIDE[0]} is missing (option tokenizer=FILE)",),
    )


def export(checkpoint: Checkpoint) -> Export:
    """Return the checkpoint in valle's own format, with its vocabulary if there is one. Raises CheckpointError."""
    files = {}
    if checkpoint.vocabulary is not None:
        text = read_vocabulary(checkpoint.vocabulary)
        files[VOCABULARIES_BESIDE[text.lstrip().startswith("{")]] = text
    return Export(
        config={"family": NAME, "name": checkpoint.name, "model": checkpoint.config.to_dict()},
        tensors=checkpoint.tensors,
        files=files,
    )
