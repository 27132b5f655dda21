"""Fingerprints of rows: a hash of everything that a row's audio depends on. Equal fingerprints mean equal audio."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from vallecli.checkpoints import local, lookup
from vallecli.errors import DamagedCheckpoint

VERSION = 1  # incremented when the same row should give other audio than before
SEED_BITS = 31  # short enough to type
DOCUMENTS = (".md", ".txt")  # not part of a checkpoint


def digest(content: Mapping[str, Any]) -> str:
    """Return the sha256 of values that JSON can represent, together with VERSION: 64 hexadecimal digits."""
    written = json.dumps({"version": VERSION, **content}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(written.encode()).hexdigest()


def derive_seed(fingerprint: str) -> int:
    """Return the seed of a row without one: it depends on the row's content, not on its position in the table."""
    return int(fingerprint, 16) >> (256 - SEED_BITS)


def revision(checkpoint: str, *, offline: bool = False) -> str:
    """Return 16 hexadecimal digits that identify a checkpoint, given by name or path.

    They are a hash of its files, without documents. Raises CheckpointError for a checkpoint that is not on this
    machine, or that has no files.
    """
    path = lookup.find(checkpoint, offline=offline)
    inside = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix not in DOCUMENTS)
    files = [path] if path.is_file() else inside
    if not files:
        raise DamagedCheckpoint(f"{path} has no files", "Give a complete checkpoint folder.")
    hashes = [(file.relative_to(path).as_posix(), local.sha256(file)) for file in files]
    return digest({"files": hashes})[:16]


def in_shard(name: str, shard: tuple[int, int]) -> bool:
    """Return whether a row with this id belongs to shard i of n, i from 1."""
    index, shards = shard
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % shards == index - 1
