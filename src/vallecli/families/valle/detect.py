"""Which family a file or folder is of, told by what it holds and not by its name; and what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

from vallecli.errors import UnknownFormat, UsageError
from vallecli.families.valle import amphion, lifeiteng, native, vallex
from vallecli.families.valle.checkpoint import Checkpoint, Contents
from vallecli.families.valle.config import PrefixMode
from vallecli.text.espeak import EspeakFrontEnd


class Reader(Protocol):
    """What makes a checkpoint of a family's contents."""

    def __call__(
        self, contents: Contents, *, symbols: Path | None, heads: int | None, prefix_mode: int | None
    ) -> Checkpoint:
        """Return the checkpoint, with what the user adds to what is stored. Raises CheckpointError and UsageError."""


READERS: dict[str, Reader] = {
    "native": native.read,
    "vallex": vallex.read,
    "lifeiteng": lifeiteng.read,
    "lifeiteng-legacy": lifeiteng.read,
    "amphion-v1": amphion.read,
}
FIELDS = {"nhead": ("n_heads", "nar_n_heads"), "prefix_mode": ("prefix_mode",)}  # option -> what it is in ModelConfig
DEFAULTS: dict[str, Mapping[str, Any]] = {
    "vallex": vallex.PUBLISHED,
    "lifeiteng-legacy": lifeiteng.LEGACY,
    "amphion-v1": amphion.DEFAULTS,
}
# The name of a tensor that only one layout has.
TELLING = {
    vallex.LANGUAGE_KEY: "vallex",
    lifeiteng.TEXT_KEY: "lifeiteng",
    lifeiteng.LEGACY_TEXT_KEY: "lifeiteng-legacy",
}


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a file or folder is, as far as it tells without reading the values of its tensors."""

    family: str
    tensors: Mapping[str, tuple[int, ...]]
    """Shapes under the published names."""
    config: Mapping[str, object]
    """The model's options as `ModelConfig` names them, its front end and its codec."""
    missing: tuple[str, ...]
    """Sentences that name what is not there, and the option that supplies it."""


def load(
    path: Path, *, symbols: Path | None = None, heads: int | None = None, prefix_mode: int | None = None
) -> Checkpoint:
    """Return the checkpoint in a file or folder of any family, its checksums verified. Raises CheckpointError.

    `symbols` is the table of text symbols, where it is not in the checkpoint or another is wanted. `heads` and
    `prefix_mode` stand in for options that are not stored, or override them; UsageError if they are lacking.
    """
    if heads is not None and heads < 1:
        raise UsageError(f"a model cannot have {heads} attention heads", "--heads is a whole number from 1.")
    if prefix_mode not in (None, *get_args(PrefixMode)):
        raise UsageError(f"there is no prefix mode {prefix_mode}", "--prefix-mode is 0, 1, 2 or 4.")
    family, contents = _open(path, verify=True)
    return READERS[family](contents, symbols=symbols, heads=heads, prefix_mode=prefix_mode)


def describe(path: Path) -> Description:
    """Return what a file or folder is, without reading values or verifying checksums. Raises CheckpointError."""
    family, contents = _open(path, verify=False)
    options = {**DEFAULTS.get(family, {}), **contents.options}
    untold = {} if family == "native" else lifeiteng.untold(options)
    checkpoint = READERS[family](  # any number will do where there is none
        contents,
        symbols=None,
        heads=1 if "nhead" in untold else None,
        prefix_mode=0 if "prefix_mode" in untold else None,
    )
    config: dict[str, object] = checkpoint.model.to_dict()
    for field in [field for name in untold for field in FIELDS[name]]:
        del config[field]
    missing = list(untold.values())
    if checkpoint.front_end == EspeakFrontEnd.name and checkpoint.symbols is None:
        missing.append("the table of text symbols is not there (--symbols FILE)")
    return Description(
        family=family,
        tensors={name: tuple(tensor.shape) for name, tensor in contents.tensors.items()},
        config={**config, "front_end": checkpoint.front_end, "codec": checkpoint.codec.get("kind")},
        missing=tuple(missing),
    )


def _open(path: Path, *, verify: bool) -> tuple[str, Contents]:
    """Return the family and the contents. UnknownFormat tells what is there instead."""
    if path.is_file() and path.name in (native.CONFIG, amphion.ARGS):
        path = path.parent
    if path.name == native.TENSORS and native.is_folder(path.parent):
        path = path.parent
    if native.is_folder(path):
        return "native", native.open_folder(path)
    if (folder := amphion.home(path)) is not None:
        contents = amphion.open_folder(path, folder, verify=verify)
        _telling(path, contents.tensors)
        return "amphion-v1", contents
    if path.is_dir():
        names = sorted(child.name for child in path.iterdir())
        raise UnknownFormat(
            f"{path} is no checkpoint folder: it holds {_some(names)}, but neither {native.CONFIG} nor {amphion.ARGS}",
            "Give the weight file itself, or the folder that was downloaded or converted.",
        )
    contents = lifeiteng.open_file(path, verify=verify)
    return _telling(path, contents.tensors), contents


def _telling(path: Path, tensors: Mapping[str, object]) -> str:
    """Return the layout that the names of the tensors tell of. Raises UnknownFormat."""
    for name, family in TELLING.items():
        if name in tensors:
            return family
    seen = f"{len(tensors)} tensors, such as {_some(sorted(tensors))}" if tensors else "no tensors by name"
    raise UnknownFormat(
        f"{path} is in no layout that valle knows: it holds {seen}", f"Known are: {', '.join(READERS)}."
    )


def _some(names: list[str]) -> str:
    """Return the first few names, and how many there are."""
    return (", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")) or "nothing"
