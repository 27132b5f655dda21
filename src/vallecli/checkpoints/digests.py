"""The sha256 of large files, cached in the user's cache folder: a checkpoint can have 30 GB.

A cached digest is used while the file has the same path, size, modification time, inode and, on POSIX systems, status
change time. So a change stays unseen only if all of these stay the same: by a write within the resolution of the file
system's clock, or with the clock or the disk itself changed by an administrator. Files that were modified within the
last seconds are not cached for that reason, and `valle checkpoints verify` does not use this cache.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vallecli import inputs
from vallecli.atomic import check_own, replace_file
from vallecli.checkpoints.local import sha256

NAME = "digests.json"
SHA256 = re.compile("[0-9a-f]{64}")
MAX_ENTRIES = 1000  # the oldest ones are forgotten
MAX_BYTES = 2**20
MIN_SIZE = 2**20  # bytes; hashing a smaller file takes no longer than looking it up
SETTLED = 10.0  # seconds since the last change from which on a digest is cached


def digest(path: Path) -> str:
    """Return the sha256 of a regular file, in hexadecimal; see the module for what the cache cannot see.

    Raises OSError. A cache that cannot be read or written is not used.
    """
    with inputs.open_regular(path) as file:
        before = _stamp(os.fstat(file.fileno()))
    if before["size"] < MIN_SIZE:
        return sha256(path)
    name = os.path.realpath(path)
    entry = _read().get(name)
    if entry is not None and {key: entry[key] for key in before} == before:
        return str(entry["sha256"])
    found = sha256(path)
    after = path.stat()
    changed = max(after.st_mtime, after.st_ctime)
    if _stamp(after) == before and changed + SETTLED <= time.time():
        _store(name, {**before, "sha256": found})
    return found


def _stamp(status: os.stat_result) -> dict[str, int]:
    stamp = {"size": status.st_size, "mtime": status.st_mtime_ns, "inode": status.st_ino, "device": status.st_dev}
    return stamp if os.name == "nt" else {**stamp, "ctime": status.st_ctime_ns}  # on Windows it is that of creation


def cache_file() -> Path:
    """Return the path of the cache, whether it exists or not."""
    from platformdirs import user_cache_path

    return user_cache_path("vallecli", appauthor=False) / NAME


def _read() -> dict[str, dict[str, Any]]:
    """Return the valid entries of the cache, by path and the oldest first."""
    try:
        path = cache_file()
        check_own(path)
        entries = json.loads(inputs.read_small(path, MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {name: entry for name, entry in entries.items() if _is_valid(entry)}


def _is_valid(entry: Any) -> bool:
    if not isinstance(entry, Mapping) or entry.keys() != {"size", "mtime", "inode", "device", "ctime", "sha256"}:
        return False
    numbers = [value for key, value in entry.items() if key != "sha256"]
    return all(type(number) is int for number in numbers) and bool(SHA256.fullmatch(str(entry["sha256"])))


def _store(name: str, entry: Mapping[str, Any]) -> None:
    """Add an entry, and remove the oldest ones if there are too many."""
    entries = _read()
    entries.pop(name, None)
    entries[name] = {"ctime": 0, **entry}
    kept = dict(list(entries.items())[-MAX_ENTRIES:])
    with suppress(OSError, ValueError):
        path = cache_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        check_own(path)
        with replace_file(path, follow_links=False) as file:
            file.write(json.dumps(kept).encode())
