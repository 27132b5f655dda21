"""Evaluation with simple models: each row has its scores or its error, and a resumed run equals a fresh one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from voiced import voiced

from vallecli.audio import prompt as prompts
from vallecli.audio.pcm import Wav
from vallecli.errors import FolderInUse, ForeignResults, InputError, OutputError
from vallecli.failures import Failure
from vallecli.quality.evaluation import Item, Scorers, evaluate
from vallecli.quality.pretrained import RATE, Embedding
from vallecli.quality.scores import FAILED, OK, Score, open_scores, read_scores
from vallecli.quality.totals import compare, totals

WORDS = "red green blue gold"


class Listener:
    """A recognizer that hears as many words as the recording has seconds, and counts what it hears."""

    def __init__(self) -> None:
        self.heard: list[float] = []

    def hear(self, wav_N: Wav, rate: int, language: str) -> str:
        self.heard.append(len(wav_N) / rate)
        return " ".join(WORDS.split()[: round(len(wav_N) / rate)])


class Loudness:
    """An embedding of two values: the level of the speech in two halves."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def embed(self, wav_N: Wav, source: str | Path) -> Embedding:
        self.sources.append(Path(source).name)
        speech_N = prompts.speech(wav_N, source, sample_rate=RATE)
        return np.array([np.abs(half).mean() for half in np.array_split(speech_N, 2)], np.float32)


class Flat:
    def scores(self, wav_N: Wav) -> dict[str, float]:
        return {"ovrl": 3.0, "sig": 3.5, "bak": 2.0 + len(wav_N) / RATE / 10}


@pytest.fixture
def out(own_folder: Path) -> Path:
    """A folder with recordings of 1 to 4 s, silence, and a file that is no audio; prompts are beside it."""
    (own_folder / "out").mkdir()
    for seconds in range(1, 5):
        soundfile.write(own_folder / "out" / f"{seconds}.wav", voiced(seconds, RATE, seconds), RATE)
    soundfile.write(own_folder / "out" / "silent.wav", np.zeros(RATE), RATE)
    (own_folder / "out" / "broken.wav").write_bytes(b"RIFF no audio")
    for name in ("anna.wav", "bob.wav"):
        soundfile.write(own_folder / name, voiced(3, RATE, len(name)), RATE)
    return own_folder / "out"


def items_of(out: Path, *outputs: str, **fields: Any) -> list[Item]:
    shared = {"text": WORDS, "language": "en", "speaker": "anna", "prompt": out.parent / "anna.wav", **fields}
    return [
        Item(row=number, id=f"r{number}", output=out / name, **shared) for number, name in enumerate(outputs, start=1)
    ]


def scorers_of(**parts: Any) -> Scorers:
    defaults = {"hear": Listener().hear, "encoder": Loudness(), "opinions": Flat(), "measures": True}
    return Scorers(identity={"asr": "simple"}, **{**defaults, **parts})


def run(out: Path, items: Sequence[Item], scorers: Scorers | None = None, **options: Any) -> list[Score]:
    with open_scores(out) as file:
        return evaluate(items, file, read_scores(out), scorers or scorers_of(), out=out, **options)


FIVE = ("1.wav", "2.wav", "3.wav", "4.wav", "silent.wav")


def test_each_row_has_its_scores(out: Path) -> None:
    first, *_, last = run(out, items_of(out, "1.wav", "4.wav"))
    assert (first.heard, first.errors, first.words, first.wer) == ("red", 3, 4, 0.75)
    assert (last.heard, last.errors, last.failure, first.failure) == (WORDS, 0, None, "garbled")
    assert first.opinion == {"ovrl": 3.0, "sig": 3.5, "bak": 2.1}
    assert first.manner is not None
    assert first.manner["background"] == pytest.approx(-0.2)  # 1 s instead of the prompt's 3 s
    assert -1 <= (first.similarity or 2) <= 1
    assert (first.output, first.prompt) == ("1.wav", str(out.parent.resolve() / "anna.wav"))
    assert first.seconds == 1.0
    assert set(first.measures or {}) == {"prompt", "output"}


def test_a_recording_is_as_similar_as_can_be_to_itself(out: Path) -> None:
    (score,) = run(out, items_of(out, "2.wav", prompt=out / "2.wav", reference=out / "2.wav"))
    assert score.similarity == score.similarity_to_reference == 1
    assert set((score.manner or {}).values()) == {0}


def test_an_error_is_that_of_its_row(out: Path) -> None:
    broken, missing, good = run(out, items_of(out, "broken.wav", "no.wav", "4.wav"))
    assert (broken.status, missing.status, good.status) == (FAILED, FAILED, OK)
    assert broken.error is not None
    assert (broken.error.code, broken.failure) == ("NotAudio", "failed")
    assert missing.error is not None
    assert missing.error.code == "AudioNotFound"


def test_a_row_that_was_not_spoken_keeps_its_error(out: Path) -> None:
    error = Failure("EmptyText", "the text has no words", "Give a text.")
    (score,) = run(out, items_of(out, "4.wav", error=error))
    assert (score.status, score.error, score.heard) == (FAILED, error, None)


def test_silence_is_a_failure_without_a_similarity(out: Path) -> None:
    (score,) = run(out, items_of(out, "silent.wav"), scorers_of(hear=lambda *_: " ... "))
    assert (score.status, score.heard, score.failure, score.similarity) == (OK, "", "unheard", None)
    assert "is silent" in score.notes[0]


def test_a_prompt_without_a_recording_or_speech_is_noted(out: Path) -> None:
    (out.parent / "preset.npz").write_bytes(b"codes")
    preset, silent = (
        *run(out, items_of(out, "4.wav", prompt=out.parent / "preset.npz")),
        *run(out, [replace(items_of(out, "4.wav", prompt=out / "silent.wav")[0], id="other")]),
    )
    assert (preset.similarity, silent.similarity, preset.status, silent.status) == (None, None, OK, OK)
    assert "preset" in preset.notes[0]
    assert "is silent" in silent.notes[0]


def test_each_prompt_is_analysed_once(out: Path) -> None:
    encoder = Loudness()
    run(out, items_of(out, *FIVE), scorers_of(encoder=encoder))
    assert encoder.sources.count("anna.wav") == 1


@pytest.mark.parametrize("wanted", ["hear", "encoder", "opinions", "measures"])
def test_what_is_not_measured_is_unknown(out: Path, wanted: str) -> None:
    parts = {"hear": None, "encoder": None, "opinions": None, "measures": False}
    given = {"hear": Listener().hear, "encoder": Loudness(), "opinions": Flat(), "measures": True}
    (score,) = run(out, items_of(out, "4.wav"), scorers_of(**{**parts, wanted: given[wanted]}))
    known = {"hear": score.heard, "encoder": score.similarity, "opinions": score.opinion, "measures": score.manner}
    assert [name for name, value in known.items() if value is not None] == [wanted]


# Resuming


class Killed(BaseException):
    """Stands for the end of the process."""


def kill_after(rows: int) -> Callable[[Score, bool], None]:
    left = [rows]

    def on_score(score: Score, new: bool) -> None:
        left[0] -= 1
        if not left[0]:
            raise Killed

    return on_score


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("torn", [b"", b'{"id": "r', b'{"id": "r9", "row": 9, "text": "cut of'])
def test_a_resumed_run_equals_a_fresh_one(out: Path, rows: int, torn: bytes) -> None:
    listener, items = Listener(), items_of(out, *FIVE)
    with pytest.raises(Killed):
        run(out, items, scorers_of(hear=listener.hear), on_score=kill_after(rows))
    with (out / "scores.jsonl").open("ab") as file:
        file.write(torn)
    resumed = run(out, items, scorers_of(hear=listener.hear))
    assert len(listener.heard) == len(FIVE)  # each row once
    assert len((out / "scores.jsonl").read_bytes().splitlines()) == len(FIVE)
    (out / "scores.jsonl").unlink()
    fresh = run(out, items)
    assert resumed == fresh
    assert totals(resumed) == totals(fresh)


@pytest.mark.parametrize("change", ["text", "output", "prompt", "models", "speaker"])
def test_a_row_is_scored_again_if_what_it_depends_on_has_changed(out: Path, change: str) -> None:
    run(out, items_of(out, *FIVE))
    listener, items = Listener(), items_of(out, *FIVE)
    scorers = scorers_of(hear=listener.hear)
    if change == "text":
        items[1] = replace(items[1], text="One.")
    elif change == "output":
        soundfile.write(out / "2.wav", voiced(2, RATE, 9), RATE)
    elif change == "prompt":
        items[1] = replace(items[1], prompt=out.parent / "bob.wav")
    elif change == "speaker":  # no score depends on it, but totals do
        items[1] = replace(items[1], speaker="bob")
    else:
        scorers = replace(scorers, identity={"asr": "other"})
    scores = run(out, items, scorers)
    assert len(listener.heard) == {"models": 5, "speaker": 0}.get(change, 1)
    assert scores[1].speaker == ("bob" if change == "speaker" else "anna")
    assert read_scores(out)["r2"] == scores[1]


def test_failed_rows_are_scored_again_only_on_demand(out: Path) -> None:
    listener, items = Listener(), items_of(out, "1.wav", prompt=out / "broken.wav")
    for retry, heard in [(False, 1), (False, 1), (True, 2)]:
        run(out, items, scorers_of(hear=listener.hear), retry_failed=retry)
        assert len(listener.heard) == heard


def test_an_interrupt_ends_the_run_and_leaves_whole_lines(out: Path) -> None:
    def interrupted(wav_N: Wav, rate: int, language: str) -> str:
        if len(wav_N) == 3 * RATE:
            raise KeyboardInterrupt
        return "one"

    with pytest.raises(KeyboardInterrupt):
        run(out, items_of(out, *FIVE), scorers_of(hear=interrupted))
    lines = (out / "scores.jsonl").read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["id"] for line in lines] == ["r1", "r2"]
    assert lines[-1].endswith(b"\n")


def test_files_of_others_are_not_touched(out: Path) -> None:
    (out / "scores.jsonl").write_text('{"player": "anna", "points": 3}\n')
    with pytest.raises(ForeignResults):
        run(out, items_of(out, "1.wav"))
    assert (out / "scores.jsonl").read_text() == '{"player": "anna", "points": 3}\n'
    (out / "scores.jsonl").unlink()
    (out / "scores.jsonl").symlink_to(out / "elsewhere")
    with pytest.raises(OutputError):
        run(out, items_of(out, "1.wav"))
    assert not (out / "elsewhere").exists()


def test_two_runs_cannot_write_to_one_folder(out: Path) -> None:
    with open_scores(out), pytest.raises(FolderInUse):
        run(out, items_of(out, "1.wav"))


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b'{"id": 3, "row": 1, "text": "x"}',
        b'{"id": "r1", "row": 1, "text": "x", "similarity": "high"}',
        b'{"id": "r1", "row": 1, "text": "x", "opinion": 3}',
        b'{"id": "r1", "row": 1, "text": "x", "similarity": NaN}',
        b'{"id": "r1", "row": 1, "text": "x", "alignment": [["equal"]]}',
        b'{"id": "r1", "row": 1, "text": "x", "error": "bad"}',
        b'{"id": "r1", "row": 1, "text": "x", "status": "great"}',
        b"[" * 100_000,
    ],
)
def test_lines_that_are_no_scores_do_not_count(out: Path, line: bytes) -> None:
    good = run(out, items_of(out, "1.wav"))[0]
    with (out / "scores.jsonl").open("ab") as file:
        file.write(line + b"\n")
    assert read_scores(out) == {"r1": good}


def test_a_score_survives_its_line(out: Path) -> None:
    for score in run(out, items_of(out, *FIVE, "broken.wav")):
        assert Score.parse(score.to_line()) == score


def test_a_folder_without_scores(own_folder: Path) -> None:
    with pytest.raises(InputError, match=r"scores\.jsonl"):
        read_scores(own_folder)


# Totals


def test_totals_count_errors_over_words_and_failures(out: Path) -> None:
    items = [*items_of(out, *FIVE), Item(row=6, id="r6", text="", language="en", speaker="bob")]
    found = totals(
        run(out, items, scorers_of(hear=lambda wav_N, *_: Listener().hear(wav_N, RATE, "") if wav_N.any() else ""))
    )
    assert (found["rows"], found["speakers"], found["seconds"]) == (6, 2, 11.0)
    assert found["failures"] == {"failed": 1, "cut_off": 0, "unheard": 1, "garbled": 1}
    assert found["failure_rate"]["value"] == 0.5
    wer = found["metrics"]["wer"]
    assert wer["value"] == pytest.approx((3 + 2 + 1 + 0 + 4) / 20)
    assert wer["low"] < wer["value"] < wer["high"]
    assert wer["rows"] == 5
    assert found["metrics"]["similarity"]["rows"] == 4
    distance = found["metrics"]["pitch_median_distance"]["value"]
    assert distance >= abs(found["metrics"]["pitch_median"]["value"])


def test_totals_of_no_rows() -> None:
    found = totals([])
    assert (found["rows"], found["failure_rate"], found["metrics"]) == (0, None, {})


def test_a_comparison_is_paired_by_id_and_text(out: Path) -> None:
    one = {score.id: score for score in run(out, items_of(out, "1.wav", "2.wav", "3.wav", "4.wav"))}
    other = {name: replace(score, errors=max(0, (score.errors or 0) - 1)) for name, score in one.items()}
    other |= {"r4": replace(one["r4"], text="Another text."), "r9": replace(one["r1"], id="r9")}
    found = compare(one, other)
    assert (found["rows"], found["only_in_first"], found["only_in_second"]) == (3, 1, 2)
    wer = found["metrics"]["wer"]
    assert (wer["first"], wer["second"]) == (0.5, 0.25)
    assert wer["difference"] == wer["low"] == wer["high"] == -0.25
    assert found["metrics"]["failure_rate"]["difference"] == pytest.approx(-1 / 3, abs=1e-6)
    assert found["metrics"]["similarity"]["difference"] == 0
