"""The listening page of a batch: the rows of its table together with their results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vallecli.cli.hints import hint_of
from vallecli.cli.reporter import Reporter
from vallecli.failures import Failure
from vallecli.jobs import results, resume
from vallecli.jobs.plan import Plan
from vallecli.jobs.prompts import Prompt
from vallecli.jobs.records import Record
from vallecli.quality import report
from vallecli.quality.rows import FAILED, PENDING, Run
from vallecli.voices.library import RECORDING, StoredVoice


def write(plan: Plan, out: Path, reporter: Reporter, *, force: bool) -> Path:
    """Write the page with all rows of a plan to the output folder, and return its path. Raises OutputError."""
    path = out / report.NAME
    rows = sorted(page_rows(plan, out, reporter), key=lambda row: int(row["number"]))
    report.write_page(path, [Run(out.resolve().name, out, rows)], force=force)
    reporter.info(f"the page to listen to them: {path}")
    return path


def page_rows(plan: Plan, out: Path, reporter: Reporter) -> Iterator[dict[str, Any]]:
    """Yield the rows of a plan with their last results, as `quality.rows.Run` describes them."""
    status = resume.plan_status(plan, results.read_folder(out)[0], out)
    records = {record.output: record for record in [*status.done, *status.failed]}
    for row in plan.rows:
        known = {"number": row.number, "id": row.id, "text": row.text, "prompt": _recording(row.prompt)}
        yield {**known, **_result(records.get(row.output), reporter)}
    for refused in plan.refused:
        error = _error(Failure.of(refused.error), reporter)
        known = {"number": refused.number, "id": refused.id, "text": refused.text}
        yield {**known, "prompt": _recording(refused.prompt), "status": FAILED, "error": error}


def _result(record: Record | None, reporter: Reporter) -> dict[str, Any]:
    if record is None:
        return {"status": PENDING}
    if record.error is not None:  # a file under the row's output is that of an earlier row
        return {"status": record.status, "error": _error(record.error, reporter)}
    return {"status": record.status, "output": record.output, "seconds": record.seconds, "notes": record.notes}


def _error(failure: Failure, reporter: Reporter) -> dict[str, str]:
    return {**vars(failure), "hint": hint_of(failure.code, failure.hint, reporter.options)}


def _recording(prompt: Prompt | None) -> Path | None:
    """Return the recording of a prompt."""
    if isinstance(prompt, StoredVoice):
        return prompt.path.absolute() / RECORDING
    return None if prompt is None else prompt.absolute()
