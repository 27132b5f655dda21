"""The shell scripts in examples/ work, with a tiny model."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import vallecli

EXAMPLES = Path(__file__).parents[1] / "examples"
Shell = Callable[..., str]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path, reference: Path) -> Shell:
    """Run a command that can use `valle`, which speaks a few frames, in an empty folder; return its stdout."""
    source = str(Path(vallecli.__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("VALLE_CHECKPOINT", str(tiny_checkpoint))
    monkeypatch.setenv("VALLE_MAX_SECONDS", "0.05")
    shutil.copy(reference, "ref.wav")

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_valid_and_executable(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK)


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="there is no sqlite3")
def test_query(shell: Shell) -> None:
    Path("the cast").mkdir()
    for speaker in ("anna", "bert"):
        shutil.copy("ref.wav", f"the cast/{speaker}.wav")
    with sqlite3.connect("play.db") as database:
        database.execute("CREATE TABLE lines (id TEXT, speaker TEXT, line TEXT)")
        rows = [("1a", "anna", 'Is it "late", Bert?'), ("1b", "bert", "It's late,\nAnna.")]
        database.executemany("INSERT INTO lines VALUES (?, ?, ?)", rows)
    database.close()
    shell(EXAMPLES / "query.sh", "play.db", "the cast", "speech")
    assert sorted(path.name for path in Path("speech").glob("*.wav")) == ["1a.wav", "1b.wav"]


def test_slurm(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("jobs.csv").write_text("text,prompt\n" + "Hello.,ref.wav\n" * 4)
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    for task in ("1", "2"):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        shell(EXAMPLES / "slurm.sh", "jobs.csv", "out")
    shell("valle", "batch", "--merge", "--out-dir", "out")
    assert len(Path("out/results.jsonl").read_text().splitlines()) == len(list(Path("out").glob("*.wav"))) == 4


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make(shell: Shell) -> None:
    Path("jobs.csv").write_text("text,prompt\nHello.,ref.wav\n")
    Path("chapter1.txt").write_text("Hello.")
    make = ["make", "-f", str(EXAMPLES / "speech.mk"), "VOICE=ref.wav", "out/results.jsonl", "chapter1.flac"]
    shell(*make)
    assert Path("out/00001.wav").is_file()
    assert Path("chapter1.flac").is_file()
    assert "valle" not in shell(*make)  # it is up to date


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg")
def test_podcast(shell: Shell) -> None:
    rows = ["Hello.,ref.wav", "Bye.,ref.wav", "Hello again.,ref.wav"]
    lengths = []
    for count in (3, 2):  # in the second run, a row is removed; its audio stays in the folder
        Path("jobs.csv").write_text("\n".join(["text,prompt", *rows[:count]]))
        shell(EXAMPLES / "podcast.sh", "jobs.csv", "a podcast.mp3")
        shell("ffmpeg", "-y", "-loglevel", "error", "-i", "a podcast.mp3", "-f", "s16le", "back.raw")
        lengths.append(Path("back.raw").stat().st_size)
    spoken = [path.stat().st_size for path in sorted(Path("a podcast").glob("*.raw"))]
    assert len(spoken) == 3
    assert lengths == pytest.approx([sum(spoken), sum(spoken[:2])], rel=0.5)  # MP3 has whole frames
    assert lengths[0] > lengths[1]
