"""Results of a batch: what was written is read back, and other lines are no reason to stop."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from hypothesis import strategies as st
from mutations import mutated_bytes, mutated_trees

from vallecli.errors import ForeignResults
from vallecli.jobs import ownership, results
from vallecli.jobs.plan import Plan
from vallecli.jobs.records import Failure, Record
from vallecli.jobs.resume import plan_status

RECORD = Record(
    id="one",
    row=1,
    status="ok",
    output="one.wav",
    sha256="0" * 64,
    seconds=1.5,
    sample_rate=24_000,
    frames=112,
    stop_reason="eos",
    seed=7,
    checkpoint="nano",
    notes=("sentence 1 did not end by itself and was cut off",),
    fingerprint="f" * 64,
    finished="2026-01-01T00:00:00.000000+00:00",
)
FAILED = Record(
    id="two",
    row=2,
    status="failed",
    error=Failure("EmptyText", "it has no words", "Write some."),
    finished=RECORD.finished,
)
RECORDS = [RECORD, FAILED, replace(RECORD, id="é\U0001f600", row=3, output="a/b.wav"), replace(FAILED, fingerprint="e")]
TREES = [json.loads(json.dumps(asdict(record))) for record in RECORDS]
FILE = b"".join(record.to_line() for record in RECORDS)
TOKENS = (b"\n", b"\0", b"null", b"{}", b"[]", b"1", b'""', b"\xff", b"[" * 5_000, b"9" * 5_000, b"1e999", b"NaN")
LINE = st.one_of(
    mutated_trees(TREES).map(lambda tree: json.dumps(tree).encode() + b"\n"),
    st.sampled_from([record.to_line() for record in RECORDS]),
)
SAMPLES = st.one_of(
    mutated_bytes([FILE], tokens=TOKENS),
    st.lists(LINE, max_size=5).map(b"".join),
    st.sampled_from([FILE, FILE[:-1], b""]),
)
FOUND = tuple(
    json.dumps({**TREES[0], name: value}).encode() + b"\n"
    for name, value in {"id": [], "row": None, "output": ["one.wav"], "finished": None}.items()
)


def check(content: bytes, folder: Path) -> None:
    path = folder / results.NAME
    path.write_bytes(content)
    try:
        ownership.results_files(folder)
    except ForeignResults:
        assert path.read_bytes() == content
        lines = content.split(b"\n")
        assert all(record.to_line()[:-1] not in lines for record in RECORDS), "our own records are refused"
        raise
    with results.open_results(folder) as file:
        records, bad = results.read_folder(folder)
        assert len(records) + bad <= content.count(b"\n") + 1
        file.append(RECORD)
        after, _ = results.read_folder(folder)
        assert len(after) == len(records) + 1, "an appended record is lost"
        status = plan_status(Plan(), records, folder)
        assert not status.todo
        for record in records:
            assert isinstance(record.cut_off, str)
    if content.startswith(FILE[:-1]) and content.rstrip(b"\n") == FILE.rstrip(b"\n"):
        assert records == RECORDS
    merged = results.merge(folder)
    assert {record.to_line() for record in results.read_folder(folder)[0]} == {record.to_line() for record in merged}
