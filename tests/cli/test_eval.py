"""`valle eval` end to end with a tiny model and a simple recognizer: tables, totals, resuming, protocols, errors."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from voiced import voiced

from vallecli.audio import prompt
from vallecli.quality.scores import read_scores

if TYPE_CHECKING:
    from conftest import Ran, Valle

RATE = 16_000
TEXT = "Red green blue."


@pytest.fixture
def whisper(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A faster-whisper that always hears two words, and counts; `loaded` are the models."""
    state = SimpleNamespace(heard=0, seconds=[], loaded=[], text=" red green")

    class WhisperModel:
        def __init__(self, name: str, *, device: str, compute_type: str, **options: Any) -> None:
            if name == "huge":
                raise OSError("no such model in the cache")
            state.loaded.append((name, options))

        def transcribe(self, wav_N: np.ndarray, **options: Any) -> tuple[Iterator[Any], None]:
            state.heard += 1
            state.seconds.append(len(wav_N) / RATE)
            return iter([SimpleNamespace(text=state.text)]), None

    module = ModuleType("faster_whisper")
    vars(module).update(WhisperModel=WhisperModel)
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    return state


@pytest.fixture
def evaluate(
    valle: Valle, tiny_checkpoint: Path, reference: Path, own_folder: Path, whisper: SimpleNamespace
) -> Callable[..., Ran]:
    """Run `valle eval` with the tiny model on rows that are written to jobs.csv; later options win."""
    shutil.copy(reference, own_folder / "ref.wav")

    def run(rows: Sequence[Mapping[str, Any]] | str, *options: str | Path) -> Ran:
        if not isinstance(rows, str):
            with Path("jobs.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
                writer.writeheader()
                writer.writerows(rows)
        fixed = ["--checkpoint", tiny_checkpoint, "--max-seconds", "0.4", "--out-dir", "out", "--scores", "wer"]
        return valle("eval", *(["jobs.csv"] if not isinstance(rows, str) else []), *fixed, *options)

    return run


SPOKEN = [{"id": name, "text": TEXT, "prompt": "ref.wav"} for name in ("a", "b")]


@pytest.fixture
def recording(own_folder: Path) -> Path:
    soundfile.write(own_folder / "given.wav", voiced(2, RATE), RATE)
    return own_folder / "given.wav"


def test_rows_are_spoken_scored_and_summed(evaluate, whisper: SimpleNamespace) -> None:
    ran = evaluate(SPOKEN, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["metrics"]["wer"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["failures"] == {"failed": 0, "cut_off": 2, "unheard": 0, "garbled": 0}  # a tiny model does not end
    assert found["models"] == {"asr": "base"}
    assert json.loads(Path("out/scores.json").read_text()) == {
        name: value for name, value in found.items() if name not in ("scores", "page")
    }
    assert (found["doubtful"], found["tried"], found["rows_tried"]) == (0, 0, 0)
    scores = read_scores(Path("out"))
    assert list(scores) == ["a", "b"]
    assert b"red green" in Path(found["page"]).read_bytes()
    assert (scores["a"].output, scores["a"].heard, scores["a"].speaker) == ("a.wav", "red green", "ref.wav")
    assert whisper.loaded == [("base", {})]  # once


def test_the_same_command_again_does_nothing_and_prints_the_same(evaluate, whisper: SimpleNamespace) -> None:
    first, again = evaluate(SPOKEN, "--json"), evaluate(SPOKEN, "--json")
    assert (first.out, whisper.heard) == (again.out, 2)
    assert "2 of 2 rows are already done" in again.err
    assert "2 of them before" in again.err
    evaluate(SPOKEN, "--asr", "small")
    assert whisper.heard == 4
    assert evaluate([*SPOKEN, {"id": "c", "text": TEXT, "prompt": "ref.wav"}], "--asr", "small").code == 0
    assert whisper.heard == 5


def test_without_a_terminal_totals_are_lines_by_tabs(evaluate) -> None:
    lines = [line.split("\t") for line in evaluate(SPOKEN).out.decode().splitlines()]
    assert lines[0][:2] == ["failure_rate", "100.000"]
    assert lines[1][:2] == ["wer", "33.333"]
    assert {len(line) for line in lines} == {5}
    assert lines[-2:] == [["doubtful", "0", "", "", "2"], ["tried", "0", "", "", "0"]]


def test_candidates_are_counted_by_option_and_by_column(evaluate) -> None:
    rows = [{**SPOKEN[0], "best_of": "3"}, {**SPOKEN[1], "best_of": ""}]
    found = json.loads(evaluate(rows, "--best-of", "2", "--retries", "0", "--json").out)
    assert (found["tried"], found["rows_tried"]) == (5, 2)
    found = json.loads(evaluate(SPOKEN, "--retries", "0", "--json").out)
    assert (found["tried"], found["rows_tried"]) == (0, 0)
    bad = evaluate(SPOKEN, "--pick", "likelyhood")
    assert (bad.code, "likelihood" in bad.err) == (2, True)


def test_rows_that_may_be_wrong_are_counted(evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    from vallecli.quality import candidates

    judged = candidates._judged

    def doubted(*arguments: Any) -> Any:
        candidate = judged(*arguments)
        generated = replace(candidate.generated, stop_reason="eos")
        return replace(candidate, generated=generated, tried=replace(candidate.tried, problems=("loop",)))

    monkeypatch.setattr(candidates, "_judged", doubted)
    found = json.loads(evaluate(SPOKEN, "--retries", "1", "--json").out)
    assert (found["doubtful"], found["tried"], found["failures"]["cut_off"]) == (2, 4, 0)
    score = read_scores(Path("out"))["a"]
    assert (score.doubtful, score.tried, "may have gone wrong (loop)" in score.notes[0]) == (True, 2, True)
    assert b"may have gone wrong (loop)" in Path("out/index.html").read_bytes()


def test_a_row_that_goes_on_is_heard_with_its_prompt(
    evaluate, whisper: SimpleNamespace, transcript_checkpoint: Path, recording: Path
) -> None:
    rows = [{"id": "a", "text": TEXT, "prompt": "ref.wav", "prompt_text": "red green", "continue": "yes", "wav": ""}]
    given = {"id": "g", "text": TEXT, "prompt": "ref.wav", "continue": "yes", "wav": "given.wav"}
    ran = evaluate([*rows, given], "--checkpoint", transcript_checkpoint, "--json")
    assert ran.code == 0, ran.err
    scores = read_scores(Path("out"))
    assert all(score.continues and "prompt and the result together" in score.notes[-1] for score in scores.values())
    spoken, recorded = (score.seconds for score in scores.values())
    prompt_seconds = prompt.load("ref.wav", sample_rate=RATE).seconds
    assert whisper.seconds == pytest.approx([prompt_seconds + spoken, prompt_seconds + recorded], abs=0.01)
    evaluate([{**given, "continue": "no"}])
    assert not read_scores(Path("out"))["g"].continues  # scored again
    assert whisper.seconds[2:] == pytest.approx([recorded], abs=0.01)
    ran = evaluate([{**given, "continue": "maybe"}, {**given, "id": "h", "prompt": ""}])
    assert ran.code == 6
    assert "continue is 'maybe'" in ran.err
    assert "continues a prompt, but it has none" in ran.err


def test_a_checkpoint_that_reads_no_transcript_does_not_go_on(evaluate) -> None:
    ran = evaluate([{**SPOKEN[0], "prompt_text": "red green", "continue": "yes"}])
    assert ran.code == 6
    assert "cannot go on from a prompt" in ran.err


def test_given_recordings_are_scored_as_they_are(evaluate, recording: Path, whisper: SimpleNamespace) -> None:
    rows = [
        {"id": "g", "text": TEXT, "wav": "given.wav", "prompt": "", "speaker": "anna"},
        {"id": "s", "text": TEXT, "wav": "", "prompt": "ref.wav", "speaker": ""},
    ]
    ran = evaluate(rows, "--json")
    assert ran.code == 0, ran.err
    scores = read_scores(Path("out"))
    assert (scores["g"].output, scores["g"].speaker, scores["g"].cut_off) == (str(recording.resolve()), "anna", False)
    assert scores["s"].output == "s.wav"
    assert not Path("out/g.wav").exists()


def test_a_table_of_recordings_loads_no_checkpoint(evaluate, recording: Path) -> None:
    ran = evaluate([{"text": TEXT, "wav": "given.wav"}], "--checkpoint", "missing.pt")
    assert ran.code == 0, ran.err
    assert not Path("out/results.jsonl").exists()


def test_failed_rows_are_reported_once_and_decide_the_exit_code(evaluate, recording: Path) -> None:
    rows = [
        {"id": "no-prompt", "text": TEXT, "prompt": "none.wav", "wav": ""},
        {"id": "no-words", "text": "...", "prompt": "ref.wav", "wav": ""},
        {"id": "no-wav", "text": TEXT, "prompt": "", "wav": "none.wav"},
        {"id": "no-text", "text": "", "prompt": "", "wav": "given.wav"},
        {"id": "good", "text": TEXT, "prompt": "", "wav": "given.wav"},
    ]
    ran = evaluate(rows, "--json")
    assert ran.code == 6
    assert json.loads(ran.out)["failures"]["failed"] == 4
    for name in ("no-prompt", "no-words", "no-wav", "no-text"):
        assert ran.err.count(f"({name})") == 1, ran.err
        assert read_scores(Path("out"))[name].error is not None
    assert "4 of 5 rows failed" in ran.err
    assert "valle eval jobs.csv" in ran.err
    assert "--retry-failed" in ran.err
    again = evaluate(rows, "--json")
    assert (again.code, again.out) == (6, ran.out)


def test_an_id_cannot_be_used_twice(evaluate, recording: Path) -> None:
    rows = [{"id": "a", "text": TEXT, "prompt": "ref.wav", "wav": ""}, {"id": "a", "text": TEXT, "wav": "given.wav"}]
    ran = evaluate(rows)
    assert ran.code == 6
    assert "id 'a' is already used by row 1" in ran.err


def test_two_runs_are_compared(evaluate, valle: Valle, whisper: SimpleNamespace) -> None:
    evaluate(SPOKEN)
    whisper.text = "red green blue"
    evaluate(SPOKEN, "--out-dir", "other", "--asr", "small")
    ran = valle("eval", "--compare", "out", "other", "--json")
    assert ran.code == 0, ran.err
    wer = json.loads(ran.out)["metrics"]["wer"]
    assert (wer["first"], wer["second"], wer["high"]) == (pytest.approx(1 / 3, abs=1e-6), 0, wer["low"])
    assert "asr differs: base and small" in ran.err
    lines = [line.split("\t") for line in valle("eval", "--compare", "out", "other").out.decode().splitlines()]
    assert next(line for line in lines if line[0] == "wer")[1:] == [
        *("33.333", "0.000", "-33.333", "-33.333", "-33.333", "2", "*")
    ]
    assert valle("eval", "--compare", "out", "nowhere").code == 3


def test_a_comparison_writes_a_page_of_both(evaluate, valle: Valle) -> None:
    evaluate(SPOKEN)
    evaluate(SPOKEN, "--out-dir", "other", "--seed", "1")
    ran = valle("eval", "--compare", "out", "other", "--json")
    assert ran.code == 0, ran.err
    data = page_data(json.loads(ran.out)["page"])
    assert (json.loads(ran.out)["page"], data["runs"]) == ("out/compare.html", ["out", "other"])
    assert [len(row["results"]) for row in data["rows"]] == [2, 2]
    outputs = {result["output"] for row in data["rows"] for result in row["results"]}
    assert len(outputs) == 4
    assert all("audio" in data["clips"][number] for number in outputs)
    assert data["rows"][0]["results"][0]["differences"] == [
        ["equal", "red green", "red green"],
        ["deleted", "blue", ""],
    ]
    ran = valle("eval", "--compare", "out", "other", "--page", "both.html")
    assert "both.html" in ran.err
    assert page_data("both.html")["key"] == data["key"]
    shutil.copytree("other", "elsewhere/out")
    valle("eval", "--compare", "out", "elsewhere/out", "--page", "same.html")
    assert page_data("same.html")["runs"] == ["out", "elsewhere/out"]


def test_a_comparison_overwrites_no_file_but_a_page(evaluate, valle: Valle) -> None:
    evaluate(SPOKEN)
    Path("mine.html").write_text("mine")
    ran = valle("eval", "--compare", "out", "out", "--page", "mine.html")
    assert (ran.code, ran.out, "mine.html already exists" in ran.err) == (3, b"", True)
    assert Path("mine.html").read_text() == "mine"
    assert valle("eval", "--compare", "out", "out", "--page", "mine.html", "--force").code == 0
    assert valle("eval", "--compare", "out", "out", "--page", "mine.html").code == 0  # now it is one


def page_data(path: str | Path) -> dict[str, Any]:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', Path(path).read_text(), re.DOTALL)
    assert block is not None
    return dict(json.loads(block[1]))


def test_protocols_write_their_list_and_are_rerun_from_it(
    evaluate, own_folder: Path, whisper: SimpleNamespace, transcript_checkpoint: Path
) -> None:
    folder = own_folder / "test-clean" / "61" / "70968"
    folder.mkdir(parents=True)
    for name in ("61-70968-0000", "61-70968-0001"):
        soundfile.write(folder / f"{name}.flac", voiced(5, RATE), RATE)
    (folder / "61-70968.trans.txt").write_text("61-70968-0000 RED GREEN BLUE\n61-70968-0001 RED GREEN BLUE\n")
    ran = evaluate("", "--protocol", "librispeech-cross", "test-clean", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["rows"], found["speakers"], found["protocol"]) == (2, 1, "librispeech-cross")
    score = read_scores(Path("out"))["61-70968-0000"]
    assert (score.speaker, score.prompt, score.text) == ("61", "prompts/61-70968-0000.wav", "Red green blue.")
    assert score.reference == str((folder / "61-70968-0000.flac").resolve())
    shutil.copytree("out/prompts", "copy/prompts")
    shutil.copy("out/protocol.jsonl", "copy")
    Path("jobs.csv").write_bytes(b"")
    rerun = evaluate("", "copy/protocol.jsonl", "--out-dir", "rerun", "--json")
    assert rerun.code == 0, rerun.err
    assert json.loads(rerun.out)["metrics"] == found["metrics"]
    assert Path("rerun/61-70968-0000.wav").read_bytes() == Path("out/61-70968-0000.wav").read_bytes()
    again = evaluate("", "--protocol", "librispeech-cross", "test-clean", "--json")
    assert (again.code, again.out) == (0, ran.out)
    protocol = ["--protocol", "librispeech-continue", "test-clean", "--out-dir", "continued"]
    protocol += ["--checkpoint", str(transcript_checkpoint)]
    whisper.loaded.clear()
    ran = evaluate("", *protocol[:-2])
    assert (ran.code, whisper.loaded, Path("continued").exists()) == (2, [], False)
    assert "cannot go on from a prompt" in ran.err
    ran = evaluate("", *protocol, "--json")
    assert ran.code == 0, ran.err
    assert len(whisper.loaded) == 1
    rows = [json.loads(line) for line in Path("continued/protocol.jsonl").read_text().splitlines()]
    assert [(row["text"], row["prompt_text"], row["continue"]) for row in rows] == [(TEXT, "Red green", True)] * 2
    assert whisper.seconds[-4:-2] == [3, 3]  # the prompts; then the utterances
    assert whisper.seconds[-1] > 3
    heard = whisper.heard
    again = evaluate("", *protocol, "--json")
    assert (again.code, again.out, whisper.heard) == (0, ran.out, heard)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out-dir", "out"], "there are no jobs"),
        (["jobs.csv"], "there is no output folder"),
        (["jobs.csv", "--out-dir", "out", "--protocol", "seed-tts", "x"], "JOBS and --protocol"),
        (["jobs.csv", "--compare", "a", "b"], "--compare takes no JOBS"),
        (["jobs.csv", "--out-dir", "out", "--limit", "3"], "--limit is without --protocol"),
        (["jobs.csv", "--out-dir", "out", "--page", "x.html"], "--page is without --compare"),
        (["jobs.csv", "--out-dir", "out", "--scores", "wr"], "Did you mean wer?"),
        (["--out-dir", "out", "--protocol", "seed", "x"], "Did you mean seed-tts?"),
    ],
)
def test_contradictory_options(valle: Valle, options: list[str], message: str) -> None:
    ran = valle("eval", *options)
    assert ran.code == 2
    assert message in ran.err
    assert not Path("out").exists()


def test_a_missing_model_ends_the_run_before_anything_is_written(evaluate, whisper: SimpleNamespace) -> None:
    ran = evaluate(SPOKEN, "--asr", "huge", "--offline")
    assert ran.code == 4
    assert "faster-whisper huge, cannot be loaded: no such model in the cache" in ran.err
    assert "download it, or name a folder that has its config.json, model.bin" in ran.err
    assert not Path("out").exists()


@pytest.mark.parametrize("table", ["jobs.csv", "missing.csv"])
def test_a_bad_table_is_reported_before_models_are_loaded(evaluate, whisper: SimpleNamespace, table: str) -> None:
    Path("jobs.csv").write_text("text,speech\nHello,1\n")
    ran = evaluate("", table)
    assert ran.code == 3
    assert (whisper.loaded, Path("out").exists()) == ([], False)


def test_offline_the_recognizer_does_not_use_the_network(evaluate, whisper: SimpleNamespace) -> None:
    assert evaluate(SPOKEN, "--offline").code == 0
    assert whisper.loaded == [("base", {"local_files_only": True})]


@pytest.mark.parametrize(
    ("kind", "module", "hint"),
    [
        ("wer", "faster_whisper", 'pip install "vallecli[eval]"'),
        ("wer", "jiwer", 'pip install "vallecli[eval]"'),
        ("manner", "parselmouth", 'pip install "vallecli[eval]"'),
        ("similarity", "resemblyzer", "pip install --no-deps Resemblyzer==0.1.4"),
        ("opinion", "speechmos", "valle checkpoints pull dnsmos"),
    ],
)
def test_a_missing_package_is_named(
    evaluate, monkeypatch: pytest.MonkeyPatch, kind: str, module: str, hint: str
) -> None:
    from vallecli.voices import speaker

    speaker.encoder.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("vallecli.voices.speaker.weights_file", lambda: None)
    monkeypatch.setattr("vallecli.quality.opinion.packaged_file", lambda: None)
    ran = evaluate(SPOKEN, "--scores", kind)
    assert ran.code == 7
    assert hint in ran.err
    assert not Path("out").exists()


def test_an_interrupt_while_scoring_leaves_what_is_scored(
    evaluate, whisper: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vallecli.quality import evaluation

    original = evaluation.word_errors

    def interrupted(*arguments: Any) -> Any:
        if whisper.heard == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(evaluation, "word_errors", interrupted)
    ran = evaluate(SPOKEN)
    assert ran.code == 130
    assert list(read_scores(Path("out"))) == ["a"]
    assert not Path("out/scores.json").exists()
