"""Presets of installed checkpoints: they are listed beside the voices, and spoken by CHECKPOINT/NAME."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Valle
from hub_server import write_registry

from vallecli.checkpoints import local
from vallecli.checkpoints.spec import MANIFEST
from vallecli.errors import ConsentMissing, UnknownVoice
from vallecli.settings import config_folder
from vallecli.voices import library, policy, presets


def write_preset(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    codes_1PQ = np.arange(1200).reshape(1, 150, 8) % 1024
    with path.open("wb") as file:  # savez changes other endings than .npz
        np.savez(file, audio_tokens=codes_1PQ, text_tokens=np.array([[24, 18, 51, 10]]), lang_code=np.array(2))


def install(name: str, *files: str) -> Path:
    """Install a checkpoint with these files; those that end in .npz are presets."""

    def fill(stage: Path) -> None:
        for file in files:
            if file.lower().endswith(".npz"):
                write_preset(stage / file)
            else:
                (stage / file).write_bytes(b"weights")

    return local.install(name, "a test", fill).root


@pytest.fixture
def installed() -> Path:
    """Two models with presets, one without, and a codec with a file that looks like one."""
    sources = [{"repo": "some/one", "files": [{"path": "model.pt"}]}]
    model = {"family": "vallex", "sources": sources}
    entries = {"one": model, "two": model, "codec": {**model, "kind": "codec"}}
    write_registry(config_folder() / "checkpoints.toml", entries)
    install("two", "model.pt", "presets/zoe.npz", "presets/alan.NPZ", "presets/readme.txt")
    install("codec", "model.pt", "codebook.npz")
    return install("one", "model.pt", "carol.npz")


def test_presets_of_models_are_found(installed: Path) -> None:
    found = list(presets.installed())
    assert [preset.name for preset in found] == ["carol", "alan", "zoe"]
    assert [preset.checkpoint for preset in found] == ["one", "two", "two"]
    assert found[0].path == installed / "carol.npz"
    assert policy.resolve("two/alan", "nano") == found[1].path


def test_without_presets_and_without_checkpoints() -> None:
    assert list(presets.installed()) == []
    with pytest.raises(UnknownVoice) as caught:
        policy.resolve("vallex/alan", "nano")
    assert "there is no preset vallex/alan" in caught.value.message
    assert "valle voices list" in caught.value.hint


def test_a_damaged_checkpoint_has_none_and_hides_no_others(installed: Path) -> None:
    (installed / MANIFEST).write_text("[")
    assert [preset.name for preset in presets.installed()] == ["alan", "zoe"]


def test_a_folder_is_no_preset(installed: Path) -> None:
    (installed / "folder.npz").mkdir()
    assert [preset.checkpoint for preset in presets.installed()].count("one") == 1


def test_they_are_listed_after_the_voices(valle: Valle, installed: Path, reference: Path) -> None:
    assert valle("voices", "add", "zora", reference, "-q").code == 0
    rows = json.loads(valle("voices", "list", "--json").out)
    assert [(row["name"], row["kind"]) for row in rows] == [
        ("zora", "voice"),
        ("one/carol", "preset"),
        ("two/alan", "preset"),
        ("two/zoe", "preset"),
    ]
    assert rows[1]["path"] == str(installed / "carol.npz")
    assert rows[1]["consent"] is None
    assert valle("voices", "list").out.splitlines()[1] == b"one/carol\tpreset\t-\t-\t-"


def test_a_preset_is_spoken_by_its_name(valle: Valle, installed: Path, vallex_checkpoint: Path) -> None:
    speak = ("speak", "--checkpoint", vallex_checkpoint, "--text", "Hello.", "--seed", "1", "--max-seconds", "0.3")
    by_name = valle(*speak, "--voice", "one/carol", "-o", "name.wav")
    assert by_name.code == 0, by_name.err
    assert "consent" not in by_name.err
    assert valle(*speak, "--prompt", installed / "carol.npz", "-o", "file.wav").code == 0
    assert Path("name.wav").read_bytes() == Path("file.wav").read_bytes()
    Path("rows.jsonl").write_text(json.dumps({"text": "Hello.", "voice": "one/carol", "max_seconds": 0.3}))
    assert valle("batch", "rows.jsonl", "--out-dir", "out", "--checkpoint", vallex_checkpoint).code == 0
    refused = valle(*speak, "--voice", "one/nobody", "-o", "none.wav")
    assert (refused.code, "there is no preset one/nobody" in refused.err) == (3, True)
    with pytest.raises(ConsentMissing):
        policy.check(policy.REQUIRE, policy.resolve("one/carol", "nano"))


def test_no_voice_can_have_the_name_of_a_preset(valle: Valle, installed: Path, reference: Path) -> None:
    assert valle("voices", "add", "one/carol", reference).code == 3
    assert valle("voices", "rm", "one/carol").code == 3
    assert (installed / "carol.npz").exists()
    assert list(library.voices()) == []
