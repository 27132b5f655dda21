"""The first installed player gets a WAV file, and errors of players are reported."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.audio import play
from vallecli.errors import DependencyMissing, DeviceError, PlayerError, PlayerMissing

RATE = 24_000  # Hz, where a test does not depend on the rate


@pytest.fixture
def players(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that replaces the PATH."""
    folder = tmp_path / "players"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_the_player_gets_a_temporary_wav_file(players: Path, tmp_path: Path, rate: int) -> None:
    arguments, copy = tmp_path / "arguments", tmp_path / "copy.wav"
    install(players, "ffplay", f'for last; do :; done; echo "$*" > {arguments}; /bin/cp "$last" {copy}')
    wav_N = np.linspace(-0.5, 0.5, rate // 10, dtype=np.float32)
    play.play(wav_N, rate)
    played_N, played_rate = soundfile.read(copy, dtype="float32")
    assert played_rate == rate
    np.testing.assert_allclose(played_N, wav_N, atol=4e-5)
    *options, path = arguments.read_text().split()
    assert options == ["-nodisp", "-autoexit", "-loglevel", "error"]
    assert not Path(path).exists()


def test_players_are_tried_in_order(players: Path) -> None:
    for name in ("play", "aplay", "paplay"):
        install(players, name, "exit 0")
    assert play.find_player() == [os.fspath(players / "paplay")]


def test_without_a_player_the_hint_names_some(players: Path) -> None:
    with pytest.raises(PlayerMissing, match="ffplay, afplay, paplay, aplay, play") as caught:
        play.play(np.zeros(10, np.float32), RATE)
    assert "Install ffmpeg" in caught.value.hint
    assert caught.value.exit_code == DependencyMissing.exit_code


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo a >&2; echo no such device >&2; exit 1", "no such device"), ("exit 7", "exit code 7")],
)
def test_an_error_of_the_player_is_reported(players: Path, script: str, reason: str) -> None:
    install(players, "aplay", script)
    with pytest.raises(PlayerError, match=f"aplay could not play: {reason}") as caught:
        play.play(np.zeros(10, np.float32), RATE)
    assert caught.value.exit_code == DeviceError.exit_code
