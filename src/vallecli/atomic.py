"""Outputs that appear whole or not at all: written beside their place, then renamed. Every output uses this module.

A process locks its temporary files (flock), and the lock ends with the process, however it ends. So `sweep` can remove
the leftovers of killed processes, and those alone.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PART = re.compile(r"\.valle-[0-9a-f]{16}\.part")
NEW, OLD = "new", "old"  # in the temporary folder of replace_folder
ALL_MAY = 0o777  # the permission bits; the others, such as set-user-ID, are not kept
STALE = 60  # seconds from which a temporary file without a lock is a leftover; a new one is not locked yet


def part_name(path: Path) -> Path:
    """Return a hidden name beside a path that nobody else uses."""
    return path.with_name(f".valle-{secrets.token_hex(8)}.part")


@contextmanager
def replace_file(path: Path, *, overwrite: bool = True, follow_links: bool = True) -> Iterator[BinaryIO]:
    """Yield an empty file, open for reading, writing and seeking, that replaces `path` when the body has succeeded.

    On any exception, including Ctrl-C, nothing changes. A link at `path` stays a link, and its target is replaced;
    without `follow_links`, the link is replaced and its target stays. The permissions of a replaced file are kept, and
    its owner if that is allowed; those of a new file depend on the umask. Raises OSError, and FileExistsError if there
    is a file by then and `overwrite` is false.
    """
    target = Path(os.path.realpath(path)) if follow_links else path
    temporary = part_name(target)
    try:
        file = _open_locked(temporary)
        try:
            keep_permissions(target, file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())  # a power failure must not leave an empty file under this name
        finally:
            with suppress(OSError):  # closing tries once more to write what could not be written
                file.close()
        if not overwrite and os.path.lexists(target):
            raise FileExistsError(target)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _open_locked(temporary: Path) -> BinaryIO:
    """Create a file and lock it. It is created again if `sweep` has removed it in between."""
    while True:
        file = temporary.open("x+b")
        lock(file.fileno(), wait=True)  # for `sweep`, which holds a lock for as long as it removes the file
        if os.path.lexists(temporary):
            return file
        file.close()


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` when the body has succeeded; what was there before is removed then.

    On any exception, including Ctrl-C, nothing changes. A link at `path` is replaced, its target stays. Raises OSError.
    """
    temporary = part_name(path)
    new, old = temporary / NEW, temporary / OLD / path.name
    try:
        new.mkdir(parents=True)
        with _locked(temporary):
            yield new
            if os.path.lexists(path):
                old.parent.mkdir()
                path.rename(old)
            new.rename(path)
    finally:
        if os.path.lexists(old) and not os.path.lexists(path):
            old.rename(path)
        shutil.rmtree(temporary, ignore_errors=True)


def keep_permissions(target: Path, descriptor: int) -> None:
    """Give an open file the permissions of the file that it will replace, if any, and its owner if possible."""
    try:
        old, new = target.lstat(), os.fstat(descriptor)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(old.st_mode):  # a link that is replaced
        return
    mode = stat.S_IMODE(old.st_mode) & ALL_MAY
    if hasattr(os, "fchown") and (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except OSError:
            mode &= ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3  # another group gets what everybody gets
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)


def sweep(folder: Path, *, min_age: float = STALE) -> None:
    """Remove the temporary files and folders that killed processes have left in a folder.

    Files of at least `min_age` seconds are removed; 0 is safe if only `replace_file` writes to the folder. A folder
    that was moved aside by `replace_folder`, and not replaced yet, is moved back.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if PART.fullmatch(path.name) is None:
                continue
            with suppress(OSError):
                _sweep(path, min_age)


def _sweep(path: Path, min_age: float) -> None:
    status = path.lstat()
    if stat.S_ISREG(status.st_mode):
        if abs(time.time() - status.st_mtime) >= min_age:
            with _lock_of_others(path) as free:
                if free:
                    path.unlink()
    elif stat.S_ISDIR(status.st_mode) and abs(time.time() - status.st_mtime) >= STALE and is_unlocked(path):
        for old in (path / OLD).iterdir() if (path / OLD).is_dir() else ():
            target = path.with_name(old.name)
            if not os.path.lexists(target):
                old.rename(target)
        shutil.rmtree(path)


def is_unlocked(path: Path) -> bool:
    """Return whether no process has locked a file or folder with flock; False if that cannot be known."""
    with _lock_of_others(path) as free:
        return free


@contextmanager
def _lock_of_others(path: Path) -> Iterator[bool]:
    """Yield whether no process has locked a file or folder; then it is locked during the body."""
    if fcntl is None:
        yield False
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        free = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            free = False
        yield free
    finally:
        os.close(descriptor)


def check_own(path: Path) -> None:
    """Check a path that only this program writes to: a regular file without another name, or nothing.

    Writing to a link would change a file elsewhere, and a pipe would block. Raises OSError.
    """
    if os.path.lexists(path):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(errno.EINVAL, "It is a link or no regular file", str(path))


def open_own(path: Path, flags: int) -> int:
    """Return a descriptor of a file that only this program writes to; see `check_own`. Raises OSError."""
    check_own(path)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.open(path, flags | os.O_CREAT, 0o666)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a folder during the body, if the system and the file system can."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, wait: bool = False) -> None:
    """Lock an open file until it is closed, if the system and the file system can; see `is_unlocked`."""
    if fcntl is not None:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
