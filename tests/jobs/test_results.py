"""results.jsonl: what was recorded stays, what was half-written does not count, and one run has it at a time."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vallecli.errors import FolderGone, FolderInUse, FolderNotWritable, InputError
from vallecli.jobs import results
from vallecli.jobs.results import FAILED, OK, Failure, Record, latest, merge, name_of, open_results, read, read_folder

ONE = Record(id="a", row=1, status=OK, output="a.wav", seed=7, notes=("left out: (",), fingerprint="f", finished="1")
TWO = Record(id="é\ud800", row=2, status=FAILED, error=Failure("EmptyText", "no words", "more"), finished="2")


def test_a_record_comes_back_from_its_line() -> None:
    for record in (ONE, TWO):
        assert Record.parse(record.line()) == record
        assert record.line().endswith(b"\n")
        assert record.line().count(b"\n") == 1


def test_records_are_appended_to_what_is_there(tmp_path: Path) -> None:
    for record in (ONE, TWO):
        with open_results(tmp_path / "new" / "folder") as file:
            file.append(record)
    assert read(tmp_path / "new" / "folder" / "results.jsonl") == ([ONE, TWO], 0)


@pytest.mark.parametrize("cut", range(1, len(TWO.line()) - 1, 7))
def test_a_torn_last_line_is_taken_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(ONE.line() + TWO.line()[:cut])
    assert read(path) == ([ONE], 1)
    with open_results(tmp_path) as file:
        assert file.torn
        file.append(TWO)
    assert path.read_bytes() == ONE.line() + TWO.line()


def test_a_last_line_that_lacks_nothing_but_its_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(ONE.line()[:-1])
    with open_results(tmp_path) as file:
        assert not file.torn
        file.append(TWO)
    assert read(path) == ([ONE, TWO], 0)


def test_lines_that_are_no_records_are_counted_and_left(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(ONE.line() + b"\0\0\0\n[]\n{}\n" + TWO.line())
    assert read(path) == ([ONE, TWO], 3)
    with open_results(tmp_path) as file:
        assert not file.torn


def test_a_second_run_is_refused_until_the_first_is_over(tmp_path: Path) -> None:
    with open_results(tmp_path), pytest.raises(FolderInUse, match="another run"), open_results(tmp_path):
        pass
    with open_results(tmp_path), open_results(tmp_path, (1, 2)), open_results(tmp_path, (2, 2)):
        pass


def test_a_folder_that_is_gone_is_noticed_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with open_results(out) as file:
        file.append(ONE)
        shutil.rmtree(out)
        with pytest.raises(FolderGone):
            file.append(TWO)
        out.mkdir()
        (out / "results.jsonl").touch()  # another one under the same name
        with pytest.raises(FolderGone):
            file.append(TWO)
    assert read(out / "results.jsonl") == ([], 0)


class Full:
    """A file on a disk with room for a few bytes more."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: bytes) -> int:
        return int(self.file.write(data[:20]))


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path: Path) -> None:
    with open_results(tmp_path) as file:
        file.append(ONE)
        whole, file.file = file.file, Full(file.file)
        with pytest.raises(FolderNotWritable, match="no space left") as raised:
            file.append(TWO)
        assert getattr(raised.value.__cause__, "errno", None) == errno.ENOSPC
        file.file = whole
    assert (tmp_path / "results.jsonl").read_bytes() == ONE.line()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(InputError), open_results(tmp_path / "out"):
        pass


def test_names_of_shards() -> None:
    assert [name_of(shard) for shard in [(1, 1), (2, 3)]] == ["results.jsonl", "results-2-of-3.jsonl"]
    assert all(Path(name_of(shard)).match(results.PATTERN) for shard in [(1, 1), (10, 11)])


def test_the_last_word_on_each_output_holds() -> None:
    again = replace(ONE, fingerprint="g", finished="3")
    elsewhere = replace(ONE, id="b", row=3, output="b.wav")
    accepted = replace(ONE, id=TWO.id, row=TWO.row, output="c.wav")
    assert latest([ONE, elsewhere, again]) == [again, elsewhere]
    assert latest([ONE, TWO]) == [ONE, TWO]
    assert latest([ONE, TWO, accepted]) == [ONE, accepted]


def test_a_duplicate_does_not_hide_the_row_it_doubles() -> None:
    double = Record(id="a", row=5, status=FAILED, error=TWO.error, finished="4")
    assert latest([ONE, double]) == [ONE, double]


def test_merged_shards_are_read_in_the_order_of_time_whatever_their_names(tmp_path: Path) -> None:
    again = replace(ONE, fingerprint="g", finished="3")
    (tmp_path / "results-1-of-2.jsonl").write_bytes(again.line())
    (tmp_path / "results-2-of-2.jsonl").write_bytes(TWO.line())
    (tmp_path / "results.jsonl").write_bytes(ONE.line())
    assert read_folder(tmp_path) == ([ONE, TWO, again], 0)
    assert merge(tmp_path) == [again, TWO]
    merged = (tmp_path / "results.jsonl").read_bytes()
    assert [json.loads(line)["id"] for line in merged.splitlines()] == [again.id, TWO.id]
    merge(tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == merged
    assert not list(tmp_path.glob(".*.part"))
