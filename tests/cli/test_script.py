"""`valle script` end to end with a tiny model: a dialogue of three voices, stems, subtitles, resuming and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from vallecli.longform.assemble import Clip
from vallecli.longform.excerpts import Excerpt
from vallecli.longform.narration import LEAD, TAIL
from vallecli.longform.subtitles import lines_of, read_subtitles
from vallecli.longform.work import Utterance

if TYPE_CHECKING:
    from conftest import Ran, Valle

RATE = 24_000
PLAY = """# A play
[A garden.]
ANNA: One is here. Two is there.
Bob (yawning): Three is gone.
[pause 1.5s]
Old Zoë: Four is late,
    (she sits down) and five is early.
ANNA: One is here.
"""
SAID = [
    ("ANNA", "One is here."),
    ("ANNA", "Two is there."),
    ("Bob", "Three is gone."),
    ("Old Zoë", "Four is late, and five is early."),
    ("ANNA", "One is here."),
]
GAPS = [0.3, 0.6, 2.1, 0.6]  # seconds between them: a sentence, a speech, a speech and a pause, a speech
CAST = (
    '[ANNA]\nprompt = "voices/a.wav"\n[bob]\nprompt = "voices/b.wav"\ngain = -6\n["Old Zoë"]\nprompt = "voices/c.wav"\n'
)
COLUMNS = {
    "ANNA": {"prompt": "voices/a.wav"},
    "bob": {"prompt": "voices/b.wav"},
    "Old Zoë": {"prompt": "voices/c.wav", "speed": 1.5},
}
CAST += 'speed = 1.5\n[Nobody]\nprompt = "voices/none.wav"\n'


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764460800")


@pytest.fixture
def script(valle: Valle, tiny_checkpoint: Path, reference: Path, own_folder: Path) -> Callable[..., Ran]:
    """Run `valle script` on play.txt and cast.toml with the tiny model and three voices."""
    wav_N, rate = soundfile.read(reference)
    Path("voices").mkdir()
    for name, gain in (("a", 1.0), ("b", 0.5), ("c", 0.25)):
        soundfile.write(f"voices/{name}.wav", wav_N * gain, rate)
    Path("play.txt").write_text(PLAY, encoding="utf-8")
    Path("cast.toml").write_text(CAST, encoding="utf-8")

    def run(*options: str | Path, play: str = "play.txt", cast: str = "cast.toml") -> Ran:
        fixed = ["--checkpoint", tiny_checkpoint, "--max-seconds", "0.3"]
        return valle("script", play, "--cast", cast, *fixed, *options)

    return run


def records(folder: str = "play.wav.work") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "results.jsonl").read_text().splitlines()]


def files_in(folder: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def read(path: str | Path) -> np.ndarray:
    wav_N, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return wav_N


def test_a_dialogue_of_three_voices(script) -> None:
    ran = script("--keep-loudness", "--json", "--stems", "stems", "--subtitles", "vtt")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert [(entry["name"].lower(), entry["text"]) for entry in found["said"]] == [(n.lower(), t) for n, t in SAID]
    assert [entry["path"] for entry in found["files"]] == [
        *("play.wav", "stems/ANNA.wav", "stems/bob.wav", "stems/Old-Zoë.wav")
    ]
    assert len(records()) == 4, "the same sentence in the same voice is spoken once"
    wav_N, position = read("play.wav"), round(LEAD * RATE)
    assert not wav_N[:position].any()
    for entry, gap in zip(found["said"], [*GAPS, TAIL], strict=True):
        assert entry["start"] == round(position / RATE, 3)
        utterance = Utterance(entry["text"], COLUMNS[entry["name"]])
        excerpt = Excerpt.speech_in(Clip.of(Path("play.wav.work") / utterance.output), RATE)
        expected_N = excerpt.read(RATE) * (10 ** (-6 / 20) if entry["name"] == "bob" else 1)
        np.testing.assert_allclose(wav_N[position : position + len(expected_N)], expected_N, atol=1e-4)
        position += len(expected_N)
        assert entry["end"] == round(position / RATE, 3)
        assert not wav_N[position : position + round(gap * RATE)].any()
        position += round(gap * RATE)
    assert len(wav_N) == position
    assert found["files"][0]["seconds"] == round(len(wav_N) / RATE, 3)
    stems = [read(entry["path"]) for entry in found["files"][1:]]
    np.testing.assert_array_equal(sum(stems), wav_N)
    assert all(stem.any() for stem in stems)
    cues = read_subtitles(Path("play.vtt"))
    assert [(line.speaker, line.text) for cue in cues for line in lines_of(cue)] == [
        (entry["name"], entry["text"]) for entry in found["said"]
    ]
    assert [cue.start for cue in cues] == [round(entry["start"] * 1000) for entry in found["said"]]


def test_another_voice_speed_or_text_is_spoken_again_and_nothing_else(script) -> None:
    assert script().code == 0
    before = {path.name: path.read_bytes() for path in Path("play.wav.work").glob("*.flac")}
    fresh = Path("play.wav").read_bytes()
    ran = script()
    assert "nothing has changed" in ran.err
    for clip in list(before)[:2]:
        (Path("play.wav.work") / clip).unlink()
    Path("play.wav").unlink()
    assert script().code == 0
    assert Path("play.wav").read_bytes() == fresh
    assert len(records()) == 6
    Path("cast.toml").write_text(CAST.replace("gain = -6", "gain = 3"), encoding="utf-8")
    assert script("--pause", "1").code == 0
    assert len(records()) == 6, "gain and pauses need no new speech"
    assert Path("play.wav").read_bytes() != fresh
    Path("play.txt").write_text(PLAY.replace("Three", "Nine"), encoding="utf-8")
    assert script().code == 0
    assert len(records()) == 7
    Path("cast.toml").write_text(CAST.replace("speed = 1.5", "speed = 1.25"), encoding="utf-8")
    assert script().code == 0
    assert len(records()) == 8
    assert {name: (Path("play.wav.work") / name).read_bytes() for name in before} == before


def test_pauses_between_speeches_are_those_of_the_option(script) -> None:
    found = json.loads(script("--json", "--pause", "0.2").out)["said"]
    gaps = [round(after["start"] - before["end"], 3) for before, after in pairwise(found)]
    assert gaps == pytest.approx([0.2, 0.2, 1.7, 0.2], abs=0.002)


def test_the_notice_comes_first(script) -> None:
    ran = script("--disclose", "speech", "--json")
    assert ran.code == 0, ran.err
    assert Utterance("This speech is synthetic.", COLUMNS["ANNA"]).id in {record["id"] for record in records()}
    assert json.loads(ran.out)["said"][0]["start"] > LEAD + 0.6


def test_an_estimate_writes_nothing(script) -> None:
    ran = script("--dry-run", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["rows"], found["todo"], found["failed"]) == (4, 4, 0)
    assert files_in(".") == {"play.txt", "cast.toml", "voices/a.wav", "voices/b.wav", "voices/c.wav"}


def test_stems_of_names_that_are_alike(script) -> None:
    Path("cast.toml").write_text('["A/B"]\nprompt = "voices/a.wav"\n["A B"]\nprompt = "voices/b.wav"\n')
    Path("play.txt").write_text("A/B: One.\nA B: Two.")
    assert script("--stems", "stems").code == 0
    assert files_in("stems") == {"A-B.wav", "A-B-2.wav"}


@pytest.mark.parametrize(
    ("files", "options", "code", "message", "hint"),
    [
        ({"play.txt": b""}, [], 3, "play.txt: nobody says anything", "ANNA: Good morning."),
        ({"play.txt": b"[only]\n# directions\n"}, [], 3, "play.txt: nobody says anything", ""),
        ({"play.txt": b"ANNA: !!!\n"}, [], 3, "play.txt: nobody says anything", ""),
        ({"play.txt": b"ANNA: Hi.\n\nBobb: Yes.\n"}, [], 3, "play.txt, line 3: 'Bobb' is not in", "Did you mean bob?"),
        ({"play.txt": b"ANNA: Hi.\n[pause x]\n"}, [], 3, "play.txt, line 2: the pause is 'x'", ""),
        ({"play.txt": "ANNA: Café.".encode("cp1252")}, [], 3, "play.txt is not UTF-8", "iconv"),
        ({"play.txt": b"\x7fELF\x02\x01\xff\xfe\0"}, [], 3, "play.txt is not UTF-8", ""),
        ({"play.txt": b"RIFF\0\0\0\0WAVE"}, [], 3, "play.txt is not UTF-8 text, but probably a recording", ""),
        ({"cast.toml": b"[ANNA]\nspeed = 1\n"}, [], 3, "cast.toml has a speaker 'ANNA' without a voice", "prompt"),
        (
            {"cast.toml": b"[ANNA]\nvoice = 'anna'\n[bob]\nvoice = 'b'\n['Old Zo\xc3\xab']\nvoice = 'c'"},
            [],
            3,
            "anna",
            "",
        ),
        ({"cast.toml": CAST.replace("voices/a", "voices/x").encode()}, [], 3, "voices/x.wav", ""),
        ({"cast.toml": b"[ANNA\n"}, [], 3, "cast.toml cannot be read", ""),
        ({"cast.toml": b""}, [], 3, "cast.toml has no speakers", ""),
        ({}, ["--voice", "anna"], 2, "--voice is not for a dialogue", "cast"),
        ({}, ["--prompt", "voices/a.wav"], 2, "--prompt is not for a dialogue", "cast"),
        ({}, ["--subtitles", "txt"], 2, "--subtitles is 'txt'", "Did you mean vtt?"),
        ({}, ["-o", "play.txt"], 2, "unsupported file ending", ""),
        ({}, ["-o", "voices/a.wav"], 3, "voices/a.wav already exists", ""),
        ({}, ["-o", "none/play.wav"], 3, "none/play.wav", ""),
        ({}, ["--stems", "play.txt"], 3, "play.txt", ""),
        ({}, ["--checkpoint", "no-such-checkpoint"], 4, "no-such-checkpoint", ""),
    ],
)
def test_broken_inputs(script, files: dict[str, bytes], options: list[str], code: int, message: str, hint: str) -> None:
    for name, content in files.items():
        Path(name).write_bytes(content)
    before = {name: Path(name).read_bytes() for name in files_in(".")}
    ran = script(*options)
    assert ran.code == code, ran.err
    assert ran.out == b""
    assert ran.err.startswith("error: ")
    assert message in ran.err
    assert hint in ran.err
    assert ran.err.count("error: ") == 1
    assert {name: Path(name).read_bytes() for name in files_in(".")} == before
