"""Check files at a path: which of them are published ones, and whether the others are intact."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vallecli.checkpoints import disk, local, weights
from vallecli.checkpoints.contents import Contents
from vallecli.checkpoints.spec import CheckpointSpec
from vallecli.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The result for one file, or for a folder as a whole if its files do not fit together."""

    state: Literal["ok", "unknown", "bad"]
    path: Path
    names: tuple[str, ...] = ()
    """Entries of the registry that list the file, if it is a published one."""
    reason: str = ""
    """Why it is bad."""


def verify(path: Path, specs: Collection[CheckpointSpec], *, describe: Callable[[Path], object]) -> Iterator[Verified]:
    """Yield a result for each weight file at a path, and one for a folder whose files are not a checkpoint.

    "ok" is a file with a published hash, "unknown" an intact one without, and "bad" any other. `describe` raises
    CheckpointError for a path that is not a complete checkpoint. Raises CheckpointError for a path that does not exist.
    """
    contents = Contents(path)
    files = [file for file in contents.files if file == contents.file or file.suffix in weights.SUFFIXES]
    results = [_verify_file(file, specs) for file in files]
    if contents.file is not None and results[0].state == "unknown":
        reason = _problem(path, describe)
        yield results[0] if reason is None else Verified(state="bad", path=path, reason=reason)
        return
    yield from results
    if contents.file is None and not _codecs(results, specs) and all(result.state != "bad" for result in results):
        reason = _problem(path, describe)
        if reason is not None:
            yield Verified(state="bad", path=path, reason=reason)


def _verify_file(path: Path, specs: Collection[CheckpointSpec]) -> Verified:
    try:
        digest = local.sha256(path)
    except OSError as error:
        return Verified(state="bad", path=path, reason=f"it cannot be read: {disk.reason(error)}")
    if names := tuple(spec.name for spec in specs if spec.has_hash(digest)):
        return Verified(state="ok", path=path, names=names)
    reason = _problem(path, lambda file: weights.read(file, verify=True))
    return Verified(state="unknown" if reason is None else "bad", path=path, reason=reason or "")


def _codecs(results: list[Verified], specs: Collection[CheckpointSpec]) -> bool:
    """Return whether all files are published ones of codecs or decoders, which `describe` does not know."""
    codecs = {spec.name for spec in specs if spec.kind != "model"}
    return bool(results) and all(codecs.intersection(result.names) for result in results)


def _problem(path: Path, read: Callable[[Path], object]) -> str | None:
    """Return the message of a CheckpointError, None if there is none."""
    try:
        read(path)
    except CheckpointError as error:
        return error.message.replace(str(path), "it")
    return None
