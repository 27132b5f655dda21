"""Read a VALL-E checkpoint of any layout as configuration and tensors, for training and conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vallecli.checkpoints.contents import Contents
from vallecli.errors import UnknownFormat
from vallecli.families.base import parse_options
from vallecli.families.valle import FAMILIES
from vallecli.families.valle.checkpoint import Checkpoint


def read_checkpoint(path: Path, **options: Any) -> Checkpoint:
    """Return the checkpoint in a file or folder, its checksums verified; `options` are loader options by name.

    Raises CheckpointError, and UsageError for options that do not exist or are missing.
    """
    contents = Contents(path, verify=True)
    for family in FAMILIES:
        if family.recognise(contents):
            return family.read(contents, parse_options(family, options))
    raise UnknownFormat(f"{path} is not a VALL-E checkpoint", f"Formats: {', '.join(f.name for f in FAMILIES)}.")
