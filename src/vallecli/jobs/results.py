"""results.jsonl: one line per row, appended after its audio was written, and never changed later."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vallecli import inputs
from vallecli.atomic import check_own, replace_file, sweep
from vallecli.errors import FolderInUse, FolderNotWritable, InputError
from vallecli.jobs.ownership import Marker, results_files
from vallecli.jobs.records import Record, is_record, timestamp
from vallecli.lines import MAX_LINE, Lines

NAME = "results.jsonl"
PATTERN = "results*.jsonl"  # of all shards, in messages
MAX_BYTES = 2**31  # of a file: some million records


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
    """Return the same as `read_results` for all results files of a folder, the last written record last.

    Records of one file are in the order of its lines, and those of several files in order of time. A time in the
    future, by a wrong clock, does not count: such a record follows the one before it. Raises ForeignResults.
    """
    now, numbered, bad = timestamp(), [], 0
    for number, path in enumerate(results_files(folder)):
        records, bad_here = read_results(path)
        bad += bad_here
        time = ""
        for place, record in enumerate(records):
            time = max(time, record.finished) if record.finished <= now else time
            numbered.append((time, number, place, record))
    numbered.sort(key=lambda entry: entry[:3])
    return [record for *_, record in numbered], bad


class Results(Lines):
    """The results file of a run; see `open_results`."""

    def __init__(self, path: Path, marker: Marker) -> None:
        """Raises OSError."""
        super().__init__(path)
        self.marker = marker

    def append(self, record: Record) -> None:
        """Write a record to the disk (fsync). Raises OutputError; the file then is as before."""
        self.write(record.to_line())

    def begin(self, output: str) -> None:
        """Store that an output is written next, which may then be overwritten. Raises OutputError."""
        try:
            self.marker.begin(output)
        except OSError as error:
            raise FolderNotWritable(self.path, error) from error


@contextmanager
def open_results(folder: Path, shard: tuple[int, int] = (1, 1)) -> Iterator[Results]:
    """Create the folder if necessary, and yield its results file, locked for this process.

    Temporary files of killed processes are removed. The lock ends with the process. Raises FolderInUse if another run
    has it, ForeignResults before anything is written, and OutputError for a folder that is not writable.
    """
    results_files(folder)
    path = folder / file_name(shard)
    lock = folder / f".{path.name}.lock"
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_own(lock)
            stack.enter_context(FileLock(lock, blocking=False))
            results_files(folder)  # again: now nobody else writes to it
            results = Results(path, stack.enter_context(Marker(path)))
        except Timeout as error:
            raise FolderInUse(folder, path.name) from error
        except OSError as error:
            raise FolderNotWritable(path, error) from error
        stack.callback(results.file.close)
        sweep(folder, min_age=0)
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
    """Write results.jsonl with one line per row of all shards, and return its records.

    Lines that are not records are kept at its end. Raises ForeignResults and OutputError.
    """
    with open_results(folder) as results:
        records = sorted(latest_records(read_folder(folder)[0]), key=lambda record: (record.row, record.id))
        try:
            with replace_file(results.path, follow_links=False) as file, results.path.open("rb") as before:
                file.writelines(record.to_line() for record in records)
                file.writelines(line for line in before if line.strip() and not is_record(line))
        except OSError as error:
            raise FolderNotWritable(results.path, error) from error
    return records
