"""`valle dub` end to end with a tiny model: cues in their time, voices, films, resuming and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
import soundfile
from films import make_film

from vallecli.longform.assemble import Clip
from vallecli.longform.dubbing import samples_at
from vallecli.longform.excerpts import Excerpt
from vallecli.longform.subtitles import Cue, format_srt
from vallecli.longform.work import Utterance

if TYPE_CHECKING:
    from conftest import Ran, Valle

RATE = 24_000
NUMBERS = ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764460800")


@pytest.fixture
def dub(valle: Valle, tiny_checkpoint: Path, reference: Path) -> Callable[..., Ran]:
    """Run `valle dub` on film.srt with the tiny model, whose clips have 0.3 s."""

    def run(*options: str | Path, subtitles: str = "film.srt", voice: bool = True) -> Ran:
        fixed = ["--checkpoint", tiny_checkpoint, "--max-seconds", "0.3"]
        prompt = ["--prompt", reference] if voice else []
        return valle("dub", subtitles, *fixed, *prompt, *options)

    return run


def write(*cues: tuple[float, float, str], name: str = "film.srt") -> None:
    text = format_srt(Cue(round(start * 1000), round(end * 1000), text) for start, end, text in cues)
    Path(name).write_text(text, encoding="utf-8")


def records(folder: str = "film.dub.wav.work") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "results.jsonl").read_text().splitlines()]


def files_in(folder: str = ".") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def read(path: str) -> np.ndarray:
    wav_N, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return wav_N


def test_forty_cues_of_which_ten_are_too_short(dub) -> None:
    cues = []
    for index in range(40):
        start = 0.017 + 0.8 * index
        short = index % 4 == 1
        # Five of the short ones are next to another cue, the others before a gap.
        length = (0.78 if index % 8 == 1 else 0.1) if short else 0.6
        begin = start + (0.7 if short and index % 8 == 1 else 0)
        cues.append((begin, start + length, f"{NUMBERS[index % 10]} of {index}."))
    write(*cues)
    ran = dub("--json", "--keep-loudness")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert [found[name] for name in ("fit", "stretched", "overflow", "too_long", "silent")] == [30, 0, 5, 5, 0]
    assert "5 of 40 cues do not fit:" in ran.err
    too_long = [entry["number"] for entry in found["cues"] if entry["status"] == "too long"]
    table = [line.split()[0] for line in ran.err.splitlines() if line.startswith("  ")]
    assert table == ["cue", *map(str, too_long)]
    wav_N = read("film.dub.wav")
    assert found["seconds"] == round(len(wav_N) / RATE, 3)
    assert len(wav_N) == samples_at(round(cues[-1][1] * 1000), RATE)
    end = 0
    for (begin, _, text), entry in zip(cues, found["cues"], strict=True):
        excerpt = Excerpt.speech_in(Clip.of(Path("film.dub.wav.work") / Utterance(text).output), RATE)
        assert entry["spoken"] == round(excerpt.samples(RATE) / RATE, 3)
        start = max(samples_at(round(begin * 1000), RATE), end)
        assert entry["start"] == round(start / RATE, 3)
        expected_N = excerpt.faster(entry["speed"]).read(RATE)
        assert not wav_N[end:start].any()
        end = start + len(expected_N)
        np.testing.assert_allclose(wav_N[start:end], expected_N, atol=1e-4)
        assert entry["end"] == round(end / RATE, 3)
        assert (entry["excess"] > 0) == (entry["status"] == "too long")
    assert not wav_N[end:].any()
    for entry, following in pairwise(found["cues"]):
        assert entry["end"] <= following["start"]
        assert following["late"] == pytest.approx(entry["excess"], abs=0.001)


def test_other_times_and_lengths_need_no_new_speech(dub) -> None:
    write((0.5, 2, "One."), (3, 4, "Two."))
    assert dub().code == 0
    first = Path("film.dub.wav").read_bytes()
    assert len(read("film.dub.wav")) == 4 * RATE
    ran = dub()
    assert "nothing has changed" in ran.err
    write((0.5, 2, "One."), (3.5, 4, "Two."))
    assert dub("--length", "0:10,5").code == 0
    assert len(read("film.dub.wav")) == 10.5 * RATE
    assert len(records()) == 2
    write((0.5, 2, "One."), (3, 4, "Two."))
    Path("film.dub.wav").unlink()
    next(Path("film.dub.wav.work").glob("*.flac")).unlink()
    assert dub().code == 0
    assert Path("film.dub.wav").read_bytes() == first
    assert len(records()) == 3


def test_no_cue_is_made_faster_without_stretch(dub) -> None:
    write((1, 1.1, "One."), (1.2, 1.3, "Two."), (3, 4, "Three."))
    found = json.loads(dub("--json", "--fit", "none").out)
    assert {entry["speed"] for entry in found["cues"]} == {1.0}
    assert found["too_long"] == 1
    assert json.loads(dub("--json", "--max-speed", "2").out)["cues"][0]["speed"] > 1.25


def test_speakers_have_the_voices_of_the_cast(dub, reference: Path) -> None:
    Path("film.vtt").write_text(
        "WEBVTT\n\n00:01.000 --> 00:03.000\n<v Anna>One.</v> <v Bob>Two.\n\n"
        "00:04.000 --> 00:05.000\nBOB: Three.\n\n00:06.000 --> 00:07.000\n[sighs]\n\n00:08.000 --> 00:09.000\nFour.\n"
    )
    Path("cast.toml").write_text(
        f'[Anna]\nprompt = "{reference}"\nseed = 5\n[Bob]\nprompt = "{reference}"\ngain = -6\n'
    )
    ran = dub("--cast", "cast.toml", "--json", "--keep-loudness", subtitles="film.vtt")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["silent"], [entry["text"] for entry in found["cues"]]) == (1, ["One. Two.", "Three.", "Four."])
    anna, bob = {"prompt": str(reference), "seed": 5}, {"prompt": str(reference)}
    names = {Utterance(t, c).id for t, c in (("One.", anna), ("Two.", bob), ("Three.", bob), ("Four.", {}))}
    assert {record["id"] for record in records("film.dub.wav.work")} == names
    wav_N = read("film.dub.wav")
    for text, columns, start, factor in (("One.", anna, 1, 1), ("Three.", bob, 4, 10**-0.3), ("Four.", {}, 8, 1)):
        clip = Clip.of(Path("film.dub.wav.work") / Utterance(text, columns).output)
        expected_N = factor * Excerpt.speech_in(clip, RATE).read(RATE)
        np.testing.assert_allclose(wav_N[start * RATE :][: len(expected_N)], expected_N, atol=1e-4)
    assert "6 speakers" not in ran.err
    assert "2 speakers, who have one voice" in dub("-o", "one.wav", subtitles="film.vtt").err


def test_a_film_gets_the_speech_as_its_default_track(dub) -> None:
    make_film(Path("film.mkv"))
    write((0.5, 2, "One."), (2.5, 3.5, "Two."))
    ran = dub("--mux", "film.mkv", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["path"], found["seconds"]) == ("film.dub.mkv", pytest.approx(4, abs=0.05))
    with av.open("film.dub.mkv") as film:
        assert [stream.type for stream in film.streams] == ["video", "audio", "subtitle", "audio"]
        new = film.streams[3]
        assert (new.metadata["language"], new.metadata["title"]) == ("eng", "Synthetic dub")
        assert "Synthetic speech" in new.metadata["COMMENT"]
        wav_N = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(new)])
    assert len(wav_N) == round(found["seconds"] * RATE)
    heard = np.flatnonzero(wav_N)
    assert heard[0] / RATE == pytest.approx(0.5, abs=0.05)
    assert "the film is as it should be" in dub("--mux", "film.mkv").err
    before = Path("film.dub.mkv").read_bytes()
    Path("film.dub.mkv").unlink()
    assert dub("--mux", "film.mkv").code == 0
    assert Path("film.dub.mkv").read_bytes() == before
    assert len(records("film.dub.mkv.work")) == 2


def test_overlapping_cues_are_spoken_one_after_the_other_if_that_is_allowed(dub) -> None:
    write((1, 3, "One."), (1.1, 3, "Two."))
    found = json.loads(dub("--allow-overlaps", "--json").out)["cues"]
    assert found[1]["start"] == found[0]["end"] > 1.1


def test_an_estimate_writes_nothing(dub) -> None:
    write((1, 1.01, "One two three four five six seven eight."), (1.02, 3, "Two."))
    before = files_in()
    ran = dub("--dry-run", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["cues"], found["todo"], found["too_long"]) == (2, 2, 1)
    assert files_in() == before


GOOD = format_srt([Cue(1000, 2000, "One."), Cue(3000, 4000, "Two.")]).encode()


@pytest.mark.parametrize(
    ("files", "options", "code", "message", "hint"),
    [
        ({"film.srt": b""}, [], 3, "film.srt: it has no subtitles", "-->"),
        ({"film.srt": GOOD.replace(b"00:00:03", b"00:00:01")}, [], 3, "line 6: this cue begins at", "--allow-overlaps"),
        ({"film.srt": GOOD.replace(b"00:00:03", b"-00:00:03")}, [], 3, "film.srt, line 6: a time is negative", ""),
        ({"film.srt": GOOD.replace(b"00:00:03", b"00:00:09")}, [], 3, "line 6: this cue ends before it begins", ""),
        ({"film.srt": GOOD.replace(b"00:00:03", b"00:99:03")}, [], 3, "film.srt, line 6: invalid times", ""),
        ({"film.srt": GOOD.replace(b"One.", b"[x]").replace(b"Two.", b"...")}, [], 3, "nothing in it is spoken", ""),
        ({"film.srt": "1\n00:00:01,000 --> 00:00:02,000\nCafé.".encode("cp1252")}, [], 3, "not UTF-8", "iconv"),
        ({"film.srt": bytes(range(256)) * 20}, [], 3, "not UTF-8", ""),
        ({"film.srt": b"Once upon a time.\n"}, [], 3, "film.srt, line 1: this is not part of a subtitle", ""),
        ({"film.srt": GOOD.replace(b"00:00:04", b"999:00:04")}, [], 3, "more than 100 hours", ""),
        ({"cast.toml": b"[Anna]\nspeed = 1\n"}, ["--cast", "cast.toml"], 3, "a speaker 'Anna' without a voice", ""),
        (
            {"film.srt": GOOD.replace(b"Two", b"<v Ana>Two"), "cast.toml": b"[Anna]\nvoice = 'a'\n"},
            ["--cast", "cast.toml"], 3, "film.srt, line 6: 'Ana' is not in the cast", "Did you mean Anna?",
        ),
        ({}, ["--mux", "film.srt", "-o", "out.mp4"], 3, "film.srt", "MP4"),
        ({}, ["--mux", "none.mp4"], 3, "none.mp4: it cannot be opened", ""),
        ({}, ["--mux", "film.mkv", "-o", "out.wav"], 2, "out.wav is not the name of a film", ".mp4"),
        ({}, ["--mux", "film.mkv", "-o", "film.mkv"], 2, "the same file", ""),
        ({}, ["--mux", "film.mkv", "--length", "9"], 2, "--length and --mux both give a length", ""),
        ({"film.srt": GOOD.replace(b"00:00:0", b"00:01:0")}, ["--mux", "film.mkv"], 3, "after the end of the film", ""),
        ({}, ["--length", "2"], 3, "film.srt, line 6: this cue begins at 00:00:03,000, after the end", ""),
        ({}, ["--length", "soon"], 2, "--length is 'soon'", "1:30:00"),
        ({}, ["--fit", "cut"], 2, "--fit is 'cut'", "stretch"),
        ({}, ["--disclose", "speech"], 2, "--disclose has no place", ""),
        ({"film.dub.wav": b"mine"}, [], 3, "film.dub.wav already exists", ""),
        ({}, ["--checkpoint", "no-such-checkpoint"], 4, "no-such-checkpoint", ""),
    ],
)  # fmt: skip
def test_broken_inputs(dub, files: dict[str, bytes], options: list[str], code: int, message: str, hint: str) -> None:
    make_film(Path("film.mkv"))
    Path("film.srt").write_bytes(GOOD)
    for name, content in files.items():
        Path(name).write_bytes(content)
    before = {name: Path(name).read_bytes() for name in files_in()}
    ran = dub(*options)
    assert ran.code == code, ran.err
    assert ran.out == b""
    assert ran.err.count("error: ") == 1
    assert message in ran.err
    assert hint in ran.err
    assert {name: Path(name).read_bytes() for name in files_in()} == before


def test_a_voice_is_needed(dub) -> None:
    write((1, 2, "One."))
    ran = dub(voice=False)
    assert (ran.code, ran.out) == (2, b"")
    assert "there is no voice" in ran.err
    Path("cast.toml").write_text('[Anna]\nvoice = "anna"\n')
    ran = dub("--cast", "cast.toml", voice=False)
    assert (ran.code, "film.srt, line 2: nobody is named for 'One.'" in ran.err) == (3, True)


def test_failed_cues_can_be_left_out(dub) -> None:
    write((1, 2, "One."), (3, 4, "日本語"))
    ran = dub()
    assert ran.code == 6
    assert "film.dub.wav" not in files_in()
    ran = dub("--skip-failed", "--json")
    assert ran.code == 0, ran.err
    assert [entry["number"] for entry in json.loads(ran.out)["cues"]] == [1]
    assert len(read("film.dub.wav")) == 4 * RATE


@pytest.fixture
def translate(valle: Valle, vallex_checkpoint: Path, reference: Path) -> Callable[..., Ran]:
    """Run `valle dub` on film.srt with a tiny model of the VALL-E X family, in a language."""

    def run(language: str, *options: str | Path) -> Ran:
        prompt = ["--prompt", reference, "--prompt-text", "Hello.", "--max-seconds", "0.3", "--seed", "5"]
        return valle("dub", "film.srt", "--checkpoint", vallex_checkpoint, *prompt, "--language", language, *options)

    return run


@pytest.mark.parametrize(
    ("language", "tag", "lines"), [("zh", "zho", ("你好。", "再见。")), ("ja", "jpn", ("こんにちは。", "さようなら。"))]
)
def test_a_translated_film(translate: Callable[..., Ran], language: str, tag: str, lines: tuple[str, str]) -> None:
    film = make_film(Path("film.mp4"), subtitles=False)
    write((0.5, 1.5, lines[0]), (2, 3, lines[1]))
    ran = translate(language, "--mux", film, "-o", "dubbed.mp4")
    assert ran.code == 0, ran.err
    with av.open("dubbed.mp4") as dubbed:
        assert [track.language for track in dubbed.streams.audio] == ["fra", tag]


def test_the_language_reaches_the_model(translate: Callable[..., Ran]) -> None:
    """Characters of both languages, with the same seed, have other codes in each; each is spoken once."""
    write((0.5, 1.5, "日本。"))
    spoken = []
    for language in ("zh", "ja", "ja"):
        assert translate(language).code == 0
        spoken.append(records()[-1])
    assert {record["seed"] for record in spoken} == {5}
    assert spoken[0]["sha256"] != spoken[1]["sha256"]
    assert spoken[0]["fingerprint"] != spoken[1]["fingerprint"]
    assert spoken[1] == spoken[2]


def test_a_language_that_the_checkpoint_lacks(dub: Callable[..., Ran], translate: Callable[..., Ran]) -> None:
    write((0.5, 1.5, "Bonjour."))
    for ran, known in ((dub("--language", "fr"), "en"), (translate("fr"), "en, zh, ja, mix")):
        assert ran.code == 2, ran.err
        assert "does not speak the language 'fr'" in ran.err
        assert f"It speaks: {known}." in ran.err
    assert files_in() == {"film.srt"}
