"""`valle batch` in a separate process that is killed or interrupted, or whose disk is full: records stay correct.

Rows of two checkpoints are spoken one checkpoint after the other, so that a run can be stopped after its quick rows,
in the middle of a row that would take minutes.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kills
import pytest

import vallecli
from vallecli.checkpoints.local import sha256

if TYPE_CHECKING:
    from conftest import Valle

OUT = Path("out")
QUICK = 6  # rows of a few frames


@pytest.fixture
def table(tiny_checkpoint: Path, reference: Path, own_folder: Path) -> Path:
    """Quick rows, then an endless row, then one more."""
    shutil.copytree(tiny_checkpoint, "again")
    shutil.copy(reference, "ref.wav")
    rows = [{"id": f"quick{n}", "text": f"Hello number {n}.", "max_seconds": 0.05} for n in range(QUICK)]
    rows += [long_row("endless", 3000), {"id": "after", "text": "Bye.", "checkpoint": "again"}]
    return write(own_folder / "jobs.jsonl", rows)


def long_row(name: str, sentences: int) -> dict[str, Any]:
    """Return a row that takes about ten milliseconds per sentence."""
    return {"id": name, "text": "One is here. " * sentences, "checkpoint": "again", "max_seconds": 0.05}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps({"prompt": "ref.wav", **row}) for row in rows))
    return path


def quick_only(table: Path) -> None:
    """Remove the endless row from the table."""
    write(table, [row for row in map(json.loads, table.read_text().splitlines()) if row["id"] != "endless"])


def shorten(table: Path) -> None:
    """Replace the endless row by two rows of about a second, of which the second takes longer."""
    rows = [row for row in map(json.loads, table.read_text().splitlines()) if row["id"] != "endless"]
    write(table, [*rows, long_row("long", 60), {**long_row("next", 50), "max_seconds": 0.5}])


@contextmanager
def started(tiny_checkpoint: Path, *options: str, **process: Any) -> Iterator[subprocess.Popen[str]]:
    source = str(Path(vallecli.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "vallecli", "batch", "jobs.jsonl", "--out-dir", "out", "-v"]
    command += ["--checkpoint", str(tiny_checkpoint), *options]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **process) as running:
        try:
            yield running
            assert running.stderr is not None
            running.stderr.read()  # wait for its end before stderr is closed
        except BaseException:
            running.kill()
            raise


def wait_for(running: subprocess.Popen[str], message: str) -> None:
    """Read stderr up to a line with this message."""
    assert running.stderr is not None
    lines = []
    for line in running.stderr:
        lines.append(line)
        if message in line:
            return
    pytest.fail(f"it ended without {message!r}: {''.join(lines)}")


def wait_for_the_endless_row(running: subprocess.Popen[str]) -> None:
    """Wait until the second checkpoint is loaded; some quick rows may not be recorded yet."""
    wait_for(running, "tiny on")
    wait_for(running, "tiny on")


def lines() -> list[bytes]:
    return (OUT / "results.jsonl").read_bytes().split(b"\n")


def check_records() -> list[str]:
    """Check that each line is a record, and that its file has the recorded hash; return the ids in their order."""
    *written, last = lines()
    assert last == b""
    records = [json.loads(line) for line in written]
    for record in records:
        assert record["status"] == "ok"
        assert sha256(OUT / record["output"]) == record["sha256"]
    return [record["id"] for record in records]


@pytest.fixture
def finish(valle: Valle, tiny_checkpoint: Path, table: Path) -> Callable[..., list[str]]:
    """Run the table without its endless row to the end in this process; return the ids of the records."""

    def run(*options: str) -> list[str]:
        quick_only(table)
        before = lines() if (OUT / "results.jsonl").exists() else [b""]
        ran = valle("batch", "jobs.jsonl", "--out-dir", "out", "--checkpoint", tiny_checkpoint, *options)
        assert ran.code == 0, ran.err
        assert lines()[: len(before) - 1] == before[:-1]  # existing records have not changed
        assert not list(OUT.rglob("*.part")) or options
        return check_records()

    return run


IDS = [*(f"quick{n}" for n in range(QUICK)), "after"]


def test_a_killed_run_can_be_resumed(table: Path, tiny_checkpoint: Path, finish: Any) -> None:
    with started(tiny_checkpoint) as running:
        wait_for(running, "quick")
        running.kill()
    assert running.returncode == -signal.SIGKILL
    done = len(lines()) - 1
    assert 0 < done <= QUICK
    ids = finish()
    assert sorted(ids) == sorted(IDS)  # each once: no row is lost, none is made twice
    with (OUT / "results.jsonl").open("ab") as file:  # as if it was killed while writing this line
        file.truncate(len(b"\n".join(lines())) - 40)
    assert sorted(finish()) == sorted(IDS)


def test_rows_that_were_killed_three_times_are_those_of_an_uninterrupted_run(
    tiny_checkpoint: Path, reference: Path, own_folder: Path
) -> None:
    """See tests/kills.py for more rows and kills, and for kills at any moment."""
    table, options = own_folder / "jobs.jsonl", ["--checkpoint", str(tiny_checkpoint)]
    kills.write_table(table, 30, 1, reference, 0.05)
    kills.start(table, Path("whole"), options).communicate()
    for rows in (0, 5, 9):
        kills.kill_later(kills.start(table, OUT, options), rows, 0)
    kills.start(table, OUT, options).communicate()
    expected, found = kills.outcome(Path("whole")), kills.outcome(OUT)
    assert len(expected.hashes) == 30
    assert found.hashes == expected.hashes
    assert (expected.wrong, found.wrong, found.respoken) == ([], [], 0)


def test_the_first_interrupt_finishes_rows_in_progress(table: Path, tiny_checkpoint: Path, finish: Any) -> None:
    shorten(table)
    with started(tiny_checkpoint) as running:
        wait_for(running, "(long)")
        running.send_signal(signal.SIGINT)
        wait_for(running, "finishing the rows in progress")
        wait_for(running, "interrupted")
    assert running.returncode == 130
    done = check_records()
    assert done[-2:] == ["long", "next"]
    assert sorted(finish()) == sorted([*IDS, "long", "next"])


def test_the_second_interrupt_stops_at_once(table: Path, tiny_checkpoint: Path, finish: Any) -> None:
    with started(tiny_checkpoint) as running:
        wait_for_the_endless_row(running)
        running.send_signal(signal.SIGINT)
        wait_for(running, "finishing the rows in progress")
        running.send_signal(signal.SIGINT)
        wait_for(running, "interrupted")
    assert running.returncode == 130
    assert sorted(check_records()) == IDS[:QUICK]
    assert not list(OUT.rglob("*.part"))
    assert sorted(finish()) == sorted(IDS)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_terminated_run_can_be_resumed(
    table: Path, tiny_checkpoint: Path, finish: Any, number: int, code: int
) -> None:
    with started(tiny_checkpoint) as running:
        wait_for_the_endless_row(running)
        running.send_signal(number)
    assert running.returncode == code
    assert sorted(check_records()) == IDS[:QUICK]
    assert sorted(finish()) == sorted(IDS)


def test_a_second_run_is_refused_until_the_first_is_dead(
    table: Path, tiny_checkpoint: Path, valle: Valle, finish: Any
) -> None:
    with started(tiny_checkpoint) as running:
        wait_for_the_endless_row(running)
        ran = valle("batch", "jobs.jsonl", "--out-dir", "out", "--checkpoint", tiny_checkpoint)
        assert (ran.code, ran.out) == (3, b"")
        assert "another run is writing results.jsonl in out" in ran.err
        running.kill()
    assert sorted(finish()) == sorted(IDS)


def test_a_removed_folder(table: Path, tiny_checkpoint: Path, finish: Any) -> None:
    shorten(table)
    with started(tiny_checkpoint) as running:
        wait_for_the_endless_row(running)
        running.send_signal(signal.SIGSTOP)
        shutil.rmtree(OUT)
        running.send_signal(signal.SIGCONT)
        wait_for(running, "error: out/results.jsonl was removed while it was being written to")
    assert running.returncode == 3
    assert sorted(finish()) == sorted([*IDS, "long", "next"])


def limit(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [1500, 3000])
def test_a_full_disk(table: Path, tiny_checkpoint: Path, finish: Any, size: int) -> None:
    """With 1500 bytes, the audio is too long; with 3000, results.jsonl after a few rows."""
    quick_only(table)
    with started(tiny_checkpoint, preexec_fn=limit(size)) as running:
        wait_for(running, "error: cannot write")
        wait_for(running, "run the same command again")
    assert running.returncode == 3
    done = check_records()
    assert (len(done) > 0) == (size > 1500)
    assert len(done) < QUICK
    assert not list(OUT.rglob("*.part"))
    assert sorted(finish()) == sorted(IDS)
