"""Presets by name that are downloaded from a small hub: once, checked, and with errors that say what to do."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bark_published import write_preset, write_suno
from conftest import Ran, Valle
from hub_server import HubServer, Served

from vallecli.checkpoints import local
from vallecli.codec.encodec import EncodecCodec
from vallecli.errors import CheckpointError, PresetError, SourceError

pytest.importorskip("tokenizers")
pytestmark = pytest.mark.loopback

NAME = "v2/en_speaker_6"
AT = "suno/bark/speaker_embeddings/"


@pytest.fixture
def checkpoint(own_folder: Path) -> Path:
    """A tiny checkpoint without presets, and a random codec that is installed."""
    state = EncodecCodec.random(0).model.state_dict()
    local.install("encodec-24khz", "a test", lambda stage: torch.save(state, stage / "weights.bin"))
    return write_suno(own_folder / "tiny")


@pytest.fixture
def served(hub_server: HubServer, tmp_path: Path) -> dict[str, Served]:
    """The files of a preset on the hub, by the array that is in each."""
    arrays = np.load(write_preset(tmp_path / "voice.npz", seed=6))
    files = {}
    for key in arrays:
        file = io.BytesIO()
        np.save(file, arrays[key])
        files[key] = hub_server.files[f"{AT}{NAME}_{key}.npy"] = Served(file.getvalue())
    return files


def speak(valle: Valle, *options: str | Path) -> Ran:
    fixed = ["--text", "Hello there.", "--seed", "3", "--max-seconds", "0.2", "-o", "-", "--format", "raw"]
    return valle("speak", "--checkpoint", "tiny", *fixed, *options)


def paths(valle: Valle) -> dict[str, str | None]:
    """Return the presets that `valle voices list` prints for the checkpoint, and where they are."""
    ran = valle("voices", "list", "--checkpoint", "tiny", "--json")
    return {row["name"]: row["path"] for row in json.loads(ran.out)}


def test_a_preset_is_downloaded_once(
    valle: Valle, checkpoint: Path, hub_server: HubServer, served: dict[str, Served], tmp_path: Path
) -> None:
    assert paths(valle)[NAME] is None
    assert valle("voices", "list").out == b""
    first = speak(valle, "--voice", NAME)
    assert first.code == 0, first.err
    assert len(hub_server.gets) == len(served) == 3
    assert (
        first.out
        == speak(valle, "--prompt", tmp_path / "voice.npz").out
        != speak(valle, "--voice", NAME, "--seed", "4").out
    )
    hub_server.stop()
    assert speak(valle, "--voice", NAME, "--offline").out == first.out
    path = paths(valle)[NAME]
    assert path is not None
    assert Path(path).read_bytes() == served["semantic_prompt"].content
    assert valle("voices", "list").out == b""  # neither bark nor bark-small is installed
    local.install("bark-small", "a test", lambda stage: shutil.copytree(checkpoint, stage, dirs_exist_ok=True))
    assert valle("voices", "list").out == f"bark-small/{NAME}\tpreset\t-\t-\t-\n".encode()


def test_a_table_with_presets(valle: Valle, checkpoint: Path, hub_server: HubServer, served: dict[str, Served]) -> None:
    Path("rows.csv").write_text(f"id,text,voice\na,Hello there.,{NAME}\nb,Hello.,{NAME}\n")
    batch = ("batch", "rows.csv", "--checkpoint", "tiny", "--out-dir", "out", "--max-seconds", "0.2", "--json")
    summary = json.loads(valle(*batch).out)
    assert (summary["made"], summary["failed"], len(hub_server.gets)) == (2, 0, 3)
    hub_server.stop()
    Path("rows.csv").write_text(f"{Path('rows.csv').read_text()}c,Hello a.,{NAME}\n")
    summary = json.loads(valle(*batch, "--offline").out)
    assert (summary["made"], summary["done_before"]) == (1, 2)


def test_presets_that_are_not_to_be_had(
    valle: Valle, checkpoint: Path, hub_server: HubServer, served: dict[str, Served]
) -> None:
    """The offline machine, the hub without one of the files, with another one than announced, and with no array."""

    def failed() -> str:
        ran = speak(valle, "--voice", NAME)
        assert (ran.code, ran.out) == (SourceError.exit_code, b"")
        assert "valle checkpoints" not in ran.err  # a preset is no entry of the registry
        return ran.err

    ran = speak(valle, "--voice", NAME, "--offline")
    assert (ran.code, hub_server.requests) == (CheckpointError.exit_code, [])
    assert f"the preset {NAME} of suno/bark is not on this machine" in ran.err
    fine = f"{AT}{NAME}_fine_prompt.npy"
    del hub_server.files[fine]
    assert f"the preset {NAME} cannot be downloaded: suno/bark does not have it" in failed()
    hub_server.files[fine] = Served(served["fine_prompt"].content, gives=served["coarse_prompt"].content)
    assert "its hash is not that of the published file" in failed()
    assert paths(valle)[NAME] is None
    hub_server.files[fine] = Served(served["fine_prompt"].content[:1000])
    ran = speak(valle, "--voice", NAME)
    assert ran.code == PresetError.exit_code
    assert "en_speaker_6_fine_prompt.npy is not a voice preset" in ran.err
    hub_server.stop()
    other = speak(valle, "--voice", "v2/en_speaker_7")
    assert (other.code, "suno/bark cannot be reached" in other.err) == (SourceError.exit_code, True)


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_damaged_preset_is_downloaded_again(
    valle: Valle, checkpoint: Path, hub_server: HubServer, served: dict[str, Served], kept: int
) -> None:
    first = speak(valle, "--voice", NAME)
    path = paths(valle)[NAME]
    assert path is not None
    damaged = Path(path).with_name("en_speaker_6_fine_prompt.npy").resolve()
    damaged.write_bytes(served["fine_prompt"].content[:kept])
    assert paths(valle)[NAME] is None
    assert speak(valle, "--voice", NAME).out == first.out
    assert len(hub_server.gets) == 6
    assert paths(valle)[NAME] == path
