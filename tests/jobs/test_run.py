"""Runs and plans, with a simple engine: prompts are encoded once, an error in a row does not affect other rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import soundfile

from vallecli.checkpoints.local import sha256
from vallecli.errors import AudioError, AudioNotFound, CheckpointError, DeviceError, OutputError, UsageError
from vallecli.jobs import prompts, run
from vallecli.jobs.engine import Job, JobResult
from vallecli.jobs.plan import Defaults, Plan, Row, make_plan
from vallecli.jobs.prompts import PromptChecker
from vallecli.jobs.records import FAILED, OK, Failure, Record
from vallecli.jobs.results import Results, open_results, read_folder, read_results
from vallecli.jobs.resume import plan_status
from vallecli.jobs.run import Run, longest_first
from vallecli.jobs.table import Line
from vallecli.marking import UNMARKED_NOTE
from vallecli.quality.candidates import Choice, Tried
from vallecli.settings import Settings

SAMPLE_RATE, FRAME_RATE = 8_000, 50.0  # of the simple engine
HOP = 160  # samples per frame


@dataclass(frozen=True)
class Sampling:
    seed: int = 0
    greedy: bool = False
    temperature: float = 1.0
    top_n_sigma: float = 0.0
    max_frames: int | None = None


@dataclass(frozen=True)
class Piece:
    audio: np.ndarray
    stop_reason: str = "eos"
    notes: tuple[str, ...] = ()
    frames: int = 1
    sample_rate: int = SAMPLE_RATE
    text: str = ""
    watermarked: bool = True
    problems: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()


class WordSynthesizer:
    """Speaks a piece of one frame for each word; fails at the word "bad", and for the prompt mute.wav."""

    sampling, sample_rate, frame_rate = Sampling(), SAMPLE_RATE, FRAME_RATE

    def __init__(self) -> None:
        self.encoded: list[str] = []
        self.spoken: list[str] = []
        self.samplings: list[Sampling] = []

    def voice(self, source: Any, transcript: str | None, *, name: str, transcribe: bool) -> str:
        self.encoded.append(Path(name).name)
        if Path(name).stem == "mute":
            raise ValueError("mute")
        return name

    def speak(self, text: str, voice: Any, sampling: Sampling, *, language: str, accent: str | None) -> Iterator[Piece]:
        self.spoken.append(text)
        self.samplings.append(sampling)
        for word in text.split():
            if word == "bad":
                raise RuntimeError("too hard")
            reason = "max_frames" if word == "long" else "eos"
            again = (Tried(1, ("loop",), -2.0), Tried(2, ("noise",) if word == "odd" else (), -1.5, kept=True))
            tried = again if word in ("odd", "again") else again[:1]
            yield Piece(
                np.full(HOP, 0.1, np.float32),
                reason,
                (word,),
                text=word,
                watermarked=word != "bare",
                problems=tried[-1].problems if len(tried) > 1 else (),
                tried=tried,
            )


class SequentialEngine:
    """An engine that speaks one job after the other, whatever the slots."""

    description, sampling, sample_rate, frame_rate = "sequential", Sampling(), SAMPLE_RATE, FRAME_RATE
    choice = Choice()

    def __init__(self, synthesizer: WordSynthesizer) -> None:
        self.synthesizer, self.voice = synthesizer, synthesizer.voice

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[JobResult]:
        for job in jobs:
            try:
                how = {"language": job.language, "accent": job.accent}
                result = JobResult(job.key, list(self.synthesizer.speak(job.text, job.voice, job.sampling, **how)))
            except RuntimeError as error:
                result = JobResult(job.key, (), Failure.of(error))
            yield result


@pytest.fixture
def checkpoint(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file that counts as a checkpoint."""
    (own_folder / "model.bin").write_bytes(b"weights")
    monkeypatch.setattr("vallecli.families.detect.files", lambda path: [path])
    return "model.bin"


@pytest.fixture
def plan_of(own_folder: Path, reference: Path, checkpoint: str) -> Any:
    for name in ("one.wav", "two.wav", "mute.wav"):
        (own_folder / name).write_bytes(reference.read_bytes() + name.encode())

    def make(*rows: Mapping[str, Any], **defaults: Any) -> Plan:
        lines = [Line(number, {"prompt": "one.wav", **row}) for number, row in enumerate(rows, start=1)]
        settings = defaults.pop("settings", Settings(checkpoint=checkpoint))
        return make_plan(lines, Defaults(settings=settings, **defaults), base=Path(), out=Path("out"))

    return make


def speak(rows: list[Row], synthesizer: Any, **options: Any) -> list[Record]:
    """Run the rows into out/ and return the records that were reported."""
    reported: list[Record] = []
    load = options.pop("load", lambda name: SequentialEngine(synthesizer))
    default = options.pop("default", "model.bin")
    settings = {"slots": 2, "stop": Event(), "on_record": lambda record, row: reported.append(record), **options}
    with open_results(Path("out")) as results:
        Run(results, Path("out"), load=load, default=default, **settings).speak(rows)
    return reported


def test_each_row_is_written_recorded_and_reported(plan_of: Any) -> None:
    rows = plan_of({"text": "one two three"}, {"text": "long one", "output": "sub/b.flac", "seed": 5}).rows
    records = speak(rows, synthesizer := WordSynthesizer())
    assert read_results(Path("out/results.jsonl")) == (records, 0)
    assert [soundfile.info(Path("out") / record.output).frames for record in records] == [3 * HOP, 2 * HOP]
    assert [(record.frames, record.stop_reason) for record in records] == [(3, "eos"), (2, "max_frames")]
    assert records[1].notes == ("long", "sentence 1 did not end by itself and was cut off: long", "one")
    assert [record.cut_off for record in records] == ["", records[1].notes[1]]
    assert [sampling.seed for sampling in synthesizer.samplings] == [rows[0].seed, 5]
    assert records[1].seed == 5


def test_candidates_and_doubts_are_recorded(plan_of: Any) -> None:
    [record] = speak(plan_of({"text": "one again odd"}).rows, WordSynthesizer())
    assert [(tried["sentence"], tried["problems"], tried["kept"]) for tried in record.tried] == [
        *((2, ("loop",), False), (2, (), True), (3, ("loop",), False), (3, ("noise",), True)),
    ]
    assert record.doubtful == "sentence 3 may have gone wrong (noise): odd"
    assert (record.left_out, record.cut_off) == ("one (and 2 more)", "")
    assert Record.parse(record.to_line()).doubtful == record.doubtful


def test_a_row_is_watermarked_if_all_its_sentences_are(plan_of: Any) -> None:
    records = speak(plan_of({"text": "one two"}, {"text": "one bare two"}).rows, WordSynthesizer())
    assert {record.id: record.watermark for record in records} == {"00001": True, "00002": False}


def test_a_note_on_the_watermark_is_not_about_words() -> None:
    unmarked = Record(id="1", row=1, status=OK, notes=(f"{UNMARKED_NOTE}: Hm.", "left out: x"))
    assert (unmarked.left_out, unmarked.cut_off, unmarked.unmarked) == ("left out: x", "", f"{UNMARKED_NOTE}: Hm.")


def test_each_distinct_prompt_is_encoded_once(plan_of: Any) -> None:
    prompts = ["one.wav", "two.wav", "one.wav", "two.wav", "one.wav"]
    Path("copy.wav").write_bytes(Path("one.wav").read_bytes())
    rows = plan_of(*({"text": "word " * place, "prompt": name} for place, name in enumerate([*prompts, "copy.wav"], 1)))
    speak(rows.rows, synthesizer := WordSynthesizer())
    assert sorted(synthesizer.encoded) == ["copy.wav", "two.wav"]


def test_another_transcript_makes_another_voice(plan_of: Any) -> None:
    speak(
        plan_of({"text": "a", "prompt_text": "x"}, {"text": "b", "prompt_text": "y"}).rows,
        synthesizer := WordSynthesizer(),
    )
    assert len(synthesizer.encoded) == 2


def test_an_error_in_a_row_does_not_affect_others(plan_of: Any) -> None:
    rows = plan_of({"text": "good"}, {"text": "so bad"}, {"text": "x", "prompt": "mute.wav"}, {"text": "fine"}).rows
    records = {record.id: record for record in speak(rows, WordSynthesizer())}
    assert [records[f"0000{n}"].status for n in (1, 2, 3, 4)] == ["ok", "failed", "failed", "ok"]
    failure = records["00002"].error
    assert failure is not None
    assert (failure.code, failure.message) == ("RuntimeError", "this is a bug in valle: too hard")
    assert not Path("out/00002.wav").exists()


def test_fail_fast_starts_no_more_rows(plan_of: Any) -> None:
    rows = plan_of({"text": "bad and long"}, *({"text": "good", "id": str(n)} for n in range(100))).rows
    records = speak(rows, WordSynthesizer(), fail_fast=True)
    assert records[0].status == FAILED
    assert len(records) <= run.MAX_UNWRITTEN + 2


def test_stop_finishes_rows_in_progress_and_starts_no_others(plan_of: Any) -> None:
    stop = Event()

    class Stopped(WordSynthesizer):
        def speak(self, text: str, *voice: Any, **options: Any) -> Iterator[Piece]:
            if text == "second one":
                stop.set()
            return super().speak(text, *voice, **options)

    rows = plan_of({"text": "the first row"}, {"text": "second one"}, {"text": "third"}).rows
    assert [record.id for record in speak(rows, Stopped(), stop=stop)] == ["00001", "00002"]
    view = plan_status(
        plan_of({"text": "the first row"}, {"text": "second one"}, {"text": "third"}),
        read_folder(Path("out"))[0],
        Path("out"),
    )
    assert [row.id for row in view.todo] == ["00003"]


def test_a_checkpoint_of_some_rows_that_does_not_load_fails_those_rows(plan_of: Any) -> None:
    Path("other.bin").write_bytes(b"other")

    def load(name: str) -> SequentialEngine:
        if name == "other.bin":
            raise CheckpointError("it is damaged", "pull it")
        return SequentialEngine(WordSynthesizer())

    rows = plan_of(
        {"text": "a", "checkpoint": "other.bin"}, {"text": "b"}, {"text": "c", "checkpoint": "other.bin"}
    ).rows
    records = {record.id: record.status for record in speak(rows, None, load=load)}
    assert records == {"00001": "failed", "00002": "ok", "00003": "failed"}
    with pytest.raises(CheckpointError):
        speak(rows, None, load=load, default="other.bin")


def test_results_before_an_error_of_the_engine_are_kept(plan_of: Any) -> None:
    class Broken(SequentialEngine):
        def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[JobResult]:
            for result in super().speak_many(jobs, slots=slots):
                yield result
                raise DeviceError("the device is gone")

    rows = plan_of({"text": "the first"}, {"text": "second"}).rows
    with pytest.raises(DeviceError):
        speak(rows, None, load=lambda name: Broken(WordSynthesizer()))
    assert [record.id for record in read_folder(Path("out"))[0]] == ["00001"]


def test_a_removed_folder_ends_the_run_and_the_next_run_makes_all_rows(plan_of: Any) -> None:
    class Mover(WordSynthesizer):
        def speak(self, text: str, *voice: Any, **options: Any) -> Iterator[Piece]:
            if text == "second":
                Path("out").rename("moved")
            return super().speak(text, *voice, **options)

    rows = plan_of({"text": "the first"}, {"text": "second"}, {"text": "3"}).rows
    with pytest.raises(OutputError, match="was removed"):
        speak(rows, Mover())
    assert not Path("out").exists()
    assert len(speak(rows, WordSynthesizer())) == 3


def test_rows_in_progress_share_the_time(plan_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class AllAtOnce(SequentialEngine):
        def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[JobResult]:
            yield from super().speak_many(list(jobs), slots=slots)

    ticks = itertools.count(100)  # each call is a second later
    monkeypatch.setattr(run.time, "perf_counter", lambda: next(ticks))
    rows = plan_of({"text": "one two three four"}, {"text": "one two three"}, {"text": "one two"}).rows
    records = speak(rows, None, load=lambda name: AllAtOnce(WordSynthesizer()))
    shares = [
        record.real_time_factor * record.seconds for record in records if record.real_time_factor and record.seconds
    ]
    third, half = 1 / 3, 1 / 2
    assert shares == pytest.approx([1 + half + third, half + third + half, third + half + 1], rel=0.05)


def test_a_full_disk_ends_the_run(plan_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = plan_of({"text": "the first"}, {"text": "second"}).rows
    append = Results.append

    def full(self: Results, record: Record) -> None:
        if record.id == "00002":
            raise OutputError("no space left")
        append(self, record)

    monkeypatch.setattr(Results, "append", full)
    with pytest.raises(OutputError, match="no space left"):
        speak(rows, WordSynthesizer())
    assert [record.id for record in read_folder(Path("out"))[0]] == ["00001"]


def test_the_longest_rows_of_a_window_are_first(plan_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SORT_WINDOW", 3)
    rows = plan_of(*({"text": "x" * length} for length in (1, 3, 2, 9, 5))).rows
    assert [len(row.text) for row in longest_first(rows)] == [3, 2, 1, 9, 5]


# Resuming


def left(plan: Plan, **options: Any) -> list[str]:
    return [row.id for row in plan_status(plan, read_folder(Path("out"))[0], Path("out"), **options).todo]


def test_only_missing_or_changed_rows_are_made_again(plan_of: Any) -> None:
    before = [{"text": "one"}, {"text": "two"}, {"text": "three"}]
    speak(plan_of(*before).rows, WordSynthesizer())
    assert left(plan_of(*before)) == []
    assert left(plan_of(*before, {"text": "four"})) == ["00004"]
    assert left(plan_of(before[0], {"text": "two!"}, before[2])) == ["00002"]
    assert left(plan_of(*before, settings=Settings(checkpoint="model.bin", temperature=0.5))) == [
        "00001",
        "00002",
        "00003",
    ]
    Path("out/00003.wav").unlink()
    assert left(plan_of(*before)) == ["00003"]
    Path("out/00002.wav").write_bytes(b"half")
    assert left(plan_of(*before), verify=True) == ["00002", "00003"]


@pytest.mark.parametrize("path", ["one.wav", "model.bin"])
def test_the_content_of_prompt_and_checkpoint_counts_not_their_time(plan_of: Any, path: str, reference: Path) -> None:
    speak(plan_of({"text": "one"}).rows, WordSynthesizer())
    Path(path).touch()
    assert left(plan_of({"text": "one"})) == []
    Path(path).write_bytes(Path(path).read_bytes() + b"more")
    assert left(plan_of({"text": "one"})) == ["00001"]


def test_failed_rows_are_tried_again_on_demand_or_when_changed(plan_of: Any) -> None:
    speak(plan_of({"text": "bad"}).rows, WordSynthesizer())
    assert left(plan_of({"text": "bad"})) == []
    assert left(plan_of({"text": "bad"}), retry_failed=True) == ["00001"]
    assert left(plan_of({"text": "good"})) == ["00001"]


def test_an_output_that_another_row_has_overwritten_is_made_again(plan_of: Any) -> None:
    first, second = {"id": "a", "text": "one", "output": "x.wav"}, {"id": "b", "text": "two", "output": "x.wav"}
    for row in (first, second):
        speak(plan_of(row).rows, WordSynthesizer())
    assert left(plan_of(second)) == []
    assert left(plan_of(first)) == ["a"]


def test_a_row_does_not_depend_on_other_rows(plan_of: Any) -> None:
    row, other = {"id": "a", "text": "one"}, {"id": "b", "text": "two"}
    alone = plan_of(row).rows[0]
    last = plan_of(other, row).rows[1]
    assert replace(last, number=1) == alone
    assert plan_of(other).rows[0].seed != alone.seed
    assert plan_of({**row, "seed": alone.seed}).rows[0].seed == alone.seed


def test_shards_divide_the_rows_by_id(plan_of: Any) -> None:
    table = [{"id": f"row {n}", "text": "x"} for n in range(40)] + [
        {"id": "bad", "text": "?"},
        {"id": "row 3", "text": "x"},
    ]
    parts = [plan_of(*table, shard=(index, 3)) for index in (1, 2, 3)]
    rows = [row for part in parts for row in part.rows]
    assert sorted(row.id for row in rows) == sorted(row.id for row in plan_of(*table).rows)
    assert all(part.rows for part in parts)
    assert sum(len(part.refused) for part in parts) == 2
    reordered = [plan_of(*table[::-1], shard=(index, 3)) for index in (1, 2, 3)]
    assert [{row.id for row in part.rows} for part in reordered] == [{row.id for row in part.rows} for part in parts]


def test_inputs_are_not_overwritten(plan_of: Any) -> None:
    out = Path("out")
    out.mkdir()
    Path("one.wav").rename(out / "one.wav")
    rows = [
        {"text": "x", "prompt": "out/one.wav", "output": "two.wav"},
        {"text": "y", "prompt": "two.wav", "output": "one.wav"},
    ]
    made = plan_of(*rows)
    assert [row.output for row in made.rows] == ["two.wav"]
    assert made.refused[0].error.message == "'one.wav' cannot be an output: it is one of the inputs"
    for shard in [(1, 2), (2, 2)]:  # whichever row is in it
        assert "one.wav" not in [row.output for row in plan_of(*rows, shard=shard).rows]


# Prompts that change between the plan and their use


def test_a_replaced_prompt_is_recorded_under_the_hash_of_what_was_heard(plan_of: Any) -> None:
    rows = [{"text": "a"}, {"text": "b"}, {"text": "c", "prompt": "two.wav"}]
    before = plan_of(*rows).rows
    kept = Path("one.wav").read_bytes()
    Path("one.wav").write_bytes(Path("two.wav").read_bytes())
    records = {record.id: record for record in speak(before, WordSynthesizer())}
    heard = plan_of(*rows)
    assert [records[row.id].fingerprint for row in heard.rows] == [row.fingerprint for row in heard.rows]
    assert [records[row.id].seed for row in heard.rows] == [row.seed for row in heard.rows]
    assert not plan_status(heard, read_folder(Path("out"))[0], Path("out")).todo
    Path("one.wav").write_bytes(kept)
    status = plan_status(plan_of(*rows), read_folder(Path("out"))[0], Path("out"), verify=True)
    assert [row.id for row in status.todo] == ["00001", "00002"]


def test_a_transcript_that_appears_after_the_plan_is_recorded(plan_of: Any) -> None:
    before = plan_of({"text": "a"}).rows
    Path("one.txt").write_text("What I said.")
    [record] = speak(before, WordSynthesizer())
    assert record.fingerprint == plan_of({"text": "a"}).rows[0].fingerprint != before[0].fingerprint


def test_a_prompt_that_changes_while_it_is_read_is_read_again(
    own_folder: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own_folder / "one.wav"
    path.write_bytes(reference.read_bytes())
    changes = iter([b"1", b"2"])

    def change(*arguments: Any) -> str:
        with path.open("ab") as file:
            file.write(next(changes, b""))
        return path.read_bytes()[-2:].decode("latin-1")

    monkeypatch.setattr(prompts, "read_prompt", change)
    heard, digest = prompts.read_hashed_prompt(path)
    assert (heard, digest) == ("12", sha256(path))
    changes = itertools.repeat(b"3")
    with pytest.raises(AudioError, match="changes while it is read"):
        prompts.read_hashed_prompt(path)


# Fingerprints

ROWS = [
    {"text": "One is here."},
    {
        "text": "Two.",
        **{"prompt_text": "What I said.", "language": "zh", "accent": "en", "temperature": "0.7"},
        **{"top_k": "5", "top_p": "0.9", "max_seconds": "2", "greedy": "no"},
    },
    {"text": "Three.", "seed": "7"},
]
OPTIONS = {"symbols": "table.txt", "heads": "16", "prefix_mode": "0"}
FROZEN: list[tuple[dict[str, Any], list[tuple[int, str]]]] = [  # seeds and fingerprints of ROWS in version 0.12
    ({}, [(1866210625, "4de77a6e50fb74b1"), (342932046, "3ba797a2e9fdaa9f"), (7, "c7d3f8ae443e134b")]),
    (
        {"options": OPTIONS, "decoder": "vocos", "transcribe": True},
        [(1509939672, "fc584e2a923fbe00"), (756783791, "b5e52eb410efa4b3"), (7, "0dd038314e803d1d")],
    ),
]


@pytest.mark.parametrize(("defaults", "expected"), FROZEN)
def test_seeds_and_fingerprints_are_those_of_earlier_versions(
    plan_of: Any, monkeypatch: pytest.MonkeyPatch, defaults: dict[str, Any], expected: list[tuple[int, str]]
) -> None:
    Path("table.txt").write_bytes(b"<eps> 0\n")
    monkeypatch.setattr(PromptChecker, "check", lambda self, path: "5" * 64)
    unmarked = Settings(checkpoint="model.bin", watermark=False)
    rows = plan_of(*ROWS, settings=unmarked, **defaults).rows
    assert [(row.seed, row.fingerprint[:16]) for row in rows] == expected
    marked = plan_of(*ROWS, **defaults).rows  # other audio, but of the same speech
    assert [row.seed for row in marked] == [row.seed for row in rows]
    assert not {row.fingerprint for row in marked} & {row.fingerprint for row in rows}


def test_a_precision_that_was_chosen_changes_the_fingerprint(plan_of: Any, checkpoint: str) -> None:
    found = {
        plan_of({"text": "a"}, settings=Settings(checkpoint=checkpoint, dtype=dtype)).rows[0].fingerprint
        for dtype in ("auto", "float32", "bfloat16")
    }
    assert len(found) == 3
    assert plan_of({"text": "a"}).rows[0].fingerprint in found


@pytest.mark.parametrize("column", [{"top_n_sigma": "1.5"}, {"sample_rate": "16000"}])
def test_new_columns_change_the_fingerprint_of_their_rows(plan_of: Any, column: dict[str, str]) -> None:
    plain, changed = plan_of({"text": "One is here."}, {"text": "One is here.", **column}).rows
    assert plain.fingerprint != changed.fingerprint
    assert plain.seed != changed.seed


def test_loader_options_count_by_value_and_files_by_content(plan_of: Any) -> None:
    def fingerprint(**options: Any) -> str:
        return str(plan_of({"text": "One is here."}, options=options).rows[0].fingerprint)

    Path("a.txt").write_bytes(b"<eps> 0\n")
    Path("b.txt").write_bytes(b"<eps> 0\n")
    assert fingerprint(heads="16") == fingerprint(heads=16) != fingerprint(heads="8") != fingerprint()
    before = fingerprint(symbols="a.txt")
    assert before == fingerprint(symbols="b.txt")
    Path("a.txt").write_bytes(b"<eps> 0\na 1\n")
    assert before != fingerprint(symbols="a.txt")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"haeds": "16"}, "there is no option 'haeds'", "Did you mean heads?"),
        ({"heads": "many"}, "option heads is 'many'", "It should be a whole number of at least 1."),
        ({"prefix_mode": "3"}, "option prefix_mode is '3'", "It should be one of 0, 1, 2, 4."),
        ({"symbols": "none.txt"}, "cannot read none.txt: no such file or directory", "Check the option symbols."),
    ],
)
def test_invalid_loader_options(plan_of: Any, options: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_of({"text": "One is here."}, options=options)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_numbers_are_the_same_rows_however_they_are_written(plan_of: Any) -> None:
    pairs = [("seed", "7", "7.0"), ("top_k", "1000", "1e3"), ("temperature", "0.8", "0,8"), ("greedy", "true", "1.0")]
    for name, plain, other in pairs:
        first, second = plan_of({"text": "Hi.", name: plain}, {"text": "Hi.", name: other}).rows
        assert first.fingerprint == second.fingerprint


def test_spaces_around_values_do_not_count(plan_of: Any) -> None:
    plain = {"text": "Hi.", "id": "a", "output": "b.wav", "language": "en", "seed": "7", "prompt": "two.wav"}
    spaced = {name: value if name == "text" else f" {value} " for name, value in plain.items()}
    assert plan_of(plain).rows == plan_of(spaced).rows


# Default prompts


def test_the_default_prompt_is_for_rows_without_one(plan_of: Any) -> None:
    rows = [{"text": "Hi."}, {"text": "Hi.", "prompt": None}, {"text": "Hi.", "prompt": None, "prompt_text": "Mine."}]
    rows = [{name: value for name, value in {"prompt": "one.wav", **row}.items() if value} for row in rows]
    lines = [Line(number, row) for number, row in enumerate(rows, start=1)]
    defaults = Defaults(settings=Settings(checkpoint="model.bin"), prompt=Path("two.wav"), prompt_text="What I said.")
    Path("tables").mkdir()
    Path("one.wav").rename("tables/one.wav")
    made = make_plan(lines, defaults, base=Path("tables"), out=Path("out"))
    assert [(row.prompt.name, row.prompt_text) for row in made.rows] == [
        ("one.wav", None),  # the transcript is not that of this recording
        ("two.wav", "What I said."),
        ("two.wav", "Mine."),
    ]
    same = plan_of({"text": "Hi.", "prompt": "two.wav", "prompt_text": "What I said."}).rows
    assert same[0].fingerprint == made.rows[1].fingerprint


def test_a_default_prompt_that_cannot_be_used_is_an_error_of_the_run(checkpoint: str, reference: Path) -> None:
    Path("one.wav").write_bytes(reference.read_bytes())
    defaults = Defaults(settings=Settings(checkpoint=checkpoint), prompt=Path("none.wav"))
    own, without = Line(1, {"text": "Hi.", "prompt": "one.wav"}), Line(2, {"text": "Hi."})
    assert len(make_plan([own], defaults, base=Path(), out=Path("out")).rows) == 1
    with pytest.raises(AudioNotFound, match=r"none\.wav"):
        make_plan([own, without], defaults, base=Path(), out=Path("out"))


def test_the_default_prompt_is_not_overwritten(checkpoint: str, reference: Path) -> None:
    Path("out").mkdir()
    Path("out/00001.wav").write_bytes(reference.read_bytes())
    defaults = Defaults(settings=Settings(checkpoint=checkpoint), prompt=Path("out/00001.wav"))
    [refused] = make_plan([Line(1, {"text": "Hi."})], defaults, base=Path(), out=Path("out")).refused
    assert refused.error.message == "'00001.wav' cannot be an output: it is one of the inputs"


# Sample rates


def test_each_row_is_written_at_its_sample_rate(plan_of: Any) -> None:
    rows = [{"text": "one two three four"}, {"text": "one two", "sample_rate": "16000"}, {"text": "one"}]
    rows[2] |= {"sample_rate": "44100", "output": "x.flac"}
    records = {record.id: record for record in speak(plan_of(*rows).rows, WordSynthesizer())}
    for name, rate, frames in [("00001", SAMPLE_RATE, 4), ("00002", 16_000, 2), ("00003", 44_100, 1)]:
        record = records[name]
        info = soundfile.info(Path("out") / str(record.output))
        assert info.samplerate == record.sample_rate == rate
        assert info.frames == frames * HOP * rate // SAMPLE_RATE
        assert record.seconds == pytest.approx(info.frames / rate, abs=0.0005)
        assert record.frames == frames


def test_a_default_sample_rate_applies_to_rows_without_one(plan_of: Any) -> None:
    settings = Settings(checkpoint="model.bin", sample_rate=16_000)
    records = speak(
        plan_of({"text": "a"}, {"text": "b", "sample_rate": 8000}, settings=settings).rows, WordSynthesizer()
    )
    assert {record.id: record.sample_rate for record in records} == {"00001": 16_000, "00002": 8_000}
