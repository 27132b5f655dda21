"""One run of `valle eval`: the table is read, spoken as by batch, and scored; failed rows decide the exit code."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from vallecli import atomic
from vallecli.cli import batch_run, engines, signals
from vallecli.cli.batch_report import label
from vallecli.cli.batch_run import BatchRequest
from vallecli.cli.eval_report import Meter, show_comparison, show_totals
from vallecli.cli.hints import hint_of
from vallecli.cli.reporter import Reporter, write_json
from vallecli.errors import CannotContinue, FolderNotWritable, RowError, RowsFailed, UsageError
from vallecli.failures import Failure
from vallecli.jobs import given, ownership, plan, results
from vallecli.jobs.given import GivenRow
from vallecli.jobs.plan import Plan, Row, make_plan
from vallecli.jobs.records import OK, Record
from vallecli.jobs.resume import plan_status
from vallecli.jobs.table import Columns, Line, read_table
from vallecli.quality import evaluation, protocols, report, rows, totals
from vallecli.quality.evaluation import Item
from vallecli.quality.scores import FAILED, open_scores, read_scores
from vallecli.quality.wer import language_of
from vallecli.voices import policy
from vallecli.voices.library import StoredVoice

TOTALS = "scores.json"
COMPARISON = "compare.html"


@dataclass(frozen=True, kw_only=True)
class EvalRequest:
    """The command line."""

    batch: BatchRequest
    """What is spoken; its `jobs` is the table, "" for the list of a protocol."""
    protocol: tuple[str, str] | None
    """Its name, and the path of its corpus."""
    limit: int | None
    asr: str
    scores: Collection[str]


def run(request: EvalRequest, reporter: Reporter) -> None:
    """Speak what is to be spoken, score all rows, write and print the totals. Raises RowsFailed if any row failed."""
    batch, out = request.batch, Path(request.batch.out_dir)
    report.check_page(out / report.NAME, force=batch.force)
    offline, hear = batch.defaults.settings.offline, None
    if request.protocol is not None:
        name, corpus = request.protocol
        with reporter.stages() as stage:
            if name == protocols.CONTINUE:
                if not engines.describe(batch.defaults).needs_transcript:
                    raise CannotContinue(batch.defaults.settings.checkpoint)
                stage("finding the words of the prompts")
                hear = evaluation.load_recognizer(request.asr, offline=offline)
            path = protocols.write_list(name, Path(corpus), out, limit=request.limit, hear=hear)
            signals.check()
        batch = replace(batch, jobs=str(path))
    table = read_rows(batch, out, reporter)
    with reporter.stages() as stage:  # before rows are spoken: a missing model should not be known after hours
        stage("loading the models that score")
        scorers = evaluation.load_scorers(request.scores, asr=request.asr, offline=offline, hear=hear)
        signals.check()
    items = speak_rows(table, batch, out, reporter)
    with open_scores(out) as file:
        if file.torn:
            reporter.info(f"the last line of {file.path} was incomplete and is removed; its row is scored again")
        with Meter(len(items), reporter) as meter:
            scores = evaluation.evaluate(
                items,
                file,
                read_scores(out),
                scorers,
                out=out,
                retry_failed=batch.retry_failed,
                on_score=meter.add,
                check_signals=signals.check,
            )
        found = {"models": dict(scorers.identity), "protocol": request.protocol and request.protocol[0]}
        found |= totals.totals(scores)
        write_totals(out / TOTALS, found)
        page = out / report.NAME
        run_rows = rows.Run(out.resolve().name, out, [asdict(score) for score in scores])
        report.write_page(page, [run_rows], force=batch.force)
        reporter.info(f"the page to listen to them: {page}")
    if batch.json:
        write_json({"scores": str(file.path), "page": str(page), **found})
    else:
        show_totals(found)
    if failed := sum(score.status == FAILED for score in scores):
        again = batch.again if batch.retry_failed else f"{batch.again} --retry-failed"
        raise RowsFailed(failed, len(scores), f"Correct them, or run: {again}")


def compare(first: str, second: str, reporter: Reporter, *, page: str | None, force: bool, as_json: bool) -> None:
    """Print the differences of two output folders, and write a page of both, by default to the first one.

    Raises InputError for a folder without scores, and OutputError.
    """
    path = Path(first) / COMPARISON if page is None else Path(page)
    report.check_page(path, force=force)
    one, other = read_scores(Path(first)), read_scores(Path(second))
    if not one.keys() & other.keys():
        raise UsageError(f"{first} and {second} have no row in common", "Rows are compared by their id.")
    for name, models in _other_models(Path(first), Path(second)).items():
        reporter.info(f"{name} differs: {' and '.join(models)}; such scores cannot be compared")
    found = totals.compare(one, other)
    names = [Path(folder).resolve().name for folder in (first, second)]
    if names[0] == names[1]:
        names = [first, second]
    runs = [
        rows.Run(name, Path(folder), [asdict(score) for score in scores.values()])
        for name, folder, scores in zip(names, (first, second), (one, other), strict=True)
    ]
    report.write_page(path, runs, force=force)
    reporter.info(f"the page to listen to both, with a blind test: {path}")
    if as_json:
        write_json({"first": first, "second": second, "page": str(path), **found})
    else:
        show_comparison(found, reporter)


def _other_models(first: Path, second: Path) -> dict[str, tuple[str, str]]:
    """Return the models that two runs were scored by, where they differ."""
    found = []
    for folder in (first, second):
        try:
            models = json.loads((folder / TOTALS).read_bytes())["models"]
            found.append({str(name): str(model) for name, model in models.items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}  # of a run that was not finished
    one, other = found
    return {name: (one[name], other[name]) for name in one if name in other and one[name] != other[name]}


def write_totals(path: Path, found: Mapping[str, Any]) -> None:
    """Write the totals as JSON. Raises OutputError."""
    try:
        with atomic.replace_file(path, follow_links=False) as file:
            file.write(json.dumps(found, indent=2).encode() + b"\n")
    except OSError as error:
        raise FolderNotWritable(path, error) from error


@dataclass(frozen=True)
class Table:
    """The rows of a table: those to speak, those with a recording, and the folder that paths are relative to."""

    lines: Mapping[int, Line]
    """By their numbers."""
    base: Path
    given: list[Item]
    planned: Plan | None
    fresh: bool
    """Whether the output folder has no results."""


def read_rows(batch: BatchRequest, out: Path, reporter: Reporter) -> Table:
    """Read and check the table, before anything is loaded or written. Raises InputError and CheckpointError."""
    data, source, path = batch_run.read_bytes(batch.jobs)
    columns = Columns(known=(*plan.COLUMNS, *given.COLUMNS), required=["text"], sources=batch.sources)
    lines = read_table(data, source, columns, report=reporter.info)
    base = Path() if path is None else path.parent
    spoken, recorded = given.split(lines)
    settings = batch.defaults.settings
    voice = partial(policy.resolve, checkpoint=settings.checkpoint, offline=settings.offline)
    recordings = given.given_rows(recorded, spoken, base=base, voice=voice)
    fresh = not ownership.results_files(out)
    planned = None
    if spoken:
        planned = make_plan(spoken, batch.defaults, base=base, out=out, table=path)
        batch_run.check_plan(batch, planned, out, reporter, fresh=fresh)
    by_number = {line.number: line for line in lines}
    return Table(by_number, base, [_given_item(row, batch) for row in recordings], planned, fresh)


def speak_rows(table: Table, batch: BatchRequest, out: Path, reporter: Reporter) -> list[Item]:
    """Speak the rows without a recording, and return all rows in the order of the table."""
    report_errors(table.given, reporter)
    items = list(table.given)
    if table.planned is not None:
        spoken = batch_run.speak_plan(batch, table.planned, out, reporter, fresh=table.fresh)
        spoken.tally.conclude()
        items += _spoken_items(spoken.plan, out)
    return sorted((_with_columns(item, table) for item in items), key=lambda item: item.row)


def report_errors(items: Sequence[Item], reporter: Reporter) -> None:
    """Report rows that cannot be scored; those that could not be spoken were reported by then."""
    for item in items:
        if (error := item.error) is not None:
            reporter.error(
                f"{label(item.row, item.id)}: {error.message}", hint_of(error.code, error.hint, reporter.options)
            )


def _spoken_items(planned: Plan, out: Path) -> list[Item]:
    """Return the rows of a plan that was spoken; those that failed have their error."""
    status = plan_status(planned, results.read_folder(out)[0], out)
    records = {record.id: record for record in (*status.done, *status.failed)}
    items = [_spoken_item(row, records.get(row.id), out) for row in planned.rows]
    for refused in planned.refused:
        items.append(
            Item(
                row=refused.number,
                id=refused.id,
                text=refused.text,
                language="en",
                speaker=_speaker(refused.prompt),
                prompt=refused.prompt,
                error=Failure.of(refused.error),
            )
        )
    return items


def _spoken_item(row: Row, record: Record | None, out: Path) -> Item:
    done = record is not None and record.status == OK
    error = None if done or record is None else record.error
    return Item(
        row=row.number,
        id=row.id,
        text=row.words,
        language=language_of(row.words, row.language),
        speaker=_speaker(row.prompt),
        prompt=row.prompt,
        output=out / row.output if done else None,
        cut_off=record is not None and bool(record.cut_off),
        doubtful=record is not None and bool(record.doubtful),
        tried=0 if record is None else len(record.tried),
        continues=row.goes_on,
        notes=record.notes if record is not None and done else (),
        error=error or (None if done else NOT_SPOKEN),
    )


NOT_SPOKEN = Failure("RowError", "it was not spoken", "Run the same command again.")


def _given_item(row: GivenRow, batch: BatchRequest) -> Item:
    prompt = batch.defaults.prompt if row.prompt is None else row.prompt
    return Item(
        row=row.number,
        id=row.id,
        text=row.text,
        language=language_of(row.text, row.language or batch.defaults.language),
        speaker=_speaker(prompt),
        prompt=prompt,
        output=row.wav,
        continues=row.goes_on,
        error=row.error,
    )


def _speaker(prompt: Path | StoredVoice | None) -> str:
    """Return the speaker of a row that names none: its prompt."""
    return "" if prompt is None else prompt.name


def _with_columns(item: Item, table: Table) -> Item:
    """Return a row with the columns that only an evaluation reads."""
    line = table.lines[item.row]
    try:
        speaker, reference = given.cell(line, given.SPEAKER), given.cell(line, given.REFERENCE)
    except RowError as error:
        return replace(item, error=item.error or Failure.of(error))
    return replace(
        item,
        text=item.text or str(line.values.get("text", "")),
        speaker=item.speaker if speaker is None else speaker,
        reference=None if reference is None else table.base / reference,
    )
