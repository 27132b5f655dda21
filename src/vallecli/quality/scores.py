"""scores.jsonl: one line per scored row, appended when the row is scored, and never changed later."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from vallecli import inputs
from vallecli.atomic import check_own
from vallecli.errors import FolderInUse, FolderNotWritable, ForeignResults, InputError
from vallecli.failures import Failure
from vallecli.lines import MAX_LINE, Lines, is_torn

NAME = "scores.jsonl"
OK, FAILED = "ok", "failed"
GARBLED = 0.5  # share of wrong words above which a row counts as a failure


@dataclass(frozen=True, kw_only=True)
class Score:
    """The scores of a row; None is unknown. docs/eval.md describes each field."""

    id: str
    row: int
    text: str
    language: str = "en"
    speaker: str = ""
    prompt: str | None = None
    output: str | None = None
    reference: str | None = None
    status: str = OK
    error: Failure | None = None
    cut_off: bool = False
    doubtful: bool = False
    tried: int = 0
    continues: bool = False
    seconds: float | None = None
    heard: str | None = None
    errors: int | None = None
    words: int | None = None
    alignment: tuple[tuple[str, str, str], ...] = ()
    similarity: float | None = None
    similarity_wavlm: float | None = None
    similarity_to_reference: float | None = None
    opinion: dict[str, float] | None = None
    manner: dict[str, float | None] | None = None
    measures: dict[str, dict[str, float | None]] | None = None
    notes: tuple[str, ...] = ()
    inputs: str = ""

    @property
    def wer(self) -> float | None:
        """Return the share of wrong words, which can exceed 1; None if it is unknown."""
        return None if self.errors is None or not self.words else self.errors / self.words

    @property
    def failure(self) -> str | None:
        """Return why the row counts as a failure: "failed", "cut_off", "unheard" or "garbled"; None if it does not."""
        if self.status == FAILED:
            return "failed"
        if self.cut_off:
            return "cut_off"
        if self.heard == "":
            return "unheard"
        return "garbled" if self.wer is not None and self.wer > GARBLED else None

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Return the scores in a line. Raises ValueError for any other line."""
        try:
            values = json.loads(line)
            known = {name: values[name] for name in FIELDS if name in values}
            if known.get("error") is not None:
                known["error"] = Failure(**known["error"])
            known["alignment"] = tuple((str(a), str(b), str(c)) for a, b, c in known.get("alignment") or ())
            known["notes"] = tuple(map(str, known.get("notes") or ()))
            score = cls(**known)
            fits = score._fits()
        except (RecursionError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"it is no score: {error}") from error
        if not fits:
            raise ValueError("a value is of another type")
        return score

    def _fits(self) -> bool:
        """Return whether the values are of the types that totals need."""
        numbers = [self.seconds, self.errors, self.words, self.similarity, self.similarity_wavlm]
        numbers += [self.similarity_to_reference, *(self.opinion or {}).values(), *(self.manner or {}).values()]
        texts = (self.id, self.text, self.speaker, self.inputs, self.language)
        return (
            all(number is None or (type(number) in (int, float) and abs(number) < 2.0**63) for number in numbers)
            and all(isinstance(text, str) for text in texts)
            and type(self.row) is int
            and type(self.tried) is int
            and abs(self.tried) < 2**63
            and self.status in (OK, FAILED)
            and isinstance(self.heard, str | None)
        )

    def to_line(self) -> bytes:
        """Return the scores as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


FIELDS = tuple(entry.name for entry in fields(Score))


class Scores(Lines):
    """The file of scores of a run; see `open_scores`."""

    def append(self, score: Score) -> None:
        """Write the scores of a row to the disk (fsync). Raises OutputError; the file then is as before."""
        self.write(score.to_line())


@contextmanager
def open_scores(folder: Path) -> Iterator[Scores]:
    """Create the folder if necessary, and yield its file of scores, locked for this process.

    Raises FolderInUse if another run has it, ForeignResults for a file of that name by another program, and OutputError
    for a folder that is not writable.
    """
    path = folder / NAME
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_own(lock := folder / f".{NAME}.lock")
            stack.enter_context(FileLock(lock, blocking=False))
            _check_own_scores(path)
            scores = Scores(path)
        except Timeout as error:
            raise FolderInUse(folder, NAME) from error
        except OSError as error:
            raise FolderNotWritable(path, error) from error
        stack.callback(scores.file.close)
        yield scores


def read_scores(folder: Path) -> dict[str, Score]:
    """Return the last scores of each id in a folder; lines that are no scores do not count.

    Raises InputError for a file that is missing or cannot be read.
    """
    path = folder / NAME
    try:
        with inputs.open_regular(path) as file:
            return {score.id: score for score in _scores(iter(lambda: file.readline(MAX_LINE), b""))}
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read {path}: {reason}", "Give the output folder of valle eval.") from error


def _scores(lines: Iterable[bytes]) -> Iterator[Score]:
    for line in lines:
        try:
            yield Score.parse(line)
        except ValueError:
            continue


def _check_own_scores(path: Path) -> None:
    """Raise ForeignResults for a file that has lines, but no scores. Raises OSError for a link."""
    check_own(path)
    if not os.path.lexists(path):
        return
    with inputs.open_regular(path) as file:
        first = file.readline(MAX_LINE)
        if first and not is_torn(first) and not any(_scores([first, *file])):
            raise ForeignResults(path, "it has no scores of a row")


def values(scores: Iterable[Score], name: str) -> list[Any]:
    """Return a field of each row, such as "similarity", or a part of one, such as "opinion.ovrl"; None is unknown."""
    field, _, part = name.partition(".")
    found = [getattr(score, field) for score in scores]
    return [value.get(part) if isinstance(value, dict) else None for value in found] if part else found
