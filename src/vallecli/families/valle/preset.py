"""Voice presets of VALL-E X: .npz files with the codes of a prompt and the phonemes of its words."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from vallecli.families.arrays import Arrays
from vallecli.families.base import Preset
from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS
from vallecli.text.base import Phonemes
from vallecli.text.vallex import VOCABULARY_SIZE

FAMILY = "vallex"
ARRAYS = ("audio_tokens", "text_tokens", "lang_code")
LANGUAGES = ("zh", "ja", "en")  # by number in `lang_code`; the language embeddings have another order


def read_preset(path: str | PathLike[str]) -> Preset | None:
    """Return the preset in an .npz file, None for another file and for one with none of these arrays.

    Raises PresetError for a file that cannot be read, or whose arrays have other shapes or values.
    """
    if Path(path).suffix.lower() != ".npz":
        return None
    arrays = Arrays(path)
    if not any(name in arrays for name in ARRAYS):
        return None
    codes_1PQ = arrays.read("audio_tokens", shape=(1, None, NUM_CODEBOOKS), below=CODEBOOK_SIZE)
    ids_1S = arrays.read("text_tokens", shape=(1, None), below=VOCABULARY_SIZE)
    language = LANGUAGES[int(arrays.read("lang_code", shape=(), below=len(LANGUAGES)))]
    phonemes = Phonemes(tuple(ids_1S[0].tolist()), language, FAMILY)
    return Preset(FAMILY, codes_1PQ[0].astype(np.int16), phonemes)
