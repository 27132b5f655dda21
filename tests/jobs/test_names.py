"""Ids and outputs: each its own, inside the folder, and good on every system."""

from __future__ import annotations

from pathlib import Path

import pytest

from vallecli.errors import DuplicateRow, RowError, UnsafeName, UsageError
from vallecli.jobs.names import Names


@pytest.mark.parametrize("output", ["a.wav", "a b.flac", "chapter 1/02.ogg", "./x.wav", "é.wav", "-.raw"])
def test_good_names(tmp_path: Path, output: str) -> None:
    assert Names(tmp_path).take_output(output, 1) == output.removeprefix("./")


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("../a.wav", "leaves"),
        ("x/../../a.wav", "leaves"),
        ("/tmp/a.wav", "leaves"),
        ("x\\a.wav", "holds one of"),
        ("C:a.wav", "holds one of"),
        ("what?.wav", "holds one of"),
        ("x /a.wav", "holds one of"),
        ("x./a.wav", "holds one of"),
        ("con.wav", "Windows"),
        ("aux/a.wav", "Windows"),
        ("a" * 252 + ".wav", "255 bytes"),
        ("é" * 126 + ".wav", "255 bytes"),
        ("a\tb.wav", "cannot be printed"),
        ("a\u202evaw.wav", "cannot be printed"),
    ],
)
def test_unsafe_names(tmp_path: Path, output: str, said: str) -> None:
    with pytest.raises(UnsafeName, match=said):
        Names(tmp_path).take_output(output, 1)


def test_a_name_without_a_format(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unsupported file ending"):
        Names(tmp_path).take_output("a.mp4", 1)


@pytest.mark.parametrize("other", ["a.wav", "./a.wav", "A.WAV"])
def test_names_that_some_system_takes_for_one(tmp_path: Path, other: str) -> None:
    names = Names(tmp_path)
    names.take_output("a.wav", 1)
    with pytest.raises(DuplicateRow, match="row 1"):
        names.take_output(other, 2)


def test_accents_in_either_spelling_are_one_name(tmp_path: Path) -> None:
    names = Names(tmp_path)
    names.take_output("\u00e9.wav", 1)
    with pytest.raises(DuplicateRow):
        names.take_output("e\u0301.wav", 2)


@pytest.mark.parametrize("pair", [("a.wav", "a.wav/b.wav"), ("a.wav/b.wav", "A.wav")])
def test_a_file_and_a_folder_of_one_name(tmp_path: Path, pair: tuple[str, str]) -> None:
    names = Names(tmp_path)
    names.take_output(pair[0], 1)
    with pytest.raises(RowError, match="row 1"):
        names.take_output(pair[1], 2)


def test_links_and_folders_in_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "sub.wav").mkdir(parents=True)
    (out / "away").symlink_to(tmp_path)
    names = Names(out)
    with pytest.raises(UnsafeName, match="a link"):
        names.take_output("away/a.wav", 1)
    with pytest.raises(UnsafeName, match="there is a folder"):
        names.take_output("sub.wav", 2)


def test_ids(tmp_path: Path) -> None:
    names = Names(tmp_path)
    names.take_id("a", 1)
    names.take_id("A", 2)
    with pytest.raises(DuplicateRow, match="row 1"):
        names.take_id("a", 3)
    with pytest.raises(RowError, match="cannot be printed"):
        names.take_id("a\nb", 4)
