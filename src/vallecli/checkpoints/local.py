"""Files of checkpoints on this machine: are they the right ones, and the folder of those not from the hub.

What came by a plain URL or was added by hand lies in `checkpoints/NAME/` of the user's data folder, with a manifest.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from vallecli.errors import CheckpointError, DamagedCheckpoint
from vallecli.checkpoints.spec import File

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Held:
    """A file of a checkpoint where it lies; `digest` is the hash it must have: sha256, or git's own of a small file."""

    file: File
    path: Path
    digest: str | None


@dataclass(frozen=True)
class Present:
    """A checkpoint whose files are all on this machine."""

    name: str
    root: Path
    files: tuple[Held, ...]
    origin: str  # the source it came from
    bounds: Path  # the folder that links may not leave

    @property
    def path(self) -> Path:
        """Return the file, or the folder of several."""
        return self.files[0].path if len(self.files) == 1 else self.root

    @property
    def size(self) -> int:
        """Return its bytes."""
        return sum(held.path.stat().st_size for held in self.files)


def folder() -> Path:
    """Return where checkpoints lie that did not come from the hub."""
    from platformdirs import user_data_path

    return user_data_path("vallecli", appauthor=False) / "checkpoints"


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wrong(held: Held, bounds: Path, *, deep: bool) -> str | None:
    """Return why the file is refused, or None: it lies within `bounds`, with the right size and, if deep, hash."""
    if not held.path.resolve().is_relative_to(bounds.resolve()):
        return f"it links to {held.path.resolve()}, outside {bounds}"
    try:
        size = held.path.stat().st_size
        if size == 0:
            return "it is empty"
        if held.file.size is not None and size != held.file.size:
            return f"it has {size} bytes instead of {held.file.size}"
        if deep and held.digest is not None and _digest_as(held.digest, held.path) != held.digest:
            return "its hash is not that of the published file"
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"
    return None


def check(present: Present) -> Present:
    """Return the checkpoint if nothing is wrong at first sight; DamagedCheckpoint tells what is."""
    for held in present.files:
        if reason := wrong(held, present.bounds, deep=False):
            raise damaged(present.name, held.path, reason)
    return present


def damaged(name: str, path: Path, reason: str) -> DamagedCheckpoint:
    """Return the error for a file of a checkpoint that has to be fetched again."""
    return DamagedCheckpoint(f"{path} is refused: {reason}", f"valle checkpoints pull {name}")


def _digest_as(known: str, path: Path) -> str:
    """Return the hash of the file in the way the known one was made."""
    if len(known) == 64:
        return sha256(path)
    content = path.read_bytes()  # the hub names small files by the hash git gives them
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def lookup(name: str) -> Present | None:
    """Return the checkpoint if it lies in our own folder, its files unseen. DamagedCheckpoint for a bad manifest."""
    root = folder() / name
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
        return _present(name, root, [File(**file) for file in manifest["files"]], str(manifest["origin"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise damaged(name, root / MANIFEST, "it is no list of files") from error


def install(name: str, origin: str, fill: Callable[[Path], object]) -> Present:
    """Let `fill` put files into an empty folder, which then takes the checkpoint's place, its files written down.

    If `fill` raises, nothing is left and what was there before stays. CheckpointError for a disk that is full.
    """
    target = folder() / name
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder(), ignore_cleanup_errors=True) as temporary:
            stage = Path(temporary) / name
            stage.mkdir()
            fill(stage)
            files = [_measured(stage, path) for path in sorted(stage.rglob("*")) if path.is_file()]
            manifest = {"origin": origin, "files": [asdict(file) for file in files]}
            (stage / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            _swap(stage, target, before=Path(temporary) / "before")
    except OSError as error:
        raise not_writable(target, error) from error
    return _present(name, target, files, origin)


def _swap(stage: Path, target: Path, *, before: Path) -> None:
    """Let `stage` take the place of `target`, which goes to `before`, and comes back if that fails."""
    try:
        if target.exists():
            target.rename(before)
        stage.rename(target)
    except BaseException:
        if before.exists() and not target.exists():
            before.rename(target)
        raise


def _measured(root: Path, path: Path) -> File:
    return File(path=path.relative_to(root).as_posix(), size=path.stat().st_size, sha256=sha256(path))


def _present(name: str, root: Path, files: list[File], origin: str) -> Present:
    held = tuple(Held(file, root / file.path, file.sha256) for file in files)
    return Present(name, root, held, origin, bounds=root)


def not_writable(path: Path, error: OSError) -> CheckpointError:
    """Return what a full or read-only disk means for a checkpoint."""
    return CheckpointError(
        f"cannot write {path}: {(error.strerror or str(error)).lower()}",
        "Free some space, or set XDG_DATA_HOME and HF_HOME to folders on another disk.",
    )
