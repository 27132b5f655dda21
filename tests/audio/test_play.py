"""Playing: the first player there is gets a WAV file, and what goes wrong is told."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.audio import play
from vallecli.errors import PlayerError


@pytest.fixture
def players(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that is the whole PATH for players."""
    folder = tmp_path / "players"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_the_player_gets_the_audio_and_the_file_goes_afterwards(players: Path, tmp_path: Path) -> None:
    install(
        players, "ffplay", f'for last; do :; done; echo "$*" > {tmp_path}/said; /bin/cp "$last" {tmp_path}/heard.wav'
    )
    wav_N = np.linspace(-0.5, 0.5, 2_400, dtype=np.float32)
    play.play(wav_N)
    heard, rate = soundfile.read(tmp_path / "heard.wav", dtype="float32")
    assert rate == 24_000
    np.testing.assert_allclose(heard, wav_N, atol=4e-5)
    *options, path = (tmp_path / "said").read_text().split()
    assert options == ["-nodisp", "-autoexit", "-loglevel", "error"]
    assert not Path(path).exists()


def test_the_likeliest_player_is_taken(players: Path) -> None:
    for name in ("play", "aplay", "paplay"):
        install(players, name, "exit 0")
    assert play.find_player() == [os.fspath(players / "paplay")]


def test_no_player_is_told_with_what_to_install(players: Path) -> None:
    with pytest.raises(PlayerError, match="ffplay, afplay, paplay, aplay, play") as caught:
        play.play(np.zeros(10, np.float32))
    assert "Install ffmpeg" in caught.value.hint
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo a >&2; echo no such device >&2; exit 1", "no such device"), ("exit 7", "it ended with 7")],
)
def test_a_player_that_fails_is_told(players: Path, script: str, reason: str) -> None:
    install(players, "aplay", script)
    with pytest.raises(PlayerError, match=f"aplay could not play: {reason}"):
        play.play(np.zeros(10, np.float32))
