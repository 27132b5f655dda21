"""The filter of nano's recipe: which recordings are dropped, why, and how many of each speaker are kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import filter as recordings
import numpy as np
import pytest
import soundfile
from filter import RATE, Limits, Scorers, difference, filter_speaker

SAID = "The old ship came home in sixty-one days."


def speech(seconds: float, *, background: float = 1e-4) -> np.ndarray:
    """Return bursts of a tone with pauses between them (N,) at 16 kHz."""
    rng, time = np.random.default_rng(0), np.arange(int(seconds * RATE)) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 150 * time) * (np.sin(2 * np.pi * 2 * time) > 0)
    wav: np.ndarray = (tone + background * rng.standard_normal(len(time))).astype(np.float32)
    return wav


def write(folder: Path, name: str, wav: np.ndarray, **row: Any) -> dict[str, Any]:
    """Write a recording and return its row in the manifest."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, wav, RATE, subtype="FLOAT")
    return {"file": name, "speaker": "a", "seconds": len(wav) / RATE, "text": SAID, "licence": "CC0 1.0", **row}


def scorers(heard: str = SAID, confidence: float = -0.1, opinion: float = 3.2) -> Scorers:
    return Scorers(lambda _wav: opinion, lambda _wav: (heard, confidence))


def reason(row: dict[str, Any], folder: Path, by: Scorers) -> str | None:
    [measured] = filter_speaker([row], folder, by, Limits(), keep=1, tries=1)
    found: str | None = measured["reason"]
    return found


def test_spelling_and_numbers_count_little() -> None:
    assert difference(SAID, "the old ship came home, in 61 days") == 0
    assert difference("abcd", "abd") == 0.25
    assert difference("abcd", "xabcd") == 0.25
    assert difference("abcd", "abxd") == 0.25
    assert difference("abcd", "") == 1


def test_each_reason_to_drop_a_recording(tmp_path: Path) -> None:
    good = write(tmp_path, "c/good.wav", speech(3))
    assert reason(good, tmp_path, scorers()) is None
    assert reason(write(tmp_path, "c/short.wav", speech(1.5)), tmp_path, scorers()) == "length"
    assert reason(write(tmp_path, "c/long.wav", speech(21)), tmp_path, scorers()) == "length"
    loud = np.clip(20 * speech(3), -1, 1)
    assert reason(write(tmp_path, "c/loud.wav", loud), tmp_path, scorers()) == "clipping"
    assert reason(write(tmp_path, "c/noisy.wav", speech(3, background=0.03)), tmp_path, scorers()) == "noise"
    assert reason(good, tmp_path, scorers(opinion=2.5)) == "opinion"
    assert reason(good, tmp_path, scorers(heard="Nobody was in the house.")) == "words"
    unknown = {**good, "text": None}
    assert reason(unknown, tmp_path, scorers(heard="Anything.")) is None
    assert reason(unknown, tmp_path, scorers(heard="Anything.", confidence=-0.9)) == "words"
    assert reason(unknown, tmp_path, scorers(heard="")) == "words"


def test_the_best_of_a_speaker_are_kept_and_the_others_never_heard(tmp_path: Path) -> None:
    rows = [write(tmp_path, f"c/{seconds}.wav", speech(seconds)) for seconds in (2, 3, 4, 5)]
    heard: list[int] = []

    def hear(wav_N: np.ndarray) -> tuple[str, float]:
        heard.append(len(wav_N) // RATE)
        return ("something else" if heard[-1] == 5 else SAID), -0.1

    by = Scorers(lambda wav_N: 2.9 + len(wav_N) / RATE / 10, hear)
    measured = {row["file"]: row["reason"] for row in filter_speaker(rows, tmp_path, by, Limits(), keep=2, tries=9)}
    assert measured == {"c/5.wav": "words", "c/4.wav": None, "c/3.wav": None, "c/2.wav": "enough"}
    assert heard == [5, 4, 3]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest of two corpora, whose recordings are read without networks."""
    rows = [
        write(tmp_path, "one/a1.wav", speech(3), text=SAID.upper()),
        write(tmp_path, "one/a2.wav", speech(4)),
        write(tmp_path, "one/b.wav", speech(1), speaker="b"),
        write(tmp_path, "one/secret.wav", speech(3), speaker="secret"),
        write(tmp_path, "two/c.wav", speech(3), speaker=None, text=None),
    ]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "held_out.txt").write_text("secret\n")
    monkeypatch.setattr(recordings, "load_scorers", lambda _whisper, _threads: scorers())
    return tmp_path


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    paths = ("--run", str(folder / "run"), "--manifest", str(folder / "manifest.jsonl"))
    held_out = ("--held-out", str(folder / "held_out.txt"))
    monkeypatch.setattr(sys, "argv", ["filter", *paths, *held_out, "--corpora", "one", "two", *more])
    recordings.main()


def test_what_is_kept_becomes_one_recording_a_speaker(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, monkeypatch, "--recordings", str(folder / "out"))
    kept = [json.loads(line) for line in (folder / "run" / "kept.jsonl").read_text().splitlines()]
    assert sorted(row["file"] for row in kept) == ["one/a1.wav", "one/a2.wav", "two/c.wav"]
    assert all(row["opinion"] == 3.2 and row["noise"] > 22 and row["heard"] == SAID for row in kept)
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.flac", "a.txt", "two-c.flac", "two-c.txt"]
    assert (folder / "out" / "two-c.txt").read_text() == SAID + "\n"
    texts = {SAID.lower(), SAID}
    assert {text.strip() for text in (folder / "out" / "a.txt").read_text().split(".") if text.strip()} == {
        text.rstrip(".") for text in texts
    }
    assert soundfile.info(folder / "out" / "a.flac").samplerate == 24_000
    assert 6 < soundfile.info(folder / "out" / "a.flac").duration < 8
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "one: 2 of 3 recordings kept, 0.00 h, 1 of 2 speakers; dropped: length 1",
        "two: 1 of 1 recordings kept, 0.00 h, 1 of 1 speakers; dropped: none",
        "all: 3 of 4 recordings kept, 0.00 h, 2 of 3 speakers; dropped: length 1",
    ]


def test_a_killed_run_measures_only_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder, monkeypatch)
    notes = folder / "run" / "filter.jsonl"
    whole = notes.read_text().splitlines(keepends=True)
    assert len(whole) == 4
    half = next(index for index, line in enumerate(whole) if "a2" in line)
    notes.write_text("".join(line for index, line in enumerate(whole) if index != half) + whole[half][:20])
    measured: list[str] = []
    read = recordings.read

    def read_and_note(path: Path, rate: int) -> np.ndarray:
        measured.append(path.name)
        return read(path, rate)

    monkeypatch.setattr(recordings, "read", read_and_note)
    run(folder, monkeypatch)
    assert sorted(measured) == ["a1.wav", "a2.wav"]  # the speaker whose rows were not all there
    assert sorted(notes.read_text().splitlines(keepends=True)) == sorted(whole)
    monkeypatch.setattr(recordings, "load_scorers", lambda _whisper, _threads: pytest.fail("nothing is missing"))
    run(folder, monkeypatch)
