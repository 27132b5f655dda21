"""results.jsonl: records stay, incomplete lines do not count, and only one run at a time can write."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vallecli.errors import FolderGone, FolderInUse, FolderNotWritable, InputError
from vallecli.jobs.ownership import RESULTS
from vallecli.jobs.records import FAILED, OK, Failure, Record
from vallecli.jobs.results import (
    file_name,
    latest_records,
    merge,
    open_results,
    read_folder,
    read_results,
)

FIRST, SECOND, THIRD, FOURTH = (f"2020-01-01T00:00:0{n}" for n in range(4))
ONE = Record(id="a", row=1, status=OK, output="a.wav", seed=7, notes=("left out: (",), fingerprint="f", finished=FIRST)
TWO = Record(id="é\ud800", row=2, status=FAILED, error=Failure("EmptyText", "no words", "more"), finished=SECOND)


def test_a_record_round_trips_through_its_line() -> None:
    for record in (ONE, TWO):
        assert Record.parse(record.to_line()) == record
        assert record.to_line().endswith(b"\n")
        assert record.to_line().count(b"\n") == 1


def test_a_record_says_which_sentences_did_not_end_by_themselves() -> None:
    assert ONE.cut_off == ""
    old = replace(ONE, stop_reason="max_frames", notes=("left out: x",))  # of a version without the note
    assert old.cut_off == "it did not end by itself and was cut off"
    notes = ("left out: x", *(f"sentence {n} did not end by itself and was cut off: Hi." for n in (2, 5)))
    cut_off = replace(ONE, stop_reason="max_frames", notes=notes).cut_off
    assert cut_off == "sentence 2 did not end by itself and was cut off: Hi. (and 1 more)"


def test_records_are_appended(tmp_path: Path) -> None:
    for record in (ONE, TWO):
        with open_results(tmp_path / "new" / "folder") as file:
            file.append(record)
    assert read_results(tmp_path / "new" / "folder" / "results.jsonl") == ([ONE, TWO], 0)


@pytest.mark.parametrize("cut", range(1, len(TWO.to_line()) - 1, 7))
def test_an_incomplete_last_line_is_removed(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(ONE.to_line() + TWO.to_line()[:cut])
    assert read_results(path) == ([ONE], 1)
    with open_results(tmp_path) as file:
        assert file.torn
        file.append(TWO)
    assert path.read_bytes() == ONE.to_line() + TWO.to_line()


def test_a_complete_last_line_without_line_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(ONE.to_line()[:-1])
    with open_results(tmp_path) as file:
        assert not file.torn
        file.append(TWO)
    assert read_results(path) == ([ONE, TWO], 0)


def test_lines_that_are_not_records_are_counted_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(ONE.to_line() + b"\0\0\0\n[]\n{}\n" + TWO.to_line())
    assert read_results(path) == ([ONE, TWO], 3)
    with open_results(tmp_path) as file:
        assert not file.torn


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with open_results(tmp_path), pytest.raises(FolderInUse, match="another run"), open_results(tmp_path):
        pass
    with open_results(tmp_path), open_results(tmp_path, (1, 2)), open_results(tmp_path, (2, 2)):
        pass


def test_a_removed_folder_is_noticed_before_writing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with open_results(out) as file:
        file.append(ONE)
        shutil.rmtree(out)
        with pytest.raises(FolderGone):
            file.append(TWO)
        out.mkdir()
        (out / "results.jsonl").touch()  # a new file of the same name
        with pytest.raises(FolderGone):
            file.append(TWO)
    assert read_results(out / "results.jsonl") == ([], 0)


class FullFile:
    """A file on a disk with space for only 20 more bytes."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: bytes) -> int:
        return int(self.file.write(data[:20]))


def test_a_full_disk_leaves_no_partial_line(tmp_path: Path) -> None:
    with open_results(tmp_path) as file:
        file.append(ONE)
        working, file.file = file.file, FullFile(file.file)
        with pytest.raises(FolderNotWritable, match="no space left") as raised:
            file.append(TWO)
        assert getattr(raised.value.__cause__, "errno", None) == errno.ENOSPC
        file.file = working
    assert (tmp_path / "results.jsonl").read_bytes() == ONE.to_line()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    for folder in ("out", "out/sub"):
        with pytest.raises(InputError) as raised, open_results(tmp_path / folder):
            pass
        assert raised.value.hint.startswith("Choose another folder: ")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.EACCES, "Choose another folder, or change its permissions."),
        (errno.EPERM, "Choose another folder, or change its permissions."),
        (errno.EROFS, "Choose another folder: this disk is read-only."),
        (errno.ENOSPC, "Free some space, or choose another disk. Then run the same command again: it resumes."),
        (errno.EDQUOT, "Your disk quota is used up: delete some files, or choose another disk. Then run the same "),
        (errno.EMFILE, "Choose another place."),
    ],
)
def test_the_hint_is_about_the_reason_that_a_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, hint: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(FolderNotWritable) as raised, open_results(tmp_path / "out"):
        pass
    assert raised.value.message == f"cannot write {tmp_path}/out/results.jsonl: {os.strerror(code).lower()}"
    assert raised.value.hint.startswith(hint)


def test_file_names_of_shards() -> None:
    assert [file_name(shard) for shard in [(1, 1), (2, 3)]] == ["results.jsonl", "results-2-of-3.jsonl"]
    assert all(RESULTS.fullmatch(file_name(shard)) for shard in [(1, 1), (10, 11)])


def test_the_last_record_of_each_output_counts() -> None:
    again = replace(ONE, fingerprint="g", finished=THIRD)
    elsewhere = replace(ONE, id="b", row=3, output="b.wav")
    accepted = replace(ONE, id=TWO.id, row=TWO.row, output="c.wav")
    assert latest_records([ONE, elsewhere, again]) == [again, elsewhere]
    assert latest_records([ONE, TWO]) == [ONE, TWO]
    assert latest_records([ONE, TWO, accepted]) == [ONE, accepted]


def test_a_refused_duplicate_does_not_hide_the_first_row() -> None:
    duplicate = Record(id="a", row=5, status=FAILED, error=TWO.error, finished=FOURTH)
    assert latest_records([ONE, duplicate]) == [ONE, duplicate]


def test_merge_reads_shards_in_order_of_time(tmp_path: Path) -> None:
    again = replace(ONE, fingerprint="g", finished=THIRD)
    (tmp_path / "results-1-of-2.jsonl").write_bytes(again.to_line())
    (tmp_path / "results-2-of-2.jsonl").write_bytes(TWO.to_line())
    (tmp_path / "results.jsonl").write_bytes(ONE.to_line())
    assert read_folder(tmp_path) == ([ONE, TWO, again], 0)
    assert merge(tmp_path) == [again, TWO]
    merged = (tmp_path / "results.jsonl").read_bytes()
    assert [json.loads(line)["id"] for line in merged.splitlines()] == [again.id, TWO.id]
    merge(tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == merged
    assert not list(tmp_path.glob(".*.part"))


def test_an_interrupted_merge_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results-1-of-1.jsonl").write_bytes(ONE.to_line())
    (tmp_path / "results.jsonl").write_bytes(TWO.to_line())

    def interrupt(record: Record) -> bytes:
        raise KeyboardInterrupt

    before = TWO.to_line()
    monkeypatch.setattr(Record, "to_line", interrupt)
    with pytest.raises(KeyboardInterrupt):
        merge(tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == before
    assert not list(tmp_path.glob(".*.part"))
