"""Playback by an installed audio player."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from vallecli.audio.files import write_audio
from vallecli.audio.pcm import Wav
from vallecli.errors import PlayerError, PlayerMissing

# Players with the options to play one WAV file without a window and messages, and then exit; tried in this order.
PLAYERS = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("afplay",),  # part of macOS
    ("paplay",),
    ("aplay", "-q"),
    ("play", "-q"),  # sox
)


def find_player() -> list[str]:
    """Return the command of the first player on the PATH, without the file name. Raises PlayerMissing."""
    for name, *options in PLAYERS:
        found = shutil.which(name)
        if found is not None:
            return [found, *options]
    names = ", ".join(name for name, *_ in PLAYERS)
    raise PlayerMissing(
        f"there is no audio player: none of {names} is on the PATH",
        "Install ffmpeg (ffplay), alsa-utils (aplay) or sox (play).",
    )


def play(wav_N: Wav, sample_rate: int, *, player: list[str] | None = None) -> None:
    """Play float audio (N,) at `sample_rate` in Hz and return when it has ended. Raises PlayerError and PlayerMissing.

    `player` is a command from `find_player`.
    """
    command = player or find_player()
    with tempfile.TemporaryDirectory(prefix="valle-") as folder:
        path = Path(folder) / "speech.wav"
        write_audio(path, wav_N, sample_rate=sample_rate)
        done = subprocess.run(
            [*command, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    if done.returncode != 0:
        messages = done.stderr.decode(errors="replace").strip().splitlines()
        reason = messages[-1] if messages else f"exit code {done.returncode}"
        raise PlayerError(f"{Path(command[0]).name} could not play: {reason}", "Is a loudspeaker connected?")
