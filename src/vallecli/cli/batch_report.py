"""Messages of a batch: the plan, a progress bar on a terminal, a line for each failed row, a summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vallecli.cli.hints import hint_of
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.failures import Failure
from vallecli.jobs.plan import Plan, Row
from vallecli.jobs.records import FAILED, Record
from vallecli.jobs.resume import PlanStatus

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


CUT_OFF_HINT = "try another seed, or a longer --max-seconds"


class Tally:
    """Numbers of rows that are done, failed, cut off, and spoken without some of their words, and the speed."""

    def __init__(self, plan: Plan, status: PlanStatus, reporter: Reporter) -> None:
        """Start with the results of earlier runs, and report rows that are refused, had failed or are not whole."""
        self.reporter, self.status = reporter, status
        self.rows = len(plan.rows) + len(plan.refused)
        self.made = 0
        self.failed = len(plan.refused) + len(status.failed)
        self.cut_off = self.left_out = self.doubtful = 0
        self.seconds = 0.0  # of audio made by this run
        self.started = time.perf_counter()
        self._bar: tuple[Progress, TaskID] | None = None
        for refused in plan.refused:
            self._report_failure(refused.number, refused.id, Failure.of(refused.error))
        for record in status.failed:
            if record.error is not None:
                self._report_failure(record.row, record.id, record.error)
        for record in status.done:
            self._check_text(record)
        if status.done:
            reporter.info(f"{len(status.done)} of {self.rows} rows are already done")

    def add(self, record: Record, row: Row) -> None:
        """Count a recorded row."""
        if record.status == FAILED and record.error is not None:
            self.failed += 1
            self._report_failure(record.row, record.id, record.error)
        else:
            self.made += 1
            self.seconds += record.seconds or 0.0
            self.reporter.detail(f"  row {record.row} ({record.id}): {record.seconds:.1f} s, {record.stop_reason}")
            self._check_text(record)
            for note in record.notes:
                self.reporter.detail(f"    {note}")
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, advance=len(row.text), description=self._line())

    def _report_failure(self, number: int, name: str, error: Failure) -> None:
        self.reporter.error(
            f"{label(number, name)}: {error.message}", hint_of(error.code, error.hint, self.reporter.options)
        )

    def _check_text(self, record: Record) -> None:
        """Report a row of which words were left out, that did not end by itself, may be wrong, or is not all marked."""
        self.left_out += bool(record.left_out)
        self.cut_off += bool(record.cut_off)
        self.doubtful += bool(record.doubtful)
        for note in (record.left_out, record.cut_off, record.doubtful, record.unmarked):
            if note:
                self.reporter.info(f"{label(record.row, record.id)}: {note}")

    def _line(self) -> str:
        factor = (time.perf_counter() - self.started) / self.seconds if self.seconds else 0.0
        done = self.made + len(self.status.done)
        spoken = f"{self.seconds:.0f} s of audio, real-time factor {factor:.2f}"
        notes = notes_on(
            {"cut off": self.cut_off, "with words left out": self.left_out, "that may be wrong": self.doubtful}
        )
        return f"{done} of {self.rows} rows, {self.failed} failed{notes}, {spoken}"

    @contextmanager
    def bar(self) -> Iterator[None]:
        """Show a progress bar on stderr, if it is a terminal; it counts characters, because rows differ in length."""
        if self.reporter.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
            total = sum(len(row.text) for row in self.status.todo)
            self._bar = bar, bar.add_task(self._line(), total=total)
            yield
        self._bar = None

    def conclude(self) -> None:
        """Print the summary."""
        self.reporter.info(self._line())
        if self.cut_off:
            self.reporter.info("rows that are cut off did not end by themselves: " + CUT_OFF_HINT)

    def summary(self) -> dict[str, Any]:
        """Return the output of --json, except for the path."""
        return {
            "rows": self.rows,
            "made": self.made,
            "done_before": len(self.status.done),
            "failed": self.failed,
            "cut_off": self.cut_off,
            "left_out": self.left_out,
            "doubtful": self.doubtful,
            "seconds": round(self.seconds, 3),
            "elapsed": round(time.perf_counter() - self.started, 3),
        }


def notes_on(counted: Mapping[str, int]) -> str:
    """Return the end of a summary: numbers of rows that are not whole, without zeros."""
    return "".join(f", {count} {what}" for what, count in counted.items() if count)


def label(number: int, name: str) -> str:
    """Return how messages name a row."""
    return f"row {number}" if name.isdecimal() and int(name) == number else f"row {number} ({name})"


def print_plan(plan: Plan, status: PlanStatus, records: Sequence[Record], reporter: Reporter, *, as_json: bool) -> None:
    """Print a line for each row: its state, id, output or error, and its estimated duration."""
    todo = {row.id for row in status.todo}
    failed = {record.id for record in status.failed}
    entries: list[dict[str, Any]] = []
    for row in plan.rows:
        state = "speak" if row.id in todo else "failed" if row.id in failed else "done"
        entries.append({"row": row.number, "state": state, "id": row.id, "output": row.output, "seed": row.seed})
        entries[-1]["seconds"] = round(row.seconds, 1)
    for refused in plan.refused:
        error = Failure.of(refused.error)
        entries.append({"row": refused.number, "state": "refused", "id": refused.id, "error": vars(error)})
    entries.sort(key=lambda entry: entry["row"])
    seconds = sum(row.seconds for row in status.todo)
    factor = real_time_factor(records)
    estimate = {"audio_seconds": round(seconds, 1), "seconds": None if factor is None else round(seconds * factor, 1)}
    if as_json:
        write_json({"rows": entries, "estimate": estimate})
        return
    for entry in entries:
        detail = entry.get("error", {}).get("message") or f"{entry['output']}\t{entry['seconds']}"
        write_line(f"{entry['state']}\t{entry['id']}\t{detail}")
    hints: dict[str, str] = {}
    for refused in plan.refused:
        error = Failure.of(refused.error)
        hints.setdefault(hint_of(error.code, error.hint, reporter.options), label(refused.number, refused.id))
    for hint, first in hints.items():
        reporter.info(f"{first}: {hint}")
    unknown = "the time it takes is known after the first rows"
    time_ = unknown if factor is None else f"about {estimate['seconds']:.0f} s"
    reporter.info(f"{len(status.todo)} of {len(entries)} rows to speak, about {seconds:.0f} s of audio: {time_}")


def real_time_factor(records: Sequence[Record]) -> float | None:
    """Return the real-time factor over all records, None without any."""
    known = [(r.seconds, r.seconds * r.real_time_factor) for r in records if r.seconds and r.real_time_factor]
    seconds, elapsed = (sum(column) for column in zip(*known, strict=True)) if known else (0.0, 0.0)
    return elapsed / seconds if seconds else None
