"""Utterances: sentence-sized texts that a batch speaks as its rows, whatever work they are a part of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from vallecli.audio.formats import FORMATS
from vallecli.jobs.table import Line

ID_DIGITS = 16  # hexadecimal: two of a million utterances have the same id with a probability of 3e-8
CLIP_FORMAT = "flac"
FOLDER_ENDING = ".work"


@dataclass(frozen=True)
class Utterance:
    """A text, and the columns of a batch that it is spoken with, such as voice, language or speed.

    Its id is made from its content. So a changed utterance changes no other one, and equal ones are spoken once; they
    get the same audio, as equal rows of a batch do.
    """

    text: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Column -> value, with values that JSON can represent, without the columns id, text and output."""

    @cached_property
    def id(self) -> str:
        """Return the id of its row."""
        written = json.dumps({**self.columns, "text": self.text}, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(written.encode()).hexdigest()[:ID_DIGITS]

    @property
    def output(self) -> str:
        """Return the name of its clip in the work folder."""
        return self.id + FORMATS[CLIP_FORMAT].ending


def lines_of(utterances: Iterable[Utterance]) -> list[Line]:
    """Return a row of a batch for each different utterance; its number is the place of the first one, from 1."""
    lines: dict[str, Line] = {}
    for number, utterance in enumerate(utterances, start=1):
        if utterance.id not in lines:
            lines[utterance.id] = Line(number, {**utterance.columns, "id": utterance.id, "text": utterance.text})
    return list(lines.values())


def work_folder(output: Path) -> Path:
    """Return the default folder for the clips of an output, a file or a folder: book.m4b -> book.m4b.work."""
    return output.with_name(output.name + FOLDER_ENDING)
