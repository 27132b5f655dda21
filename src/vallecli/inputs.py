"""Files to read, whoever prepared them: bounded in size, and never a device, which may not end.

A pipe, such as /dev/stdin or the one of `<(command)`, is read where that is useful, if something is written to it.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

MAX_TOML_BYTES = 250_000  # of a file; the packaged checkpoints.toml has 14 kB
WAIT_FOR_WRITER = 2  # seconds
MAX_DOTS = 200  # in a line of TOML: the time for a dotted key grows with the square of its parts

_DESCRIPTOR = re.compile(r"(/dev/fd|/proc/\d+(/task/\d+)?/fd)/[^/]+")  # path of a file that is open already


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file for reading. Raises OSError for any other, without waiting for a writer."""
    return _open(path, pipes=False)


def open_input(path: Path) -> io.BufferedReader:
    """Open a regular file or a pipe for reading. Raises OSError for any other, and for a pipe without a writer.

    A pipe cannot be rewound, and is read only once.
    """
    return _open(path, pipes=True)


def _open(path: Path, *, pipes: bool) -> io.BufferedReader:
    try:
        status = path.stat()  # first: opening a device can have effects
        _check(status, path, pipes=pipes)
        if stat.S_ISFIFO(status.st_mode) and not _is_descriptor(path):
            descriptor = _open_named_pipe(path)
        else:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        file: io.BufferedReader = io.BufferedReader(io.FileIO(descriptor, "rb"))
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    try:
        status = os.fstat(file.fileno())
        _check(status, path, pipes=pipes)
        if stat.S_ISFIFO(status.st_mode):
            os.set_blocking(file.fileno(), True)
    except OSError:
        file.close()
        raise
    return file


def _check(status: os.stat_result, path: Path, *, pipes: bool) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not (stat.S_ISREG(status.st_mode) or (pipes and stat.S_ISFIFO(status.st_mode))):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))


def _is_descriptor(path: Path) -> bool:
    """Return whether a path is a name of a descriptor, such as /dev/stdin, not of a file in a folder."""
    return _DESCRIPTOR.fullmatch(os.path.realpath(path)) is not None


def _open_named_pipe(path: Path) -> int:
    """Return a descriptor of a named pipe. Raises OSError if no other program opens it for writing."""
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(os.open, path, os.O_RDONLY)  # returns when there is a writer
        try:
            return opening.result(WAIT_FOR_WRITER)
        except TimeoutError:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # ends the wait of the thread
            os.close(opening.result())
            raise OSError(errno.EINVAL, "It is a pipe that nothing is written to", str(path)) from None


def read_small(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes. Raises OSError."""
    with open_regular(path) as file:
        return read_bounded(file, path, limit)


def read_input(path: Path, limit: int) -> bytes:
    """Return the content of a regular file or of a pipe, at most `limit` bytes. Raises OSError."""
    with open_input(path) as file:
        return read_bounded(file, path, limit)


def read_bounded(file: BinaryIO, source: str | os.PathLike[str], limit: int) -> bytes:
    """Return the rest of an open file, at most `limit` bytes. Raises OSError if there is more, or no end."""
    try:
        if stat.S_ISCHR(os.fstat(file.fileno()).st_mode) and not file.isatty() and file.read(1):
            raise OSError(errno.EINVAL, "It is a device", str(source))  # such as /dev/zero, which has no end
    except io.UnsupportedOperation:
        pass  # a stream without a descriptor
    content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"Larger than {limit} bytes", str(source))
    return content


def read_toml(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Return the table in a small TOML file; with `optional`, an empty one for a file that is not there.

    Raises OSError and ValueError.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if optional:
            return {}
        raise
    text = read_small(path, MAX_TOML_BYTES).decode("utf-8-sig")
    if any(line.count(".") > MAX_DOTS for line in text.splitlines()):
        raise ValueError(f"a line has more than {MAX_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
