"""The text front end of a checkpoint, checked against the tables of its models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vallecli.errors import CheckpointError, DamagedCheckpoint, short
from vallecli.families.valle.config import ModelConfig
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.base import FrontEnd
from vallecli.text.espeak import BOS, EOS, EspeakFrontEnd
from vallecli.text.vallex import LANGUAGES, VOCABULARY_SIZE, VallexFrontEnd

FRONT_ENDS = (ArpabetFrontEnd.name, VallexFrontEnd.name, EspeakFrontEnd.name)


def front_end_of(
    name: str, symbols: Sequence[str] | None, config: ModelConfig, path: Path, *, homographs: str | None = None
) -> FrontEnd:
    """Return the front end of that name; `homographs` is the loader option, None for the default of the front end.

    Raises CheckpointError if its table of symbols is missing, and DamagedCheckpoint for an unknown name, and for a
    model without rows for all ids and languages.
    """
    check_name(name, path)
    if name == ArpabetFrontEnd.name:
        _check(config, path, ids=len(ArpabetFrontEnd.vocabulary))
        return ArpabetFrontEnd(homographs=homographs != "off")
    if name == VallexFrontEnd.name:
        _check(config, path, ids=VOCABULARY_SIZE, languages=len(LANGUAGES))
        return VallexFrontEnd(homographs=homographs == "on")
    if symbols is None:
        raise CheckpointError(
            f"{path} does not say which symbols its text ids are",
            "Give the table of symbols that was published with it, as the loader option symbols=FILE.",
        )
    _check(config, path, ids=len(symbols))
    if BOS not in symbols or EOS not in symbols:
        raise DamagedCheckpoint(f"{path} has a table of symbols without {BOS} and {EOS}")
    return EspeakFrontEnd(symbols, homographs=homographs == "on")


def check_name(name: str, path: Path) -> None:
    """Raise DamagedCheckpoint for a front end that does not exist."""
    if name not in FRONT_ENDS:
        raise DamagedCheckpoint(
            f"{path} needs the unknown text front end {short(name)}",
            f"Known front ends: {', '.join(FRONT_ENDS)}. A newer version of valle may have it.",
        )


def _check(config: ModelConfig, path: Path, *, ids: int, languages: int = 0) -> None:
    """Raise DamagedCheckpoint unless there is a row for every id; a model may ignore languages."""
    if config.text_vocab < ids:
        raise DamagedCheckpoint(f"{path} has {config.text_vocab} text embeddings, and its front end {ids} ids")
    if config.n_languages > 0 and not 1 <= languages <= config.n_languages:
        raise DamagedCheckpoint(f"{path} has {config.n_languages} languages, and its front end {languages}")
