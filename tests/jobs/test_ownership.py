"""Output folders: what no batch has written is neither overwritten nor cut, whatever its name, and links are safe."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vallecli import atomic
from vallecli.errors import FolderNotWritable, ForeignResults
from vallecli.jobs.ownership import marker_of, results_files, written_outputs
from vallecli.jobs.records import OK, Record
from vallecli.jobs.results import merge, open_results, read_folder

if TYPE_CHECKING:
    from conftest import Ran, Valle

Batch = Callable[..., "Ran"]
ONE = Record(id="a", row=1, status=OK, output="a.wav", sha256="0" * 64, fingerprint="f", finished="2020-01-01T00:00:00")
FOREIGN = [
    b'{"experiment": 7, "accuracy": 0.93}',
    b'{"experiment": 7}\n{"experiment": 8}\n',
    b'{"id": "a", "row": 1, "status": "ok"}\n',
    b'{"id": "a", "row": "1", "status": "ok", "error": null, "notes": []}\n',
    b'{"id": "a", "row": 1, "status": "done", "error": null, "notes": []}\n',
    b'{"id": "a", "row": 1, "status": "ok", "error": null, "notes": [], "seconds": NaN}\n',
    b'{"id": "a", "ro',  # incomplete, but without a marker
    b"\n",
    b"[" * 100_000,
    b"\0" * 20 + b"\n",
    b"\xff\xfe",
    b"text\n",
]


@pytest.fixture
def batch(valle: Valle, tiny_checkpoint: Path, reference: Path, own_folder: Path) -> Batch:
    """Run `valle batch` on rows of an id and a text."""
    shutil.copy(reference, "ref.wav")

    def run(rows: dict[str, str], *options: str) -> Ran:
        lines = [json.dumps({"id": name, "text": text, "prompt": "ref.wav"}) for name, text in rows.items()]
        Path("jobs.jsonl").write_text("\n".join(lines))
        fixed = ["--checkpoint", tiny_checkpoint, "--max-seconds", "0.05", "--out-dir", "out"]
        return valle("batch", "jobs.jsonl", *fixed, *options)

    return run


def snapshot(folder: Path) -> dict[str, Any]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.mark.parametrize("content", FOREIGN)
def test_results_of_other_programs_are_refused_and_nothing_is_written(own_folder: Path, content: bytes) -> None:
    for name in ("results.jsonl", "results-1-of-2.jsonl", "results-3-of-7.jsonl"):
        (own_folder / name).write_bytes(content)
        for use in (results_files, read_folder, merge):
            with pytest.raises(ForeignResults, match=name):
                use(own_folder)
        for shard in [(1, 1), (1, 2)]:
            with pytest.raises(ForeignResults), open_results(own_folder, shard):
                pass
        assert snapshot(own_folder) == {name: content}
        (own_folder / name).unlink()


@pytest.mark.parametrize("options", [[], ["--force"], ["--shard", "1/2"], ["--dry-run"], ["--retry-failed"]])
def test_a_batch_refuses_a_foreign_folder(batch: Batch, valle: Valle, options: list[str]) -> None:
    Path("out").mkdir()
    Path("out/results.jsonl").write_bytes(FOREIGN[0])
    ran = batch({"a": "Hi."}, *options)
    assert ran.code == 3
    assert "out/results.jsonl is not the results of a batch: it has no record of a row" in ran.err
    assert valle("batch", "--merge", "--out-dir", "out").code == 3
    assert snapshot(Path("out")) == {"results.jsonl": FOREIGN[0]}


def test_files_with_similar_names_do_not_count(batch: Batch, valle: Valle) -> None:
    Path("out").mkdir()
    names = ["results-of-the-survey.jsonl", "results-0-of-2.jsonl", "Results.jsonl", "results.jsonl.bak"]
    for name in names:
        Path("out", name).write_bytes(FOREIGN[0])
    Path("out/a.wav").write_bytes(b"mine")
    ran = batch({"a": "Hi."})
    assert (ran.code, Path("out/a.wav").read_bytes()) == (3, b"mine")
    assert valle("batch", "--merge", "--out-dir", "out").code == 3
    assert batch({"b": "Hi."}).code == 0
    assert valle("batch", "--merge", "--out-dir", "out").code == 0
    assert all(Path("out", name).read_bytes() == FOREIGN[0] for name in names)


def test_other_files_in_the_folder_of_a_batch_stay_protected(batch: Batch) -> None:
    assert batch({"a": "Hi."}).code == 0
    Path("out/b.wav").write_bytes(b"mine")
    ran = batch({"a": "Hello.", "b": "Hi.", "c": "Hi."})
    assert ran.code == 6
    assert "row 2 (b): out/b.wav already exists" in ran.err
    assert Path("out/b.wav").read_bytes() == b"mine"
    assert Path("out/c.wav").stat().st_size > 1000
    assert batch({"a": "Hello.", "b": "Hi.", "c": "Hi."}, "--force").code == 0
    assert Path("out/b.wav").read_bytes() != b"mine"


def test_a_file_that_appears_during_the_run_stays(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    from vallecli.jobs.run import Run

    speak = Run.speak

    def write_first(self: Run, rows: Any) -> None:
        Path("out/a.wav").write_bytes(b"mine")
        speak(self, rows)

    monkeypatch.setattr(Run, "speak", write_first)
    assert batch({"a": "Hi.", "b": "Hi."}).code == 6
    assert Path("out/a.wav").read_bytes() == b"mine"


def test_an_output_that_was_written_but_not_recorded_is_written_again(batch: Batch) -> None:
    """As after a kill between the two."""
    batch({"a": "Hi.", "b": "Hi."})
    lines = Path("out/results.jsonl").read_bytes().splitlines(keepends=True)
    [writing] = [json.loads(line)["output"] for line in lines[-1:]]
    assert json.loads(Path("out/.results.jsonl.writing").read_bytes()) == writing
    for rest in (b"", lines[-1][:50]):
        Path("out/results.jsonl").write_bytes(lines[0] + rest)
        assert batch({"a": "Hi.", "b": "Hi."}).code == 0


def test_a_folder_without_a_marker_resumes(batch: Batch) -> None:
    """As written by version 0.13."""
    batch({"a": "Hi.", "b": "Hi."})
    Path("out/.results.jsonl.writing").unlink()
    Path("out/b.wav").unlink()
    ran = batch({"a": "Hi.", "b": "Hi."}, "--json")
    assert (ran.code, json.loads(ran.out)["made"]) == (0, 1)


def test_an_incomplete_first_record_is_of_a_batch_if_there_is_a_marker(tmp_path: Path) -> None:
    with open_results(tmp_path):
        pass
    assert results_files(tmp_path) == [tmp_path / "results.jsonl"]
    (tmp_path / "results.jsonl").write_bytes(ONE.to_line()[:20])
    with open_results(tmp_path) as results:
        assert results.torn
        results.append(ONE)
    assert (tmp_path / "results.jsonl").read_bytes() == ONE.to_line()


@pytest.mark.parametrize("last", [b'{"experiment": 7}', b"text", b'{"id": "b", "accuracy": 1}'])
def test_a_last_line_that_is_no_record_is_kept(tmp_path: Path, last: bytes) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(ONE.to_line() + last)
    with open_results(tmp_path) as results:
        assert not results.torn
        results.append(replace(ONE, id="b"))
    assert path.read_bytes() == ONE.to_line() + last + b"\n" + replace(ONE, id="b").to_line()
    merge(tmp_path)
    assert last in path.read_bytes().splitlines()


@pytest.mark.parametrize("name", ["results.jsonl", ".results.jsonl.lock", ".results.jsonl.writing"])
@pytest.mark.parametrize("kind", ["symbolic", "dangling", "hard", "pipe", "folder"])
def test_links_under_our_names_are_refused_and_their_targets_stay(tmp_path: Path, name: str, kind: str) -> None:
    thesis, out = tmp_path / "thesis", tmp_path / "out"
    thesis.write_bytes(ONE.to_line())
    out.mkdir()
    if kind == "hard":
        os.link(thesis, out / name)
    elif kind == "pipe":
        os.mkfifo(out / name)
    elif kind == "folder":
        (out / name).mkdir()
    else:
        (out / name).symlink_to(thesis if kind == "symbolic" else tmp_path / "missing")
    with pytest.raises((ForeignResults, FolderNotWritable)), open_results(out):
        pass
    assert thesis.read_bytes() == ONE.to_line()
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_link_under_the_name_of_an_output_never_damages_its_target(batch: Batch, kind: str, recorded: bool) -> None:
    thesis = Path("out/thesis.txt")
    batch({"a": "Hi."} if recorded else {"b": "Hi."})
    thesis.write_bytes(b"work")
    Path("out/a.wav").unlink(missing_ok=True)
    if kind == "symbolic":
        Path("out/a.wav").symlink_to("thesis.txt")
    else:
        os.link(thesis, "out/a.wav")
    ran = batch({"a": "Hello."})
    assert ran.code == (0 if recorded else 6)
    assert thesis.read_bytes() == b"work"
    assert Path("out/a.wav").is_symlink() == (kind == "symbolic" and not recorded)


def test_a_subfolder_that_becomes_a_link_to_the_outside_gets_no_output(
    valle: Valle, batch: Batch, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vallecli.jobs.run import Run

    speak = Run.speak
    Path("outside").mkdir()

    def link_first(self: Run, rows: Any) -> None:
        Path("out/sub").symlink_to("../outside")
        speak(self, rows)

    monkeypatch.setattr(Run, "speak", link_first)
    Path("sub.jsonl").write_text(json.dumps({"text": "Hi.", "prompt": "ref.wav", "output": "sub/a.wav"}))
    ran = valle("batch", "sub.jsonl", "--checkpoint", tiny_checkpoint, "--out-dir", "out", "--max-seconds", "0.05")
    assert ran.code == 6
    assert not list(Path("outside").iterdir())


def test_leftovers_of_killed_processes_are_removed_at_the_start(batch: Batch) -> None:
    Path("out/sub").mkdir(parents=True)
    left = [Path("out", place, atomic.part_name(Path("x")).name) for place in ("", "sub")]
    for path in left:
        path.touch()
    Path("jobs.jsonl").write_text("")
    with left[0].open("rb") as alive:
        atomic.lock(alive.fileno())
        assert batch({"sub/a": "Hi."}).code in (0, 6)
        assert left[0].exists()
    assert batch({"sub/a": "Hi."}).code in (0, 6)
    assert not left[0].exists()


def test_a_damaged_marker_is_none(tmp_path: Path) -> None:
    with open_results(tmp_path) as results:
        results.begin("x.wav")
        results.append(ONE)
    assert written_outputs(tmp_path, [ONE], complete=True) == {"a.wav", "x.wav"}
    for content in (b"", b'"x.w', b"[1]", b"[" * 60_000, b"\xff", b"7"):
        marker_of(tmp_path / "results.jsonl").write_bytes(content)
        assert written_outputs(tmp_path, [ONE], complete=True) == {"a.wav"}


def test_a_record_from_the_future_does_not_hide_later_ones(tmp_path: Path) -> None:
    future, again = replace(ONE, finished="2999-01-01T00:00:00"), replace(ONE, fingerprint="g")
    for finished in ("2999-01-01T00:00:00", "tomorrow"):
        (tmp_path / "results.jsonl").write_bytes(replace(future, finished=finished).to_line() + again.to_line())
        assert read_folder(tmp_path)[0][-1] == again
    (tmp_path / "results-1-of-2.jsonl").write_bytes(future.to_line())
    (tmp_path / "results.jsonl").write_bytes(again.to_line())
    assert read_folder(tmp_path)[0][-1] == again


def test_rows_after_a_clock_error_are_spoken_once(batch: Batch) -> None:
    batch({"a": "Hi."})
    record = json.loads(Path("out/results.jsonl").read_text())
    Path("out/results.jsonl").write_text(json.dumps({**record, "finished": "2999-01-01T00:00:00"}) + "\n")
    assert json.loads(batch({"a": "Hello."}, "--json").out)["made"] == 1
    assert json.loads(batch({"a": "Hello."}, "--json").out)["made"] == 0
