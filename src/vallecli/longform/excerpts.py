"""Clips as a track places them: without the silence around the speech, faster, or cut off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vallecli.audio.effects import stretch
from vallecli.audio.pcm import Wav
from vallecli.longform.assemble import Source
from vallecli.settings import MAX_SPEED, MIN_SPEED

FRAME = 0.01  # seconds over which the level is measured
SILENT = 0.005  # of the loudest frame: -46 dB, below which nothing is heard in a room
BEFORE, AFTER = 0.02, 0.08  # seconds that are kept around the speech: consonants begin and end softly
FADE = 0.02  # seconds at the end of a clip that is cut off


@dataclass(frozen=True)
class Excerpt:
    """The part of a clip from sample `first` to `last` at a sample rate in Hz, at another speed."""

    clip: Source
    rate: int
    first: int
    last: int
    speed: float = 1.0
    cut: int | None = None
    """The length in samples at which it is cut off, after the change of speed."""

    @classmethod
    def speech_in(cls, clip: Source, rate: int) -> Excerpt:
        """Return the speech of a clip at a rate in Hz, without the silence around it. Raises AudioNotFound."""
        return cls(clip, rate, *find_speech(clip.read(rate), rate))

    @property
    def sha256(self) -> str:
        """Return what identifies its content."""
        return f"{self.clip.sha256} {self.rate} {self.first} {self.last} {self.speed!r} {self.cut}"

    def faster(self, factor: float) -> Excerpt:
        """Return it at a speed that is higher by a factor, but possible."""
        return replace(self, speed=min(max(self.speed * factor, MIN_SPEED), MAX_SPEED))

    def samples(self, rate: int) -> int:
        """Return the length in samples; `rate` is that of the excerpt."""
        if rate != self.rate:
            raise ValueError(f"an excerpt at {self.rate} Hz has no length at {rate} Hz")
        length = self.last - self.first
        if self.speed != 1 and length:
            length = max(1, round(length / self.speed))
        return length if self.cut is None else min(length, self.cut)

    def read(self, rate: int) -> Wav:
        """Return the audio (N,) with as many samples as `samples` says. Raises AudioNotFound."""
        samples = self.samples(rate)
        wav_N = stretch(self.clip.read(rate)[self.first : self.last], rate, self.speed)
        wav_N = np.pad(wav_N[:samples], (0, max(0, samples - len(wav_N))))
        if self.cut == samples:
            fade = min(samples, round(FADE * rate))
            wav_N[samples - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        return wav_N


def find_speech(wav_N: Wav, rate: int) -> tuple[int, int]:
    """Return the samples from which and up to which audio (N,) is not silent; (0, N) if nothing in it is heard."""
    frame = max(1, round(FRAME * rate))
    padded_N = np.pad(wav_N.astype(np.float64), (0, -len(wav_N) % frame))
    levels_F = np.sqrt((padded_N.reshape(-1, frame) ** 2).mean(axis=1))
    heard = np.flatnonzero(levels_F > SILENT * levels_F.max(initial=0))
    if not len(heard):
        return 0, len(wav_N)
    first = heard[0] * frame - round(BEFORE * rate)
    last = (heard[-1] + 1) * frame + round(AFTER * rate)
    return max(0, int(first)), min(len(wav_N), int(last))
