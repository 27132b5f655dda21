"""Columns of a table that only an evaluation reads, and rows whose speech exists already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vallecli.errors import DuplicateRow, RowError, VallecliError, short
from vallecli.failures import Failure
from vallecli.jobs.plan import default_id, goes_on
from vallecli.jobs.prompts import Prompt
from vallecli.jobs.table import Line

WAV, REFERENCE, SPEAKER, SOURCE = "wav", "reference", "speaker", "prompt_source"
COLUMNS = (WAV, REFERENCE, SPEAKER, SOURCE)  # the last one is for people


@dataclass(frozen=True, kw_only=True)
class GivenRow:
    """A row with a recording of its text, or its error."""

    number: int
    id: str
    text: str = ""
    language: str | None = None
    prompt: Prompt | None = None
    wav: Path | None = None
    goes_on: bool = False
    """Whether the text begins with the words of the prompt, and the recording has only the rest."""
    error: Failure | None = None


def split(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """Return the lines that are to be spoken, and those with a recording."""
    given = [line for line in lines if WAV in line.values]
    return [line for line in lines if WAV not in line.values], given


def given_rows(
    lines: Sequence[Line], others: Sequence[Line], *, base: Path, voice: Callable[[str], Prompt]
) -> list[GivenRow]:
    """Return the rows of lines with a recording; `others` are lines whose ids are not free. Files are below `base`.

    `voice` returns a voice by its name. An error is that of its row.
    """
    used = {id_of(line): line.number for line in others}
    rows = []
    for line in lines:
        name = id_of(line)
        try:
            if (first := used.setdefault(name, line.number)) != line.number:
                raise DuplicateRow("id", name, first)
            rows.append(_row(line, name, base, voice))
        except VallecliError as error:
            rows.append(
                GivenRow(number=line.number, id=name, text=str(line.values.get("text", "")), error=Failure.of(error))
            )
    return rows


def id_of(line: Line) -> str:
    """Return the id of a line, which is its number by default."""
    value = line.values.get("id")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return default_id(line.number) if value is None else str(value).strip()


def cell(line: Line, name: str) -> str | None:
    """Return a value that is text, None if there is none. Raises RowError for any other."""
    value = line.values.get(name)
    if value is None:
        return None
    if name == SPEAKER and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RowError(f"{name} is {short(value)}", "It should be text.")
    return value.strip()


def _row(line: Line, name: str, base: Path, voice: Callable[[str], Prompt]) -> GivenRow:
    if line.error is not None:
        raise line.error
    text, wav, prompt, stored = (cell(line, column) for column in ("text", WAV, "prompt", "voice"))
    if text is None:
        raise RowError("it has no text", "Each row needs the text that should be heard.")
    if prompt is not None and stored is not None:
        raise RowError("it has a prompt and a voice", "Leave one of them empty.")
    return GivenRow(
        number=line.number,
        id=name,
        text=text,
        language=cell(line, "language"),
        prompt=voice(stored) if stored is not None else None if prompt is None else base / prompt,
        wav=None if wav is None else base / wav,
        goes_on=goes_on(line),
    )
