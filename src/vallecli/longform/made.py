"""The outputs that a work folder has made: which files may be replaced, and which are as they should be.

`made.json` has, for each output, the hashes of the contents that were written to it, and a fingerprint of what the last
one was made from. An output is noted before it appears, so that a process that is killed in between leaves no file that
is taken for somebody else's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vallecli import atomic, inputs
from vallecli.checkpoints.local import sha256
from vallecli.errors import FolderNotWritable, OutputExists

NAME = "made.json"
MAX_BYTES = 2**24  # of made.json: 300 bytes for each output
KEPT = 2  # hashes of an output: that of the file, and that of the one which replaces it


class Made:
    """The outputs of a work folder."""

    def __init__(self, folder: Path) -> None:
        """Read the list; one that is missing or damaged has no outputs, so that nothing is replaced."""
        self.path = folder / NAME
        self.outputs: dict[str, dict[str, Any]] = {}
        try:
            found = json.loads(inputs.read_small(self.path, MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return
        if isinstance(found, dict):
            self.outputs = {name: entry for name, entry in found.items() if _is_entry(entry)}

    def check(self, output: Path, *, force: bool) -> None:
        """Raise OutputExists for a file that is not one of these outputs, or was changed; not with `force`."""
        if not force and os.path.lexists(output) and not self._is_own(output):
            raise OutputExists(output)

    def is_current(self, output: Path, fingerprint: str) -> bool:
        """Return whether a file is there, and was made from what has this fingerprint."""
        entry = self.outputs.get(self._name(output))
        return entry is not None and entry["fingerprint"] == fingerprint and self._is_last(output, entry)

    def begin(self, output: Path, sha256: str, fingerprint: str) -> None:
        """Note an output that is about to appear. Raises FolderNotWritable."""
        name = self._name(output)
        before = self.outputs.get(name, {"sha256": []})["sha256"]
        hashes = [*(known for known in before if known != sha256), sha256][-KEPT:]
        self.outputs[name] = {"sha256": hashes, "fingerprint": fingerprint}
        try:
            with atomic.replace_file(self.path, follow_links=False) as file:
                file.write(json.dumps(self.outputs, indent=1).encode() + b"\n")
        except OSError as error:
            raise FolderNotWritable(self.path, error) from error

    def _name(self, output: Path) -> str:
        """Return the path of an output from the folder, which stays the same if both are moved together."""
        return Path(os.path.relpath(output.absolute(), self.path.parent.absolute())).as_posix()

    def _is_own(self, output: Path) -> bool:
        entry = self.outputs.get(self._name(output))
        return entry is not None and _sha256(output) in entry["sha256"]

    def _is_last(self, output: Path, entry: Mapping[str, Any]) -> bool:
        return bool(entry["sha256"]) and _sha256(output) == entry["sha256"][-1]


def _sha256(path: Path) -> str | None:
    """Return the hash of a file, None if there is none that can be read."""
    try:
        return sha256(path) if path.is_file() else None
    except OSError:
        return None


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("fingerprint"), str)
        and isinstance(entry.get("sha256"), list)
        and all(isinstance(known, str) for known in entry["sha256"])
    )
