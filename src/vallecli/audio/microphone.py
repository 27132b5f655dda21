"""Recording from a microphone by sounddevice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vallecli.audio.pcm import Wav
from vallecli.errors import AudioError, DependencyMissing
from vallecli.extras import extra


def record(sample_rate: int, max_seconds: float, wait: Callable[[], object]) -> Wav:
    """Return what a microphone records (N,) at `sample_rate` in Hz until `wait` returns, at most `max_seconds`.

    Raises ExtraMissing, DependencyMissing if PortAudio is missing, and AudioError without a microphone.
    """
    try:
        with extra("consent", "recording"):
            import sounddevice
    except OSError as error:  # the wheel for Linux has no PortAudio
        raise DependencyMissing(
            f"recording needs PortAudio: {error}", "Run: apt install libportaudio2; or record the statement to a file."
        ) from error
    blocks: list[Wav] = []

    def keep(block_NC: Wav, frames: int, time: object, status: object) -> None:
        if sum(len(block) for block in blocks) < max_seconds * sample_rate:
            blocks.append(block_NC[:, 0].copy())

    try:
        with sounddevice.InputStream(samplerate=sample_rate, channels=1, dtype="float32", callback=keep):
            wait()
    except sounddevice.PortAudioError as error:
        raise AudioError(
            f"cannot record: {error}", "Connect a microphone, or record the statement to a file."
        ) from error
    return np.concatenate([np.zeros(0, np.float32), *blocks])[: int(max_seconds * sample_rate)]
