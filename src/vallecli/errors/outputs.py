"""Errors of files and folders that are written: exit code 3, too."""

from __future__ import annotations

import errno

from vallecli.errors.base import Path
from vallecli.errors.inputs import InputError

# Errors of the disk, not of one file.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)

WRITING_HINTS = {  # by errno
    errno.ENOSPC: "Free some space, or choose another disk.",
    errno.EDQUOT: "Your disk quota is used up: delete some files, or choose another disk.",
    errno.EFBIG: "The disk allows no larger file: choose another disk, or raise the limit (ulimit -f).",
    errno.EIO: "The disk is damaged or was removed: choose another disk.",
    errno.EACCES: "Choose another folder, or change its permissions.",
    errno.EPERM: "Choose another folder, or change its permissions.",
    errno.EROFS: "Choose another folder: this disk is read-only.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENOTDIR: "Choose another folder: a part of this name is a file.",
    errno.EEXIST: "Choose another folder: this name is a file.",
}


def writing_hint(code: int | None) -> str:
    """Return what to do when writing fails with an errno."""
    return WRITING_HINTS.get(code or 0, "Choose another place.")


class OutputError(InputError):
    """An output that cannot be written."""


class OutputExists(OutputError):
    """An output that already exists."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} already exists", "Choose another name.")


class OutputNotWritable(OutputError):
    """An output whose folder is missing or read-only; `code` is the errno, if there is one."""

    def __init__(self, path: Path, reason: str, code: int | None = None) -> None:
        super().__init__(f"cannot write {path}: {reason}", writing_hint(code))


class FolderInUse(OutputError):
    """An output folder that another run is writing to."""

    def __init__(self, folder: Path, results: str) -> None:
        super().__init__(
            f"another run is writing {results} in {folder}", "Wait for it, or choose another output folder."
        )


class ForeignResults(OutputError):
    """A file under the name of a results file that no batch has written, or that is a link."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is not the results of a batch: {reason}", "Choose another output folder, or move this file away."
        )


class FolderGone(OutputError):
    """An output folder that was removed or replaced during the run."""

    def __init__(self, results: Path) -> None:
        super().__init__(
            f"{results} was removed while it was being written to",
            "Run the same command again: it makes what is missing.",
        )


class FolderNotWritable(OutputError):
    """An output folder that nothing more can be written to."""

    def __init__(self, path: Path, error: OSError) -> None:
        hint = writing_hint(error.errno)
        if error.errno in DISK and error.errno != errno.EROFS:
            hint += " Then run the same command again: it resumes."
        super().__init__(f"cannot write {path}: {(error.strerror or str(error)).lower()}", hint)
