"""Checkpoints by name: so far the one that is built in."""

from __future__ import annotations

import difflib
from pathlib import Path

from vallecli.errors import UnknownCheckpoint

BUILT_IN = {"nano": Path(__file__).parent / "data" / "nano"}  # name -> its folder in the package


def find(name: str) -> Path:
    """Return the folder of a checkpoint given by name or path; UnknownCheckpoint suggests a near name."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    if Path(name).is_dir():
        return Path(name)
    near = difflib.get_close_matches(name, BUILT_IN, n=1)
    raise UnknownCheckpoint(
        f"there is no checkpoint called {name!r}, and no folder of that name",
        f"Did you mean {near[0]}?" if near else f"Known names: {', '.join(BUILT_IN)}. A folder is given by its path.",
    )
