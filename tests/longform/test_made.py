"""Which files a work may replace."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from vallecli.errors import OutputExists
from vallecli.longform.made import Made


def note(made: Made, output: Path, content: bytes, fingerprint: str) -> None:
    made.begin(output, hashlib.sha256(content).hexdigest(), fingerprint)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "book.m4b.work").mkdir()
    return tmp_path / "book.m4b.work"


def test_an_output_is_its_own_before_and_after_it_appears(work: Path) -> None:
    output = work.parent / "book.m4b"
    Made(work).check(output, force=False)
    note(Made(work), output, b"first", "f1")
    assert not Made(work).is_current(output, "f1")  # killed before it appeared
    output.write_bytes(b"first")
    assert Made(work).is_current(output, "f1")
    assert not Made(work).is_current(output, "f2")
    note(Made(work), output, b"second", "f2")
    Made(work).check(output, force=False)  # killed in between: still the first one
    assert not Made(work).is_current(output, "f2")
    output.write_bytes(b"second")
    Made(work).check(output, force=False)
    assert Made(work).is_current(output, "f2")


def test_files_of_others_and_changed_ones_are_refused_without_force(work: Path) -> None:
    output = work.parent / "book.m4b"
    output.write_bytes(b"mine")
    with pytest.raises(OutputExists):
        Made(work).check(output, force=False)
    Made(work).check(output, force=True)
    note(Made(work), output, b"first", "f1")
    with pytest.raises(OutputExists):
        Made(work).check(output, force=False)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"../book.m4b": 3}', b'{"../book.m4b": {"sha256": [3]}}', b"[" * 9_999]
)
def test_a_damaged_list_owns_nothing(work: Path, content: bytes) -> None:
    output = work.parent / "book.m4b"
    output.write_bytes(b"first")
    (work / "made.json").write_bytes(content)
    with pytest.raises(OutputExists):
        Made(work).check(output, force=False)
    assert not Made(work).is_current(output, "f1")


def test_moving_the_output_and_the_folder_together_changes_nothing(work: Path) -> None:
    output = work.parent / "book.m4b"
    note(Made(work), output, b"first", "f1")
    output.write_bytes(b"first")
    moved = work.parent / "moved"
    moved.mkdir()
    work.rename(moved / work.name)
    output.rename(moved / output.name)
    assert Made(moved / work.name).is_current(moved / output.name, "f1")
