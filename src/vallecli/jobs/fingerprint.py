"""Fingerprints of rows: a hash of everything that a row's audio depends on. Equal fingerprints mean equal audio."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vallecli.checkpoints import digests, lookup
from vallecli.checkpoints.small_files import unreadable
from vallecli.families import detect

VERSION = 1  # incremented when the same row should give other audio than before
SEED_BITS = 31  # short enough to type


def digest(content: Mapping[str, Any]) -> str:
    """Return the sha256 of values that JSON can represent, together with VERSION: 64 hexadecimal digits."""
    written = json.dumps({"version": VERSION, **content}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(written.encode()).hexdigest()


def derive_seed(fingerprint: str) -> int:
    """Return the seed of a row without one: it depends on the row's content, not on its position in the table."""
    return int(fingerprint, 16) >> (256 - SEED_BITS)


def revision(checkpoint: str, *, offline: bool = False) -> str:
    """Return 16 hexadecimal digits that identify a checkpoint, given by name or path.

    They are a hash of the files that its family reads; other files in its folder do not count. Raises CheckpointError
    for a checkpoint that is not on this machine, or that no family recognises: that is known before files are hashed.
    """
    path = lookup.find(checkpoint, offline=offline)
    hashes = []
    for file in detect.files(path):
        try:
            hashes.append((Path(os.path.relpath(file, path)).as_posix(), digests.digest(file)))
        except OSError as error:
            raise unreadable(file, error) from error
    return digest({"files": hashes})[:16]


def in_shard(name: str, shard: tuple[int, int]) -> bool:
    """Return whether a row with this id belongs to shard i of n, i from 1."""
    index, shards = shard
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % shards == index - 1
