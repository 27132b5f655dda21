"""Recordings as a page shows them: duration and waveform, and the audio itself as MP3, which every browser plays."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vallecli import inputs
from vallecli.audio.decode import decode
from vallecli.audio.effects import resample
from vallecli.audio.encoders import new_encoder
from vallecli.audio.ffmpeg import BIT_RATES, Unreadable
from vallecli.audio.formats import output_rate
from vallecli.audio.pcm import Wav

FORMAT = "mp3"
BARS = 100  # of a waveform
FULL_BAR = 255
QUIETEST = 1e-3  # of full scale: the waveform of a quieter recording is not scaled up to full height
MAX_SECONDS = 300  # of a clip on the page; the rest of a longer recording is left out


@dataclass(frozen=True)
class Clip:
    """A recording that can be played, or the reason why not."""

    path: Path
    seconds: float = 0.0
    peaks: bytes = b""
    """Height of each bar of the waveform, from 0 to FULL_BAR."""
    error: str = ""
    shortened: bool = False
    """Whether the recording is longer than MAX_SECONDS."""

    @property
    def encoded_size(self) -> int:
        """Return the estimated number of characters of `encode`."""
        rate = max(BIT_RATES[FORMAT].values())
        return round(self.seconds * rate / 8 * 4 / 3)


def read_clip(path: Path) -> Clip:
    """Return duration and waveform of a recording. A missing or damaged one has an error, and raises none."""
    try:
        wav_N, sample_rate = _decode(path)
    except OSError as error:
        return Clip(path, error=(error.strerror or str(error)).lower())
    except (Unreadable, ValueError) as error:
        return Clip(path, error=str(error))
    most = MAX_SECONDS * sample_rate
    return Clip(path, min(len(wav_N), most) / sample_rate, peaks(wav_N[:most]), shortened=len(wav_N) > most)


def encode(clip: Clip) -> str:
    """Return the audio of a clip as MP3 in base64. Raises OSError and Unreadable if the file has changed."""
    wav_N, sample_rate = _decode(clip.path)
    rate = output_rate(FORMAT, None, sample_rate)
    wav_N = resample(wav_N[: MAX_SECONDS * sample_rate], sample_rate, rate)
    file = io.BytesIO()
    encoder = new_encoder(file, FORMAT, sample_rate=rate, header=True)
    encoder.write(wav_N)
    encoder.finish()
    return base64.b64encode(file.getvalue()).decode("ascii")


def peaks(wav_N: Wav) -> bytes:
    """Return the greatest magnitude of each of BARS parts of float audio (N,), one byte each; the highest is 255."""
    if not len(wav_N):
        return bytes(BARS)
    starts = np.arange(BARS) * len(wav_N) // BARS
    magnitude_N = np.abs(wav_N)
    heights: npt.NDArray[np.float32] = np.maximum.reduceat(magnitude_N, starts)
    return bytes(np.rint(heights / max(float(heights.max()), QUIETEST) * FULL_BAR).astype(np.uint8))


def _decode(path: Path) -> tuple[Wav, int]:
    """Return a recording as mono (N,), and its sample rate in Hz. Raises OSError, Unreadable and ValueError."""
    with inputs.open_regular(path) as file:
        decoded = decode(file, max_seconds=MAX_SECONDS + 1)
    if not np.isfinite(decoded.wav_N).all():
        raise ValueError("it has samples that are NaN or infinite")
    return decoded.wav_N, decoded.sample_rate
