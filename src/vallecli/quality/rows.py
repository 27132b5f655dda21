"""The rows of a listening page, from the JSON objects of an evaluation or of a batch, whatever values those have."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vallecli.printable import printable
from vallecli.quality.wer import OPERATIONS, language_of, word_errors
from vallecli.text.base import AUTO

OK, FAILED, PENDING = "ok", "failed", "pending"  # pending: not made yet
MAX_TEXT = 20_000  # characters of a text that are shown
MAX_DEPTH = 3  # of scores in objects in objects
MAX_NUMBER = 1e15  # of scores
# Between characters that count as words: they are shown as they are written, without spaces.
BETWEEN_CHARACTERS = re.compile(r"(?<=[\u3040-\u30ff\u3400-\u9fff]) (?=[\u3040-\u30ff\u3400-\u9fff])")


@dataclass(frozen=True)
class Run:
    """The rows of an output folder, and how the page names it.

    A row has the keys id, text, prompt, output, status ("ok", "failed", or "pending" if it is not made yet), and where
    known: language, reference, speaker, heard, alignment (of the text with heard; see wer.WordErrors), errors, words,
    similarity, opinion (ovrl, sig, bak), manner (any numbers), seconds, notes, error (a text, or code, message and
    hint). Paths are relative to the folder.
    """

    name: str
    folder: Path
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Score:
    """A number that rows have, and can be sorted by."""

    key: str
    label: str
    digits: int
    unit: str = ""
    better: str = ""
    """Which values are better: high, low, or neither."""
    explained: str = ""


SCORES = (
    Score("wer", "WER", 1, "%", "low", "Word error rate: words missing, extra or changed, by the words of the text"),
    Score("similarity", "Similarity", 3, "", "high", "Speaker similarity of result and prompt, at most 1"),
    Score("opinion.ovrl", "DNSMOS overall", 2, "", "high", "Estimated overall quality, 1 to 5"),
    Score("opinion.sig", "DNSMOS speech", 2, "", "high", "Estimated quality of the speech, 1 to 5"),
    Score("opinion.bak", "DNSMOS background", 2, "", "high", "Estimated quality of the background, 1 to 5"),
    Score("seconds", "Duration", 2, "s"),
)
NESTED = ("opinion", "manner")
MANNER_DIGITS = 2


@dataclass(frozen=True)
class PageRow:
    """A row of one run."""

    id: str
    text: str
    status: str
    language: str = AUTO
    speaker: str = ""
    prompt: Path | None = None
    reference: Path | None = None
    output: Path | None = None
    heard: str | None = None
    alignment: list[list[str]] | None = None
    notes: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None
    scores: dict[str, float] = field(default_factory=dict)


def read_rows(run: Run) -> list[PageRow]:
    """Return the rows of a run. A value of a wrong type counts as missing."""
    return [_read(number, values, run.folder) for number, values in enumerate(run.rows, 1)]


def _read(number: int, values: Mapping[str, Any], folder: Path) -> PageRow:
    status = values.get("status")
    error = _error(values.get("error"))
    if status not in (OK, FAILED, PENDING):
        status = FAILED if error else OK
    notes = values.get("notes")
    heard = values.get("heard")
    return PageRow(
        id=printable(_text(values.get("id"))) or str(number),
        text=_text(values.get("text")),
        status=status,
        language=_text(values.get("language")) or AUTO,
        speaker=printable(_text(values.get("speaker"))),
        prompt=_path(values.get("prompt"), folder),
        reference=_path(values.get("reference"), folder),
        output=_path(values.get("output"), folder),
        heard=_text(heard) if isinstance(heard, str) else None,
        alignment=_alignment(values.get("alignment")),
        notes=[_text(note) for note in notes] if isinstance(notes, list | tuple) else [],
        error=error,
        scores=dict(_scores(values)),
    )


def differences(row: PageRow) -> list[list[str]] | None:
    """Return the alignment of the words of a row with those that were heard, for display; None if it is unknown.

    It is the one that the scores have; rows without are aligned here, which may raise ExtraMissing.
    """
    if row.heard is None:
        return None
    found = row.alignment
    if found is None:
        try:
            errors = word_errors(row.text, row.heard, language_of(row.text, row.language))
        except ValueError:  # numbers with thousands of digits
            return None
        found = [list(entry) for entry in errors.alignment]
    return [[kind, *(BETWEEN_CHARACTERS.sub("", words) for words in pair)] for kind, *pair in found]


def _alignment(value: Any) -> list[list[str]] | None:
    """Return an alignment as wer.word_errors makes it; None for any other value, and for one that is empty."""
    if not isinstance(value, list | tuple) or not value:
        return None
    for entry in value:
        if not isinstance(entry, list | tuple) or len(entry) != 3 or not all(isinstance(part, str) for part in entry):
            return None
        if entry[0] not in OPERATIONS.values():
            return None
    return [list(entry) for entry in value]


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value) if isinstance(value, str) or abs(value) < MAX_NUMBER else ""
    left_out = len(text) - MAX_TEXT
    return text if left_out <= 0 else f"{text[:MAX_TEXT]} … ({left_out} more characters)"


def _path(value: Any, folder: Path) -> Path | None:
    return folder / value if isinstance(value, str | Path) and str(value) else None


def _error(value: Any) -> dict[str, str] | None:
    if isinstance(value, Mapping):
        return {name: printable(_text(value.get(name)), keep="\n") for name in ("code", "message", "hint")}
    return (
        {"code": "", "message": printable(value, keep="\n"), "hint": ""} if isinstance(value, str) and value else None
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < MAX_NUMBER and not math.isnan(value) else None


def _scores(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    errors, words = _number(values.get("errors")), _number(values.get("words"))
    if errors is not None and words:
        yield "wer", 100 * errors / words
        yield "errors", errors
        yield "words", words
    for name in ("similarity", "seconds"):
        if (number := _number(values.get(name))) is not None:
            yield name, number
    for name in NESTED:
        yield from _nested(name, values.get(name), MAX_DEPTH)


def _nested(name: str, value: Any, depth: int) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping) and depth:
        for key, inner in value.items():
            yield from _nested(f"{name}.{key}", inner, depth - 1)
    elif (number := _number(value)) is not None:
        yield name, number


def scores_of(rows: Sequence[PageRow]) -> list[dict[str, Any]]:
    """Return how each score that a row has is shown: known ones first, then those of manner in order."""
    present = dict.fromkeys(key for row in rows for key in row.scores)
    known = [score for score in SCORES if score.key in present]
    names = {score.key for score in SCORES} | {"errors", "words"}
    others = [Score(key, _label(key), MANNER_DIGITS) for key in present if key not in names]
    return [vars(score) for score in [*known, *others]]


def _label(key: str) -> str:
    """Return "Pitch median" for manner.pitch_median."""
    words = printable(key.partition(".")[2]).replace("_", " ").replace(".", ", ")
    return words[:1].upper() + words[1:]
