"""The cache of the Hugging Face hub on this machine, which other programs and other users may share.

    models--OWNER--NAME/refs/REVISION           the commit of a branch or tag
    models--OWNER--NAME/blobs/DIGEST            a file: its sha256, or git's SHA-1 of a small one
    models--OWNER--NAME/snapshots/COMMIT/PATH   a link to it

The layout is described at huggingface.co/docs/huggingface_hub/guides/manage-cache. Nothing in it is trusted: commits
and digests are hexadecimal digits, and each path that is written or removed is checked to be in the folder of its
repository with all links followed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from vallecli import atomic, inputs
from vallecli.checkpoints import disk, local
from vallecli.checkpoints.spec import COMMIT, DIGEST, File, Source
from vallecli.errors import CheckpointError
from vallecli.printable import printable

MAX_REF = 100  # bytes
PARTIAL = f".valle{local.PARTIAL}"  # the hub's client has the same ending: no other program resumes our files


def folder() -> Path:
    """Return the folder of the cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def repo_folder(source: Source) -> Path:
    """Return the folder of a repository."""
    return folder() / "--".join([f"{source.repo_type}s", *source.repo.split("/")])


def find(source: Source) -> list[Path] | None:
    """Return the path of each file of a repository, None if one is not in the cache. Links are not checked."""
    commit = _commit(source)
    if commit is None:
        return None
    paths = [repo_folder(source) / "snapshots" / commit / file.path for file in source.files]
    return paths if all(disk.is_file(path) for path in paths) else None


def digest(file: File, path: Path) -> str | None:
    """Return the expected hash of a file: the registry's, else the name of its blob, None if it is a copy."""
    if file.sha256 is not None:
        return file.sha256
    with suppress(OSError):
        name = path.readlink().name
        return name if DIGEST.fullmatch(name) else None
    return None


def _commit(source: Source) -> str | None:
    """Return the cached commit of the revision of a source, None if there is none."""
    if COMMIT.fullmatch(source.revision):
        return source.revision
    repo = repo_folder(source)
    ref = repo / "refs" / source.revision
    if not _is_in(ref, repo / "refs"):
        return None
    with suppress(OSError, ValueError):
        commit = inputs.read_small(ref, MAX_REF).decode("ascii").strip()
        return commit if COMMIT.fullmatch(commit) else None
    return None


def blob(source: Source, known: str) -> Path:
    """Return where a file with a known digest is stored. CheckpointError if that would leave the cache."""
    blobs = repo_folder(source) / "blobs"
    return _checked(blobs / known, blobs)


def partial(source: Source, known: str, url: str) -> Path:
    """Return where a file with a known digest is downloaded to. CheckpointError if that would leave the cache."""
    blobs = repo_folder(source) / "blobs"
    of = hashlib.sha256(url.encode()).hexdigest()[:32]  # another server may have sent other bytes
    return _checked(blobs / f"{known}.{of}{PARTIAL}", blobs)


def locked(source: Source, known: str, report: Callable[[str], object]) -> AbstractContextManager[None]:
    """Hold the lock of a file during the body: the same that the hub's client uses. Raises CheckpointError."""
    locks = folder() / ".locks" / repo_folder(source).name
    path = _checked(locks / f"{known}.lock", locks)
    return disk.locked(path, f"a file of {source}", report)


def store(source: Source, file: File, downloaded: Path, known: str, commit: str) -> Path:
    """Move a checked file into the cache and return its path there. Raises CheckpointError."""
    repo = repo_folder(source)
    blob = _checked(repo / "blobs" / known, repo / "blobs")
    pointer = _checked(repo / "snapshots" / commit / file.path, repo / "snapshots" / commit)
    try:
        pointer.parent.mkdir(parents=True, exist_ok=True)
        if downloaded != blob:
            downloaded.replace(blob)
        link = atomic.part_name(pointer)
        try:
            link.symlink_to(os.path.relpath(blob, pointer.parent))
            link.replace(pointer)
        except (OSError, NotImplementedError):  # a system or a disk without links
            link.unlink(missing_ok=True)
            blob.replace(pointer)
        if source.revision != commit:
            _write_ref(repo, source.revision, commit)
    except OSError as error:
        raise disk.not_writable(pointer, error) from error
    local.sweep_partial(blob.parent)
    return pointer


def _write_ref(repo: Path, revision: str, commit: str) -> None:
    ref = _checked(repo / "refs" / revision, repo / "refs")
    ref.parent.mkdir(parents=True, exist_ok=True)
    temporary = atomic.part_name(ref)
    try:
        temporary.write_text(commit, encoding="ascii")
        temporary.replace(ref)
    finally:
        temporary.unlink(missing_ok=True)


def remove(source: Source) -> bool:
    """Remove the files of a source from the cache; return whether there were any.

    Raises CheckpointError if something stays, and if a path leaves the folder of the repository: then it stays, too.
    """
    repo, commit, found = repo_folder(source), _commit(source), False
    try:
        for left in (repo / "blobs").glob(f"*{PARTIAL}"):
            if atomic.is_unlocked(_checked(left, repo / "blobs")):
                left.unlink()
        for file in source.files if commit is not None else ():
            pointer = repo / "snapshots" / str(commit) / file.path
            if os.path.lexists(pointer):
                remove_file(source, pointer)
                found = True
    except OSError as error:
        raise local.not_removable(Path(error.filename or repo), error) from error
    return found


def remove_file(source: Source, pointer: Path) -> None:
    """Remove a file from a snapshot, and its blob unless another snapshot uses it. Raises OSError, CheckpointError."""
    repo = repo_folder(source)
    _checked(pointer, repo / "snapshots")
    blob = pointer.parent / pointer.readlink() if pointer.is_symlink() else None
    pointer.unlink()
    if blob is None or not DIGEST.fullmatch(blob.name) or not _is_in(blob, repo / "blobs"):
        return
    blob = repo / "blobs" / blob.name
    if os.path.lexists(blob) and not _is_used(repo, blob.name):
        blob.unlink()


def _is_used(repo: Path, name: str) -> bool:
    """Return whether a link in a snapshot leads to the blob of this name."""
    for place, folders, files in os.walk(repo / "snapshots"):
        for entry in [*folders, *files]:
            path = Path(place, entry)
            if path.is_symlink() and path.readlink().name == name:
                return True
    return False


def _is_in(path: Path, place: Path) -> bool:
    """Return whether the folder of a path is `place` or below it, with no link on the way from the cache's folder."""
    expected = os.path.realpath(folder()) / place.relative_to(folder())
    return Path(os.path.realpath(path.parent)).is_relative_to(expected)


def _checked(path: Path, place: Path) -> Path:
    """Return a path. CheckpointError if links lead it out of `place`, which is in the folder of the cache."""
    if not _is_in(path, place):
        raise CheckpointError(
            f"{printable(str(path.parent))} leads out of the cache, to {printable(os.path.realpath(path.parent))}",
            "Nothing was written or removed there. Remove the link, or choose another cache with HF_HOME.",
        )
    return path
