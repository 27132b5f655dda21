"""Protocols: the rows of the papers, the same list for everybody, and a list that is a valid table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vallecli.errors import InputError, UsageError
from vallecli.jobs import given, plan
from vallecli.jobs.plan import Defaults, make_plan
from vallecli.jobs.table import Columns, read_table
from vallecli.quality.protocols import CONTINUE, CROSS, SEED_TTS, sentence, write_list
from vallecli.settings import Settings

RATE = 16_000
SECONDS = {"61-70968-0000": 4.9, "61-70968-0001": 2.0, "61-70970-0002": 12.5, "121-121726-0000": 5.0}
SECONDS |= {"121-121726-0001": 3.5, "237-126133-0000": 6.0}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder like test-clean: three speakers, one with a single utterance."""
    generator = np.random.default_rng(0)
    for name, seconds in SECONDS.items():
        speaker, chapter, _ = name.split("-")
        folder = tmp_path / "test-clean" / speaker / chapter
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name}.flac", generator.normal(0, 0.1, int(seconds * RATE)), RATE)
        with (folder / f"{speaker}-{chapter}.trans.txt").open("a") as file:
            file.write(f"{name} HE SAID I WON'T\n")
    return tmp_path / "test-clean"


def hear(wav_N: np.ndarray, rate: int, language: str) -> str:
    """Hear the beginning of the utterances of the corpus."""
    assert (len(wav_N) / rate, language) == (3, "en")
    return "he said"


def rows_of(path: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}


def test_cross_takes_3_s_of_another_utterance_of_the_speaker(corpus: Path, tmp_path: Path) -> None:
    rows = rows_of(write_list(CROSS, corpus, tmp_path / "out"))
    assert list(rows) == ["121-121726-0000", "61-70968-0000"]  # 4 to 10 s, with another one of 3 s and more
    for name, row in rows.items():
        source, _, span = row["prompt_source"].partition(", ")
        begin = float(span.split()[0])
        assert (source.split("-")[0], source == name, row["speaker"]) == (name.split("-")[0], False, name.split("-")[0])
        assert SECONDS[source] >= begin + 3
        prompt_N, rate = soundfile.read(tmp_path / "out" / row["prompt"])
        original_N, _ = soundfile.read(next(corpus.rglob(f"{source}.flac")))
        assert (rate, len(prompt_N)) == (RATE, 3 * RATE)
        assert np.abs(prompt_N - original_N[int(begin * RATE) :][: 3 * RATE]).max() < 1e-4
        assert Path(row["reference"]).stem == name


def test_continue_takes_the_beginning_of_the_same_utterance(corpus: Path, tmp_path: Path) -> None:
    rows = rows_of(write_list(CONTINUE, corpus, tmp_path / "out", hear=hear))
    assert {(row["text"], row["prompt_text"], row["continue"]) for row in rows.values()} == {
        ("He said I won't.", "He said", True)
    }
    assert list(rows) == ["121-121726-0000", "237-126133-0000", "61-70968-0000"]
    prompt_N, _ = soundfile.read(tmp_path / "out" / rows["61-70968-0000"]["prompt"])
    original_N, _ = soundfile.read(next(corpus.rglob("61-70968-0000.flac")))
    assert np.abs(prompt_N - original_N[: 3 * RATE]).max() < 1e-4


def test_words_of_prompts_that_a_list_has_are_kept(corpus: Path, tmp_path: Path) -> None:
    path = write_list(CONTINUE, corpus, tmp_path / "out", hear=hear, limit=2)
    before = path.read_text()
    path.write_text(before + "no JSON\n[]\n{}\n")
    heard = []

    def hear_more(wav_N: np.ndarray, rate: int, language: str) -> str:
        heard.append(len(wav_N))
        return "he"

    rows = rows_of(write_list(CONTINUE, corpus, tmp_path / "out", hear=hear_more))
    assert [row["prompt_text"] for row in rows.values()] == ["He said", "He said", "He"]
    assert len(heard) == 1
    write_list(CONTINUE, corpus, tmp_path / "out", hear=hear_more, limit=2)
    assert path.read_text() == before


@pytest.mark.parametrize("protocol", [CROSS, CONTINUE])
def test_everybody_gets_the_same_list_and_prompts(corpus: Path, tmp_path: Path, protocol: str) -> None:
    copy = tmp_path / "elsewhere" / "test-clean"
    shutil.copytree(corpus, copy)
    first, second = (
        write_list(protocol, path, tmp_path / path.parent.name / "o", hear=hear) for path in (corpus, copy)
    )
    for one, other in zip(rows_of(first).values(), rows_of(second).values(), strict=True):
        assert {**one, "reference": ""} == {**other, "reference": ""}
        assert (first.parent / one["prompt"]).read_bytes() == (second.parent / other["prompt"]).read_bytes()


@pytest.mark.parametrize("protocol", [CROSS, CONTINUE])
def test_the_list_is_a_table_whose_rows_can_all_be_spoken(
    corpus: Path, tmp_path: Path, protocol: str, tiny_checkpoint: Path
) -> None:
    path = write_list(protocol, corpus, tmp_path / "out", hear=hear)
    columns = Columns(known=(*plan.COLUMNS, *given.COLUMNS), required=["text", "prompt"])
    lines = read_table(path.read_bytes(), "list", columns)
    settings = Settings(checkpoint=str(tiny_checkpoint))
    planned = make_plan(lines, Defaults(settings=settings), base=path.parent, out=path.parent, table=path)
    assert [row.id for row in planned.rows] == list(rows_of(path))
    assert {row.goes_on for row in planned.rows} == {protocol == CONTINUE}
    assert planned.refused == []


def test_a_limit_spreads_over_the_list(corpus: Path, tmp_path: Path) -> None:
    assert list(rows_of(write_list(CONTINUE, corpus, tmp_path / "out", limit=2, hear=hear))) == [
        "121-121726-0000",
        "237-126133-0000",
    ]
    assert len(rows_of(write_list(CONTINUE, corpus, tmp_path / "out", limit=9, hear=hear))) == 3


def test_transcripts_in_capitals_become_sentences() -> None:
    assert sentence("I SAID I'LL GO IN HIS LIFE") == "I said I'll go in his life."


def test_seed_tts_has_its_prompts_and_references(tmp_path: Path) -> None:
    meta = tmp_path / "en" / "meta.lst"
    (tmp_path / "en" / "wavs").mkdir(parents=True)
    (tmp_path / "en" / "wavs" / "a-b.wav").touch()
    meta.write_text("a-b|What I said.|prompt-wavs/a.wav|Say this.\nc-d|今天。|prompt-wavs/c.wav|明天。|other/c.wav\n")
    rows = rows_of(write_list(SEED_TTS, meta, tmp_path / "out"))
    assert rows["a-b"] == {
        "id": "a-b",
        "text": "Say this.",
        "prompt": str(tmp_path / "en" / "prompt-wavs" / "a.wav"),
        "prompt_text": "What I said.",
        "language": "en",
        "speaker": "prompt-wavs/a.wav",
        "reference": str(tmp_path / "en" / "wavs" / "a-b.wav"),
    }
    assert rows["c-d"]["language"] == "zh"
    assert "reference" not in rows["c-d"]  # it does not exist


@pytest.mark.parametrize("line", ["a|b|c", "a|b||d", "a|b|c|d|e|f", "a,b,c,d"])
def test_other_lines_than_those_of_seed_tts(tmp_path: Path, line: str) -> None:
    (tmp_path / "meta.lst").write_text(f"a|b|c|d\n{line}\n")
    with pytest.raises(InputError, match="line 2 "):
        write_list(SEED_TTS, tmp_path / "meta.lst", tmp_path / "out")


def test_sources_that_are_none(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"trans\.txt"):
        write_list(CROSS, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(InputError, match="cannot read"):
        write_list(SEED_TTS, tmp_path / "missing.lst", tmp_path / "out")
    with pytest.raises(UsageError, match="no protocol") as caught:
        write_list("librispeech-cros", corpus, tmp_path / "out")
    assert "librispeech-cross" in caught.value.hint
    next(corpus.rglob("61-70968-0000.flac")).write_bytes(b"no audio")
    with pytest.raises(InputError, match="cannot read"):
        write_list(CROSS, corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()
