"""What is left to do of a plan: the results decide, by fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vallecli.checkpoints.local import sha256
from vallecli.errors import OutputExists
from vallecli.jobs.plan import Plan, Refused, Row
from vallecli.jobs.results import FAILED, OK, Failure, Record, now


@dataclass(frozen=True)
class Outlook:
    """The rows to speak, the records of those that are done or failed before, and who was newly refused."""

    todo: list[Row] = field(default_factory=list)
    done: list[Record] = field(default_factory=list)
    failed: list[Record] = field(default_factory=list)
    refused: list[Record] = field(default_factory=list)


def outlook(
    plan: Plan, records: Sequence[Record], out: Path, *, retry_failed: bool = False, verify: bool = False
) -> Outlook:
    """Compare a plan with the records of a folder, in the order of their ends.

    A row is done if the last record of its output has its id and fingerprint and the file is there; with `verify`
    the file's sha256 has to be that of the record, too.
    """
    last = {record.output: record for record in records if record.fingerprint is not None}
    view = Outlook()
    for row in plan.rows:
        record = last.get(row.output)
        if record is None or (record.id, record.fingerprint) != (row.id, row.fingerprint):
            view.todo.append(row)
        elif record.status == FAILED:
            view.todo.append(row) if retry_failed else view.failed.append(record)
        elif _whole(out / row.output, record, verify=verify):
            view.done.append(record)
        else:
            view.todo.append(row)
    told = {(record.id, record.row): record.error for record in records if record.fingerprint is None}
    for refused in plan.refused:
        record = refusal(refused)
        if told.get((record.id, record.row)) != record.error:
            view.refused.append(record)
    return view


def _whole(path: Path, record: Record, *, verify: bool) -> bool:
    return record.status == OK and path.is_file() and (not verify or sha256(path) == record.sha256)


def refusal(refused: Refused) -> Record:
    """Return the record of a row that was refused."""
    error = Failure.of(refused.error)
    return Record(id=refused.id, row=refused.number, status=FAILED, error=error, finished=now())


def check_new(plan: Plan, out: Path) -> None:
    """Raise OutputExists for audio that is there before any run was: it is not ours to overwrite."""
    for row in plan.rows:
        if (out / row.output).exists():
            raise OutputExists(out / row.output)
