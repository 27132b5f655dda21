"""Temporary files: leftovers of killed processes are removed, those of live ones stay, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vallecli import atomic
from vallecli.printable import mask_credentials, printable, public_url

pytest.importorskip("fcntl")

HOLD = """
import sys, pathlib
from vallecli import atomic
path = pathlib.Path(sys.argv[2])
with getattr(atomic, sys.argv[1])(path) as place:
    print("ready", flush=True)
    sys.stdin.read()
"""


def old(path: Path, seconds: float = 3600) -> None:
    status = path.stat()
    os.utime(path, (status.st_atime - seconds, status.st_mtime - seconds))


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if atomic.PART.fullmatch(path.name)]


@pytest.mark.parametrize("kind", ["replace_file", "replace_folder"])
def test_the_leftover_of_a_killed_process_is_swept_and_that_of_a_live_one_stays(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", HOLD, kind, str(tmp_path / "out")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        [left] = parts(tmp_path)
        old(left)
        atomic.sweep(tmp_path)
        assert parts(tmp_path) == [left]
    finally:
        process.kill()
        process.communicate()
    assert parts(tmp_path) == [left]
    atomic.sweep(tmp_path)
    assert parts(tmp_path) == []


def test_new_temporary_files_stay_and_those_from_the_future_do_not(tmp_path: Path) -> None:
    new, future = (tmp_path / f".valle-{digit * 16}.part" for digit in "ab")
    new.touch()
    future.touch()
    old(future, -(10**6))
    atomic.sweep(tmp_path)
    assert parts(tmp_path) == [new]


def test_sweeping_touches_nothing_but_temporary_files(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis").write_text("work")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / f".valle-{'c' * 16}.part").symlink_to(outside)
    (folder / f".valle-{'d' * 16}.part").symlink_to(outside / "thesis")
    os.mkfifo(folder / f".valle-{'e' * 16}.part")
    others = [".valle-1.part", f".valle-{'A' * 16}.part", f"x.valle-{'a' * 16}.part", "out.part"]
    for name in others:
        (folder / name).touch()
        old(folder / name)
    holder = folder / f".valle-{'f' * 16}.part"
    holder.mkdir()
    (holder / "link").symlink_to(outside)
    old(holder)
    atomic.sweep(folder)
    assert not holder.exists()
    assert {name for name in others if not (folder / name).exists()} == set()
    assert (outside / "thesis").read_text() == "work"
    atomic.sweep(tmp_path / "missing")


def test_a_folder_that_was_moved_aside_by_a_killed_process_is_moved_back(tmp_path: Path) -> None:
    killed = tmp_path / f".valle-{'0' * 16}.part"
    for name in ("tiny", "other"):
        (killed / atomic.OLD / name).mkdir(parents=True)
        (killed / atomic.OLD / name / "weights").write_text("old")
    (killed / atomic.NEW).mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "weights").write_text("new")
    old(killed)
    atomic.sweep(tmp_path)
    assert (tmp_path / "tiny" / "weights").read_text() == "old"
    assert (tmp_path / "other" / "weights").read_text() == "new"
    assert parts(tmp_path) == []


def test_a_folder_is_kept_when_the_new_one_cannot_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "weights").write_text("old")
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == atomic.NEW:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic.replace_folder(folder) as new:
        (new / "weights").write_text("new")
    assert (folder / "weights").read_text() == "old"
    assert parts(tmp_path) == []


@pytest.mark.parametrize("target", ["outside", "missing"])
def test_a_link_is_replaced_by_a_folder_and_its_target_stays(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "thesis").write_text("work")
    (tmp_path / "tiny").symlink_to(tmp_path / target)
    with atomic.replace_folder(tmp_path / "tiny") as new:
        (new / "weights").write_text("new")
    assert not (tmp_path / "tiny").is_symlink()
    assert (tmp_path / "tiny" / "weights").read_text() == "new"
    assert (tmp_path / "outside" / "thesis").read_text() == "work"


# Text for terminals


def test_control_and_invisible_characters_are_escaped_and_letters_are_not() -> None:
    assert printable("a\x1b[2J\x9b\r\x00\x7f\u202egnp.exe\u200b\ud800") == (
        "a\\x1b[2J\\x9b\\r\\x00\\x7f\\u202egnp.exe\\u200b\\ud800"
    )
    assert printable("Ünïcödé 日本語 \u00a0 \U0001f600") == "Ünïcödé 日本語 \u00a0 \U0001f600"
    assert printable("one\ntwo\x07", keep="\n") == "one\ntwo\\x07"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a.pt", "https://example.org/a.pt"),
        ("https://user:secret@example.org:8443/a.pt", "https://***@example.org:8443/a.pt"),
        ("https://user:se@cret@example.org/a.pt", "https://***@example.org/a.pt"),
        ("https://example.org/a.pt?token=secret#secret", "https://example.org/a.pt?***"),
        ("https://example.org/a\x1b.pt", "https://example.org/a\\x1b.pt"),
        ("https://user:secret@[bad/a.pt?secret", "https://***@[bad/a.pt?***"),
    ],
)
def test_urls_are_shown_without_credentials(url: str, shown: str) -> None:
    assert public_url(url) == shown
    assert "secret" not in mask_credentials(f"cannot open '{url}': refused")
