"""The files of Amphion's VALL-E v2: valle_ar*.bin and valle_nar*.bin in a folder, or valle's own format.

No file stores all sizes: the number of heads is that of config.json next to the weights if it says so. The codec is
SpeechTokenizer.pt next to them, if it is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from vallecli.checkpoints.contents import Contents
from vallecli.checkpoints.modules import check_tensors, load_into, skeletons
from vallecli.codec.base import AudioGrid
from vallecli.codec.select import Codecs, CodecSpec
from vallecli.errors import DamagedCheckpoint, short
from vallecli.families.base import Description, Export, Options
from vallecli.families.llama import amphion_v2
from vallecli.families.llama.amphion_v2 import CODEBOOK_SIZE, IGNORED, NUM_CODEBOOKS, AmphionV2Config
from vallecli.families.llama.layers import LlamaConfig
from vallecli.families.llama.published import Published
from vallecli.families.native import CONFIG, TENSORS, config_of

if TYPE_CHECKING:
    from vallecli.codec.speechtokenizer import SpeechTokenizer

NAME = "amphion-v2"
CODEC = "SpeechTokenizer.pt"
CODEC_KIND = "speechtokenizer"
GRID = AudioGrid(sample_rate=16_000, hop=320, codebooks=NUM_CODEBOOKS, codebook_size=CODEBOOK_SIZE)
PART = re.compile(r"valle_(ar|nar)(?:_.*?)?(\d*)\.(?:bin|pt|pth|safetensors)")
MARKERS = {  # tensors that only one of the two files has
    "ar": ("model.lm_head.weight", "model.model.embed_tokens.weight"),
    "nar": ("prompt_embedder.embeddings.0.weight", "model.model.embed_cond.weight"),
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Sizes and tensors of both models under our names, and where the codec is."""

    name: str
    path: Path
    config: AmphionV2Config
    tensors: Mapping[str, Tensor]
    """Keys begin with `ar.` and `nar.`, and with `codec.` if the codec is included."""
    codec: Mapping[str, Any] | None = None
    """Configuration of the codec, if it is included."""
    codec_file: Path | None = None

    @property
    def parameters(self) -> int:
        """Return the number of parameters of both models."""
        return sum(tensor.numel() for name, tensor in self.tensors.items() if name.startswith(("ar.", "nar.")))


def recognise(contents: Contents) -> bool:
    """Return whether there is one of the two weight files, or a config.json of valle for this family."""
    if config_of(contents, NAME) is not None:
        return True
    if contents.file is None:
        return len(_parts(contents.folder)) == len(MARKERS)
    return any(all(name in contents.own_tensors for name in names) for names in MARKERS.values())


def _parts(folder: Path) -> dict[str, Path]:
    """Return the file of each model in a folder, the last if there are several steps of training."""
    steps: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        if (match := PART.fullmatch(path.name)) and path.is_file():
            step = (int(match[2] or 0), path)
            steps[match[1]] = max(steps.get(match[1], step), step)
    return {part: path for part, (_, path) in steps.items()}


def _published(contents: Contents) -> dict[str, Published]:
    """Return the tensors of both files. Raises CheckpointError."""
    parts = _parts(contents.folder)
    for part in MARKERS:
        if part not in parts:
            raise DamagedCheckpoint(
                f"{contents.path} is one of two models: {contents.folder} has no valle_{part}*.bin",
                "Put both files into one folder, under their published names.",
            )
    return {part: Published(contents.tensors(path), path, IGNORED[part]) for part, path in parts.items()}


def _heads(contents: Contents, options: Options) -> int | None:
    """Return the number of heads that the loader option or config.json states."""
    if (heads := options.get("heads")) is not None:
        return int(heads)
    stated = (contents.json(CONFIG) or {}).get("num_attention_heads")
    if stated is not None and (isinstance(stated, bool) or not isinstance(stated, int)):
        raise DamagedCheckpoint(f"{contents.folder / CONFIG} states {short(stated)} as the number of attention heads")
    return stated


def read(contents: Contents, options: Options) -> Checkpoint:
    """Return the checkpoint. Raises CheckpointError."""
    codec_file = options.get("speechtokenizer") or contents.beside(CODEC)
    if (config := config_of(contents, NAME)) is not None:
        return _read_native(contents, config, options, codec_file)
    published = _published(contents)
    sizes = amphion_v2.infer_config(published["ar"], published["nar"], _heads(contents, options))
    ar, nar = amphion_v2.our_ar(published["ar"], sizes), amphion_v2.our_nar(published["nar"], sizes)
    return Checkpoint(
        name=contents.name,
        path=contents.path,
        config=sizes,
        tensors={f"ar.{name}": tensor for name, tensor in ar.items()}
        | {f"nar.{name}": tensor for name, tensor in nar.items()},
        codec_file=codec_file,
    )


def _read_native(
    contents: Contents, config: Mapping[str, Any], options: Options, codec_file: Path | None
) -> Checkpoint:
    path, tensors = contents.folder / TENSORS, _native_tensors(contents)
    try:
        sizes, codec = _native_sizes(config, options.get("heads")), dict(config["codec"])
        name = config["name"]
        if not isinstance(name, str):
            raise ValueError(f"its name is {short(name)}")
        if codec.pop("kind", None) != CODEC_KIND:
            raise ValueError(f"its codec is not {CODEC_KIND}")
    except (KeyError, TypeError, ValueError) as error:
        reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
        raise DamagedCheckpoint(f"{contents.folder / CONFIG} is not a complete configuration: {reason}") from error
    return Checkpoint(
        name=name,
        path=contents.folder,
        config=sizes,
        tensors=check_tensors(path, tensors),
        codec=codec or None,
        codec_file=codec_file if options.get("speechtokenizer") or not codec else None,
    )


def _native_tensors(contents: Contents) -> Mapping[str, Any]:
    path = contents.beside(TENSORS)
    if path is None:
        raise DamagedCheckpoint(f"{contents.folder} has no {TENSORS}", "Give a complete checkpoint folder.")
    return contents.tensors(path)


def _native_sizes(config: Mapping[str, Any], heads: int | None) -> AmphionV2Config:
    """Return the sizes in a config.json of valle. Raises KeyError, TypeError and ValueError."""
    model, given = config["model"], {} if heads is None else {"heads": heads}
    ar, nar = (LlamaConfig(**{**model[part], **given}) for part in MARKERS)
    return AmphionV2Config(ar=ar, nar=nar, phones=model["phones"])


def describe(contents: Contents) -> Description:
    """Return the description of the checkpoint, without reading values of tensors. Raises CheckpointError."""
    from vallecli.text.amphion_v2 import AmphionV2FrontEnd

    native = config_of(contents, NAME) is not None
    if native:
        checkpoint = read(contents, {})
        sizes, tensors, codec_file = checkpoint.config, checkpoint.tensors, checkpoint.codec_file
        included = checkpoint.codec is not None
    else:
        published = _published(contents)
        tensors = {
            f"{part}.{name}": tensor
            for part, file in published.items()
            for name, tensor in contents.tensors(file.path).items()
        }
        sizes = amphion_v2.infer_config(published["ar"], published["nar"], _heads(contents, {}))
        codec_file, included = contents.beside(CODEC), False
    notes = []
    if not native and _heads(contents, {}) is None:
        notes.append(f"{sizes.ar.heads} attention heads, as in the published models (option heads=NUMBER for others)")
    if codec_file is None and not included:
        notes.append(f"{CODEC} is not here: that of the registry is used, or option {CODEC_KIND}=FILE")
    return Description(
        family=NAME,
        config={
            **{f"{part}_{name}": size for part in MARKERS for name, size in asdict(getattr(sizes, part)).items()},
            "phones": sizes.phones,
            "front_end": AmphionV2FrontEnd.name,
            "codec": CODEC_KIND,
        },
        grid=GRID,
        languages=AmphionV2FrontEnd.languages,
        tensors={name: tuple(tensor.shape) for name, tensor in tensors.items()},
        notes=tuple(notes),
        needs_transcript=True,
    )


def export(checkpoint: Checkpoint) -> Export:
    """Return the checkpoint in valle's own format, with the codec if its file is known. Raises CheckpointError."""
    tensors, codec = dict(checkpoint.tensors), dict(checkpoint.codec or {})
    if checkpoint.codec_file is not None:
        loaded = _load_file(checkpoint.codec_file)
        codec = asdict(loaded.config)
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("codec.")}
        tensors |= {f"codec.{name}": tensor for name, tensor in loaded.state_dict().items()}
    config = checkpoint.config
    model = {"ar": asdict(config.ar), "nar": asdict(config.nar), "phones": config.phones}
    return Export(
        config={
            "family": NAME,
            "name": checkpoint.name,
            "model": model,
            "codec": {"kind": CODEC_KIND, **codec},
        },
        tensors=tensors,
    )


def codec_of(checkpoint: Checkpoint, codecs: Codecs) -> CodecSpec:
    """Return the codec: the one that is included, that of a file, or the registry's. Raises UsageError."""
    spec = codecs.speechtokenizer(GRID, checkpoint.codec_file, name=checkpoint.name)

    def load() -> SpeechTokenizer:
        codec = spec.load() if checkpoint.codec is None or checkpoint.codec_file is not None else _included(checkpoint)
        if codec.grid != GRID:
            raise DamagedCheckpoint(f"{checkpoint.name} needs a codec with {GRID}, and this one has {codec.grid}")
        loaded: SpeechTokenizer = codec
        return loaded

    return CodecSpec(grid=GRID, load=load)


def _load_file(path: Path) -> SpeechTokenizer:
    from vallecli.codec.speechtokenizer import SpeechTokenizer

    return SpeechTokenizer.from_weights(path)


def _included(checkpoint: Checkpoint) -> SpeechTokenizer:
    from vallecli.codec.speechtokenizer import SpeechTokenizer, SpeechTokenizerConfig

    try:
        config = SpeechTokenizerConfig.from_dict(checkpoint.codec or {})
    except (TypeError, ValueError) as error:
        raise DamagedCheckpoint(f"{checkpoint.path / CONFIG} needs an unknown codec: {error}") from error
    with skeletons():
        codec = SpeechTokenizer(config)
    load_into(codec, checkpoint.tensors, "codec.", checkpoint.path)
    return codec
