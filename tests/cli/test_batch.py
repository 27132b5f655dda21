"""`valle batch` end to end with a tiny model: what it writes where, and how it refuses."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from vallecli.cli.batch_run import parse_shard
from vallecli.errors import UsageError
from vallecli.checkpoints.local import sha256

if TYPE_CHECKING:
    from conftest import Ran, Valle

Rows = Sequence[Mapping[str, Any]]


@pytest.fixture
def batch(valle: Valle, tiny_checkpoint: Path, reference: Path, own_folder: Path) -> Callable[..., Ran]:
    """Run `valle batch` with the tiny model on rows that are written to jobs.csv; later options win."""
    shutil.copy(reference, own_folder / "ref.wav")

    def run(rows: Rows | str, *options: str | Path, stdin: bytes = b"") -> Ran:
        if not isinstance(rows, str):
            write_csv(own_folder / "jobs.csv", rows)
        fixed = ["--checkpoint", tiny_checkpoint, "--max-seconds", "0.1", "--out-dir", "out"]
        return valle("batch", rows if isinstance(rows, str) else "jobs.csv", *fixed, *options, stdin=stdin)

    return run


def write_csv(path: Path, rows: Rows) -> None:
    columns = list(dict.fromkeys(name for row in [{"text": "", "prompt": ""}, *rows] for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({"prompt": "ref.wav", **row} for row in rows)


def records(path: str = "out/results.jsonl") -> dict[str, dict[str, Any]]:
    return {record["id"]: record for record in map(json.loads, Path(path).read_text().splitlines())}


def files_in(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


TWO = [{"id": "a", "text": "One is here. Two is there."}, {"id": "b", "text": "Hello.", "output": "sub/b.flac"}]


def test_each_row_is_a_file_and_a_record(batch, tiny_checkpoint: Path) -> None:
    ran = batch(TWO)
    assert (ran.code, ran.out) == (0, b"out/results.jsonl\n")
    assert files_in("out") == [".results.jsonl.lock", "a.wav", "results.jsonl", "sub/b.flac"]
    for name, output in [("a", "a.wav"), ("b", "sub/b.flac")]:
        record = records()[name]
        info = soundfile.info(f"out/{output}")
        assert (record["status"], record["output"], record["error"]) == ("ok", output, None)
        assert record["sha256"] == sha256(Path("out") / output)
        assert record["seconds"] == pytest.approx(info.duration, abs=0.001)
        assert record["checkpoint"] == str(tiny_checkpoint)
        assert len(record["revision"]) == 16
        assert record["real_time_factor"] > 0
    assert (records()["a"]["frames"], records()["a"]["stop_reason"]) == (14, "max_frames")
    assert "tiny on cpu in float32" in ran.err
    assert "2 of 2 rows, 0 failed" in ran.err


def test_a_row_is_what_speak_says_with_its_seed(batch, valle: Valle, tiny_checkpoint: Path) -> None:
    batch([*TWO, {"id": "c", "text": "Again.", "seed": "3", "temperature": "0.7", "top_k": "5", "max_seconds": "0.2"}])
    knobs = {"a": ["--max-seconds", "0.1"], "c": ["--temperature", "0.7", "--top-k", "5", "--max-seconds", "0.2"]}
    assert records()["c"]["seed"] == 3
    for name, text in [("a", TWO[0]["text"]), ("c", "Again.")]:
        seed = str(records()[name]["seed"])
        common = ["--checkpoint", tiny_checkpoint, "--prompt", "ref.wav", "--seed", seed, "-o", f"{name}.wav"]
        assert valle("speak", *common, *knobs[name], "--text", text).code == 0
        assert Path(f"{name}.wav").read_bytes() == Path(f"out/{name}.wav").read_bytes()


def test_order_neighbours_and_form_of_the_table_do_not_count(batch) -> None:
    batch(TWO)
    before = {name: record["sha256"] for name, record in records().items()}
    lines = [json.dumps({"prompt": "ref.wav", **row}) for row in [{"text": "Another."}, *TWO[::-1]]]
    batch("-", "--out-dir", "other", stdin="\n".join(lines).encode())
    after = {name: record["sha256"] for name, record in records("other/results.jsonl").items()}
    assert after.items() >= before.items()
    assert set(after) == {"a", "b", "00001"}


def test_again_does_nothing_and_a_change_does_its_row(batch) -> None:
    batch(TWO)
    written = Path("out/results.jsonl").read_bytes()
    ran = batch(TWO)
    assert ran.code == 0
    assert "2 of 2 rows are done already" in ran.err
    assert "tiny on" not in ran.err  # no model was loaded
    assert Path("out/results.jsonl").read_bytes() == written
    Path("out/a.wav").unlink()
    told = json.loads(batch([TWO[0], {**TWO[1], "text": "Bye."}], "--json").out)
    assert (told["made"], told["done_before"], told["failed"]) == (2, 0, 0)
    assert Path("out/results.jsonl").read_bytes().startswith(written)


def test_audio_that_was_changed_is_made_again_under_verify(batch) -> None:
    batch(TWO)
    good = Path("out/a.wav").read_bytes()
    Path("out/a.wav").write_bytes(good[:-1000])
    assert json.loads(batch(TWO, "--json").out)["made"] == 0
    assert json.loads(batch(TWO, "--json", "--verify").out)["made"] == 1
    assert Path("out/a.wav").read_bytes() == good


def test_lines_of_the_results_that_are_none_are_told_and_their_rows_done_again(batch) -> None:
    batch(TWO)
    path = Path("out/results.jsonl")
    _, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"\0" * 20 + b"\n" + second)
    ran = batch(TWO, "--json")
    assert "1 lines of out/results*.jsonl are no records" in ran.err
    assert json.loads(ran.out)["made"] == 1
    assert path.read_bytes().startswith(b"\0" * 20 + b"\n" + second)


def test_prompts_lie_beside_the_table_and_for_stdin_in_this_folder(batch, own_folder: Path) -> None:
    (own_folder / "tables").mkdir()
    (own_folder / "ref.wav").rename(own_folder / "tables" / "voice.wav")
    write_csv(own_folder / "tables" / "jobs.csv", [{"text": "Hello.", "prompt": "voice.wav"}])
    assert batch("tables/jobs.csv").code == 0
    assert batch("-", stdin=b"text,prompt\nHello.,tables/voice.wav\n").code == 0
    assert batch("-", stdin=b"text,prompt\nHello.,voice.wav\n").code == 6


def test_shards_merge_to_what_one_run_makes(batch, valle: Valle) -> None:
    rows = [{"id": f"r{n}", "text": "Hello."} for n in range(5)] + [{"id": "bad", "text": "?!"}]
    assert [batch(rows, "--shard", f"{index}/2", "--out-dir", "parts").code for index in (1, 2)].count(6) == 1
    assert {"results-1-of-2.jsonl", "results-2-of-2.jsonl"} <= set(files_in("parts"))
    ran = valle("batch", "--merge", "--out-dir", "parts")
    assert (ran.code, ran.out) == (6, b"parts/results.jsonl\n")
    batch(rows, "--out-dir", "whole")
    assert records("parts/results.jsonl").keys() == records("whole/results.jsonl").keys()
    for name, record in records("whole/results.jsonl").items():
        assert records("parts/results.jsonl")[name]["sha256"] == record["sha256"]
    assert json.loads(batch(rows, "--out-dir", "parts", "--json").out)["made"] == 0


def test_a_dry_run_prints_the_plan_and_writes_nothing(batch) -> None:
    ran = batch([*TWO, {"text": "Hi.", "prompt": "none.wav"}], "--dry-run", "--checkpoint", "out.bin")
    assert ran.code == 4
    ran = batch([*TWO, {"text": "Hi.", "prompt": "none.wav"}], "--dry-run")
    assert ran.code == 6
    assert ran.out.decode().splitlines() == [
        "speak\ta\ta.wav\t1.7",
        "speak\tb\tsub/b.flac\t0.4",
        "refused\t00003\tcannot open none.wav: no such file or directory",
    ]
    assert "2 of 3 rows to speak, about 2 s of audio" in ran.err
    assert not Path("out").exists()
    batch(TWO)
    told = json.loads(batch([*TWO, {"text": "Hi."}], "--dry-run", "--json").out)
    assert [row["state"] for row in told["rows"]] == ["done", "done", "speak"]
    assert told["estimate"]["audio_seconds"] == 0.2
    known = records().values()
    factor = sum(r["real_time_factor"] * r["seconds"] for r in known) / sum(r["seconds"] for r in known)
    assert told["estimate"]["seconds"] == pytest.approx(factor * 0.2, abs=0.06)


def test_audio_that_was_there_before_is_not_overwritten(batch) -> None:
    Path("out").mkdir()
    Path("out/a.wav").write_bytes(b"mine")
    ran = batch(TWO)
    assert ran.code == 3
    assert "out/a.wav already exists" in ran.err
    assert files_in("out") == ["a.wav"]
    assert batch(TWO, "--force").code == 0


def test_failures_are_told_recorded_once_and_tried_again_on_demand(batch, own_folder: Path) -> None:
    rows = [*TWO, {"id": "c", "text": "Hi.", "prompt": "later.wav"}]
    ran = batch(rows)
    assert ran.code == 6
    assert "row 3 (c): cannot open later.wav" in ran.err
    assert "1 of 3 rows failed" in ran.err
    [again] = re.findall(r"try again: (valle batch .*)", ran.err)
    assert shlex.split(again)[:5] == ["valle", "batch", "jobs.csv", "--out-dir", "out"]
    assert again.endswith("--max-seconds 0.1 --retry-failed")  # with what else was typed: it decides what a row is
    written = Path("out/results.jsonl").read_bytes()
    assert batch(rows).code == 6
    assert Path("out/results.jsonl").read_bytes() == written
    shutil.copy("ref.wav", "later.wav")
    assert batch(rows).code == 0
    assert records()["c"]["status"] == "ok"


def test_a_checkpoint_that_wants_a_transcript(batch, transcript_checkpoint: Path) -> None:
    rows = [{"id": "told", "text": "Hi.", "prompt_text": "What it says."}, {"id": "untold", "text": "Hi."}]
    ran = batch(rows, "--checkpoint", transcript_checkpoint)
    assert ran.code == 6
    assert records()["told"]["status"] == "ok"
    assert records()["untold"]["error"]["code"] == "TranscriptMissing"
    assert batch(rows, "--checkpoint", transcript_checkpoint).code == 6
    Path("ref.txt").write_text("What it says.")
    assert batch(rows, "--checkpoint", transcript_checkpoint).code == 0
    assert records()["told"]["sha256"] == records()["untold"]["sha256"]


def test_a_row_may_have_a_checkpoint_of_its_own(batch, transcript_checkpoint: Path, tiny_checkpoint: Path) -> None:
    own = {"checkpoint": str(transcript_checkpoint), "prompt_text": "What it says."}
    assert batch([{"text": "Hi."}, {"text": "Hi.", **own}]).code == 0
    first, second = records().values()
    assert {first["checkpoint"], second["checkpoint"]} == {str(tiny_checkpoint), str(transcript_checkpoint)}
    assert first["revision"] != second["revision"]


def test_fail_fast_stops_at_a_row_that_is_refused(batch) -> None:
    assert batch([{"text": "?"}, {"text": "Hi."}], "--fail-fast").code == 6
    assert list(records()) == ["00001"]


def test_settings_come_from_the_environment_too(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALLE_SEED", "11")
    batch(TWO)
    assert {record["seed"] for record in records().values()} == {11}


def test_a_table_without_rows_is_no_failure(batch) -> None:
    assert batch([]).code == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, "there are no jobs"),
        (["none.csv"], 3, "cannot read none.csv"),
        (["here.csv", "--shard", "3/2"], 2, "--shard is '3/2'"),
        (["here.csv", "--language", "eng"], 2, "Did you mean en?"),
        (["here.csv", "--accent", "xx"], 2, "--accent is 'xx'"),
        (["here.csv", "--format", "mp3"], 2, "--format is 'mp3'"),
        (["here.csv", "--symbols", "none.json"], 2, "cannot read none.json"),
        (["here.csv", "--checkpoint", "nanoo"], 4, "Did you mean nano?"),
        (["here.csv", "--slots", "0"], 2, "--slots"),
        (["here.csv", "--merge"], 2, "--merge takes no JOBS"),
        (["--merge"], 3, "has no results*.jsonl"),
        (["wrong.csv"], 3, "Did you mean prompt?"),
    ],
)
def test_what_is_wrong_as_a_whole_is_refused_at_once(
    valle: Valle, reference: Path, options: list[str], code: int, said: str
) -> None:
    Path("here.csv").write_text(f"text,prompt\nHello.,{reference}\n")
    Path("wrong.csv").write_text("text,promt\n")
    ran = valle("batch", "--out-dir", "out", *options)
    assert (ran.code, ran.out) == (code, b"")
    assert said in ran.err
    assert not Path("out").exists()


@pytest.mark.parametrize("written", ["", "1", "0/2", "1/0", "a/b", "1/2/3", "-1/2", "٣/4", "1/1000000"])
def test_shards_that_are_none(written: str) -> None:
    with pytest.raises(UsageError):
        parse_shard(written)


# Thirty ways to be wrong


def bad_prompts(reference: Path) -> None:
    """Make the prompts that BAD names."""
    Path("folder").mkdir()
    os.mkfifo("pipe.wav")
    Path("empty.wav").touch()
    Path("text.wav").write_text("no audio")
    Path("preset.npz").write_text("no preset")
    audio, rate = soundfile.read(reference, dtype="float32")
    soundfile.write("silent.wav", np.zeros(rate * 3), rate)
    soundfile.write("short.wav", audio[: rate // 2], rate)
    soundfile.write("damaged.wav", np.full(rate * 3, np.nan, np.float32), rate, subtype="FLOAT")
    shutil.copy(reference, "told.wav")
    Path("told.txt").write_bytes(b"caf\xe9")


BAD: list[tuple[dict[str, Any], str, str]] = [  # row, code, message
    ({"text": ""}, "RowError", "it has no text"),
    ({"prompt": " "}, "RowError", "it has no prompt"),
    ({"text": "?! ..."}, "EmptyText", "there is nothing to say: the text has no words"),
    ({"id": "good"}, "DuplicateRow", "id 'good' is that of row 1 already"),
    ({"id": "a\u202eb"}, "RowError", "id 'a\\u202eb' holds what cannot be printed"),
    ({"id": "what?"}, "UnsafeName", "'what?.wav' cannot be an output: it holds one of"),
    ({"output": "good.wav"}, "DuplicateRow", "output 'good.wav' is that of row 1 already"),
    ({"output": "GOOD.wav"}, "DuplicateRow", "output 'GOOD.wav' is that of row 1 already"),
    ({"output": "good.wav/x.wav"}, "DuplicateRow", "output 'good.wav/x.wav' is that of row 1 already"),
    ({"output": "../x.wav"}, "UnsafeName", "'../x.wav' cannot be an output: it leaves the output folder"),
    ({"output": "/x.wav"}, "UnsafeName", "'/x.wav' cannot be an output: it leaves the output folder"),
    ({"output": "nul.wav"}, "UnsafeName", "'nul.wav' cannot be an output: Windows keeps this name for itself"),
    ({"output": "x" * 300 + ".wav"}, "UnsafeName", f"'{'x' * 300}.wav' cannot be an output: it is longer than 255"),
    ({"output": "x.mp3"}, "UsageError", "x.mp3: unsupported file ending .mp3"),
    ({"output": "x"}, "UsageError", "x: unsupported file ending (none)"),
    ({"prompt": "none.wav"}, "AudioNotFound", "cannot open none.wav: no such file or directory"),
    ({"prompt": "folder"}, "AudioNotFound", "cannot open folder: it is not a file"),
    ({"prompt": "pipe.wav"}, "AudioNotFound", "cannot open pipe.wav: it is not a file"),
    ({"prompt": "x" * 300}, "AudioNotFound", f"cannot open {'x' * 300}: file name too long"),
    ({"prompt": "a\0b.wav"}, "AudioNotFound", "cannot open a\0b.wav: "),
    ({"prompt": "empty.wav"}, "NotAudio", "empty.wav is not readable as audio"),
    ({"prompt": "text.wav"}, "NotAudio", "text.wav is not readable as audio"),
    ({"prompt": "silent.wav"}, "SilentPrompt", "silent.wav is silent"),
    ({"prompt": "short.wav"}, "PromptTooShort", "short.wav holds 0."),
    ({"prompt": "damaged.wav"}, "DamagedAudio", "damaged.wav holds samples that are NaN or infinite"),
    ({"prompt": "preset.npz"}, "PresetError", "preset.npz is not a VALL-E X preset"),
    ({"prompt": "told.wav"}, "TextEncodingError", "told.txt is not UTF-8 text"),
    ({"language": "english"}, "RowError", "language is 'english'"),
    ({"language": "zh"}, "UsageError", "this checkpoint does not know the language 'zh'"),
    ({"accent": "auto"}, "RowError", "accent is 'auto'"),
    ({"checkpoint": "vallexx"}, "UnknownCheckpoint", "there is no checkpoint called 'vallexx'"),
    ({"checkpoint": "vallex"}, "MissingCheckpoint", "vallex is not on this machine"),
    ({"checkpoint": "folder"}, "DamagedCheckpoint", "folder holds no checkpoint"),
    ({"checkpoint": "text.wav"}, "UnknownFormat", "text.wav hol"),
    ({"seed": "-1"}, "RowError", "seed is '-1'"),
    ({"seed": "1.5"}, "RowError", "seed is '1.5'"),
    ({"greedy": "maybe"}, "RowError", "greedy is 'maybe'"),
    ({"temperature": "hot"}, "RowError", "temperature is 'hot'"),
    ({"temperature": "nan"}, "RowError", "temperature is 'nan'"),
    ({"top_k": "0"}, "RowError", "top_k is '0'"),
    ({"top_p": "1.1"}, "RowError", "top_p is '1.1'"),
    ({"max_seconds": "inf"}, "RowError", "max_seconds is 'inf'"),
]


def test_each_bad_row_has_its_message_and_every_good_one_is_spoken(batch, reference: Path) -> None:
    bad_prompts(reference)
    rows: list[dict[str, Any]] = [{"id": "good", "text": "Hello."}]
    for row, _, _ in BAD:
        rows += [{"text": "Hello.", **row}, {"text": "Hello.", "id": f"good {len(rows)}"}]
    ran = batch(rows)
    told = list(map(json.loads, Path("out/results.jsonl").read_text().splitlines()))
    assert ran.code == 6
    assert f"{len(BAD)} of {len(rows)} rows failed" in ran.err
    by_row = {record["row"]: record for record in told}
    assert len(told) == len(by_row) == len(rows)
    for number, row in enumerate(rows, start=1):
        if number % 2:
            assert by_row[number]["status"] == "ok"
            assert Path("out", by_row[number]["output"]).is_file()
            continue
        _, code, message = BAD[number // 2 - 1]
        error = by_row[number]["error"]
        assert (error["code"], error["message"][: len(message)]) == (code, message), row
        assert error["hint"]
        assert message.split("\0")[0] in ran.err
    assert len(list(Path("out").rglob("*.wav"))) == len(BAD) + 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": 5}, "text is 5"),
        ({"prompt": ["ref.wav"]}, "prompt is ['ref.wav']"),
        ({"id": True}, "id is True"),
        ({"seed": 1.0}, "seed is 1.0"),
        ({"temperature": True}, "temperature is True"),
        ({"speed": 2}, "there is no column 'speed'"),
    ],
)
def test_bad_values_in_json(batch, row: dict[str, Any], message: str) -> None:
    good = {"id": 7, "text": "Hello.", "prompt": "ref.wav", "seed": 1, "greedy": False, "top_p": 0.9}
    lines = [json.dumps(good), json.dumps({"text": "Hello.", "prompt": "ref.wav", **row})]
    assert batch("-", stdin="\n".join(lines).encode()).code == 6
    told = {record["row"]: record for record in records().values()}
    assert (told[1]["status"], told[1]["output"]) == ("ok", "7.wav")
    assert told[2]["error"]["message"] == message


# On a terminal


def test_a_bar_counts_rows_audio_and_failures_above_which_errors_stay(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    ran = batch([*TWO, {"text": "Hi.", "language": "zh"}])
    assert ran.out == b"out/results.jsonl\n"
    assert "2 of 3 rows, 1 failed, 1 s of audio, real-time factor " in ran.err
    assert "\r" in ran.err or "\x1b" in ran.err  # it was drawn over
    assert "row 3: this checkpoint does not know the language 'zh'\n" in ran.err
    assert "\x1b" not in batch(TWO, "-q", "--out-dir", "other").err
