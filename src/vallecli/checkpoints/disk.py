"""Files and folders of checkpoints on the disk: locks, free space, and links, which are followed inside a folder only.

A link in a shared cache may lead to any file of the user.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vallecli.atomic import check_own
from vallecli.errors import CheckpointError
from vallecli.printable import printable

LOCK_WAIT = 6 * 3600  # seconds to wait for another process: a large file over a slow connection
RESERVE = 500_000_000  # bytes of the disk that stay free when the size of a download is not known


def exists(path: Path) -> bool:
    """Return whether there is a file or folder; False if that cannot be known, or no file can have this name."""
    with suppress(OSError, ValueError):
        return path.exists()
    return False


def is_file(path: Path) -> bool:
    """Return whether there is a regular file; False if that cannot be known."""
    with suppress(OSError, ValueError):
        return path.is_file()
    return False


def is_inside(path: Path, folder: Path) -> bool:
    """Return whether a path, with all its links followed, is below a folder, with the links of that one followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def reason(error: OSError) -> str:
    """Return what happened, in lower case and without the path."""
    return printable((error.strerror or str(error) or type(error).__name__).lower())


def not_writable(path: Path, error: OSError) -> CheckpointError:
    """Return the error for a disk that is full or read-only."""
    return CheckpointError(
        f"cannot write {printable(str(path))}: {reason(error)}",
        "Free some space, or set XDG_DATA_HOME and HF_HOME to folders on another disk.",
    )


def free_space(folder: Path) -> int:
    """Return the free bytes of the disk of a folder that may not exist yet. Raises OSError."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    return shutil.disk_usage(existing).free


def check_space(folder: Path, size: int) -> None:
    """Raise CheckpointError if the disk of a folder has less than `size` bytes left."""
    try:
        free = free_space(folder)
    except OSError as error:
        raise not_writable(folder, error) from error
    if size > free:
        raise not_writable(folder, OSError(errno.ENOSPC, f"{size} bytes are needed, and {free} are free"))


@contextmanager
def locked(path: Path, what: str, report: Callable[[str], object]) -> Iterator[None]:
    """Hold a lock during the body; `report` receives a message if another process holds it at first.

    Raises CheckpointError if the lock cannot be made, or is not free after LOCK_WAIT seconds.
    """
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_own(path)
        lock = FileLock(path, mode=0o664)  # as the hub's client makes it: users may share its cache
        try:
            lock.acquire(blocking=False)
        except Timeout:
            report(f"another process is working on {what}; waiting for it")
            lock.acquire(timeout=LOCK_WAIT)
    except Timeout as error:
        raise CheckpointError(f"{what} is still in use by another process", f"The lock is {path}.") from error
    except (OSError, NotImplementedError) as error:
        raise not_writable(path, error if isinstance(error, OSError) else OSError(str(error))) from error
    try:
        yield
    finally:
        lock.release()
