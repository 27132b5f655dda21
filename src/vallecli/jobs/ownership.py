"""What in an output folder belongs to a batch: nothing else is overwritten, repaired or removed.

A results file belongs to a batch if it has a record. One without any is empty, or its only line is incomplete and there
is a marker next to it, `.NAME.writing`. The marker also names the output that is being written: a process that is
killed between the renaming of an output and its record leaves a file that may be overwritten.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import TracebackType
from typing import Self

from vallecli.atomic import check_own, open_own
from vallecli.errors import FolderNotWritable, ForeignResults, OutputExists
from vallecli.inputs import open_regular, read_small
from vallecli.jobs.plan import Plan
from vallecli.jobs.records import Record, is_record
from vallecli.lines import MAX_LINE, is_json, is_torn

RESULTS = re.compile(r"results(-[1-9]\d*-of-[1-9]\d*)?\.jsonl", re.ASCII)  # of one run, or of a shard
MAX_MARKER = 1 << 16  # bytes; a path has at most 4096


def results_files(folder: Path) -> list[Path]:
    """Return the results files in a folder, sorted; [] without a folder.

    Raises ForeignResults for a file of such a name that no batch has written, and OutputError for a folder that cannot
    be read.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are enough
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    paths = [folder / name for name in sorted(names) if RESULTS.fullmatch(name)]
    for path in paths:
        try:
            check_own(path)
        except OSError as error:
            raise ForeignResults(path, str(error.strerror).lower()) from error
        try:
            if not _has_record(path):
                raise ForeignResults(path, "it has no record of a row")
        except OSError as error:
            raise _unreadable(path, error) from error
    return paths


def _unreadable(path: Path, error: Exception) -> FolderNotWritable:
    return FolderNotWritable(path, error if isinstance(error, OSError) else OSError(str(error)))


def _has_record(path: Path) -> bool:
    """Return whether a file has a record, or none yet."""
    first = None
    with open_regular(path) as file:
        while line := file.readline(MAX_LINE):
            if is_record(line):
                return True
            first = line if first is None else first + b"\n"  # of several lines
    return first is None or (is_torn(first) and marker_of(path).is_file())


def marker_of(results: Path) -> Path:
    """Return the marker of a results file."""
    return results.with_name(f".{results.name}.writing")


class Marker:
    """The marker of a results file, open for writing."""

    def __init__(self, results: Path) -> None:
        """Create it if necessary. Raises OSError."""
        self.descriptor = open_own(marker_of(results), os.O_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.descriptor)

    def begin(self, output: str) -> None:
        """Store the output that is written next. All earlier ones have been recorded. Raises OSError."""
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        os.write(self.descriptor, json.dumps(output).encode())
        os.fsync(self.descriptor)


def written_outputs(folder: Path, records: list[Record], *, complete: bool) -> set[str] | None:
    """Return the outputs that batches have written to a folder: those of records, and those that were being written.

    None means that any output may be one of them: `complete` is whether no line of the results is damaged, and a
    damaged line may have been the record of any output.
    """
    if not complete:
        return None
    written = {record.output for record in records if record.sha256 is not None and record.output is not None}
    for results in results_files(folder):
        try:
            output = json.loads(read_small(marker_of(results), MAX_MARKER))
        except (OSError, ValueError, RecursionError):
            continue  # there is none, or it was being written
        if isinstance(output, str):
            written.add(output)
    return written


def is_damaged(folder: Path) -> bool:
    """Return whether the results in a folder have a line that is no JSON. Lines of other programs are no damage."""
    for results in results_files(folder):
        with results.open("rb") as file:
            if any(line.strip() and not is_json(line) for line in file):
                return True
    return False


def check_absent(plan: Plan, out: Path) -> None:
    """Raise OutputExists for an output that exists before any run: no batch has written it."""
    for row in plan.rows:
        if (out / row.output).exists():
            raise OutputExists(out / row.output)


def refuse_existing(plan: Plan, out: Path, written: set[str] | None) -> Plan:
    """Return the plan; rows whose outputs exist although no batch has written them are refused."""
    if written is None:
        return plan
    rows, refused = [], list(plan.refused)
    for row in plan.rows:
        if row.output not in written and os.path.lexists(out / row.output):
            refused.append(row.refuse(OutputExists(out / row.output)))
        else:
            rows.append(row)
    return plan.with_rows(rows, refused)
