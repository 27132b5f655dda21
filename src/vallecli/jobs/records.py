"""The record of a row: one line of JSON in results.jsonl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from vallecli.errors import short
from vallecli.failures import Failure
from vallecli.marking import UNMARKED_NOTE

OK, FAILED = "ok", "failed"
CUT_OFF = "max_frames"  # stop reason of a sentence that did not end by itself
CUT_NOTE = "did not end by itself and was cut off"
DOUBT_NOTE = "may have gone wrong"
MAX_NUMBER = 2.0**63  # of seconds, frames, seeds: far above any


@dataclass(frozen=True, kw_only=True)
class Record:
    """The result of a row. A record without a fingerprint is of a row that was refused by the plan."""

    id: str
    row: int
    status: str
    output: str | None = None
    sha256: str | None = None
    seconds: float | None = None  # of audio
    sample_rate: int | None = None  # Hz
    real_time_factor: float | None = None  # with the row's share of the computing time
    frames: int | None = None
    stop_reason: str | None = None  # "max_frames" if any sentence did not end by itself
    seed: int | None = None
    checkpoint: str | None = None
    revision: str | None = None
    watermark: bool | None = None  # whether all sentences are marked
    notes: tuple[str, ...] = ()
    tried: tuple[dict[str, Any], ...] = ()  # candidates of sentences that have several; see synthesizer.Piece.tried
    error: Failure | None = None
    fingerprint: str | None = None
    finished: str = ""  # UTC, ISO 8601

    @property
    def cut_off(self) -> str:
        """Return a note on the sentences that did not end by themselves, "" if there are none."""
        if self.status != OK or self.stop_reason != CUT_OFF:
            return ""
        return _first([note for note in self.notes if CUT_NOTE in note] or [f"it {CUT_NOTE}"])

    @property
    def left_out(self) -> str:
        """Return a note on words that were left out, "" if there are none."""
        own = (CUT_NOTE, DOUBT_NOTE)
        others = [note for note in self.notes if not note.startswith(UNMARKED_NOTE) and not any(o in note for o in own)]
        return _first(others)

    @property
    def doubtful(self) -> str:
        """Return a note on sentences that may have gone wrong, "" if there are none."""
        return _first([note for note in self.notes if DOUBT_NOTE in note])

    @property
    def unmarked(self) -> str:
        """Return a note on sentences that could not be marked, "" if there are none."""
        return next((note for note in self.notes if note.startswith(UNMARKED_NOTE)), "")

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Return the record in a line. Raises ValueError for any other line."""
        try:
            values = json.loads(line, parse_constant=_refuse)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(values, dict) or not values.keys() >= REQUIRED:
            raise ValueError("it is no record")
        known = {name: values[name] for name in FIELDS if name in values}
        for name, value in known.items():
            if not _fits(name, value):
                raise ValueError(f"{name} cannot be {short(value)}")
        if known["error"] is not None:
            known["error"] = Failure(**known["error"])
        known["notes"], known["tried"] = tuple(known["notes"]), tuple(known.get("tried", ()))
        return cls(**known)

    def to_line(self) -> bytes:
        """Return the record as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def _first(notes: Sequence[str]) -> str:
    """Return the first note and the number of the others, "" for none."""
    first, *more = notes or [""]
    return f"{first} (and {len(more)} more)" if more else first


REQUIRED = {"id", "row", "status", "error", "notes"}
FIELDS = tuple(entry.name for entry in fields(Record))
TEXTS = ("id", "status", "finished", "output", "sha256", "stop_reason", "checkpoint", "revision", "fingerprint")
WHOLE = ("row", "sample_rate", "frames", "seed")
ALWAYS = ("id", "row", "status", "finished", "notes", "tried")  # not null


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no value of a record")


def _fits(name: str, value: Any) -> bool:
    """Return whether a field of a record can have a value."""
    if value is None:
        return name not in ALWAYS
    if name == "status":
        return value in (OK, FAILED)
    if name == "watermark":
        return isinstance(value, bool)
    if name in TEXTS:
        return isinstance(value, str)
    if name == "notes":
        return isinstance(value, list) and all(isinstance(note, str) for note in value)
    if name == "tried":
        return isinstance(value, list) and all(isinstance(tried, dict) for tried in value)
    if name == "error":
        texts = isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
        return texts and value.keys() == {entry.name for entry in fields(Failure)}
    kinds = int if name in WHOLE else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < MAX_NUMBER


def is_record(line: bytes) -> bool:
    """Return whether a line is a record."""
    try:
        Record.parse(line)
    except ValueError:
        return False
    return True


def timestamp() -> str:
    """Return the current time for `Record.finished`."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
