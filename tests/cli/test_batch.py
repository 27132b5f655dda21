"""`valle batch` end to end with a tiny model: outputs, results, resuming and errors."""

from __future__ import annotations

import csv
import errno
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

from vallecli.checkpoints.local import sha256
from vallecli.cli.batch_run import parse_shard
from vallecli.errors import UsageError

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


def test_each_row_has_a_file_and_a_record(batch, tiny_checkpoint: Path) -> None:
    ran = batch(TWO)
    assert (ran.code, ran.out) == (0, b"out/results.jsonl\n")
    assert files_in("out") == [".results.jsonl.lock", ".results.jsonl.writing", "a.wav", "results.jsonl", "sub/b.flac"]
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


def test_a_row_has_the_audio_of_speak_with_its_seed(batch, valle: Valle, tiny_checkpoint: Path) -> None:
    batch([*TWO, {"id": "c", "text": "Again.", "seed": "3", "temperature": "0.7", "top_k": "5", "max_seconds": "0.2"}])
    knobs = {"a": ["--max-seconds", "0.1"], "c": ["--temperature", "0.7", "--top-k", "5", "--max-seconds", "0.2"]}
    assert records()["c"]["seed"] == 3
    for name, text in [("a", TWO[0]["text"]), ("c", "Again.")]:
        seed = str(records()[name]["seed"])
        common = ["--checkpoint", tiny_checkpoint, "--prompt", "ref.wav", "--seed", seed, "-o", f"{name}.wav"]
        assert valle("speak", *common, *knobs[name], "--text", text).code == 0
        assert Path(f"{name}.wav").read_bytes() == Path(f"out/{name}.wav").read_bytes()


def test_audio_does_not_depend_on_order_other_rows_and_table_format(batch) -> None:
    batch(TWO)
    before = {name: record["sha256"] for name, record in records().items()}
    lines = [json.dumps({"prompt": "ref.wav", **row}) for row in [{"text": "Another."}, *TWO[::-1]]]
    batch("-", "--out-dir", "other", stdin="\n".join(lines).encode())
    after = {name: record["sha256"] for name, record in records("other/results.jsonl").items()}
    assert after.items() >= before.items()
    assert set(after) == {"a", "b", "00001"}


def test_a_second_run_does_nothing_and_a_change_makes_its_row(batch) -> None:
    batch(TWO)
    written = Path("out/results.jsonl").read_bytes()
    ran = batch(TWO)
    assert ran.code == 0
    assert "2 of 2 rows are already done" in ran.err
    assert "tiny on" not in ran.err  # no model was loaded
    assert Path("out/results.jsonl").read_bytes() == written
    Path("out/a.wav").unlink()
    summary = json.loads(batch([TWO[0], {**TWO[1], "text": "Bye."}], "--json").out)
    assert (summary["made"], summary["done_before"], summary["failed"]) == (2, 0, 0)
    assert Path("out/results.jsonl").read_bytes().startswith(written)


def test_changed_audio_is_made_again_with_verify(batch) -> None:
    batch(TWO)
    good = Path("out/a.wav").read_bytes()
    Path("out/a.wav").write_bytes(good[:-1000])
    assert json.loads(batch(TWO, "--json").out)["made"] == 0
    assert json.loads(batch(TWO, "--json", "--verify").out)["made"] == 1
    assert Path("out/a.wav").read_bytes() == good


def test_invalid_lines_of_the_results_are_reported_and_their_rows_made_again(batch) -> None:
    batch(TWO)
    path = Path("out/results.jsonl")
    _, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"\0" * 20 + b"\n" + second)
    ran = batch(TWO, "--json")
    assert "1 lines of out/results*.jsonl are not records" in ran.err
    assert json.loads(ran.out)["made"] == 1
    assert path.read_bytes().startswith(b"\0" * 20 + b"\n" + second)


def test_prompts_are_relative_to_the_table_and_for_stdin_to_the_current_folder(batch, own_folder: Path) -> None:
    (own_folder / "tables").mkdir()
    (own_folder / "ref.wav").rename(own_folder / "tables" / "voice.wav")
    write_csv(own_folder / "tables" / "jobs.csv", [{"text": "Hello.", "prompt": "voice.wav"}])
    assert batch("tables/jobs.csv").code == 0
    assert batch("-", stdin=b"text,prompt\nHello.,tables/voice.wav\n").code == 0
    assert batch("-", stdin=b"text,prompt\nHello.,voice.wav\n").code == 6


def test_merged_shards_are_equal_to_one_run(batch, valle: Valle) -> None:
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
    assert "row 3: Check the name of the recording and its permissions.\n" in ran.err
    assert not Path("out").exists()
    batch(TWO)
    summary = json.loads(batch([*TWO, {"text": "Hi."}], "--dry-run", "--json").out)
    assert [row["state"] for row in summary["rows"]] == ["done", "done", "speak"]
    assert summary["estimate"]["audio_seconds"] == 0.2
    known = records().values()
    factor = sum(r["real_time_factor"] * r["seconds"] for r in known) / sum(r["seconds"] for r in known)
    assert summary["estimate"]["seconds"] == pytest.approx(factor * 0.2, abs=0.06)


def test_existing_audio_is_not_overwritten(batch) -> None:
    Path("out").mkdir()
    Path("out/a.wav").write_bytes(b"mine")
    ran = batch(TWO)
    assert ran.code == 3
    assert "out/a.wav already exists" in ran.err
    assert files_in("out") == ["a.wav"]
    assert batch(TWO, "--force").code == 0


def test_failures_are_reported_recorded_once_and_tried_again_when_they_change(batch, own_folder: Path) -> None:
    rows = [*TWO, {"id": "c", "text": "Hi.", "prompt": "later.wav"}]
    ran = batch(rows)
    assert ran.code == 6
    assert "row 3 (c): cannot open later.wav" in ran.err
    assert "1 of 3 rows failed" in ran.err
    [again] = re.findall(r"or run: (valle batch .*)", ran.err)
    assert shlex.split(again)[:5] == ["valle", "batch", "jobs.csv", "--out-dir", "out"]
    assert again.endswith("--max-seconds 0.1 --retry-failed")  # with all other options: rows depend on them
    written = Path("out/results.jsonl").read_bytes()
    assert batch(rows).code == 6
    assert Path("out/results.jsonl").read_bytes() == written
    shutil.copy("ref.wav", "later.wav")
    assert batch(rows).code == 0
    assert records()["c"]["status"] == "ok"


def test_a_checkpoint_that_needs_a_transcript(batch, transcript_checkpoint: Path) -> None:
    rows = [{"id": "given", "text": "Hi.", "prompt_text": "What it says."}, {"id": "missing", "text": "Hi."}]
    ran = batch(rows, "--checkpoint", transcript_checkpoint)
    assert ran.code == 6
    assert records()["given"]["status"] == "ok"
    assert records()["missing"]["error"]["code"] == "TranscriptMissing"
    assert batch(rows, "--checkpoint", transcript_checkpoint).code == 6
    Path("ref.txt").write_text("What it says.")
    assert batch(rows, "--checkpoint", transcript_checkpoint).code == 0
    assert records()["given"]["sha256"] == records()["missing"]["sha256"]


def test_a_row_can_have_its_own_checkpoint(batch, transcript_checkpoint: Path, tiny_checkpoint: Path) -> None:
    own = {"checkpoint": str(transcript_checkpoint), "prompt_text": "What it says."}
    assert batch([{"text": "Hi."}, {"text": "Hi.", **own}]).code == 0
    first, second = records().values()
    assert {first["checkpoint"], second["checkpoint"]} == {str(tiny_checkpoint), str(transcript_checkpoint)}
    assert first["revision"] != second["revision"]


def test_without_ray_it_exits_with_7(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = batch(TWO, "--ray", "local")
    assert (ran.code, ran.out) == (7, b"")
    assert 'Run: pip install "vallecli[ray]"' in ran.err


def test_a_package_that_rows_need_is_recorded_with_each_of_them(
    batch, transcript_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    assert batch(TWO, "--checkpoint", transcript_checkpoint, "--transcribe").code == 6
    assert {record["error"]["code"] for record in records().values()} == {"ExtraMissing"}


def test_fail_fast_stops_at_a_refused_row(batch) -> None:
    assert batch([{"text": "?"}, {"text": "Hi."}], "--fail-fast").code == 6
    assert list(records()) == ["00001"]


def test_settings_from_the_environment(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALLE_SEED", "11")
    batch(TWO)
    assert {record["seed"] for record in records().values()} == {11}


def test_a_table_without_rows_is_a_success(batch) -> None:
    assert batch([]).code == 0


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "there are no jobs"),
        (["none.csv"], 3, "cannot read none.csv"),
        (["here.csv", "--shard", "3/2"], 2, "--shard is '3/2'"),
        (["here.csv", "--language", "eng"], 2, "Did you mean en?"),
        (["here.csv", "--accent", "xx"], 2, "--accent is 'xx'"),
        (["here.csv", "--format", "aiff"], 2, "--format is 'aiff'"),
        (["here.csv", "--option", "symbols=none.json"], 2, "cannot read none.json"),
        (["here.csv", "--symbols", "none.json"], 2, "cannot read none.json"),
        (["here.csv", "--option", "haeds=16"], 2, "Did you mean heads?"),
        (["here.csv", "--option", "heads=many"], 2, "It should be a whole number of at least 1."),
        (["here.csv", "--option", "heads"], 2, "It should be NAME=VALUE"),
        (["here.csv", "--option", "heads=16", "--option", "heads=8"], 2, "heads is given twice"),
        (["here.csv", "--option", "tokenizer=here.csv"], 2, "native checkpoints have no option 'tokenizer'"),
        (["here.csv", "--sample-rate", "100"], 2, "from 4000 to 192000"),
        (["here.csv", "--checkpoint", "nanoo"], 4, "Did you mean nano?"),
        (["here.csv", "--slots", "0"], 2, "--slots"),
        (["here.csv", "--merge"], 2, "--merge takes no JOBS"),
        (["--merge"], 3, "has no results*.jsonl"),
        (["wrong.csv"], 3, "Did you mean prompt? Use --map COLUMN=NAME"),
        (["list.txt"], 3, "With one prompt for all rows, each line can be a text. Use --prompt FILE"),
        (["list.txt", "--prompt", "none.wav"], 3, "cannot open none.wav"),
        (["list.txt", "--prompt-text", "Hi."], 2, "--prompt-text is without --prompt"),
        (["here.csv", "--map", "sentence"], 2, "It should be COLUMN=NAME, for example --map text=sentence."),
        (["here.csv", "--map", "sentence=text"], 2, "Did you mean text=sentence?"),
        (["here.csv", "--map", "tekst=sentence"], 2, "Did you mean text?"),
        (["here.csv", "--map", "text=a", "--map", "text=b"], 2, "text or b is given twice"),
        (["here.csv", "--map", "text=a", "--map", "prompt=a"], 2, "prompt or a is given twice"),
        (["here.csv", "--map", "text=words"], 3, "here.csv has no column 'words', which should be the text"),
        (["sheet.csv"], 3, "sheet.csv is not UTF-8 text, but probably a spreadsheet"),
        (["array.json"], 3, "array.json is a JSON array, but a damaged one"),
    ],
)
def test_errors_of_the_whole_run_are_raised_before_anything_is_written(
    valle: Valle, reference: Path, options: list[str], code: int, message: str
) -> None:
    Path("here.csv").write_text(f"text,prompt\nHello.,{reference}\n")
    Path("wrong.csv").write_text("text,promt\n")
    Path("list.txt").write_text("Hello.\nBye.\n")
    Path("sheet.csv").write_bytes(b"PK\x03\x04\x14\x00\x06\x00")
    Path("array.json").write_text('[{"text": "Hello."},]')
    ran = valle("batch", "--out-dir", "out", *options)
    assert (ran.code, ran.out) == (code, b"")
    assert message in ran.err
    assert not Path("out").exists()


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_foreign_checkpoint_is_refused_before_rows_are(batch, options: list[str]) -> None:
    Path("foreign").mkdir()
    Path("foreign/config.json").write_text('{"architectures": ["SomethingElse"]}')
    rows = [{"text": "Hello.", "prompt": "none.wav"}]
    ran = batch(rows, "--checkpoint", "foreign", *options)
    assert (ran.code, ran.out) == (4, b"")
    assert "foreign is not a checkpoint in a known format" in ran.err
    assert "Known formats: native, " in ran.err
    assert "none.wav" not in ran.err
    assert not Path("out").exists()
    assert batch(rows).code == 6
    written = Path("out/results.jsonl").read_bytes()
    assert batch(rows, "--checkpoint", "foreign", *options).code == 4  # with results of an earlier run, too
    assert Path("out/results.jsonl").read_bytes() == written


def test_a_foreign_checkpoint_of_some_rows_fails_those_rows(batch) -> None:
    Path("foreign").mkdir()
    Path("foreign/config.json").write_text("{}")
    assert batch([{"text": "Hello."}, {"text": "Hello.", "checkpoint": "foreign"}]).code == 6
    good, bad = sorted(records().values(), key=lambda record: record["row"])
    assert (good["status"], bad["error"]["code"]) == ("ok", "UnknownFormat")


def test_a_default_checkpoint_that_no_row_uses_need_not_exist(batch, tiny_checkpoint: Path) -> None:
    assert batch([{"text": "Hello.", "checkpoint": str(tiny_checkpoint)}], "--checkpoint", "none").code == 0


def test_a_run_with_nothing_to_do_does_not_read_the_checkpoint(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch(TWO)
    for reader in ("vallecli.checkpoints.weights.read", "vallecli.families.valle.native.read_safetensors"):
        monkeypatch.setattr(reader, lambda *_, **__: pytest.fail("the checkpoint was read"))
    assert batch(TWO).code == batch(TWO, "--dry-run").code == 0


@pytest.mark.parametrize("written", ["", "1", "0/2", "1/0", "a/b", "1/2/3", "-1/2", "٣/4", "1/1000000"])
def test_invalid_shards(written: str) -> None:
    with pytest.raises(UsageError):
        parse_shard(written)


# Tables as people write them


def texts_of(ran: Ran) -> list[tuple[str, str]]:
    """Return id and text of the rows that a successful run has spoken; tiny never ends by itself."""
    assert ran.code == 0, ran.err
    notes = {name: record["notes"] for name, record in records().items()}
    return [(name, " ".join(note.partition("was cut off: ")[2] for note in notes[name])) for name in sorted(notes)]


HELLO = [("00001", "Hello there.")]
WRITTEN: dict[str, tuple[bytes, list[str], list[tuple[str, str]]]] = {  # file -> content, options, ids and texts
    "emptycol.csv": (b"text,prompt,\nHello there.,ref.wav,\n", [], HELLO),
    "excelnum.csv": (
        b'text,prompt,seed,temperature,greedy\nA one,ref.wav,1.0,"0,8",TRUE\nB two,ref.wav,,0.8,yes\n'
        b"C three,ref.wav,7,,no\nD,ref.wav,1e3,,\n",
        [],
        [("00001", "A one."), ("00002", "B two."), ("00003", "C three."), ("00004", "D.")],
    ),
    "lj_head.csv": (
        b"id|text|norm\nLJ1|In 2 senses.|In two senses.\n",
        ["--prompt", "ref.wav"],
        [("LJ1", "In two senses.")],
    ),
    "metadata.csv": (
        b'LJ1|"In 2 senses|"In two senses.\nLJ2|Bye.|Bye.\n',
        ["--prompt", "ref.wav"],
        [("LJ1", "In two senses."), ("LJ2", "Bye.")],
    ),
    "array.json": (b'[{"text":"Hello there.","prompt":"ref.wav"}]', [], HELLO),
    "spaces.csv": (b" Text , Prompt \n Hello there. , ref.wav \n", [], HELLO),
    "utf16.csv": ("text,prompt\nHello there.,ref.wav\n".encode("utf-16"), [], HELLO),
    "utf16.jsonl": ('{"text": "Hello there.", "prompt": "ref.wav"}\r\n'.encode("utf-16"), [], HELLO),
    "list.txt": (
        b"One here.\nTwo, there.\n",
        ["--prompt", "ref.wav"],
        [("00001", "One here."), ("00002", "Two, there.")],
    ),
    "map.csv": (
        b"Sentence,path\nHello there.,ref.wav\n",
        ["--map", "text=sentence", "--map", "prompt=path"],
        HELLO,
    ),
    "semicolons.csv": (b"sep=;\r\ntext;prompt;temperature\r\nHello there.;ref.wav;0,8\r\n", [], HELLO),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_tables_of_people(batch, name: str) -> None:
    content, options, expected = WRITTEN[name]
    Path(name).write_bytes(content)
    spoken = texts_of(batch(name, *options))
    plain = [(name, text.rstrip(".").strip('" ')) for name, text in spoken]
    assert plain == [(name, text.rstrip(".")) for name, text in expected]


def test_values_of_spreadsheets_are_those_that_are_meant(batch) -> None:
    Path("excelnum.csv").write_bytes(WRITTEN["excelnum.csv"][0])
    assert batch("excelnum.csv").code == 0
    seeds = [record["seed"] for _, record in sorted(records().items())]
    assert (seeds[0], seeds[2], seeds[3]) == (1, 7, 1000)
    rows = [{"text": "A one", "seed": 1, "temperature": 0.8, "greedy": True}]
    batch(rows, "--out-dir", "other")
    assert records("other/results.jsonl")["00001"]["fingerprint"] == records()["00001"]["fingerprint"]


def test_a_row_in_windows_1252_has_the_command_that_converts_it(batch) -> None:
    Path("cp1252.csv").write_bytes(b"text,prompt\nIt\x92s fine,ref.wav\nok then,ref.wav\n")
    ran = batch("cp1252.csv")
    assert ran.code == 6
    assert "row 1: cp1252.csv is not UTF-8 text, but probably windows-1252\n" in ran.err
    assert "  Convert it: iconv -f windows-1252 -t utf-8\n" in ran.err
    assert [record["status"] for _, record in sorted(records().items())] == ["failed", "ok"]


def test_a_default_prompt_is_the_same_as_a_column_of_it(batch) -> None:
    batch([{"id": "a", "text": "One is here."}])
    before = records()
    Path("tables").mkdir()
    Path("tables/list.csv").write_text("id,text\na,One is here.\n")
    ran = batch("tables/list.csv", "--prompt", "ref.wav", "--json")  # it is not relative to the table
    assert json.loads(ran.out)["done_before"] == 1
    assert records() == before


def test_a_default_transcript_is_for_the_default_prompt(batch, transcript_checkpoint: Path) -> None:
    shutil.copy("ref.wav", "own.wav")
    rows = [{"id": "default", "text": "Hi.", "prompt": ""}, {"id": "own", "text": "Hi.", "prompt": "own.wav"}]
    options = ["--checkpoint", transcript_checkpoint, "--prompt", "ref.wav", "--prompt-text", "What it says."]
    ran = batch(rows, *options)
    assert ran.code == 6
    assert records()["default"]["status"] == "ok"
    assert records()["own"]["error"]["code"] == "TranscriptMissing"
    assert "Use --prompt-text TEXT, or --transcribe." in ran.err
    [again] = re.findall(r"or run: (valle batch .*)", ran.err)
    assert "--prompt ref.wav --prompt-text 'What it says.'" in again


def test_a_table_without_prompts_names_the_options(batch) -> None:
    Path("lj_head.csv").write_bytes(WRITTEN["lj_head.csv"][0])
    ran = batch("lj_head.csv")
    assert ran.code == 3
    assert "lj_head.csv has no column 'prompt'" in ran.err
    assert "Use --prompt FILE or --voice NAME for all rows without one" in ran.err


def test_an_unknown_name_in_json_names_the_option(batch) -> None:
    line = b'{"sentence": "Hello.", "prompt": "ref.wav"}'
    ran = batch("-", stdin=line)
    assert ran.code == 6
    assert "row 1: there is no column 'sentence'" in ran.err
    assert "--map text=sentence" in ran.err
    assert batch("-", "--map", "text=sentence", stdin=line).code == 0


def test_notes_on_what_a_table_is_taken_for(batch) -> None:
    Path("list.txt").write_text("One here.\n")
    assert "list.txt has no header; each line is a text\n" in batch("list.txt", "--prompt", "ref.wav").err
    assert "no header" not in batch("list.txt", "--prompt", "ref.wav", "-q").err


# Rows that do not end by themselves


def test_rows_that_do_not_end_by_themselves_are_reported(batch) -> None:
    rows = [{"text": "One is here. Two is there."}, {"id": "b", "text": "Hello."}]
    ran = batch(rows, "--json")
    assert (ran.code, json.loads(ran.out)["failed"], json.loads(ran.out)["cut_off"]) == (0, 0, 2)
    lines = [
        "row 1: sentence 1 did not end by itself and was cut off: One is here. (and 1 more)",
        "row 2 (b): sentence 1 did not end by itself and was cut off: Hello.",
    ]
    for line in lines:
        assert f"{line}\n" in ran.err
    assert "2 of 2 rows, 0 failed, 2 cut off, " in ran.err
    assert records()["00001"]["stop_reason"] == "max_frames"
    assert records()["00001"]["notes"] == [
        "sentence 1 did not end by itself and was cut off: One is here.",
        "sentence 2 did not end by itself and was cut off: Two is there.",
    ]
    again = batch(rows, "--json")
    assert (again.code, json.loads(again.out)["cut_off"]) == (0, 2)  # of the earlier run
    for line in lines:
        assert f"{line}\n" in again.err
    assert batch(rows, "-q").err == ""


def test_words_that_are_left_out_are_reported(batch) -> None:
    rows = [{"id": "a", "text": "Hello, Привет."}, {"id": "b", "text": "Hello."}]
    for _ in range(2):  # also when they are done
        ran = batch(rows, "--json")
        assert "row 1 (a): left out of the text, as this checkpoint speaks English: Привет" in ran.err
        assert "with words left out" in ran.err
        assert json.loads(ran.out)["left_out"] == 1


def test_rows_that_end_by_themselves_are_not_reported(batch) -> None:
    rows = [{"text": "Hello.", "seed": seed} for seed in range(1, 9)]
    ended = batch(rows, "--max-seconds", "60", "--json")
    reasons = [record["stop_reason"] for record in records().values()]
    assert set(reasons) == {"eos", "max_frames"}
    assert json.loads(ended.out)["cut_off"] == reasons.count("max_frames")
    assert f"{reasons.count('max_frames')} cut off" in ended.err


def test_merged_results_count_rows_that_are_cut_off(batch, valle: Valle) -> None:
    for shard in ("1/2", "2/2"):
        batch(TWO, "--shard", shard)
    ran = valle("batch", "--merge", "--out-dir", "out", "--json")
    assert "2 rows, 0 failed, 2 cut off" in ran.err
    assert json.loads(ran.out)["cut_off"] == 2


# Folders that cannot be written


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.EACCES, "Choose another folder, or change its permissions."),
        (errno.EROFS, "Choose another folder: this disk is read-only."),
        (errno.ENOSPC, "Free some space, or choose another disk."),
    ],
)
def test_the_hint_on_a_folder_is_about_its_error(batch, monkeypatch: pytest.MonkeyPatch, code: int, hint: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", fail)
    ran = batch(TWO)
    assert (ran.code, ran.out) == (3, b"")
    assert f"cannot write out/results.jsonl: {os.strerror(code).lower()}" in ran.err
    assert hint in ran.err
    assert ("space" in ran.err) == (code == errno.ENOSPC)


# Errors of single rows


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
    shutil.copy(reference, "latin1.wav")
    Path("latin1.txt").write_bytes(b"caf\xe9")


BAD: list[tuple[dict[str, Any], str, str]] = [  # row, code, message
    ({"text": ""}, "RowError", "it has no text"),
    ({"prompt": " "}, "RowError", "it has no prompt"),
    ({"text": "?! ..."}, "EmptyText", "the text has no words"),
    ({"id": "good"}, "DuplicateRow", "id 'good' is already used by row 1"),
    ({"id": "a\u202eb"}, "RowError", "id 'a\\u202eb' contains characters that are not printable"),
    ({"id": "what?"}, "UnsafeName", "'what?.wav' cannot be an output: it contains one of"),
    ({"output": "good.wav"}, "DuplicateRow", "output 'good.wav' is already used by row 1"),
    ({"output": "GOOD.wav"}, "DuplicateRow", "output 'GOOD.wav' is already used by row 1"),
    ({"output": "good.wav/x.wav"}, "DuplicateRow", "output 'good.wav/x.wav' is already used by row 1"),
    ({"output": "../x.wav"}, "UnsafeName", "'../x.wav' cannot be an output: it is outside the output folder"),
    ({"output": "/x.wav"}, "UnsafeName", "'/x.wav' cannot be an output: it is outside the output folder"),
    ({"output": "nul.wav"}, "UnsafeName", "'nul.wav' cannot be an output: Windows reserves this name"),
    ({"output": "x" * 300 + ".wav"}, "UnsafeName", f"'{'x' * 300}.wav' cannot be an output: it is longer than 255"),
    ({"output": "x.aiff"}, "UsageError", "x.aiff: unsupported file ending .aiff"),
    ({"output": "x"}, "UsageError", "x: unsupported file ending (none)"),
    ({"prompt": "none.wav"}, "AudioNotFound", "cannot open none.wav: no such file or directory"),
    ({"prompt": "folder"}, "AudioNotFound", "cannot open folder: it is not a file"),
    ({"prompt": "pipe.wav"}, "AudioNotFound", "cannot open pipe.wav: it is not a file"),
    ({"prompt": "x" * 300}, "AudioNotFound", f"cannot open {'x' * 300}: file name too long"),
    ({"prompt": "a\0b.wav"}, "AudioNotFound", "cannot open a\0b.wav: "),
    ({"prompt": "empty.wav"}, "NotAudio", "empty.wav is not readable as audio"),
    ({"prompt": "text.wav"}, "NotAudio", "text.wav is not readable as audio"),
    ({"prompt": "silent.wav"}, "SilentPrompt", "silent.wav is silent"),
    ({"prompt": "short.wav"}, "PromptTooShort", "short.wav has 0."),
    ({"prompt": "damaged.wav"}, "DamagedAudio", "damaged.wav has samples that are NaN, infinite or absurd"),
    ({"prompt": "preset.npz"}, "PresetError", "preset.npz is not a voice preset"),
    ({"prompt": "latin1.wav"}, "TextEncodingError", "latin1.txt is not UTF-8 text"),
    ({"language": "english"}, "RowError", "language is 'english'"),
    ({"language": "zh"}, "UsageError", "this checkpoint does not know the language 'zh'"),
    ({"accent": "auto"}, "RowError", "accent is 'auto'"),
    ({"checkpoint": "vallexx"}, "UnknownCheckpoint", "there is no checkpoint called 'vallexx'"),
    ({"checkpoint": "vallex"}, "MissingCheckpoint", "vallex is not on this machine"),
    ({"checkpoint": "folder"}, "UnknownFormat", "folder is not a checkpoint in a known format: it is empty"),
    ({"checkpoint": "text.wav"}, "UnknownFormat", "text.wav is not a weight file"),
    ({"seed": "-1"}, "RowError", "seed is '-1'"),
    ({"seed": "1.5"}, "RowError", "seed is '1.5'"),
    ({"greedy": "maybe"}, "RowError", "greedy is 'maybe'"),
    ({"temperature": "hot"}, "RowError", "temperature is 'hot'"),
    ({"temperature": "nan"}, "RowError", "temperature is 'nan'"),
    ({"top_k": "0"}, "RowError", "top_k is '0'"),
    ({"top_p": "1.1"}, "RowError", "top_p is '1.1'"),
    ({"max_seconds": "inf"}, "RowError", "max_seconds is 'inf'"),
    ({"top_n_sigma": "-1"}, "RowError", "top_n_sigma is '-1'"),
    ({"sample_rate": "100"}, "RowError", "sample_rate is '100'"),
    ({"sample_rate": "44.1k"}, "RowError", "sample_rate is '44.1k'"),
]


def test_each_bad_row_has_its_message_and_all_others_are_spoken(batch, reference: Path) -> None:
    bad_prompts(reference)
    rows: list[dict[str, Any]] = [{"id": "good", "text": "Hello."}]
    for row, _, _ in BAD:
        rows += [{"text": "Hello.", **row}, {"text": "Hello.", "id": f"good {len(rows)}"}]
    ran = batch(rows)
    written = list(map(json.loads, Path("out/results.jsonl").read_text().splitlines()))
    assert ran.code == 6
    assert f"{len(BAD)} of {len(rows)} rows failed" in ran.err
    by_row = {record["row"]: record for record in written}
    assert len(written) == len(by_row) == len(rows)
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
        ({"seed": 1.5}, "seed is 1.5"),
        ({"temperature": True}, "temperature is True"),
        ({"speech": 2}, "there is no column 'speech'"),
    ],
)
def test_invalid_values_in_json(batch, row: dict[str, Any], message: str) -> None:
    good = {"id": 7, "text": "Hello.", "prompt": "ref.wav", "seed": 1, "greedy": False, "top_p": 0.9}
    lines = [json.dumps(good), json.dumps({"text": "Hello.", "prompt": "ref.wav", **row})]
    assert batch("-", stdin="\n".join(lines).encode()).code == 6
    by_row = {record["row"]: record for record in records().values()}
    assert (by_row[1]["status"], by_row[1]["output"]) == ("ok", "7.wav")
    assert by_row[2]["error"]["message"] == message


# Sample rates and loader options


def test_headers_results_and_json_have_the_same_sample_rates(batch) -> None:
    rows = [
        {"id": "default", "text": "One is here. Two is there."},
        {"id": "low", "text": "One is here.", "sample_rate": "16000"},
        {"id": "high", "text": "One is here.", "sample_rate": "44100", "output": "high.flac"},
    ]
    summary = json.loads(batch(rows, "--json").out)
    assert (summary["made"], summary["failed"]) == (3, 0)
    for name, rate in {"default": 24_000, "low": 16_000, "high": 44_100}.items():
        record = records()[name]
        info = soundfile.info(f"out/{record['output']}")
        assert info.samplerate == record["sample_rate"] == rate
        assert record["seconds"] == pytest.approx(info.frames / rate, abs=0.001)
    assert records()["low"]["frames"] == records()["high"]["frames"] == 7  # 0.1 s at 75 frames per second
    assert summary["seconds"] == pytest.approx(sum(record["seconds"] for record in records().values()), abs=0.01)


def test_the_option_sample_rate_applies_to_rows_without_one(batch) -> None:
    batch([{"id": "a", "text": "Hello."}, {"id": "b", "text": "Hello.", "sample_rate": "44100"}])
    rates = {name: record["sample_rate"] for name, record in records().items()}
    assert rates == {"a": 24_000, "b": 44_100}
    rows = [{"id": "a", "text": "Hello."}, {"id": "b", "text": "Hello.", "sample_rate": "44100"}]
    assert json.loads(batch(rows, "--sample-rate", "16000", "--json").out)["made"] == 1  # row b has not changed
    assert soundfile.info("out/a.wav").samplerate == records()["a"]["sample_rate"] == 16_000


def test_a_row_with_a_sample_rate_has_the_audio_of_speak(batch, valle: Valle, tiny_checkpoint: Path) -> None:
    batch([{"id": "a", "text": "Hello there.", "seed": "3", "sample_rate": "16000", "top_n_sigma": "1.5"}])
    common = ["--checkpoint", tiny_checkpoint, "--prompt", "ref.wav", "--max-seconds", "0.1", "--text", "Hello there."]
    ran = valle("speak", *common, "--seed", "3", "--sample-rate", "16000", "--top-n-sigma", "1.5", "-o", "a.wav")
    assert ran.code == 0
    assert Path("a.wav").read_bytes() == Path("out/a.wav").read_bytes()


def test_loader_options_decide_the_audio_and_deprecated_flags_are_the_same_rows(batch) -> None:
    batch(TWO, "--option", "heads=1")
    ran = batch(TWO, "--heads", "1", "--json")
    assert "--heads is deprecated and will be removed; use: --option heads=1" in ran.err
    assert json.loads(ran.out)["done_before"] == 2
    digest = records()["a"]["sha256"]
    assert json.loads(batch(TWO, "--option", "heads=2", "--json").out)["made"] == 2
    assert records()["a"]["sha256"] != digest
    assert json.loads(batch(TWO, "--option", "heads=2", "--option", "prefix-mode=0", "--json").out)["made"] == 2


def test_the_command_to_run_again_has_all_options(batch) -> None:
    rows = [{"text": "Hi.", "prompt": "later.wav"}]
    ran = batch(rows, "--option", "heads=1", "--option", "prefix_mode=0", "--sample-rate", "16000")
    [again] = re.findall(r"or run: (valle batch .*)", ran.err)
    arguments = shlex.split(again)
    assert [arguments[i + 1] for i, word in enumerate(arguments) if word == "--option"] == ["heads=1", "prefix_mode=0"]
    assert arguments[arguments.index("--sample-rate") + 1] == "16000"


# On a terminal


def test_the_progress_bar_counts_and_errors_stay_visible(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    ran = batch([*TWO, {"text": "Hi.", "language": "zh"}])
    assert ran.out == b"out/results.jsonl\n"
    assert "2 of 3 rows, 1 failed, 2 cut off, 1 s of audio, real-time factor " in ran.err
    assert "\r" in ran.err or "\x1b" in ran.err  # the bar was redrawn
    assert "row 3: this checkpoint does not know the language 'zh'\n" in ran.err
    assert "\x1b" not in batch(TWO, "-q", "--out-dir", "other").err
