"""Which family a file or folder belongs to, by its contents and not by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vallecli.checkpoints.contents import Contents
from vallecli.errors import UnknownFormat
from vallecli.families.base import Backend, Description, Family, parse_options
from vallecli.families.catalog import FAMILIES

if TYPE_CHECKING:
    import torch

    from vallecli.codec.select import Codecs


def detect(path: Path, *, verify: bool) -> tuple[Family, Contents]:
    """Return the family and the contents of a file or folder. UnknownFormat says what was found instead.

    `verify` makes the readers verify checksums. Raises CheckpointError.
    """
    contents = Contents(path, verify=verify)
    for family in FAMILIES:
        if family.recognise(contents):
            return family, contents
    names = ", ".join(family.name for family in FAMILIES)
    problem = f"{contents.path} is not a checkpoint in a known format"
    if contents.file is None:
        from vallecli.checkpoints.weights import SUFFIXES  # imports torch

        found = [file.relative_to(contents.path).as_posix() for file in contents.files]
        hint = f"Give the folder that was downloaded or converted, or a weight file in it. Known formats: {names}."
        weights = [name for name in found if name.endswith(SUFFIXES)]
        seen = f"it has {_some(weights or found)}" if found else "it is empty"
        raise UnknownFormat(f"{problem}: {seen}", hint)
    tensors = contents.own_tensors
    seen = f"{len(tensors)} tensors, such as {_some(sorted(tensors))}" if tensors else "no tensors by name"
    raise UnknownFormat(f"{problem}: it has {seen}", f"Known formats: {names}.")


def describe(path: Path) -> Description:
    """Return what a file or folder is, without reading values or verifying checksums. Raises CheckpointError."""
    family, contents = detect(path, verify=False)
    return family.describe(contents)


def files(path: Path) -> list[Path]:
    """Return the files that the speech of a checkpoint depends on, sorted. Raises CheckpointError."""
    family, contents = detect(path, verify=False)
    return sorted(family.files(contents))


def load(path: Path, options: Mapping[str, Any], *, device: torch.device, dtype: str, codecs: Codecs) -> Backend:
    """Return the checkpoint in a file or folder, its checksums verified. Raises CheckpointError and UsageError.

    `options` are loader options as written, for example {"heads": "16"}; see Family.load for the others.
    """
    family, contents = detect(path, verify=True)
    return family.load(contents, parse_options(family, options), device=device, dtype=dtype, codecs=codecs)


def _some(names: list[str]) -> str:
    """Return the first few names, and the number of the others."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
