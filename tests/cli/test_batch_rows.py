"""`valle batch` with rows that hold what nobody expects: each is that row's error, and all other rows are spoken."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Ran, Valle

NUMBERS: list[Any] = ["1e400", "-1e400", "nan", "Infinity", "-0", "-1", 10**19, -(10**19), 10**400, "9" * 5000, True]
NUMBERS += [
    "1_000",
    "٣",
    "½",
    "1e-400",
    1e308,
    1e39,
    5e-324,
    0,
    "0x10",
    [],
    {},
    [[[]]],
    " ",
    "1,5",
    "1 000",
    "１",
    False,
]
COLUMNS = ["temperature", "top_k", "top_p", "top_n_sigma", "max_seconds", "seed", "greedy", "sample_rate"]
DEEP = "/".join(["a" * 100] * 41)
NAMES: list[Any] = [
    "c" * 300,
    "é" * 200,
    DEEP,
    "/etc/passwd",
    "../../x",
    "..",
    ".",
    "/",
    "~",
    "~root",
    "-o",
    "*",
    "a:b",
]
NAMES += ["loop.wav", "loop/x", "folder", "pipe", "/dev/zero", "/dev/stdin", "/dev/full", "/proc/self/mem"]
NAMES += ["nul", "con.wav", "a\0b", "a\nb", "\x1b[2J", "\ud800", 7, 1.5, True, [], {}]
NAMES += ["unreadable", "empty.pt", "noise.pt", "zeros.safetensors", "half"]
PATHS = ["prompt", "output", "id", "checkpoint"]
WORDS = ["text", "prompt_text", "language", "accent"]

Batch = Callable[[list[dict[str, Any]]], "Ran"]


@pytest.fixture
def batch(valle: Valle, tiny_checkpoint: Path, reference: Path, own_folder: Path) -> Batch:
    """Run rows, with a good one before and after each, in a folder with hostile files."""
    shutil.copy(reference, "ref.wav")
    Path("loop.wav").symlink_to("loop.wav")
    Path("loop").symlink_to("loop")
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("unreadable").touch(mode=0)
    Path("empty.pt").touch()
    Path("noise.pt").write_bytes(os.urandom(5000))
    Path("zeros.safetensors").write_bytes(bytes(5000))
    shutil.copytree(tiny_checkpoint, "half")
    weights = Path("half/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000])

    def run(rows: list[dict[str, Any]]) -> Ran:
        good = {"prompt": "ref.wav", "text": "Hi.", "max_seconds": 0.05}
        table = [{**good, "id": "first"}]
        for number, row in enumerate(rows):
            table += [{**good, "id": f"bad {number}", **row}, {**good, "id": f"good {number}"}]
        Path("jobs.jsonl").write_text("\n".join(map(json.dumps, table)))
        options = ["--out-dir", "out", "--checkpoint", tiny_checkpoint, "--max-seconds", "0.05"]
        return valle("batch", "jobs.jsonl", *options)

    return run


def check(ran: Ran, rows: list[dict[str, Any]]) -> None:
    """Check that all good rows are spoken, and that each bad one is recorded; some may be spoken, too."""
    assert ran.code in (0, 6), ran.err[-3000:]
    assert "bug in valle" not in ran.err
    records = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    by_row = {record["row"]: record for record in records}
    assert sorted(by_row) == list(range(1, 2 * len(rows) + 2))
    for number, record in by_row.items():
        assert number % 2 == 0 or record["status"] == "ok", record
    assert (ran.code == 6) == any(record["status"] == "failed" for record in records)


@pytest.mark.parametrize("column", COLUMNS)
def test_numbers(batch: Batch, column: str) -> None:
    rows = [{column: value} for value in NUMBERS]
    check(batch(rows), rows)


@pytest.mark.parametrize("column", PATHS)
def test_names(batch: Batch, own_folder: Path, column: str) -> None:
    before = {path for path in own_folder.parent.rglob("*") if path.is_file()}
    rows = [{column: value} for value in NAMES]
    check(batch(rows), rows)
    new = {path for path in own_folder.parent.rglob("*") if path.is_file()} - before
    places = {path.relative_to(own_folder).parts[0] for path in new if path.is_relative_to(own_folder)}
    assert places <= {"out", "jobs.jsonl"}


@pytest.mark.parametrize("column", WORDS)
def test_words(batch: Batch, column: str) -> None:
    long = "a" * (500 if column == "text" else 100_000)
    values: list[Any] = [
        "\0",
        "a\0b",
        "\ud800",
        "\udfff\ud800",
        "\x1b[2J",
        "[" * 100_000,
        "…",
        "Привет",
        "🎉",
        "\u202e",
    ]
    rows = [{column: value} for value in [*values, long, "auto", "klingon", 7, True, [], {}]]
    check(batch(rows), rows)


def test_an_output_that_is_a_loop_of_links(batch: Batch) -> None:
    Path("out").mkdir()
    Path("out/x.wav").symlink_to("x.wav")
    rows = [{"id": "x"}, {"output": "x.wav/y.wav"}]
    ran = batch(rows)
    check(ran, rows)
    assert ran.code == 6
    assert os.readlink("out/x.wav") == "x.wav"  # noqa: PTH115


def test_a_prompt_that_is_replaced_by_a_pipe_between_plan_and_use(
    batch: Batch, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vallecli.jobs.run import Run

    shutil.copy(reference, "other.wav")
    speak = Run.speak

    def replace_first(self: Run, rows: Any) -> None:
        Path("other.wav").unlink()
        os.mkfifo("other.wav")
        speak(self, rows)

    monkeypatch.setattr(Run, "speak", replace_first)
    with Path("other.wav").open("ab") as file:
        file.write(b"another hash than ref.wav")
    rows = [{"prompt": "other.wav"}]
    ran = batch(rows)
    check(ran, rows)
    assert "cannot open other.wav: it is not a file" in ran.err
