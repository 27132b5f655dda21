"""One run of `valle batch`: the table is read and checked, then spoken; failed rows decide the exit code."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import typer

from vallecli import inputs
from vallecli.atomic import sweep
from vallecli.audio.provenance import Provenance
from vallecli.audio.signing import Signer
from vallecli.cli import batch_page, engines, signals
from vallecli.cli.batch_report import Tally, notes_on, print_plan
from vallecli.cli.engines import Cluster
from vallecli.cli.output import STDOUT
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.errors import InputError, RowsFailed, UsageError
from vallecli.jobs import ownership, plan, results, resume
from vallecli.jobs.plan import Defaults, Plan, make_plan
from vallecli.jobs.records import FAILED, Record
from vallecli.jobs.resume import PlanStatus
from vallecli.jobs.run import Run
from vallecli.jobs.table import Columns, read_table
from vallecli.quality import report
from vallecli.settings import suggest
from vallecli.voices import policy

MAX_TABLE_BYTES = 2**28  # a million rows of 256 bytes


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """The command line."""

    jobs: str
    out_dir: str
    defaults: Defaults
    sources: Mapping[str, str]
    """Column -> its name in the table, where that is another one."""
    force: bool
    dry_run: bool
    retry_failed: bool
    verify: bool
    fail_fast: bool
    page: bool
    slots: int
    signer: Signer | None
    cluster: Cluster | None
    json: bool
    again: str
    """The command line, to be run again."""


def run(request: BatchRequest, reporter: Reporter) -> None:
    """Read, check, speak and record. Raises RowsFailed if any row failed, now or before."""
    out = Path(request.out_dir)
    if request.page:
        report.check_page(out / report.NAME, force=request.force)
    fresh = not ownership.results_files(out)
    planned = read_plan(request, out, reporter)
    check_plan(request, planned, out, reporter, fresh=fresh)
    if request.dry_run:
        found = compare(request, planned, out, reporter)
        if not fresh and (found.status.todo or found.plan.refused):
            check_checkpoint(request, found.plan)
        print_plan(found.plan, found.status, found.records, reporter, as_json=request.json)
        return conclude(request, found.plan, len(found.plan.refused) + len(found.status.failed))
    spoken = speak_plan(request, planned, out, reporter, fresh=fresh)
    if request.json:
        pages = {} if spoken.page is None else {"page": os.fspath(spoken.page)}
        write_json({"results": os.fspath(spoken.results), **pages, **spoken.tally.summary()})
    else:
        write_line(os.fspath(spoken.results))
    spoken.tally.conclude()
    return conclude(request, spoken.plan, spoken.tally.failed)


def check_plan(request: BatchRequest, planned: Plan, out: Path, reporter: Reporter, *, fresh: bool) -> None:
    """Check what no single row is responsible for, before anything is written; `fresh`: the folder has no results."""
    signals.check()  # before errors that are due to a signal are recorded
    if planned.without_consent:
        reporter.info(policy.warning(planned.without_consent))
    if fresh:
        if not request.force:
            ownership.check_absent(planned, out)
        check_checkpoint(request, planned)  # before the folder is created


@dataclass(frozen=True)
class Spoken:
    """What a run has done: the plan without rows that would overwrite other files, numbers, and what it has written."""

    plan: Plan
    tally: Tally
    results: Path
    page: Path | None


def speak_plan(request: BatchRequest, planned: Plan, out: Path, reporter: Reporter, *, fresh: bool) -> Spoken:
    """Speak the rows that are left, and write the page. Raises OutputError and CheckpointError."""
    with results.open_results(out, request.defaults.shard) as file:
        if file.torn:
            reporter.info(f"the last line of {file.path} was incomplete and is removed; its row is made again")
        found = compare(request, planned, out, reporter, torn=file.torn)
        if not fresh and (found.status.todo or found.plan.refused):
            check_checkpoint(request, found.plan)
        for folder in {(out / row.output).parent for row in found.plan.rows} - {out}:
            sweep(folder, min_age=0)
        for record in found.status.refused:
            file.append(record)
        tally = Tally(found.plan, found.status, reporter)
        if found.status.todo and not (request.fail_fast and found.plan.refused):
            speak(request, found, file, out, tally, reporter)
        page = batch_page.write(found.plan, out, reporter, force=request.force) if request.page else None
    return Spoken(found.plan, tally, file.path, page)


def read_plan(request: BatchRequest, out: Path, reporter: Reporter) -> Plan:
    """Return the checked rows of the table. Raises InputError for one that cannot be read."""
    data, source, path = read_bytes(request.jobs)
    required = [name for name in plan.REQUIRED if name != "prompt" or request.defaults.prompt is None]
    columns = Columns(known=plan.COLUMNS, required=required, sources=request.sources)
    lines = read_table(data, source, columns, report=reporter.info)
    base = Path() if path is None else path.parent
    return make_plan(lines, request.defaults, base=base, out=out, table=path)


def read_bytes(jobs: str) -> tuple[bytes, str, Path | None]:
    """Return the bytes of a table, its name in messages, and its path, None for stdin."""
    if jobs == STDOUT and sys.stdin.isatty():
        raise UsageError("there is no table", "Pipe one in, or name a CSV or JSONL file.")
    try:
        if jobs == STDOUT:
            return inputs.read_bounded(sys.stdin.buffer, "stdin", MAX_TABLE_BYTES), "stdin", None
        return inputs.read_input(Path(jobs), MAX_TABLE_BYTES), jobs, Path(jobs)
    except OSError as error:
        source, reason = "stdin" if jobs == STDOUT else jobs, (error.strerror or str(error)).lower()
        raise InputError(f"cannot read {source}: {reason}", "Check the table.") from error


def check_checkpoint(request: BatchRequest, planned: Plan) -> None:
    """Refuse a default checkpoint, before anything is written. Raises CheckpointError, and UsageError for an option."""
    if planned.uses_default:
        engines.describe(request.defaults)


@dataclass(frozen=True)
class Comparison:
    """A plan and the existing results: without rows that would overwrite other files, and what is left to do."""

    plan: Plan
    records: list[Record]
    status: PlanStatus
    overwritable: set[str] | None
    """Outputs that may exist; None: all."""


def compare(request: BatchRequest, planned: Plan, out: Path, reporter: Reporter, *, torn: bool = False) -> Comparison:
    """Compare a plan with the results in the folder; `torn` is whether an incomplete line was removed from them."""
    records, bad = results.read_folder(out)
    if bad:
        reporter.info(f"{bad} lines of {out / results.PATTERN} are not records; their rows are made again")
    written = None
    if not request.force:
        complete = not torn and not (bad and ownership.is_damaged(out))
        written = ownership.written_outputs(out, records, complete=complete)
        planned = ownership.refuse_existing(planned, out, written)
    status = resume.plan_status(planned, records, out, retry_failed=request.retry_failed, verify=request.verify)
    return Comparison(planned, records, status, written)


def speak(
    request: BatchRequest, found: Comparison, file: results.Results, out: Path, tally: Tally, reporter: Reporter
) -> None:
    """Speak the rows that are left. Raises KeyboardInterrupt after a Ctrl-C."""
    Provenance.of(request.defaults.settings.checkpoint)  # an invalid SOURCE_DATE_EPOCH is no row's fault
    with ExitStack() as stack:
        stop = stack.enter_context(stopping(reporter))
        rows = Run(
            file,
            out,
            load=stack.enter_context(engines.loader(request.defaults, request.cluster, reporter)),
            default=request.defaults.settings.checkpoint,
            slots=request.slots,
            on_record=tally.add,
            stop=stop,
            check_signals=signals.check,
            overwritable=found.overwritable,
            transcribe=request.defaults.transcribe,
            fail_fast=request.fail_fast,
            signer=request.signer,
        )
        with tally.bar():
            rows.speak(found.status.todo)
    if stop.is_set():
        raise KeyboardInterrupt


@contextmanager
def stopping(reporter: Reporter) -> Iterator[Event]:
    """Yield an event that the first Ctrl-C sets; the second interrupts at once."""
    stop, before = Event(), signal.getsignal(signal.SIGINT)

    def ask(*_: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)
        reporter.info("finishing the rows in progress; press Ctrl-C again to stop at once")

    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def conclude(request: BatchRequest, planned: Plan, failed: int) -> None:
    """Raise RowsFailed, with the command that tries them again, if any row failed."""
    if failed:
        again = request.again if request.retry_failed else f"{request.again} --retry-failed"
        raise RowsFailed(failed, len(planned.rows) + len(planned.refused), f"Correct them, or run: {again}")


def merge(out_dir: str, reporter: Reporter, *, as_json: bool) -> None:
    """Merge the results of all shards into one results.jsonl. Raises RowsFailed if any row failed."""
    out = Path(out_dir)
    if not ownership.results_files(out):
        raise InputError(f"{out} has no {results.PATTERN}", "Give the folder of the shards by --out-dir.")
    records = results.merge(out)
    failed = sum(record.status == FAILED for record in records)
    path = os.fspath(out / results.NAME)
    counted = {
        "cut off": sum(bool(record.cut_off) for record in records),
        "with words left out": sum(bool(record.left_out) for record in records),
        "that may be wrong": sum(bool(record.doubtful) for record in records),
    }
    reporter.info(f"{len(records)} rows, {failed} failed{notes_on(counted)}")
    if as_json:
        names = ("cut_off", "left_out", "doubtful")
        summary = {"rows": len(records), "failed": failed, **dict(zip(names, counted.values(), strict=True))}
        write_json({"results": path, **summary})
    else:
        write_line(path)
    if failed:
        raise RowsFailed(failed, len(records), f"See the errors in {path}.")


def parse_map(written: Sequence[str]) -> dict[str, str]:
    """Return column -> name in the table, given "column=name" for each. Raises UsageError."""
    sources: dict[str, str] = {}
    for item in written:
        column, equals, name = (part.strip() for part in item.partition("="))
        column = column.lower()
        if not column or not equals or not name:
            raise UsageError(f"--map is {item!r}", "It should be COLUMN=NAME, for example --map text=sentence.")
        if column not in plan.COLUMNS:
            turned = f"Did you mean {name.lower()}={column}?" if name.lower() in plan.COLUMNS else ""
            raise UsageError(f"--map: there is no column {column!r}", turned or suggest(column, plan.COLUMNS))
        if column in sources or name.lower() in map(str.lower, sources.values()):
            raise UsageError(f"--map {item}: {column} or {name} is given twice", "Leave one of them out.")
        sources[column] = name
    return sources


def parse_shard(written: str | None) -> tuple[int, int]:
    """Return i and n of "i/n". Raises UsageError."""
    match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", "1/1" if written is None else written, re.ASCII)
    if match is None or int(match[1]) > int(match[2]):
        raise UsageError(f"--shard is {written!r}", "It should be I/N with I from 1 to N: --shard 1/4")
    return int(match[1]), int(match[2])


def typed(context: typer.Context) -> list[str]:
    """Return the command line, so that it can be run again with the same rows."""
    arguments, flags = ["valle", str(context.info_name)], []
    for parameter in context.command.params:
        name = str(parameter.name)
        source, value = context.get_parameter_source(name), context.params[name]
        if source is None or source.name != "COMMANDLINE":
            continue
        if parameter.param_type_name == "argument":
            arguments.append(value)
        elif isinstance(value, bool):
            flags.append((parameter.opts if value else parameter.secondary_opts)[0])
        elif isinstance(value, tuple):  # an option with two values
            flags += [parameter.opts[0], *map(str, value)]
        else:
            for item in value if isinstance(value, list) else [value]:
                flags += [parameter.opts[0], str(item)]
    return [*arguments, *flags]
