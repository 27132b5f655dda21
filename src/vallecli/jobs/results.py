"""results.jsonl: one line a row, appended when its audio is in place, and never touched again."""

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

from vallecli.errors import FolderGone, FolderInUse, FolderNotWritable, explain

NAME = "results.jsonl"
PATTERN = "results*.jsonl"  # of all shards
OK, FAILED = "ok", "failed"


@dataclass(frozen=True)
class Failure:
    """What went wrong with a row: the name of its class in errors.py, and what that tells."""

    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return what an error of any library means."""
        known = explain(error)
        if known is not None:
            return cls(type(known).__name__, known.message, known.hint)
        return cls(type(error).__name__, f"this is a bug in valle: {error}", "Please report it together with the row.")


@dataclass(frozen=True, kw_only=True)
class Record:
    """How a row ended. One without a fingerprint was refused before anything was done for it."""

    id: str
    row: int
    status: str
    output: str | None = None
    sha256: str | None = None
    seconds: float | None = None  # of audio
    sample_rate: int | None = None  # Hz
    real_time_factor: float | None = None  # by its share of the time that rows took together
    frames: int | None = None
    stop_reason: str | None = None  # "max_frames" if one sentence did not end by itself
    seed: int | None = None
    checkpoint: str | None = None
    revision: str | None = None
    notes: tuple[str, ...] = ()
    error: Failure | None = None
    fingerprint: str | None = None
    finished: str = ""  # UTC, ISO 8601

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Return the record in a line. Raises ValueError, TypeError or KeyError if there is none."""
        values = json.loads(line)
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        if known["error"] is not None:
            known["error"] = Failure(**known["error"])
        known["notes"] = tuple(known["notes"])
        return cls(**known)

    def line(self) -> bytes:
        """Return the record as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def name_of(shard: tuple[int, int]) -> str:
    """Return the name of the results file of shard i of n."""
    index, shards = shard
    return NAME if shards == 1 else f"results-{index}-of-{shards}.jsonl"


def read(path: Path) -> tuple[list[Record], int]:
    """Return the records of a file, and how many of its lines are none, a torn last one among them."""
    records, bad = [], 0
    for line in path.read_bytes().split(b"\n"):
        if line:
            try:
                records.append(Record.parse(line))
            except (ValueError, TypeError, KeyError):
                bad += 1
    return records, bad


def read_folder(folder: Path) -> tuple[list[Record], int]:
    """Return what `read` does of all results files of a folder, the records in the order in which the rows ended."""
    files = [read(path) for path in sorted(folder.glob(PATTERN))]
    records = sorted((record for held, _ in files for record in held), key=lambda record: record.finished)
    return records, sum(bad for _, bad in files)


class Results:
    """The results file of a run: see `open_results`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("ab", buffering=0)
        self.torn = self._mend()

    def append(self, record: Record) -> None:
        """Write a record and wait until the disk has it. Raises OutputError; the file then ends where it did."""
        end = self.check()
        line = record.line()
        try:
            if self.file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # cut short, which raises nothing
            os.fsync(self.file.fileno())
        except OSError as error:
            with suppress(OSError):
                self.file.truncate(end)
            raise FolderNotWritable(self.path, (error.strerror or str(error)).lower()) from error

    def check(self) -> int:
        """Return the length of the file. Raises FolderGone if it is no longer the one under its name."""
        own = os.fstat(self.file.fileno())
        try:
            there = self.path.stat()
        except OSError as error:
            raise FolderGone(self.path) from error
        if (own.st_dev, own.st_ino) != (there.st_dev, there.st_ino):
            raise FolderGone(self.path)
        return own.st_size

    def _mend(self) -> bool:
        """End the last line, or take it off if it was torn; return whether it was."""
        content = self.path.read_bytes()
        begin = content.rfind(b"\n") + 1
        if begin == len(content):
            return False
        try:
            Record.parse(content[begin:])
        except (ValueError, TypeError, KeyError):
            self.file.truncate(begin)
            return True
        self.file.write(b"\n")
        return False


@contextmanager
def open_results(folder: Path, shard: tuple[int, int] = (1, 1)) -> Iterator[Results]:
    """Make the folder if need be, and give its results file to this run alone, for as long as the process lives.

    Raises FolderInUse if another run has it, and OutputError for a folder that cannot be written to.
    """
    path = folder / name_of(shard)
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / f".{path.name}.lock", blocking=False))
            results = Results(path)
        except Timeout as error:
            raise FolderInUse(folder, path.name) from error
        except OSError as error:
            raise FolderNotWritable(path, (error.strerror or str(error)).lower()) from error
        stack.callback(results.file.close)
        yield results


def latest(records: Iterable[Record]) -> list[Record]:
    """Return what holds of records in the order of their ends: of each output the last, and who was refused since."""
    made: dict[Any, Record] = {}
    refused: dict[Any, Record] = {}
    for record in records:
        place = (record.id, record.row)
        if record.fingerprint is None:
            refused[place] = record
        else:
            made[record.output] = record
            refused.pop(place, None)
    return [*made.values(), *refused.values()]


def merge(folder: Path) -> list[Record]:
    """Write results.jsonl with one line a row, of those of all shards, and return its records. Raises OutputError."""
    with open_results(folder) as results:
        records = sorted(latest(read_folder(folder)[0]), key=lambda record: (record.row, record.id))
        part = folder / f".{NAME}.part"
        try:
            with part.open("wb") as file:
                file.writelines(record.line() for record in records)
                file.flush()
                os.fsync(file.fileno())
            part.replace(results.path)
        finally:
            part.unlink(missing_ok=True)
    return records
