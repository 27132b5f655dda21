"""VALL-E X's voice presets: .npz files with the codes of a prompt and the phonemes of what it says."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from vallecli.constants import CODEBOOK_SIZE, NUM_CODEBOOKS
from vallecli.errors import PresetError
from vallecli.text.base import Phonemes
from vallecli.text.vallex import VOCABULARY_SIZE

LANGUAGES = ("zh", "ja", "en")  # as `lang_code` counts them, unlike the model
LARGEST = 2**22  # bytes of an array: ten times those of a minute
DAMAGES = (OSError, EOFError, ValueError, RuntimeError, MemoryError, BadZipFile, zlib.error)  # as its readers tell it


@dataclass(frozen=True)
class Preset:
    """A published voice: prompt codes (P, 8), and what they say."""

    codes_PQ: npt.NDArray[np.int16]
    phonemes: Phonemes


def is_preset(path: str | PathLike[str]) -> bool:
    """Tell by its ending whether a prompt is a preset, not a recording."""
    return Path(path).suffix.lower() == ".npz"


def read_preset(path: str | PathLike[str]) -> Preset:
    """Read a preset. Raises PresetError for a file that cannot be read or holds something else."""
    codes_1PQ = _read(path, "audio_tokens", shape=(1, None, NUM_CODEBOOKS), below=CODEBOOK_SIZE)
    ids_1S = _read(path, "text_tokens", shape=(1, None), below=VOCABULARY_SIZE)
    language = LANGUAGES[int(_read(path, "lang_code", shape=(), below=len(LANGUAGES)))]
    return Preset(codes_1PQ[0].astype(np.int16), Phonemes(tuple(ids_1S[0].tolist()), language))


def _read(path: str | PathLike[str], key: str, *, shape: tuple[int | None, ...], below: int) -> npt.NDArray[Any]:
    """Return an array of whole numbers from 0 to below a bound; None in `shape` is any length but 0."""
    try:
        with ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            if archive.getinfo(file.name).file_size > LARGEST:
                raise PresetError(path, f"its {key} is too large")
            array = np.lib.format.read_array(file, allow_pickle=False)
    except KeyError as error:
        raise PresetError(path, f"it has no {key}") from error
    except DAMAGES as error:
        raise PresetError(path, getattr(error, "strerror", None) or str(error) or "it is damaged") from error
    if not np.issubdtype(array.dtype, np.integer):
        raise PresetError(path, f"its {key} holds {array.dtype} instead of whole numbers")
    if len(array.shape) != len(shape) or any(
        size == 0 or (wanted is not None and size != wanted) for size, wanted in zip(array.shape, shape, strict=True)
    ):
        raise PresetError(path, f"its {key} has the shape {array.shape}")
    if array.min() < 0 or array.max() >= below:
        raise PresetError(path, f"its {key} goes beyond 0 to {below - 1}")
    return np.asarray(array)
