"""Playing audio, through whichever player is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from vallecli.audio import files
from vallecli.audio.stream import Wav
from vallecli.errors import PlayerError

# A player and what makes it play one WAV file, silently, without a window, and leave; the likeliest first.
PLAYERS = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("afplay",),  # macOS has it
    ("paplay",),
    ("aplay", "-q"),
    ("play", "-q"),  # sox
)


def find_player() -> list[str]:
    """Return the command, its file name missing, of the first player on the PATH, or raise PlayerError."""
    for name, *options in PLAYERS:
        found = shutil.which(name)
        if found is not None:
            return [found, *options]
    names = ", ".join(name for name, *_ in PLAYERS)
    raise PlayerError(
        f"there is no audio player: none of {names} is on the PATH",
        "Install ffmpeg (ffplay), alsa-utils (aplay) or sox (play), or leave --play out.",
    )


def play(wav_N: Wav, sample_rate: int, *, player: list[str] | None = None) -> None:
    """Play float audio (N,) and return when it has ended. Raises PlayerError."""
    command = player or find_player()
    with tempfile.TemporaryDirectory(prefix="valle-") as folder:
        path = Path(folder) / "speech.wav"
        files.write(path, wav_N, sample_rate=sample_rate)
        done = subprocess.run(
            [*command, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"it ended with {done.returncode}"
        raise PlayerError(f"{Path(command[0]).name} could not play: {reason}", "Is a loudspeaker connected?")
