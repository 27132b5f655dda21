"""Outputs that appear whole or not at all: written beside their place, then renamed. Every output uses this module."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def part_name(path: Path) -> Path:
    """Return a hidden name beside a path that nobody else uses."""
    return path.with_name(f".valle-{secrets.token_hex(8)}.part")


@contextmanager
def replace_file(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Yield an empty file, open for reading, writing and seeking, that replaces `path` when the body has succeeded.

    On any exception, including Ctrl-C, nothing changes. A link at `path` stays a link. Raises OSError, and
    FileExistsError if there is a file by then and `overwrite` is false.
    """
    target = Path(os.path.realpath(path))
    temporary = part_name(target)
    try:
        file = temporary.open("x+b")
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())  # a power failure must not leave an empty file under this name
        finally:
            with suppress(OSError):  # closing tries once more to write what could not be written
                file.close()
        if not overwrite and target.exists():
            raise FileExistsError(target)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` when the body has succeeded; what was there before is removed then.

    On any exception, including Ctrl-C, nothing changes. Raises OSError.
    """
    temporary, before = part_name(path), part_name(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            path.rename(before)
        try:
            temporary.rename(path)
        except BaseException:
            if before.exists():
                before.rename(path)
            raise
    finally:
        for folder in (temporary, before):
            shutil.rmtree(folder, ignore_errors=True)
