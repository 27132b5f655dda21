"""Resuming: which rows of a plan are left, decided by comparing fingerprints with the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vallecli.checkpoints.local import sha256
from vallecli.failures import Failure
from vallecli.jobs.plan import Plan, RefusedRow, Row
from vallecli.jobs.records import FAILED, OK, Record, timestamp


@dataclass(frozen=True)
class PlanStatus:
    """The rows to speak, and records of rows that are done, that failed before, and that are newly refused."""

    todo: list[Row] = field(default_factory=list)
    done: list[Record] = field(default_factory=list)
    failed: list[Record] = field(default_factory=list)
    refused: list[Record] = field(default_factory=list)


def plan_status(
    plan: Plan, records: Sequence[Record], out: Path, *, retry_failed: bool = False, verify: bool = False
) -> PlanStatus:
    """Compare a plan with the records of a folder, in order of time.

    A row is done if the last record of its output has the row's id and fingerprint, and the file exists; with
    `verify`, the file's sha256 must be the recorded one, too.
    """
    last = {record.output: record for record in records if record.fingerprint is not None}
    status = PlanStatus()
    for row in plan.rows:
        record = last.get(row.output)
        if record is None or (record.id, record.fingerprint) != (row.id, row.fingerprint):
            status.todo.append(row)
        elif record.status == FAILED:
            status.todo.append(row) if retry_failed else status.failed.append(record)
        elif _is_intact(out / row.output, record, verify=verify):
            status.done.append(record)
        else:
            status.todo.append(row)
    recorded = {(record.id, record.row): record.error for record in records if record.fingerprint is None}
    for refused in plan.refused:
        record = refusal_record(refused)
        if recorded.get((record.id, record.row)) != record.error:
            status.refused.append(record)
    return status


def _is_intact(path: Path, record: Record, *, verify: bool) -> bool:
    return record.status == OK and path.is_file() and (not verify or sha256(path) == record.sha256)


def refusal_record(refused: RefusedRow) -> Record:
    """Return the record of a row that was refused."""
    error = Failure.of(refused.error)
    return Record(id=refused.id, row=refused.number, status=FAILED, error=error, finished=timestamp())
