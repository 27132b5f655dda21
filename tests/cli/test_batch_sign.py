"""`valle batch --sign`: every file has a valid manifest, resuming signs only what is missing, and errors come first."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from conftest import Ran, Valle

pytest.importorskip("c2pa", reason="vallecli[c2pa] is not installed")

import kills
from credentials import credentials

from vallecli.audio.signing import verify
from vallecli.checkpoints.local import sha256

OUT = Path("out")


class Batch:
    """A table of short rows, and the command that speaks and signs them."""

    def __init__(self, valle: Valle, checkpoint: Path, reference: Path) -> None:
        self.valle, self.reference = valle, reference
        self.options = ["--checkpoint", str(checkpoint), "--max-seconds", "0.1", "-q"]
        self.chain, self.key = credentials(Path())
        self.sign = ["--sign", str(self.chain), "--key", str(self.key)]

    def write(self, **outputs: str) -> None:
        rows = [
            {"id": name, "text": f"{name}.", "prompt": str(self.reference), **({"output": output} if output else {})}
            for name, output in outputs.items()
        ]
        Path("jobs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(self, *options: str) -> Ran:
        return self.valle("batch", "jobs.jsonl", "--out-dir", OUT, *self.options, *options)


@pytest.fixture
def batch(valle: Valle, tiny_checkpoint: Path, reference: Path) -> Batch:
    return Batch(valle, tiny_checkpoint, reference)


def contents() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in OUT.iterdir() if not path.name.startswith((".", "results"))}


def is_signed(name: str) -> bool:
    found = verify(OUT / name)
    return found is not None and found.valid and found.synthetic


def test_each_file_is_signed_and_recorded_as_it_is(batch: Batch) -> None:
    batch.write(one="", two="two.flac", three="three.mp3", four="four.m4a")
    ran = batch.run(*batch.sign)
    assert ran.code == 0, ran.err
    assert all(is_signed(name) for name in contents())
    for record in kills.records(OUT):
        assert record["sha256"] == sha256(OUT / str(record["output"]))
    assert json.loads(batch.valle("detect", "--json", OUT / "one.wav").out)["c2pa"]["valid"]


def test_only_what_is_missing_or_has_changed_is_signed_again(batch: Batch) -> None:
    batch.write(one="", two="")
    assert batch.run(*batch.sign).code == 0
    first = contents()
    batch.write(one="", two="", three="")
    assert batch.run(*batch.sign, "--verify").code == 0
    second = contents()
    assert {**second, **first} == second  # a signature differs each time, so these files are the same ones
    assert len(kills.records(OUT)) == 3
    (OUT / "two.wav").unlink()
    assert batch.run(*batch.sign).code == 0
    third = contents()
    assert [name for name in sorted(third) if third[name] != second[name]] == ["two.wav"]
    assert is_signed("two.wav")


def test_another_certificate_and_none_give_other_files(batch: Batch, tmp_path: Path) -> None:
    batch.write(one="")
    assert batch.run().code == 0
    plain = contents()
    assert verify(OUT / "one.wav") is None
    assert batch.run(*batch.sign).code == 0
    signed = contents()
    assert is_signed("one.wav")
    (tmp_path / "other").mkdir()
    chain, key = credentials(tmp_path / "other")
    assert batch.run("--sign", str(chain), "--key", str(key)).code == 0
    assert contents() != signed
    assert batch.run().code == 0
    assert contents() == plain
    fingerprints = [record["fingerprint"] for record in kills.records(OUT)]
    assert len(set(fingerprints)) == 3
    assert fingerprints[0] == fingerprints[3]
    seeds = {record["seed"] for record in kills.records(OUT)}
    assert len(seeds) == 1  # the speech is the same


def test_a_killed_batch_is_resumed(batch: Batch) -> None:
    table = Path("table.jsonl")
    kills.write_table(table, 20, 1, batch.reference, 0.05)
    options = [*batch.options[:2], *batch.sign]
    kills.kill_later(kills.start(table, OUT, options), 4, 0)
    before = {str(record["output"]): sha256(OUT / str(record["output"])) for record in kills.records(OUT)}
    assert 4 <= len(before) < 20
    kills.start(table, OUT, options).communicate()
    after = kills.outcome(OUT)
    assert (after.wrong, after.respoken) == ([], 0)
    assert {name: sha256(OUT / name) for name in before} == before
    assert all(is_signed(f"{name}.wav") for name in after.hashes)


def test_a_row_that_cannot_be_signed_is_refused_by_the_plan(batch: Batch) -> None:
    batch.write(one="", two="two.ogg", three="three.raw", four="four.opus")
    plan = batch.run(*batch.sign, "--dry-run", "--json")
    assert plan.code == 6
    assert not OUT.exists()
    ran = batch.run(*batch.sign)
    assert ran.code == 6
    assert list(contents()) == ["one.wav"]
    errors = {record["id"]: record["error"] for record in kills.records(OUT)}
    for name, format in (("two", "ogg"), ("three", "raw"), ("four", "opus")):
        assert f"the format {format} cannot be signed" in errors[name]["message"]  # type: ignore[index]
    assert batch.run().code == 0  # without a signature, they can be written


@pytest.mark.parametrize("format", ["ogg", "opus", "raw", "ulaw"])
def test_a_format_of_all_rows_that_cannot_be_signed(batch: Batch, format: str) -> None:
    batch.write(one="")
    ran = batch.run(*batch.sign, "--format", format)
    assert (ran.code, f"the format {format} cannot be signed" in ran.err) == (2, True)
    assert not OUT.exists()


def test_errors_before_anything_is_written(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.write(one="")
    for options, code, message in (
        (["--sign", str(batch.chain)], 2, "--sign and --key belong together"),
        (["--key", str(batch.key)], 2, "--sign and --key belong together"),
        (["--sign", "none.pem", "--key", str(batch.key)], 3, "cannot read none.pem"),
        (["--sign", str(batch.chain), "--key", str(batch.chain)], 3, "is not a private key"),
    ):
        ran = batch.run(*options, "--dry-run")
        assert (ran.code, message in ran.err) == (code, True), ran.err
    monkeypatch.setitem(sys.modules, "c2pa", None)
    ran = batch.run(*batch.sign)
    assert (ran.code, 'pip install "vallecli[c2pa]"' in ran.err) == (7, True)
    assert not OUT.exists()
