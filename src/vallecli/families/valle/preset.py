"""Voice presets of VALL-E X: .npz files with the codes of a prompt and the phonemes of its words."""

from __future__ import annotations

import io
import math
import warnings
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from vallecli import errors
from vallecli.checkpoints.small_files import MAX_REASON, head_of
from vallecli.errors import DamagedCheckpoint, PresetError, VallecliError
from vallecli.families.base import Preset
from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS
from vallecli.text.base import Phonemes
from vallecli.text.vallex import VOCABULARY_SIZE

FAMILY = "vallex"
ARRAYS = ("audio_tokens.npy", "text_tokens.npy", "lang_code.npy")
LANGUAGES = ("zh", "ja", "en")  # by number in `lang_code`; the language embeddings have another order
MAX_BYTES = 2**22  # of the file and of an array: ten times a minute of codes


def read_preset(path: str | PathLike[str]) -> Preset | None:
    """Return the preset in a file, None for an .npz file with none of these arrays.

    Raises PresetError for a file that cannot be read, or whose arrays have other shapes or values.
    """
    archive = _open(path)
    if not set(ARRAYS) & set(archive.namelist()):
        return None
    codes_1PQ = _read(path, archive, "audio_tokens", shape=(1, None, NUM_CODEBOOKS), below=CODEBOOK_SIZE)
    ids_1S = _read(path, archive, "text_tokens", shape=(1, None), below=VOCABULARY_SIZE)
    language = LANGUAGES[int(_read(path, archive, "lang_code", shape=(), below=len(LANGUAGES)))]
    phonemes = Phonemes(tuple(ids_1S[0].tolist()), language, FAMILY)
    return Preset(FAMILY, codes_1PQ[0].astype(np.int16), phonemes)


def _open(path: str | PathLike[str]) -> ZipFile:
    """Return the archive in a file, which is read whole. Raises PresetError."""
    try:
        content = head_of(Path(path), MAX_BYTES + 1)
    except DamagedCheckpoint as error:
        raise PresetError(path, error.message) from error
    if len(content) > MAX_BYTES:
        raise PresetError(path, "it is too large")
    try:
        return ZipFile(io.BytesIO(content))
    except Exception as error:  # a reader of noise can raise anything
        raise _damaged(path, error) from error


def _damaged(path: str | PathLike[str], error: Exception) -> VallecliError:
    return errors.shortage(error) or PresetError(path, str(error)[:MAX_REASON] or "it is damaged")


def _read(
    path: str | PathLike[str], archive: ZipFile, key: str, *, shape: tuple[int | None, ...], below: int
) -> npt.NDArray[Any]:
    """Return an array of integers, 0 <= value < below; None in `shape` is any length above 0."""
    if f"{key}.npy" not in archive.namelist():
        raise PresetError(path, f"it has no {key}")
    try:
        if archive.getinfo(f"{key}.npy").file_size > MAX_BYTES:
            raise PresetError(path, f"its {key} is too large")
        content = io.BytesIO(archive.read(f"{key}.npy"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            version = np.lib.format.read_magic(content)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            sizes, by_columns, dtype = read_header(content)
    except VallecliError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error
    if not np.issubdtype(dtype, np.integer):
        raise PresetError(path, f"its {key} is {dtype}, not an integer type")
    if len(sizes) != len(shape) or any(
        size < 1 or (wanted is not None and size != wanted) for size, wanted in zip(sizes, shape, strict=True)
    ):
        raise PresetError(path, f"its {key} has the shape {errors.short(sizes)}")
    values = content.read()
    if len(values) < math.prod(sizes) * dtype.itemsize:
        raise PresetError(path, f"its {key} ends early")
    array = np.frombuffer(values, dtype, math.prod(sizes)).reshape(sizes, order="F" if by_columns else "C")
    if array.min() < 0 or array.max() >= below:
        raise PresetError(path, f"its {key} has values outside 0 to {below - 1}")
    return array
