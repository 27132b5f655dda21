"""What a row's audio depends on, as one hash: the same fingerprint is the same audio, whoever speaks it and when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from vallecli.checkpoints import local, lookup
from vallecli.errors import DamagedCheckpoint

VERSION = 1  # raised when the same row is to be spoken otherwise than before
SEED_BITS = 31  # short enough to type again


def digest(content: Mapping[str, Any]) -> str:
    """Return the fingerprint of what can be written as JSON: 64 hexadecimal digits."""
    written = json.dumps({"version": VERSION, **content}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(written.encode()).hexdigest()


def seed_of(fingerprint: str) -> int:
    """Return the seed of a row that was given none: by its content, so that its place among others does not count."""
    return int(fingerprint, 16) >> (256 - SEED_BITS)


def revision(checkpoint: str, *, offline: bool = False) -> str:
    """Return what tells a checkpoint given by name or path from all others: 16 digits of the hash of its files.

    Raises CheckpointError for one that is not there.
    """
    path = lookup.find(checkpoint, offline=offline)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        raise DamagedCheckpoint(f"{path} holds no checkpoint", "Give a complete checkpoint folder.")
    hashes = [(file.relative_to(path).as_posix(), local.sha256(file)) for file in files]
    return digest({"files": hashes})[:16]


def in_shard(name: str, shard: tuple[int, int]) -> bool:
    """Return whether a row of this id belongs to shard i of n, counted from 1."""
    index, shards = shard
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % shards == index - 1
