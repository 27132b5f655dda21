"""The run, with an engine of a few lines: each prompt is encoded once, long rows go first, nothing stops the rest."""

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

from vallecli.constants import HOP
from vallecli.errors import CheckpointError, DeviceError, OutputError
from vallecli.jobs import plan, resume, run
from vallecli.jobs.engine import Job, Spoken
from vallecli.jobs.plan import Defaults, Plan, Row
from vallecli.jobs.results import FAILED, Failure, Record, Results, open_results, read, read_folder
from vallecli.jobs.run import Run, longest_first
from vallecli.jobs.table import Line
from vallecli.settings import Settings


@dataclass(frozen=True)
class Knobs:
    seed: int = 0
    greedy: bool = False
    temperature: float = 1.0


@dataclass(frozen=True)
class Said:
    audio: np.ndarray
    stop_reason: str = "eos"
    notes: tuple[str, ...] = ()
    frames: int = 1


class Talker:
    """Speaks a frame for each word; "bad" is more than it can say."""

    sampling = Knobs()

    def __init__(self) -> None:
        self.encoded: list[str] = []
        self.spoken: list[str] = []
        self.seeds: list[int] = []

    def voice(self, source: Any, transcript: str | None, *, name: str, transcribe: bool) -> str:
        self.encoded.append(Path(name).name)
        if Path(name).stem == "mute":
            raise ValueError("mute")
        return name

    def speak(self, text: str, voice: Any, sampling: Knobs, *, language: str, accent: str | None) -> Iterator[Said]:
        self.spoken.append(text)
        self.seeds.append(sampling.seed)
        for word in text.split():
            if word == "bad":
                raise RuntimeError("too hard")
            yield Said(np.full(HOP, 0.1, np.float32), "max_frames" if word == "long" else "eos", (word,))


class OneByOne:
    """An engine of a talker; `slots` are for others."""

    description = "one by one"

    def __init__(self, talker: Talker) -> None:
        self.talker, self.sampling, self.voice = talker, talker.sampling, talker.voice

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[Spoken]:
        for job in jobs:
            try:
                said = self.talker.speak(job.text, job.voice, job.sampling, language=job.language, accent=job.accent)
                spoken = Spoken(job.key, list(said))
            except RuntimeError as error:
                spoken = Spoken(job.key, (), Failure.of(error))
            yield spoken


@pytest.fixture
def checkpoint(own_folder: Path) -> str:
    (own_folder / "model.bin").write_bytes(b"weights")
    return "model.bin"


@pytest.fixture
def planned(own_folder: Path, reference: Path, checkpoint: str) -> Any:
    for name in ("one.wav", "two.wav", "mute.wav"):
        (own_folder / name).write_bytes(reference.read_bytes() + name.encode())

    def make(*rows: Mapping[str, Any], **defaults: Any) -> Plan:
        lines = [Line(number, {"prompt": "one.wav", **row}) for number, row in enumerate(rows, start=1)]
        settings = defaults.pop("settings", Settings(checkpoint=checkpoint))
        return plan.make(lines, Defaults(settings=settings, **defaults), base=Path(), out=Path("out"))

    return make


def speak(rows: list[Row], talker: Any, **options: Any) -> list[Record]:
    """Run the rows into out/ and return the records that were told of."""
    told: list[Record] = []
    load = options.pop("load", lambda name: OneByOne(talker))
    default = options.pop("default", "model.bin")
    settings = {"slots": 2, "stop": Event(), "watch": lambda record, row: told.append(record), **options}
    with open_results(Path("out")) as results:
        Run(results, Path("out"), load=load, default=default, **settings).speak(rows)
    return told


def test_each_row_is_written_recorded_and_told(planned: Any) -> None:
    rows = planned({"text": "one two three"}, {"text": "long one", "output": "sub/b.flac", "seed": 5}).rows
    told = speak(rows, talker := Talker())
    assert read(Path("out/results.jsonl")) == (told, 0)
    assert [soundfile.info(Path("out") / record.output).frames for record in told] == [3 * HOP, 2 * HOP]
    assert [(record.frames, record.stop_reason) for record in told] == [(3, "eos"), (2, "max_frames")]
    assert told[1].notes == ("long", "one")
    assert talker.seeds == [rows[0].seed, 5]
    assert told[1].seed == 5


def test_each_distinct_prompt_is_encoded_once(planned: Any) -> None:
    prompts = ["one.wav", "two.wav", "one.wav", "two.wav", "one.wav"]
    Path("copy.wav").write_bytes(Path("one.wav").read_bytes())
    rows = planned(*({"text": "word " * place, "prompt": name} for place, name in enumerate([*prompts, "copy.wav"], 1)))
    speak(rows.rows, talker := Talker())
    assert sorted(talker.encoded) == ["copy.wav", "two.wav"]


def test_a_prompt_with_another_transcript_is_another_voice(planned: Any) -> None:
    speak(planned({"text": "a", "prompt_text": "x"}, {"text": "b", "prompt_text": "y"}).rows, talker := Talker())
    assert len(talker.encoded) == 2


def test_what_goes_wrong_with_a_row_stays_with_it(planned: Any) -> None:
    rows = planned({"text": "good"}, {"text": "so bad"}, {"text": "x", "prompt": "mute.wav"}, {"text": "fine"}).rows
    told = {record.id: record for record in speak(rows, Talker())}
    assert [told[f"0000{n}"].status for n in (1, 2, 3, 4)] == ["ok", "failed", "failed", "ok"]
    failure = told["00002"].error
    assert failure is not None
    assert (failure.code, failure.message) == ("RuntimeError", "this is a bug in valle: too hard")
    assert not Path("out/00002.wav").exists()


def test_fail_fast_begins_no_more_rows(planned: Any) -> None:
    rows = planned({"text": "bad and long"}, *({"text": "good", "id": str(n)} for n in range(100))).rows
    told = speak(rows, Talker(), fail_fast=True)
    assert told[0].status == FAILED
    assert len(told) <= run.UNWRITTEN + 2


def test_a_stop_finishes_what_was_begun_and_begins_nothing(planned: Any) -> None:
    stop = Event()

    class Stopped(Talker):
        def speak(self, text: str, *voice: Any, **options: Any) -> Iterator[Said]:
            if text == "second one":
                stop.set()
            return super().speak(text, *voice, **options)

    rows = planned({"text": "the first row"}, {"text": "second one"}, {"text": "third"}).rows
    assert [record.id for record in speak(rows, Stopped(), stop=stop)] == ["00001", "00002"]
    view = resume.outlook(
        planned({"text": "the first row"}, {"text": "second one"}, {"text": "third"}),
        read_folder(Path("out"))[0],
        Path("out"),
    )
    assert [row.id for row in view.todo] == ["00003"]


def test_another_checkpoint_that_does_not_load_fails_its_own_rows_alone(planned: Any) -> None:
    Path("other.bin").write_bytes(b"other")

    def load(name: str) -> OneByOne:
        if name == "other.bin":
            raise CheckpointError("it is damaged", "pull it")
        return OneByOne(Talker())

    rows = planned(
        {"text": "a", "checkpoint": "other.bin"}, {"text": "b"}, {"text": "c", "checkpoint": "other.bin"}
    ).rows
    told = {record.id: record.status for record in speak(rows, None, load=load)}
    assert told == {"00001": "failed", "00002": "ok", "00003": "failed"}
    with pytest.raises(CheckpointError):
        speak(rows, None, load=load, default="other.bin")


def test_an_engine_that_gives_up_leaves_what_it_had_done(planned: Any) -> None:
    class Broken(OneByOne):
        def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[Spoken]:
            for spoken in super().speak_many(jobs, slots=slots):
                yield spoken
                raise DeviceError("the device is gone")

    rows = planned({"text": "the first"}, {"text": "second"}).rows
    with pytest.raises(DeviceError):
        speak(rows, None, load=lambda name: Broken(Talker()))
    assert [record.id for record in read_folder(Path("out"))[0]] == ["00001"]


def test_a_folder_taken_away_ends_the_run_and_the_next_does_all_again(planned: Any) -> None:
    class Mover(Talker):
        def speak(self, text: str, *voice: Any, **options: Any) -> Iterator[Said]:
            if text == "second":
                Path("out").rename("moved")
            return super().speak(text, *voice, **options)

    rows = planned({"text": "the first"}, {"text": "second"}, {"text": "3"}).rows
    with pytest.raises(OutputError, match="taken away"):
        speak(rows, Mover())
    assert not Path("out").exists()
    assert len(speak(rows, Talker())) == 3


def test_rows_in_flight_share_the_time(planned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class AllAtOnce(OneByOne):
        def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[Spoken]:
            yield from super().speak_many(list(jobs), slots=slots)

    ticks = itertools.count(100)  # a second passes whenever somebody looks
    monkeypatch.setattr(run.time, "perf_counter", lambda: next(ticks))
    rows = planned({"text": "one two three four"}, {"text": "one two three"}, {"text": "one two"}).rows
    told = speak(rows, None, load=lambda name: AllAtOnce(Talker()))
    shares = [record.real_time_factor * record.seconds for record in told if record.real_time_factor and record.seconds]
    third, half = 1 / 3, 1 / 2
    assert shares == pytest.approx([1 + half + third, half + third + half, third + half + 1], rel=0.05)


def test_a_disk_that_is_full_ends_the_run(planned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = planned({"text": "the first"}, {"text": "second"}).rows
    append = Results.append

    def full(self: Results, record: Record) -> None:
        if record.id == "00002":
            raise OutputError("no space left")
        append(self, record)

    monkeypatch.setattr(Results, "append", full)
    with pytest.raises(OutputError, match="no space left"):
        speak(rows, Talker())
    assert [record.id for record in read_folder(Path("out"))[0]] == ["00001"]


def test_the_longest_go_first_in_a_window_and_windows_in_their_order(
    planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "WINDOW", 3)
    rows = planned(*({"text": "x" * length} for length in (1, 3, 2, 9, 5))).rows
    assert [len(row.text) for row in longest_first(rows)] == [3, 2, 1, 9, 5]


# What is left to do


def left(planned_: Plan, **options: Any) -> list[str]:
    return [row.id for row in resume.outlook(planned_, read_folder(Path("out"))[0], Path("out"), **options).todo]


def test_only_what_is_missing_or_changed_is_done_again(planned: Any) -> None:
    before = [{"text": "one"}, {"text": "two"}, {"text": "three"}]
    speak(planned(*before).rows, Talker())
    assert left(planned(*before)) == []
    assert left(planned(*before, {"text": "four"})) == ["00004"]
    assert left(planned(before[0], {"text": "two!"}, before[2])) == ["00002"]
    assert left(planned(*before, settings=Settings(checkpoint="model.bin", temperature=0.5))) == [
        "00001",
        "00002",
        "00003",
    ]
    Path("out/00003.wav").unlink()
    assert left(planned(*before)) == ["00003"]
    Path("out/00002.wav").write_bytes(b"half")
    assert left(planned(*before), verify=True) == ["00002", "00003"]


@pytest.mark.parametrize("path", ["one.wav", "model.bin"])
def test_the_content_of_prompt_and_checkpoint_decides(planned: Any, path: str, reference: Path) -> None:
    speak(planned({"text": "one"}).rows, Talker())
    Path(path).touch()
    assert left(planned({"text": "one"})) == []
    Path(path).write_bytes(Path(path).read_bytes() + b"more")
    assert left(planned({"text": "one"})) == ["00001"]


def test_what_failed_is_tried_again_on_demand_or_when_it_changed(planned: Any) -> None:
    speak(planned({"text": "bad"}).rows, Talker())
    assert left(planned({"text": "bad"})) == []
    assert left(planned({"text": "bad"}), retry_failed=True) == ["00001"]
    assert left(planned({"text": "good"})) == ["00001"]


def test_an_output_that_another_row_has_taken_since_is_made_again(planned: Any) -> None:
    first, second = {"id": "a", "text": "one", "output": "x.wav"}, {"id": "b", "text": "two", "output": "x.wav"}
    for row in (first, second):
        speak(planned(row).rows, Talker())
    assert left(planned(second)) == []
    assert left(planned(first)) == ["a"]


def test_a_row_is_the_same_whatever_stands_beside_it(planned: Any) -> None:
    row, other = {"id": "a", "text": "one"}, {"id": "b", "text": "two"}
    alone = planned(row).rows[0]
    last = planned(other, row).rows[1]
    assert replace(last, number=1) == alone
    assert planned(other).rows[0].seed != alone.seed
    assert planned({**row, "seed": alone.seed}).rows[0].seed == alone.seed


def test_shards_share_the_rows_out_by_their_ids(planned: Any) -> None:
    table = [{"id": f"row {n}", "text": "x"} for n in range(40)] + [
        {"id": "bad", "text": "?"},
        {"id": "row 3", "text": "x"},
    ]
    parts = [planned(*table, shard=(index, 3)) for index in (1, 2, 3)]
    rows = [row for part in parts for row in part.rows]
    assert sorted(row.id for row in rows) == sorted(row.id for row in planned(*table).rows)
    assert all(part.rows for part in parts)
    assert sum(len(part.refused) for part in parts) == 2
    reordered = [planned(*table[::-1], shard=(index, 3)) for index in (1, 2, 3)]
    assert [{row.id for row in part.rows} for part in reordered] == [{row.id for row in part.rows} for part in parts]


def test_inputs_are_not_overwritten(planned: Any) -> None:
    out = Path("out")
    out.mkdir()
    Path("one.wav").rename(out / "one.wav")
    rows = [
        {"text": "x", "prompt": "out/one.wav", "output": "two.wav"},
        {"text": "y", "prompt": "two.wav", "output": "one.wav"},
    ]
    made = planned(*rows)
    assert [row.output for row in made.rows] == ["two.wav"]
    assert made.refused[0].error.message == "'one.wav' cannot be an output: it is one of the inputs"
    for shard in [(1, 2), (2, 2)]:  # whichever row is in it
        assert "one.wav" not in [row.output for row in planned(*rows, shard=shard).rows]
