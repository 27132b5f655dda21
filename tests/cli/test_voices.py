"""`valle voices`, and voices by name in speak and batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Valle

from vallecli.voices.names import complete


@pytest.fixture
def anna(valle: Valle, reference: Path) -> Path:
    added = valle("voices", "add", "anna", reference, "--transcript", "What I said.", "--json")
    assert added.code == 0, added.err
    return Path(json.loads(added.out)["path"])


def test_a_voice_from_the_cradle_to_the_grave(valle: Valle, anna: Path, reference: Path) -> None:
    assert valle("voices", "list").out.split(b"\t")[:2] == [b"anna", b"voice"]
    assert json.loads(valle("voices", "show", "ANNA", "--json").out)["transcript"] == "What I said."
    refused = valle("voices", "add", "Anna", reference)
    assert (refused.code, "--force" in refused.err) == (3, True)
    assert valle("voices", "add", "Anna", reference, "--force").code == 0
    assert valle("voices", "export", "anna").code == 0
    assert valle("voices", "export", "anna").code == 3
    assert valle("voices", "import", "anna.voice").code == 3
    assert valle("voices", "import", "anna.voice", "--as", "bob").code == 0
    assert valle("voices", "rename", "bob", "carl").code == 0
    assert complete("C") == ["carl"]
    assert valle("voices", "rm", "anna", "carl").code == 0
    assert valle("voices", "list").out == b""
    assert valle("voices", "rm", "anna").code == 3


def test_a_voice_speaks_as_its_recording(valle: Valle, anna: Path, tiny_checkpoint: Path) -> None:
    speak = ("speak", "--checkpoint", tiny_checkpoint, "--text", "Hello.", "--seed", "1", "--max-seconds", "0.3")
    for name in ("fresh", "cached"):
        assert valle(*speak, "--voice", "anna", "-o", f"{name}.wav").code == 0
    assert Path("fresh.wav").read_bytes() == Path("cached.wav").read_bytes()
    Path("valle.toml").write_text('voice = "anna"\n')
    assert valle(*speak, "-o", "setting.wav").code == 0
    assert Path("setting.wav").read_bytes() == Path("fresh.wav").read_bytes()
    assert "--prompt and --voice" in valle(*speak, "--voice", "anna", "--prompt", "x.wav").err
    assert "cannot open x.wav" in valle(*speak, "--prompt", "x.wav").err  # a flag overrides the setting


def test_the_policy(valle: Valle, anna: Path, reference: Path, tiny_checkpoint: Path) -> None:
    speak = ("speak", "--checkpoint", tiny_checkpoint, "--text", "Hello.", "--max-seconds", "0.3", "-o", "a.wav")
    assert valle(*speak, "--voice", "anna").err.count("no consent is on record") == 1
    Path("valle.toml").write_text('consent = "require"\n')
    for voice in (("--voice", "anna"), ("--prompt", reference)):
        refused = valle(*speak, "--force", *voice)
        assert (refused.code, "valle voices consent" in refused.err) == (3, True)
    Path("rows.jsonl").write_text(json.dumps({"text": "Hi.", "voice": "anna"}) + "\n")
    refused = valle("batch", "rows.jsonl", "--out-dir", "out", "--checkpoint", tiny_checkpoint)
    assert (refused.code, "verified consent is required" in refused.err) == (6, True)
    Path("valle.toml").write_text('consent = "perhaps"\n')
    assert valle(*speak, "--voice", "anna").code == 2


def test_rows_with_voices(valle: Valle, anna: Path, reference: Path, tiny_checkpoint: Path) -> None:
    Path("rows.csv").write_text(
        f"id,text,voice,prompt\na,Hi.,anna,\nb,Hi.,,{reference}\nc,Hi.,anna,{reference}\nd,Hi.,x,\n"
    )
    options = ("--out-dir", "out", "--checkpoint", tiny_checkpoint, "--max-seconds", "0.3", "-q")
    assert valle("batch", "rows.csv", *options).code == 6
    lines = Path("out/results.jsonl").read_text().splitlines()
    found = {record["id"]: record for record in map(json.loads, lines) if "id" in record}
    assert [found[name]["status"] for name in "abcd"] == ["ok", "ok", "failed", "failed"]
    assert [found[name]["error"]["code"] for name in "cd"] == ["RowError", "UnknownVoice"]
    before = found["a"]["fingerprint"]
    # The content counts, not the place: a voice of another name with the same recording has the same fingerprint.
    assert valle("voices", "rename", "anna", "bob").code == 0
    Path("rows.csv").write_text("id,text,voice\na,Hi.,bob\n")
    assert valle("batch", "rows.csv", *options).code == 0
    assert Path("out/results.jsonl").read_text().count(before) == 1  # it was not made again


def test_consent_on_the_command_line(valle: Valle, anna: Path) -> None:
    printed = valle("voices", "consent", "anna")
    assert printed.code == 0
    assert b"I agree that my voice may be copied with valle" in printed.out
    assert "--statement FILE" in printed.err
    assert valle("voices", "consent", "anna", "--declare", "x", "--statement", "y").code == 2
    declared = valle("voices", "consent", "anna", "--declare", "A contract.", "--json")
    assert json.loads(declared.out)["consent"]["kind"] == "declared"
    (anna / "pending.json").unlink()
    refused = valle("voices", "consent", "anna", "--statement", "x.wav")
    assert (refused.code, "waits to be read" in refused.err) == (3, True)
