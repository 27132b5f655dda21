"""Read a VALL-E checkpoint of any layout as configuration and tensors, for training and conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vallecli.errors import UnknownFormat
from vallecli.families.base import parse_options
from vallecli.families.detect import detect
from vallecli.families.valle import ValleFamily
from vallecli.families.valle.checkpoint import Checkpoint


def read_checkpoint(path: Path, **options: Any) -> Checkpoint:
    """Return the checkpoint in a file or folder, its checksums verified; `options` are loader options by name.

    Raises CheckpointError, and UsageError for options that do not exist or are missing.
    """
    family, contents = detect(path, verify=True)
    if not isinstance(family, ValleFamily):
        raise UnknownFormat(f"{path} is a {family.name} checkpoint, which has other models")
    return family.read(contents, parse_options(family, options))
