"""The first layout of lifeiteng/vall-e, until March 2023: other names, and prefix mode 0 only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vallecli.checkpoints.contents import Contents
from vallecli.families.valle import lifeiteng
from vallecli.families.valle.checkpoint import Checkpoint
from vallecli.families.valle.lifeiteng import LEGACY_TEXT_KEY, open_contents
from vallecli.families.valle.stored import Stored

PUBLISHED = {"prefix_mode": 0}

__all__ = ["open_contents"]


def recognise(contents: Contents) -> bool:
    """Return whether a file has the tensor names of this layout."""
    return LEGACY_TEXT_KEY in contents.own_tensors


def read(stored: Stored, options: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint. Raises CheckpointError, and UsageError if the number of heads is missing."""
    settings = lifeiteng.merged({**stored.options, **PUBLISHED}, options)
    return lifeiteng.read_with(stored, settings, options, stop="sample")
