"""Ids and outputs: unique, inside the output folder, and valid on every operating system."""

from __future__ import annotations

from pathlib import Path

import pytest

from vallecli.errors import DuplicateRow, RowError, UnsafeName, UsageError
from vallecli.jobs.names import UsedNames


@pytest.mark.parametrize("output", ["a.wav", "a b.flac", "chapter 1/02.ogg", "./x.wav", "é.wav", "-.raw"])
def test_valid_names(tmp_path: Path, output: str) -> None:
    assert UsedNames(tmp_path).claim_output(output, 1) == output.removeprefix("./")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("../a.wav", "outside"),
        ("x/../../a.wav", "outside"),
        ("/tmp/a.wav", "outside"),
        ("x\\a.wav", "contains one of"),
        ("C:a.wav", "contains one of"),
        ("what?.wav", "contains one of"),
        ("x /a.wav", "contains one of"),
        ("x./a.wav", "contains one of"),
        ("con.wav", "Windows"),
        ("aux/a.wav", "Windows"),
        ("a" * 252 + ".wav", "255 bytes"),
        ("é" * 126 + ".wav", "255 bytes"),
        ("a\tb.wav", "not printable"),
        ("a\u202evaw.wav", "not printable"),
    ],
)
def test_unsafe_names(tmp_path: Path, output: str, message: str) -> None:
    with pytest.raises(UnsafeName, match=message):
        UsedNames(tmp_path).claim_output(output, 1)


def test_unsupported_ending(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unsupported file ending"):
        UsedNames(tmp_path).claim_output("a.mp4", 1)


@pytest.mark.parametrize("other", ["a.wav", "./a.wav", "A.WAV"])
def test_names_that_are_the_same_file_on_some_system(tmp_path: Path, other: str) -> None:
    names = UsedNames(tmp_path)
    names.claim_output("a.wav", 1)
    with pytest.raises(DuplicateRow, match="row 1"):
        names.claim_output(other, 2)


def test_composed_and_decomposed_accents_are_the_same_name(tmp_path: Path) -> None:
    names = UsedNames(tmp_path)
    names.claim_output("\u00e9.wav", 1)
    with pytest.raises(DuplicateRow):
        names.claim_output("e\u0301.wav", 2)


@pytest.mark.parametrize("pair", [("a.wav", "a.wav/b.wav"), ("a.wav/b.wav", "A.wav")])
def test_a_file_and_a_folder_of_the_same_name(tmp_path: Path, pair: tuple[str, str]) -> None:
    names = UsedNames(tmp_path)
    names.claim_output(pair[0], 1)
    with pytest.raises(RowError, match="row 1"):
        names.claim_output(pair[1], 2)


def test_existing_links_and_folders(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "sub.wav").mkdir(parents=True)
    (out / "away").symlink_to(tmp_path)
    names = UsedNames(out)
    with pytest.raises(UnsafeName, match="a link"):
        names.claim_output("away/a.wav", 1)
    with pytest.raises(UnsafeName, match="a folder of that name exists"):
        names.claim_output("sub.wav", 2)


def test_ids(tmp_path: Path) -> None:
    names = UsedNames(tmp_path)
    names.claim_id("a", 1)
    names.claim_id("A", 2)
    with pytest.raises(DuplicateRow, match="row 1"):
        names.claim_id("a", 3)
    with pytest.raises(RowError, match="not printable"):
        names.claim_id("a\nb", 4)
