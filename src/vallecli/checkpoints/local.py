"""Checkpoints on this machine: checks of their files, and the folder for those that are not in the hub's cache.

A file that came from a plain URL or was added by hand is stored in `checkpoints/NAME/` of the user's data folder, next
to a manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from vallecli.atomic import replace_folder
from vallecli.checkpoints.spec import File
from vallecli.errors import CheckpointError, DamagedCheckpoint

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class LocalFile:
    """A file of a checkpoint on this machine."""

    file: File
    path: Path
    digest: str | None
    """Expected hash: sha256, or git's SHA-1 of a small file in the hub's cache; None if it is unknown."""


@dataclass(frozen=True)
class InstalledCheckpoint:
    """A checkpoint whose files are all on this machine."""

    name: str
    root: Path
    files: tuple[LocalFile, ...]
    origin: str
    """The source of the files."""
    bounds: Path
    """The folder that links must not leave."""

    @property
    def path(self) -> Path:
        """Return the file, or the folder of several."""
        return self.files[0].path if len(self.files) == 1 else self.root

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return sum(item.path.stat().st_size for item in self.files)


def folder() -> Path:
    """Return the folder of checkpoints that are not in the hub's cache."""
    from platformdirs import user_data_path

    return user_data_path("vallecli", appauthor=False) / "checkpoints"


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def problem_with(item: LocalFile, bounds: Path, *, check_hash: bool) -> str | None:
    """Return why a file is refused; None if it is within `bounds` and its size, and if asked its hash, are right."""
    if not item.path.resolve().is_relative_to(bounds.resolve()):
        return f"it links to {item.path.resolve()}, outside {bounds}"
    try:
        size = item.path.stat().st_size
        if size == 0:
            return "it is empty"
        if item.file.size is not None and size != item.file.size:
            return f"it has {size} bytes instead of {item.file.size}"
        if check_hash and item.digest is not None and _hash_like(item.digest, item.path) != item.digest:
            return "its hash is not that of the published file"
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"
    return None


def check(installed: InstalledCheckpoint) -> InstalledCheckpoint:
    """Return the checkpoint if its files have the right sizes and stay in bounds. Raises DamagedCheckpoint."""
    for item in installed.files:
        if reason := problem_with(item, installed.bounds, check_hash=False):
            raise damaged(installed.name, item.path, reason)
    return installed


def damaged(name: str, path: Path, reason: str) -> DamagedCheckpoint:
    """Return the error for a file of a checkpoint that has to be downloaded again."""
    return DamagedCheckpoint(f"{path} is refused: {reason}", f"valle checkpoints pull {name}")


def _hash_like(known: str, path: Path) -> str:
    """Return the hash of a file, of the same kind as a known one."""
    if len(known) == 64:
        return sha256(path)
    content = path.read_bytes()  # the hub identifies small files by git's hash
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def lookup(name: str) -> InstalledCheckpoint | None:
    """Return a checkpoint of this folder without checking its files. Raises DamagedCheckpoint for a bad manifest."""
    root = folder() / name
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
        return _installed(name, root, [File(**file) for file in manifest["files"]], str(manifest["origin"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise damaged(name, root / MANIFEST, "it is no list of files") from error


def install(name: str, origin: str, fill: Callable[[Path], object]) -> InstalledCheckpoint:
    """Call `fill` with an empty folder, write a manifest to it, and let it replace the installed checkpoint.

    If `fill` raises, nothing changes. CheckpointError if the disk is full or read-only.
    """
    target = folder() / name
    try:
        with replace_folder(target) as stage:
            fill(stage)
            files = [_measure(stage, path) for path in sorted(stage.rglob("*")) if path.is_file()]
            manifest = {"origin": origin, "files": [asdict(file) for file in files]}
            (stage / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise not_writable(target, error) from error
    return _installed(name, target, files, origin)


def _measure(root: Path, path: Path) -> File:
    return File(path=path.relative_to(root).as_posix(), size=path.stat().st_size, sha256=sha256(path))


def _installed(name: str, root: Path, files: list[File], origin: str) -> InstalledCheckpoint:
    local_files = tuple(LocalFile(file, root / file.path, file.sha256) for file in files)
    return InstalledCheckpoint(name, root, local_files, origin, bounds=root)


def not_writable(path: Path, error: OSError) -> CheckpointError:
    """Return the error for a disk that is full or read-only."""
    return CheckpointError(
        f"cannot write {path}: {(error.strerror or str(error)).lower()}",
        "Free some space, or set XDG_DATA_HOME and HF_HOME to folders on another disk.",
    )
