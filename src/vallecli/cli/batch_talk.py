"""What a batch says on its way: the plan, a bar on a terminal, a line for each row that failed, the sum at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vallecli.cli.output import Talk, write_json, write_line
from vallecli.jobs.plan import Plan, Row
from vallecli.jobs.results import FAILED, Failure, Record
from vallecli.jobs.resume import Outlook

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Tally:
    """How many rows are done and failed, and how fast it goes."""

    def __init__(self, plan: Plan, view: Outlook, talk: Talk) -> None:
        """Start with what earlier runs did, and tell of the rows that were refused or had failed."""
        self.talk, self.view = talk, view
        self.rows = len(plan.rows) + len(plan.refused)
        self.made = 0
        self.failed = len(plan.refused) + len(view.failed)
        self.seconds = 0.0  # of audio made by this run
        self.started = time.perf_counter()
        self._bar: tuple[Progress, TaskID] | None = None
        for refused in plan.refused:
            self._complain(refused.number, refused.id, Failure.of(refused.error))
        for record in view.failed:
            if record.error is not None:
                self._complain(record.row, record.id, record.error)
        if view.done:
            talk.say(f"{len(view.done)} of {self.rows} rows are done already")

    def add(self, record: Record, row: Row) -> None:
        """Count a row that was recorded."""
        if record.status == FAILED and record.error is not None:
            self.failed += 1
            self._complain(record.row, record.id, record.error)
        else:
            self.made += 1
            self.seconds += record.seconds or 0.0
            self.talk.detail(f"  row {record.row} ({record.id}): {record.seconds:.1f} s, {record.stop_reason}")
            for note in record.notes:
                self.talk.detail(f"    {note}")
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, advance=len(row.text), description=self._line())

    def _complain(self, number: int, name: str, error: Failure) -> None:
        label = f"row {number}" if name.isdecimal() and int(name) == number else f"row {number} ({name})"
        self.talk.complain(f"{label}: {error.message}", error.hint)

    def _line(self) -> str:
        factor = (time.perf_counter() - self.started) / self.seconds if self.seconds else 0.0
        done = self.made + len(self.view.done)
        spoken = f"{self.seconds:.0f} s of audio, real-time factor {factor:.2f}"
        return f"{done} of {self.rows} rows, {self.failed} failed, {spoken}"

    @contextmanager
    def bar(self) -> Iterator[None]:
        """Draw a bar on stderr, if that is a terminal; it counts characters, as rows differ in length."""
        if self.talk.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
            total = sum(len(row.text) for row in self.view.todo)
            self._bar = bar, bar.add_task(self._line(), total=total)
            yield
        self._bar = None

    def conclude(self) -> None:
        """Say how it went."""
        self.talk.say(self._line())

    def summary(self) -> dict[str, Any]:
        """Return what --json prints, but for the path."""
        return {
            "rows": self.rows,
            "made": self.made,
            "done_before": len(self.view.done),
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "elapsed": round(time.perf_counter() - self.started, 3),
        }


def tell_plan(plan: Plan, view: Outlook, records: Sequence[Record], talk: Talk, *, as_json: bool) -> None:
    """Print a line for each row: what is to happen to it, its id, its output or error, and how long it will be."""
    todo = {row.id for row in view.todo}
    failed = {record.id for record in view.failed}
    entries: list[dict[str, Any]] = []
    for row in plan.rows:
        state = "speak" if row.id in todo else "failed" if row.id in failed else "done"
        entries.append({"row": row.number, "state": state, "id": row.id, "output": row.output, "seed": row.seed})
        entries[-1]["seconds"] = round(row.seconds, 1)
    for refused in plan.refused:
        error = Failure.of(refused.error)
        entries.append({"row": refused.number, "state": "refused", "id": refused.id, "error": vars(error)})
    entries.sort(key=lambda entry: entry["row"])
    seconds = sum(row.seconds for row in view.todo)
    factor = _factor(records)
    estimate = {"audio_seconds": round(seconds, 1), "seconds": None if factor is None else round(seconds * factor, 1)}
    if as_json:
        write_json({"rows": entries, "estimate": estimate})
        return
    for entry in entries:
        told = entry.get("error", {}).get("message") or f"{entry['output']}\t{entry['seconds']}"
        write_line(f"{entry['state']}\t{entry['id']}\t{told}")
    unknown = "how long that takes is known after the first rows"
    time_ = unknown if factor is None else f"about {estimate['seconds']:.0f} s"
    talk.say(f"{len(view.todo)} of {len(entries)} rows to speak, about {seconds:.0f} s of audio: {time_}")


def _factor(records: Sequence[Record]) -> float | None:
    """Return the real-time factor of all audio together, None where there is none."""
    known = [(r.seconds, r.seconds * r.real_time_factor) for r in records if r.seconds and r.real_time_factor]
    seconds, elapsed = (sum(column) for column in zip(*known, strict=True)) if known else (0.0, 0.0)
    return elapsed / seconds if seconds else None
