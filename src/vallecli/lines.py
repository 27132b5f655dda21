"""Files of records, one JSON object a line, that are appended to and survive a crash at any moment."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from pathlib import Path

from vallecli import inputs
from vallecli.atomic import open_own
from vallecli.errors import FolderGone, FolderNotWritable

RECORD_START = b'{"id": "'  # of each line
MAX_LINE = 2**20  # bytes of a record; longer lines are none


class Lines:
    """A file open for appending, whose last line is whole."""

    def __init__(self, path: Path) -> None:
        """Create the file if necessary, and repair its end. Raises OSError, also for a link."""
        self.path = path
        self.file = os.fdopen(open_own(path, os.O_RDWR | os.O_APPEND), "ab", buffering=0)
        self.torn = self._repair()
        """Whether the last line was incomplete, and was removed."""

    def write(self, line: bytes) -> None:
        """Write a line to the disk (fsync). Raises OutputError; the file then is as before."""
        end = self.check()
        try:
            if self.file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # a short write raises no error
            os.fsync(self.file.fileno())
        except OSError as error:
            with suppress(OSError):
                self.file.truncate(end)
            raise FolderNotWritable(self.path, error) from error

    def check(self) -> int:
        """Return the length of the file. Raises FolderGone if the file was removed or replaced."""
        opened = os.fstat(self.file.fileno())
        try:
            current = self.path.stat()
        except OSError as error:
            raise FolderGone(self.path) from error
        if (opened.st_dev, opened.st_ino) != (current.st_dev, current.st_ino):
            raise FolderGone(self.path)
        return opened.st_size

    def _repair(self) -> bool:
        """End the last line, or remove it if its rest was not written; return whether it was removed."""
        with inputs.open_regular(self.path) as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - MAX_LINE))
            content = file.read()
        last = content[content.rfind(b"\n") + 1 :]
        if not last:
            return False
        if len(last) == len(content) and start:
            raise OSError(errno.EFBIG, f"its last line has more than {MAX_LINE} bytes")
        if is_torn(last):
            self.file.truncate(size - len(last))
            return True
        self.file.write(b"\n")
        return False


def is_torn(line: bytes) -> bool:
    """Return whether a line is the beginning of a record whose rest was not written."""
    return not line.endswith(b"\n") and line.startswith(RECORD_START[: len(line)]) and not is_json(line)


def is_json(line: bytes) -> bool:
    """Return whether a line is a value of JSON."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
