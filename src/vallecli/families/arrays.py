"""Integer arrays of published presets: .npz archives and .npy files, read as data, bounded in size."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from vallecli import errors
from vallecli.checkpoints.small_files import MAX_REASON, head_of
from vallecli.errors import DamagedCheckpoint, PresetError, VallecliError

MAX_BYTES = 2**22  # of the file and of an array: ten times a minute of codes

Shape = tuple[int | None, ...]  # None is any length above 0


class Arrays:
    """The arrays of an .npz file, by name."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Read the file whole. Raises PresetError."""
        self.path, content = path, _content(path)
        with _reading(path):
            self._archive = ZipFile(io.BytesIO(content))

    def __contains__(self, name: str) -> bool:
        """Return whether there is an array of that name."""
        return f"{name}.npy" in self._archive.namelist()

    def read(self, name: str, *, shape: Shape, below: int) -> npt.NDArray[Any]:
        """Return an array of integers, 0 <= value < below. Raises PresetError."""
        if name not in self:
            raise PresetError(self.path, f"it has no {name}")
        with _reading(self.path):
            if self._archive.getinfo(f"{name}.npy").file_size > MAX_BYTES:
                raise PresetError(self.path, f"its {name} is too large")
            content = self._archive.read(f"{name}.npy")
        return _array(self.path, content, name, shape=shape, below=below)


def read_npy(path: Path, name: str, *, shape: Shape, below: int) -> npt.NDArray[Any]:
    """Return the integers of an .npy file, 0 <= value < below; `name` is for messages. Raises PresetError."""
    return _array(path, _content(path), name, shape=shape, below=below)


def _content(path: str | PathLike[str]) -> bytes:
    try:
        content = head_of(Path(path), MAX_BYTES + 1)
    except DamagedCheckpoint as error:
        raise PresetError(path, error.message) from error
    if len(content) > MAX_BYTES:
        raise PresetError(path, "it is too large")
    return content


@contextmanager
def _reading(path: str | PathLike[str]) -> Iterator[None]:
    """Raise PresetError for whatever else fails in the body."""
    try:
        yield
    except VallecliError:
        raise
    except Exception as error:  # a reader of noise can raise anything
        reason = str(error)[:MAX_REASON] or "it is damaged"
        raise errors.shortage(error) or PresetError(path, reason) from error


def _array(path: str | PathLike[str], data: bytes, name: str, *, shape: Shape, below: int) -> npt.NDArray[Any]:
    content = io.BytesIO(data)
    with _reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        version = np.lib.format.read_magic(content)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        sizes, by_columns, dtype = read_header(content)
    if not np.issubdtype(dtype, np.integer):
        raise PresetError(path, f"its {name} is {dtype}, not an integer type")
    if len(sizes) != len(shape) or any(
        size < 1 or (wanted is not None and size != wanted) for size, wanted in zip(sizes, shape, strict=True)
    ):
        raise PresetError(path, f"its {name} has the shape {errors.short(sizes)}")
    values = content.read()
    if len(values) < math.prod(sizes) * dtype.itemsize:
        raise PresetError(path, f"its {name} ends early")
    array = np.frombuffer(values, dtype, math.prod(sizes)).reshape(sizes, order="F" if by_columns else "C")
    if array.min() < 0 or array.max() >= below:
        raise PresetError(path, f"its {name} has values outside 0 to {below - 1}")
    return array
