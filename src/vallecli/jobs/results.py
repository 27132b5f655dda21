"""results.jsonl: one line per row, appended after its audio was written, and never changed later."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from vallecli import inputs
from vallecli.atomic import replace_file
from vallecli.errors import FolderGone, FolderInUse, FolderNotWritable, InputError, explain
from vallecli.printable import mask_credentials

NAME = "results.jsonl"
PATTERN = "results*.jsonl"  # of all shards
OK, FAILED = "ok", "failed"
CUT_OFF = "max_frames"  # stop reason of a sentence that did not end by itself
MAX_BYTES = 2**31  # of a file: some million records
MAX_LINE = 2**20  # bytes of a record; longer lines are none
MAX_INTEGER = 2**63 - 1
CUT_NOTE = "did not end by itself and was cut off"


@dataclass(frozen=True)
class Failure:
    """An error as a record stores it: the name of its class in errors.py, the message and the hint."""

    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return the meaning of any library's error."""
        known = explain(error)
        if known is not None:
            return cls(type(known).__name__, mask_credentials(known.message), mask_credentials(known.hint))
        message = mask_credentials(f"this is a bug in valle: {error}")
        return cls(type(error).__name__, message, "Please report it together with the row.")


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
    notes: tuple[str, ...] = ()
    error: Failure | None = None
    fingerprint: str | None = None
    finished: str = ""  # UTC, ISO 8601

    @property
    def cut_off(self) -> str:
        """Return a note on the sentences that did not end by themselves, "" if there are none."""
        if self.status != OK or self.stop_reason != CUT_OFF:
            return ""
        first, *more = [note for note in self.notes if CUT_NOTE in note] or [f"it {CUT_NOTE}"]
        return f"{first} (and {len(more)} more)" if more else first

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Return the record in a line. Raises ValueError for any other line, also for values of other types."""
        try:
            values = json.loads(line)
        except RecursionError:
            raise ValueError("it has too many lists or objects in each other") from None
        if not isinstance(values, dict) or not {"id", "row", "status", "error", "notes"} <= values.keys():
            raise ValueError("it is no record")
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        for field in fields(cls):
            if field.name in known and not _is_of(known[field.name], str(field.type)):
                raise ValueError(f"{field.name} is no {field.type}")
        if known["error"] is not None:
            known["error"] = Failure(**known["error"])
        known["notes"] = tuple(known["notes"])
        return cls(**known)

    def to_line(self) -> bytes:
        """Return the record as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def _is_of(value: Any, annotation: str) -> bool:
    """Return whether a value of JSON is of the type of a field of Record."""
    kind, *optional = annotation.split(" | ")
    if value is None:
        return bool(optional)
    match kind:
        case "str":
            return isinstance(value, str)
        case "int":
            return type(value) is int and abs(value) <= MAX_INTEGER
        case "float":
            return type(value) in (int, float) and abs(value) <= MAX_INTEGER
        case "Failure":
            names = {field.name for field in fields(Failure)}
            return isinstance(value, dict) and value.keys() == names and all(isinstance(v, str) for v in value.values())
        case _:
            return isinstance(value, list) and all(isinstance(item, str) for item in value)


def timestamp() -> str:
    """Return the current time for `Record.finished`."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def file_name(shard: tuple[int, int]) -> str:
    """Return the name of the results file of shard i of n."""
    index, shards = shard
    return NAME if shards == 1 else f"results-{index}-of-{shards}.jsonl"


def read_results(path: Path) -> tuple[list[Record], int]:
    """Return the records of a file, and the number of lines that are not records, such as an incomplete last one.

    Raises InputError for a file that cannot be read.
    """
    records, bad = [], 0
    try:
        with inputs.open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise OSError(errno.EFBIG, f"Larger than {MAX_BYTES} bytes")
            while line := file.readline(MAX_LINE):
                try:
                    if line.rstrip(b"\n"):
                        records.append(Record.parse(line))
                except ValueError:
                    bad += 1
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read {path}: {reason}", "Move it away, or choose another output folder.") from error
    return records, bad


def read_folder(folder: Path) -> tuple[list[Record], int]:
    """Return the same as `read_results` for all results files of a folder, with the records in order of time."""
    files = [read_results(path) for path in sorted(folder.glob(PATTERN))]
    records = sorted((record for in_file, _ in files for record in in_file), key=lambda record: record.finished)
    return records, sum(bad for _, bad in files)


class Results:
    """The results file of a run; see `open_results`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if os.path.lexists(path):
            inputs.open_regular(path).close()  # a pipe would block
        self.file = path.open("ab", buffering=0)
        self.torn = self._repair()
        """Whether the last line was incomplete, and was removed."""

    def append(self, record: Record) -> None:
        """Write a record to the disk (fsync). Raises OutputError; the file then is as before."""
        end = self.check()
        line = record.to_line()
        try:
            if self.file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # a short write raises no error
            os.fsync(self.file.fileno())
        except OSError as error:
            with suppress(OSError):
                self.file.truncate(end)
            raise FolderNotWritable(self.path, error) from error

    def check(self) -> int:
        """Return the length of the file. Raises FolderGone if the file was removed or replaced."""
        opened = os.fstat(self.file.fileno())
        try:
            current = self.path.stat()
        except OSError as error:
            raise FolderGone(self.path) from error
        if (opened.st_dev, opened.st_ino) != (current.st_dev, current.st_ino):
            raise FolderGone(self.path)
        return opened.st_size

    def _repair(self) -> bool:
        """End the last line, or remove it if it is not a record; return whether it was removed."""
        with inputs.open_regular(self.path) as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - MAX_LINE))
            content = file.read()
        last = content[content.rfind(b"\n") + 1 :]
        if not last:
            return False
        if len(last) == len(content) and start:
            raise OSError(errno.EFBIG, f"its last line has more than {MAX_LINE} bytes")
        try:
            Record.parse(last)
        except ValueError:
            self.file.truncate(size - len(last))
            return True
        self.file.write(b"\n")
        return False


@contextmanager
def open_results(folder: Path, shard: tuple[int, int] = (1, 1)) -> Iterator[Results]:
    """Create the folder if necessary, and yield its results file, locked for this process.

    The lock ends with the process. Raises FolderInUse if another run has it, and OutputError for a folder that is not
    writable.
    """
    path = folder / file_name(shard)
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / f".{path.name}.lock", blocking=False))
            results = Results(path)
        except Timeout as error:
            raise FolderInUse(folder, path.name) from error
        except OSError as error:
            raise FolderNotWritable(path, error) from error
        stack.callback(results.file.close)
        yield results


def latest_records(records: Iterable[Record]) -> list[Record]:
    """Given records in order of time, return the last one of each output, and of each row that is still refused."""
    spoken: dict[Any, Record] = {}
    refused: dict[Any, Record] = {}
    for record in records:
        row = (record.id, record.row)
        if record.fingerprint is None:
            refused[row] = record
        else:
            spoken[record.output] = record
            refused.pop(row, None)
    return [*spoken.values(), *refused.values()]


def merge(folder: Path) -> list[Record]:
    """Write results.jsonl with one line per row of all shards, and return its records. Raises OutputError."""
    with open_results(folder) as results:
        records = sorted(latest_records(read_folder(folder)[0]), key=lambda record: (record.row, record.id))
        try:
            with replace_file(results.path) as file:
                file.writelines(record.to_line() for record in records)
        except OSError as error:
            raise FolderNotWritable(results.path, error) from error
    return records
