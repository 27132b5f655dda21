"""Messages and tables of `valle eval`: progress on a terminal, a line for each failed row, totals, a comparison."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vallecli.cli.batch_report import label
from vallecli.cli.hints import hint_of
from vallecli.cli.reporter import Reporter, write_line
from vallecli.quality.scores import FAILED, Score
from vallecli.quality.totals import METRICS

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LABELS = {metric.name: (metric.label, metric.scale) for metric in METRICS if metric.label}
FAILURE_LABEL = "failures, %"


class Meter:
    """Counts rows as they are scored: a bar on a terminal, with --verbose a line for each, and errors always."""

    def __init__(self, rows: int, reporter: Reporter) -> None:
        self.rows, self.reporter = rows, reporter
        self.done = self.before = 0
        self._stack = ExitStack()
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Self:
        if not self.reporter.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            bar = self._stack.enter_context(
                Progress(console=Console(stderr=True), transient=True, redirect_stdout=False)
            )
            self._bar = bar, bar.add_task("scoring", total=self.rows)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()
        if kind is None:
            known = f", {self.before} of them before" if self.before else ""
            self.reporter.info(f"{self.done} of {self.rows} rows are scored{known}")

    def add(self, score: Score, new: bool) -> None:
        """Count a row."""
        self.done += 1
        self.before += not new
        if score.status == FAILED and score.error is not None and score.output is not None:
            error = score.error
            self.reporter.error(
                f"{label(score.row, score.id)}: {error.message}", hint_of(error.code, error.hint, self.reporter.options)
            )
        wer = "" if score.wer is None else f"WER {100 * score.wer:.1f} %"
        similarity = "" if score.similarity is None else f"similarity {score.similarity:.3f}"
        opinion = "" if score.opinion is None else f"DNSMOS {score.opinion['ovrl']:.2f}"
        shown = ", ".join(part for part in (wer, similarity, opinion) if part)
        self.reporter.detail(f"  {label(score.row, score.id)}: {shown or score.status}")
        for note in score.notes:
            self.reporter.detail(f"    {note}")
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, advance=1)


def show_totals(found: Mapping[str, Any]) -> None:
    """Print totals: a table on a terminal, else lines of name, value, ends of the interval and rows, by tabs."""
    rows = []
    if found["failure_rate"] is not None:
        rows.append(("failure_rate", FAILURE_LABEL, 100.0, found["failure_rate"]))
    rows += [(name, *LABELS[name], found["metrics"][name]) for name in LABELS if name in found["metrics"]]
    columns = ("value", "low", "high")
    lines = [
        [label_ if _terminal() else name, *(_number(scale * entry[column]) for column in columns), str(entry["rows"])]
        for name, label_, scale, entry in rows
    ]
    parts = [f"{count} {name.replace('_', ' ')}" for name, count in found["failures"].items()]
    parts.append(f"{found['doubtful']} that may be wrong")
    if found["tried"]:
        parts.append(f"{found['tried']} candidates of {found['rows_tried']} rows tried")
    if not _terminal():
        lines.append(["doubtful", str(found["doubtful"]), "", "", str(found["rows"])])
        lines.append(["tried", str(found["tried"]), "", "", str(found["rows_tried"])])
    title = f"{found['rows']} rows, {found['speakers']} speakers; {', '.join(parts)}"
    _print(title, ("", "total", "95 % from", "to", "rows"), lines)


def show_comparison(found: Mapping[str, Any], reporter: Reporter) -> None:
    """Print differences: a table on a terminal, else lines by tabs; a star marks those whose interval excludes 0."""
    lines = []
    for name, entry in found["metrics"].items():
        label_, scale = (FAILURE_LABEL, 100.0) if name == "failure_rate" else LABELS.get(name, ("", 1.0))
        if label_:
            values = (_number(scale * entry[column]) for column in ("first", "second", "difference", "low", "high"))
            clear = "*" if entry["low"] > 0 or entry["high"] < 0 else ""
            lines.append([label_ if _terminal() else name, *values, str(entry["rows"]), clear])
    title = f"{found['rows']} rows that both have, {found['speakers']} speakers"
    _print(title, ("", "first", "second", "difference", "95 % from", "to", "rows", ""), lines)
    if alone := found["only_in_first"] + found["only_in_second"]:
        reporter.info(f"{alone} rows are in one of both only, or have another text there")


def _number(value: float) -> str:
    return f"{value:.3f}"


def _terminal() -> bool:
    return sys.stdout.isatty()


def _print(title: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    if not _terminal():
        for line in lines:
            write_line("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=None, pad_edge=False, title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for line in lines:
        table.add_row(*line)
    Console().print(table)
