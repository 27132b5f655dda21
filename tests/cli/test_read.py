"""`valle read` end to end with a tiny model: files, chapters, subtitles, resuming and errors."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import books
import numpy as np
import pytest

from vallecli.audio.files import read_audio
from vallecli.audio.loudness import Meter
from vallecli.audio.transcribe import HeardWord
from vallecli.checkpoints.local import sha256
from vallecli.cli import work_run
from vallecli.longform.documents import KINDS
from vallecli.longform.subtitles import read_subtitles

if TYPE_CHECKING:
    from conftest import Ran, Valle

RATE = 24_000
CHAPTERS = [
    ("The Keeper", [["One is here.", "Two is there."], ["Three is gone.", "One is here."]]),
    ("The Letter", [["Four is late."], ["Five is early.", "Six is on time."]]),
    ("The Storm", [["Seven is loud."]]),
]
SENTENCES = 3 + sum(len(paragraph) for _, paragraphs in CHAPTERS for paragraph in paragraphs)  # with headings
DIFFERENT = SENTENCES - 1


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764460800")


@pytest.fixture
def fixed(tiny_checkpoint: Path, reference: Path) -> list[str]:
    options = ["--checkpoint", tiny_checkpoint, "--prompt", reference, "--max-seconds", "0.2"]
    return [str(option) for option in options]


@pytest.fixture
def read(valle: Valle, fixed: list[str], own_folder: Path) -> Callable[..., Ran]:
    """Run `valle read` with the tiny model on book.epub, which has CHAPTERS unless it is there."""
    if not Path("book.epub").exists():
        books.write_epub(Path("book.epub"), CHAPTERS)

    def run(*options: str | Path, book: str = "book.epub") -> Ran:
        return valle("read", book, *fixed, *options)

    return run


def records(folder: str = "book.m4b.work") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "results.jsonl").read_text().splitlines()]


def files_in(folder: str | Path) -> set[str]:
    return {path.name for path in Path(folder).iterdir() if not path.name.startswith(".")}


def decoded(path: str) -> np.ndarray:
    return read_audio(path, sample_rate=RATE)


def loudness_of(wav_N: np.ndarray) -> float | None:
    meter = Meter(RATE)
    meter.add(wav_N)
    return meter.integrated()


def test_a_book_becomes_one_file_with_chapters_labels_and_a_cover(read) -> None:
    ran = read("--subtitles", "srt")
    assert (ran.code, ran.out) == (0, b"book.m4b\nbook.srt\n"), ran.err
    with av.open("book.m4b") as file:
        chapters, tags = file.chapters(), file.metadata
        [cover] = file.streams.video
        [picture] = [bytes(packet) for packet in file.demux(cover) if packet.size]
        duration = file.duration / av.time_base
    assert [chapter["metadata"]["title"] for chapter in chapters] == ["The Keeper", "The Letter", "The Storm"]
    assert (tags["title"], tags["artist"], tags["album"]) == (books.TITLE, books.AUTHOR, books.TITLE)
    assert (tags["date"], tags["genre"], tags["major_brand"]) == ("2025-11-30", "Audiobook", "M4B ")
    assert "trainedAlgorithmicMedia" in tags["comment"]
    assert picture == books.png()
    assert int(cover.disposition) == int(av.stream.Disposition.attached_pic.value)
    bounds = [tuple(float(chapter[side] * chapter["time_base"]) for side in ("start", "end")) for chapter in chapters]
    assert bounds[0][0] == 0
    assert [end for _, end in bounds[:-1]] == [start for start, _ in bounds[1:]]
    clips = {record["id"]: record["seconds"] for record in records()}
    assert len(clips) == len(records()) == DIFFERENT
    repeated = next(record for record in records() if record["row"] == 2)  # "One is here." is read twice
    # 0.5 s before, 1 s behind, 2 s between chapters, 1.2 s after each heading, 0.3 and 0.7 s inside
    silence = 0.5 + 1 + 2 * 2 + 3 * 1.2 + 3 * 0.3 + 2 * 0.7
    whole = sum(clips.values()) + repeated["seconds"] + silence
    assert bounds[-1][1] == pytest.approx(whole, abs=0.01)
    assert duration == pytest.approx(whole, abs=0.01)
    assert len(decoded("book.m4b")) == pytest.approx(whole * RATE, abs=1_024 + 240)


def test_sentences_are_where_the_subtitles_say_and_silence_is_between_them(read) -> None:
    assert read("-o", "book.flac", "--subtitles", "srt", "--keep-loudness").code == 0
    wav_N = decoded("book.flac")
    cues = read_subtitles(Path("book.srt"))
    spoken = [sentence for title, paragraphs in CHAPTERS for sentence in [title, *chain(*paragraphs)]]
    assert [cue.text for cue in cues] == spoken
    by_text = {record["row"]: record for record in records("book.flac.work")}
    quiet_N = np.ones(len(wav_N), bool)
    rows = [1, 2, 3, 4, 2, *range(6, SENTENCES + 1)]  # equal sentences are one row
    for cue, row in zip(cues, rows, strict=True):
        clip_N = decoded(f"book.flac.work/{by_text[row]['output']}")
        start = round(cue.start * RATE / 1000)
        near = range(start - 12, start + 13)  # half a millisecond
        start = next(at for at in near if np.array_equal(wav_N[at : at + len(clip_N)], clip_N))
        assert abs(cue.end * RATE / 1000 - start - len(clip_N)) <= 24
        quiet_N[start : start + len(clip_N)] = False
    assert not wav_N[quiet_N].any()
    pauses = [following.start - cue.end for cue, following in pairwise(cues)]
    assert pauses == pytest.approx([1200, 300, 700, 300, 2000, 1200, 700, 300, 2000, 1200], abs=1)


def test_the_same_command_makes_nothing_and_the_same_bytes_elsewhere(read, own_folder: Path) -> None:
    assert read("--subtitles", "vtt").code == 0
    before = {name: sha256(Path(name)) for name in ("book.m4b", "book.vtt")}
    written = Path("book.m4b").stat().st_mtime_ns
    ran = read("--subtitles", "vtt")
    assert ran.code == 0
    assert "nothing has changed" in ran.err
    assert Path("book.m4b").stat().st_mtime_ns == written
    Path("other").mkdir()
    assert read("--subtitles", "vtt", "-o", "other/book.m4b").code == 0
    assert {name: sha256(Path("other") / name) for name in before} == before


def test_a_changed_sentence_is_spoken_alone_and_the_file_is_built_again(read) -> None:
    assert read("--subtitles", "srt").code == 0
    before = sha256(Path("book.m4b"))
    changed = [("The Keeper", [["One is here.", "Nobody is there."], *CHAPTERS[0][1][1:]]), *CHAPTERS[1:]]
    books.write_epub(Path("book.epub"), changed)
    ran = read("--subtitles", "srt")
    assert ran.code == 0
    assert len(records()) == DIFFERENT + 1
    assert "has 1 clips that this result does not use" in ran.err
    assert sha256(Path("book.m4b")) != before
    assert "Nobody is there." in Path("book.srt").read_text()
    books.write_epub(Path("book.epub"), CHAPTERS)
    assert read("--subtitles", "srt").code == 0
    assert len(records()) == DIFFERENT + 1
    assert sha256(Path("book.m4b")) == before


def test_other_pauses_and_loudness_speak_nothing(read) -> None:
    assert read("-o", "book.wav").code == 0
    first = records("book.wav.work")
    seconds = len(decoded("book.wav")) / RATE
    options = ["--pause", "1.3", "--paragraph-pause", "1.7", "--chapter-pause", "3", "--loudness", "-26"]
    assert read("-o", "book.wav", *options).code == 0
    assert records("book.wav.work") == first
    wav_N = decoded("book.wav")
    assert len(wav_N) / RATE - seconds == pytest.approx(3 * 1 + 2 * 1 + 2 * 1, abs=0.001)
    assert loudness_of(wav_N) == pytest.approx(-26, abs=0.2)
    assert read("-o", "book.wav", "--speed", "2").code == 0
    assert len(records("book.wav.work")) == 2 * len(first)


@pytest.mark.parametrize("format", ["mp3", "opus", "m4a", "flac", "wav"])
def test_one_file_a_chapter(read, format: str) -> None:
    ran = read(
        "--out-dir", "out/book", "--format", format, "--subtitles", "vtt", "--chapters", "1,3", "--loudness", "-27"
    )
    names = [f"01-the-keeper.{format}", f"03-the-storm.{format}"]
    texts = ["01-the-keeper.vtt", "03-the-storm.vtt"]
    assert ran.code == 0, ran.err
    assert ran.out.decode().splitlines() == [f"out/book/{name}" for name in (*names, *texts)]
    assert files_in("out/book") == {*names, *texts}
    for number, (name, title) in enumerate(zip(names, ("The Keeper", "The Storm"), strict=True), start=1):
        with av.open(f"out/book/{name}") as file:
            stream = file.streams.audio[0]
            tags = {key.lower(): value for key, value in {**stream.metadata, **file.metadata}.items()}
            assert tags["title"] == title
            assert (tags["artist"], tags["album"]) == (books.AUTHOR, books.TITLE)
            track = tags.get("track", tags.get("tracknumber"))
            assert track == f"{number}/2"
            assert bool(file.streams.video) == (format == "mp3")
    together = np.concatenate([decoded(f"out/book/{name}") for name in names])
    assert loudness_of(together) == pytest.approx(-27, abs=0.2 if format in ("flac", "wav") else 1)


@pytest.mark.parametrize("name", ["book.mp3", "book.opus"])
def test_other_formats_have_chapter_marks_too(read, name: str) -> None:
    assert read("-o", name).code == 0
    with av.open(name) as file:
        assert [chapter["metadata"]["title"] for chapter in file.chapters()] == [title for title, _ in CHAPTERS]


def test_the_list_and_chosen_chapters(read) -> None:
    assert read("--list").out.decode() == "1\t14\tThe Keeper\n2\t12\tThe Letter\n3\t5\tThe Storm\n"
    listed = json.loads(read("--list", "--json", "--chapters", "2-").out)
    assert [entry["chapter"] for entry in listed["chapters"]] == [2, 3]
    assert (listed["title"], listed["author"]) == (books.TITLE, books.AUTHOR)
    assert not list(Path().glob("book.m4b*"))
    for wrong in ("0", "4", "3-2", "a", "1-2-3", "", "-"):
        ran = read("--chapters", wrong)
        assert ran.code == 2, wrong
        assert "--chapters is" in ran.err


def test_a_dry_run_estimates_and_writes_nothing(read) -> None:
    ran = read("--dry-run", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["rows"], found["todo"], found["failed"]) == (DIFFERENT, DIFFERENT, 0)
    assert found["seconds"] > 0
    assert files_in(".") == {"book.epub"}
    assert read().code == 0
    with av.open("book.m4b") as file:
        duration = file.duration / av.time_base
    assert found["audio_seconds"] == pytest.approx(duration, rel=0.25)
    ran = read("--dry-run")
    assert ran.out.decode().splitlines()[0].split("\t")[::2] == ["1", "The Keeper"]
    assert f"0 of {DIFFERENT} sentences to speak, in about 0:00:00" in ran.err
    done = json.loads(read("--dry-run", "--json").out)
    assert done["audio_seconds"] == pytest.approx(duration, abs=0.1)


def test_the_json_summary(read) -> None:
    found = json.loads(read("--json", "--subtitles", "srt").out)
    [file] = found["files"]
    assert (file["path"], found["subtitles"], found["made"]) == ("book.m4b", ["book.srt"], DIFFERENT)
    assert [chapter["title"] for chapter in file["chapters"]] == [title for title, _ in CHAPTERS]
    assert file["chapters"][0]["start"] == 0
    assert loudness_of(decoded("book.m4b")) == pytest.approx(found["loudness"], abs=1)
    assert found["results"] == "book.m4b.work/results.jsonl"


def test_files_of_others_are_not_overwritten(read) -> None:
    Path("book.m4b").write_text("mine")
    ran = read()
    assert ran.code == 3
    assert "already exists" in ran.err
    assert Path("book.m4b").read_text() == "mine"
    assert not Path("book.m4b.work").exists()
    assert read("--force").code == 0
    Path("book.srt").write_text("mine")
    assert read("--subtitles", "srt").code == 3
    assert Path("book.srt").read_text() == "mine"
    Path("book.srt").unlink()
    with Path("book.m4b").open("ab") as file:
        file.write(b"tagged by another program")
    assert read().code == 3
    assert read("--force").code == 0


def test_shards_speak_parts_and_the_command_without_them_writes_the_book(read) -> None:
    assert read().code == 0
    whole = sha256(Path("book.m4b"))
    for part in (1, 2):
        ran = read("-o", "shards.m4b", "--shard", f"{part}/2")
        assert ran.code == 0, ran.err
        assert not Path("shards.m4b").exists()
    assert sum(1 for _ in Path("shards.m4b.work").glob("*.flac")) == DIFFERENT
    ran = read("-o", "shards.m4b")
    assert f"{DIFFERENT} of {DIFFERENT} rows are already done" in ran.err
    assert sha256(Path("shards.m4b")) == whole


def test_a_failed_sentence_ends_without_a_book_unless_it_is_skipped(read) -> None:
    foreign = [("One", [["One is here.", "Это здесь.", "Two is there."]])]
    books.write_epub(Path("book.epub"), foreign)
    ran = read()
    assert ran.code == 6
    assert "Cyrillic" in ran.err
    assert not Path("book.m4b").exists()
    ran = read("--skip-failed", "--subtitles", "srt")
    assert ran.code == 0, ran.err
    assert [cue.text for cue in read_subtitles(Path("book.srt"))] == ["One", "One is here.", "Two is there."]


def test_a_disclosure_is_heard_once(read) -> None:
    assert read("-o", "book.wav", "--keep-loudness").code == 0
    plain = decoded("book.wav")
    assert read("-o", "book.wav", "--keep-loudness", "--disclose", "tone").code == 0
    tones = decoded("book.wav")
    assert len(tones) - len(plain) == round((2 * 0.15 + 0.25 + 1.2) * RATE)
    np.testing.assert_array_equal(tones[-len(plain) + RATE // 2 :], plain[RATE // 2 :])
    assert read("-o", "book.wav", "--keep-loudness", "--disclose", "speech").code == 0
    assert len(records("book.wav.work")) == DIFFERENT + 1


@pytest.mark.ray
def test_a_cluster_gives_the_same_bytes(read) -> None:
    pytest.importorskip("ray")
    assert read("--subtitles", "srt", "-o", "local.wav").code == 0
    ran = read("--subtitles", "srt", "-o", "cluster.wav", "--ray", "local", "--workers", "2")
    assert ran.code == 0, ran.err
    assert len(re.findall(r"worker \d+ on", ran.err)) == 2
    for ending in ("wav", "srt"):
        assert Path(f"cluster.{ending}").read_bytes() == Path(f"local.{ending}").read_bytes()


class Listener:
    """In the place of Whisper: each word of two letters or more takes as long as the others."""

    heard = 0

    def __init__(self, model: str = "", **options: Any) -> None:
        pass

    def words(self, wav_N: np.ndarray, rate: int, *, language: str | None = None) -> list[HeardWord]:
        type(self).heard += 1
        each = len(wav_N) / rate / 3
        return [HeardWord(word, k * each, (k + 1) * each) for k, word in enumerate(["Seven", "is", "loud"])]


@pytest.mark.parametrize("ending", ["srt", "vtt"])
def test_times_of_words(read, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr("vallecli.longform.words.Recognizer", Listener)
    monkeypatch.setattr(Listener, "heard", 0)
    ran = read("--chapters", "3", "--subtitles", ending, "--words")
    assert ran.code == 0, ran.err
    text = Path(f"book.{ending}").read_text()
    if ending == "srt":
        cues = read_subtitles(Path("book.srt"))
        assert [cue.text for cue in cues] == ["The", "Storm", "Seven", "is", "loud."]
        assert all(cue.start < cue.end for cue in cues)
        assert all(cue.end <= following.start for cue, following in pairwise(cues))
    else:
        assert re.search(r"Seven <00:00:0\d\.\d{3}>is <00:00:0\d\.\d{3}>loud\.\n", text)
    assert Listener.heard == 2
    assert read("--chapters", "3", "--subtitles", ending, "--words").code == 0
    assert Listener.heard == 2  # what was heard is kept


def test_words_without_the_package_are_an_error_at_the_start(read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    ran = read("--subtitles", "srt", "--words")
    assert ran.code == 7
    assert "vallecli[asr]" in ran.err
    assert not Path("book.m4b.work").exists()


WRONG = [
    (["-o", "a.m4b", "--out-dir", "b"], 2, "both name the result"),
    (["-o", "a.xyz"], 2, "unsupported file ending"),
    (["-o", "none/a.m4b"], 3, "does not exist"),
    (["--out-dir", "b", "--format", "raw"], 2, "--format is"),
    (["--subtitles", "ass"], 2, "--subtitles is"),
    (["--words"], 2, "--words is without --subtitles"),
    (["--keep", "jokes"], 2, "jokes"),
    (["--chapter-pause", "-1"], 2, "chapter-pause"),
    (["--sample-rate", "12345"], 2, "sample rate"),
    (["--shard", "3/2"], 2, "--shard"),
    (["--loudness", "3"], 2, "loudness"),
    (["--sign", "a.pem"], 2, "--sign and --key"),
    (["--voice", "nobody"], 2, "--prompt and --voice"),
]


@pytest.mark.parametrize(
    ("options", "code", "message"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_wrong_options_are_one_error_and_nothing_is_written(
    read, options: Sequence[str], code: int, message: str
) -> None:
    ran = read(*options)
    assert (ran.code, ran.out) == (code, b""), ran.err
    assert message in ran.err
    assert files_in(".") == {"book.epub"}


def test_the_help_names_all_that_can_be_kept(valle: Valle) -> None:
    text = " ".join(valle("read", "--help").out.decode().split())
    assert all(re.search(rf"\b{kind}\b", text) for kind in KINDS)


def test_a_voice_and_a_book_are_needed(valle: Valle, read) -> None:
    assert "there is no voice" in valle("read", "book.epub").err
    assert valle("read", "none.epub", "--list").code == 3


def test_a_book_in_a_language_that_the_checkpoint_does_not_speak(read) -> None:
    Path("book.html").write_text('<html lang="de"><body><h1>Eins</h1><p>Das ist ein Haus.</p></body></html>')
    ran = read(book="book.html")
    assert ran.code == 2
    assert "the language de" in ran.err
    assert read("--language", "en", book="book.html").code == 0


def test_a_killed_run_resumes_to_the_same_bytes(read, fixed: list[str]) -> None:
    assert read("--subtitles", "srt").code == 0
    expected = {name: sha256(Path(name)) for name in ("book.m4b", "book.srt")}
    command = [sys.executable, "-m", "vallecli", "read", "book.epub", *fixed, "-o", "killed.m4b", "--subtitles", "srt"]
    results = Path("killed.m4b.work/results.jsonl")
    for rows in (1, 4):
        process = subprocess.Popen([*command, "--slots", "1"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None and not (results.exists() and results.read_bytes().count(b"\n") >= rows):
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert not Path("killed.m4b").exists() or rows == 4
    ran = read("-o", "killed.m4b", "--subtitles", "srt")
    assert ran.code == 0, ran.err
    assert {name: sha256(Path(name.replace("book", "killed"))) for name in expected} == expected
    assert not list(Path().glob(".valle-*"))
    assert not list(Path("killed.m4b.work").glob(".valle-*"))


def test_an_interrupt_while_files_are_written_leaves_none(read, monkeypatch: pytest.MonkeyPatch) -> None:
    write = work_run.write_track

    def interrupted(*arguments: Any, on_progress: Callable[[float], object], **options: Any) -> None:
        def interrupt(seconds: float) -> None:
            if seconds > 5:
                assert list(Path().glob(".valle-*.part"))
                os.kill(os.getpid(), signal.SIGINT)
            on_progress(seconds)

        write(*arguments, on_progress=interrupt, **options)

    assert read("--subtitles", "srt").code == 0
    expected = sha256(Path("book.m4b"))
    Path("book.m4b").unlink()
    monkeypatch.setattr(work_run, "write_track", interrupted)
    assert read("--subtitles", "srt").code == 130
    assert files_in(".") == {"book.epub", "book.m4b.work", "book.srt"}
    assert not list(Path().glob(".valle-*"))
    monkeypatch.setattr(work_run, "write_track", write)
    assert read("--subtitles", "srt").code == 0
    assert sha256(Path("book.m4b")) == expected
