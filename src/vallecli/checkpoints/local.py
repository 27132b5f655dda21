"""Checkpoints on this machine: checks of their files, and the folder for those that are not in the hub's cache.

A file that came from a plain URL or was added by hand is stored in `checkpoints/NAME/` of the user's data folder, next
to a manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from vallecli import inputs
from vallecli.atomic import is_unlocked, replace_folder, sweep
from vallecli.checkpoints import disk
from vallecli.checkpoints.spec import MANIFEST, File
from vallecli.errors import CheckpointError, DamagedCheckpoint
from vallecli.printable import printable

MAX_MANIFEST = 1_000_000  # bytes
MAX_ORIGIN = 1000  # characters
PARTIAL = ".incomplete"  # ending of a file whose download has not ended
HASHED = "[0-9a-f]" * 32  # pattern of the end of their names: a hash of the source
KEPT = 7 * 24 * 3600  # seconds that such a file is kept, to resume the download


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


@contextmanager
def locked(name: str, report: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock of a checkpoint during the body, for changes of its files. Raises CheckpointError.

    `report` receives a message if another process holds it. Leftovers of killed processes are removed.
    """
    with disk.locked(folder().with_name("locks") / f"{name}.lock", name, report):
        remove_leftovers()
        yield


def remove_leftovers() -> None:
    """Remove what killed processes have left in the folder, such as half a copy of a checkpoint."""
    sweep(folder())
    sweep_partial(folder())


def sweep_partial(place: Path) -> None:
    """Remove partial downloads from a folder that have not changed for KEPT seconds."""
    try:
        for path in place.glob(f"*{PARTIAL}"):
            if abs(time.time() - path.lstat().st_mtime) > KEPT and path.is_file() and is_unlocked(path):
                path.unlink()
    except OSError:
        return


def sha256(path: Path) -> str:
    """Return the sha256 of a regular file, in hexadecimal. Raises OSError."""
    with inputs.open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def problem_with(item: LocalFile, bounds: Path, *, check_hash: bool) -> str | None:
    """Return why a file is refused; None if it is within `bounds` and its size, and if asked its hash, are right."""
    if not disk.is_inside(item.path, bounds):
        return printable(f"it links to {os.path.realpath(item.path)}, outside {bounds}")
    try:
        with inputs.open_regular(item.path) as file:
            size = os.fstat(file.fileno()).st_size
        if size == 0:
            return "it is empty"
        if item.file.size is not None and size != item.file.size:
            return f"it has {size} bytes instead of {item.file.size}"
        if check_hash and item.digest is not None and _hash_like(item.digest, item.path) != item.digest:
            return "its hash is not that of the published file"
    except OSError as error:
        return f"it cannot be read: {disk.reason(error)}"
    return None


def check(installed: InstalledCheckpoint) -> InstalledCheckpoint:
    """Return the checkpoint if its files have the right sizes and stay in bounds. Raises DamagedCheckpoint."""
    for item in installed.files:
        if reason := problem_with(item, installed.bounds, check_hash=False):
            raise damaged(installed.name, item.path, reason)
    return installed


def damaged(name: str, path: Path, reason: str) -> DamagedCheckpoint:
    """Return the error for a file of a checkpoint that has to be downloaded again."""
    return DamagedCheckpoint(f"{printable(str(path))} is refused: {reason}", f"valle checkpoints pull {name}")


def _hash_like(known: str, path: Path) -> str:
    """Return the hash of a file, of the same kind as a known one."""
    if len(known) == 64:
        return sha256(path)
    with inputs.open_regular(path) as file:  # the hub identifies small files by git's hash
        header = b"blob %d\0" % os.fstat(file.fileno()).st_size
        return hashlib.file_digest(file, lambda: hashlib.sha1(header, usedforsecurity=False)).hexdigest()


def lookup(name: str) -> InstalledCheckpoint | None:
    """Return a checkpoint of this folder without checking its files. Raises DamagedCheckpoint for a bad manifest."""
    root = folder() / name
    try:
        if not os.path.lexists(root / MANIFEST):
            return None
        if not disk.is_inside(root, folder()):
            raise damaged(name, root, f"it links to {printable(os.path.realpath(root))}")
        manifest = json.loads(inputs.read_small(root / MANIFEST, MAX_MANIFEST))
        files = [File(**file) for file in manifest["files"]]
        if not files:
            raise ValueError("no files")
        return _installed(name, root, files, printable(str(manifest["origin"]))[:MAX_ORIGIN])
    except PermissionError as error:
        raise CheckpointError(
            f"cannot read {printable(str(root))}: {disk.reason(error)}", "Check its permissions."
        ) from error
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
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
        raise disk.not_writable(target, error) from error
    return _installed(name, target, files, printable(origin))


def remove(name: str) -> bool:
    """Remove a checkpoint of this folder and its partial downloads; return whether there was one.

    Raises CheckpointError if something stays. A link is removed, what it leads to is not.
    """
    root = folder() / name
    try:
        for partial in folder().glob(f"{name}.{HASHED}{PARTIAL}"):
            partial.unlink(missing_ok=True)
        if not os.path.lexists(root):
            return False
        if root.is_dir() and not root.is_symlink():
            shutil.rmtree(root)
        else:
            root.unlink()
    except OSError as error:
        raise not_removable(root, error) from error
    return True


def not_removable(path: Path, error: OSError) -> CheckpointError:
    """Return the error for files that cannot be removed."""
    return CheckpointError(f"cannot remove {printable(str(path))}: {disk.reason(error)}", "Check its permissions.")


def _measure(root: Path, path: Path) -> File:
    return File(path=path.relative_to(root).as_posix(), size=path.stat().st_size, sha256=sha256(path))


def _installed(name: str, root: Path, files: list[File], origin: str) -> InstalledCheckpoint:
    local_files = tuple(LocalFile(file, root / file.path, file.sha256) for file in files)
    return InstalledCheckpoint(name, root, local_files, origin, bounds=root)
