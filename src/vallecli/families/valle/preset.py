"""Voice presets of VALL-E X: .npz files with the codes of a prompt and the phonemes of its words."""

from __future__ import annotations

import zlib
from os import PathLike
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from vallecli.errors import PresetError
from vallecli.families.base import Preset
from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS
from vallecli.text.base import Phonemes
from vallecli.text.vallex import VOCABULARY_SIZE

FAMILY = "vallex"
ARRAYS = ("audio_tokens.npy", "text_tokens.npy", "lang_code.npy")
LANGUAGES = ("zh", "ja", "en")  # by number in `lang_code`; the language embeddings have another order
MAX_BYTES = 2**22  # of an array: ten times a minute of codes
READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    MemoryError,
    BadZipFile,
    zlib.error,
)  # what zipfile and numpy raise


def read_preset(path: str | PathLike[str]) -> Preset | None:
    """Return the preset in a file, None for an .npz file with none of these arrays.

    Raises PresetError for a file that cannot be read, or whose arrays have other shapes or values.
    """
    if not set(ARRAYS) & set(_names(path)):
        return None
    codes_1PQ = _read(path, "audio_tokens", shape=(1, None, NUM_CODEBOOKS), below=CODEBOOK_SIZE)
    ids_1S = _read(path, "text_tokens", shape=(1, None), below=VOCABULARY_SIZE)
    language = LANGUAGES[int(_read(path, "lang_code", shape=(), below=len(LANGUAGES)))]
    phonemes = Phonemes(tuple(ids_1S[0].tolist()), language, FAMILY)
    return Preset(FAMILY, codes_1PQ[0].astype(np.int16), phonemes)


def _names(path: str | PathLike[str]) -> list[str]:
    try:
        with ZipFile(path) as archive:
            return archive.namelist()
    except READ_ERRORS as error:
        raise PresetError(path, getattr(error, "strerror", None) or str(error) or "it is damaged") from error


def _read(path: str | PathLike[str], key: str, *, shape: tuple[int | None, ...], below: int) -> npt.NDArray[Any]:
    """Return an array of integers, 0 <= value < below; None in `shape` is any length above 0."""
    try:
        with ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            if archive.getinfo(file.name).file_size > MAX_BYTES:
                raise PresetError(path, f"its {key} is too large")
            array = np.lib.format.read_array(file, allow_pickle=False)
    except KeyError as error:
        raise PresetError(path, f"it has no {key}") from error
    except READ_ERRORS as error:
        raise PresetError(path, getattr(error, "strerror", None) or str(error) or "it is damaged") from error
    if not np.issubdtype(array.dtype, np.integer):
        raise PresetError(path, f"its {key} is {array.dtype}, not an integer type")
    if len(array.shape) != len(shape) or any(
        size == 0 or (wanted is not None and size != wanted) for size, wanted in zip(array.shape, shape, strict=True)
    ):
        raise PresetError(path, f"its {key} has the shape {array.shape}")
    if array.min() < 0 or array.max() >= below:
        raise PresetError(path, f"its {key} has values outside 0 to {below - 1}")
    return np.asarray(array)
