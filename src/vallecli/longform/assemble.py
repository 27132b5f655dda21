"""Clips and pauses on one track: where each begins is known by the sample, and only one clip is in memory at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from vallecli.audio.effects import resample
from vallecli.audio.notice import signal
from vallecli.audio.pcm import FULL_SCALE, Wav
from vallecli.errors import AudioNotFound

BLOCK = 1 << 16  # samples of silence at a time


class Source(Protocol):
    """Audio of known length."""

    @property
    def sha256(self) -> str:
        """Return what identifies its content."""

    def samples(self, rate: int) -> int:
        """Return the number of samples at a rate in Hz."""

    def read(self, rate: int) -> Wav:
        """Return the audio (N,) at a rate in Hz, with as many samples as `samples` says."""


@dataclass(frozen=True)
class Tones:
    """The signal that the speech is synthetic."""

    sha256: str = "tones"

    def samples(self, rate: int) -> int:
        """Return the number of samples at a rate in Hz."""
        return len(signal(rate))

    def read(self, rate: int) -> Wav:
        """Return the audio (N,) at a rate in Hz."""
        return signal(rate)


@dataclass(frozen=True)
class Clip:
    """A file of speech that a batch has written."""

    path: Path
    sample_rate: int
    frames: int
    sha256: str = ""
    """As the batch has recorded it."""

    @classmethod
    def of(cls, path: Path, sha256: str = "") -> Clip:
        """Return the clip in a file. Raises AudioNotFound."""
        try:
            info = soundfile.info(path)
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioNotFound(path, str(error)) from error
        return cls(path, info.samplerate, info.frames, sha256)

    def samples(self, rate: int) -> int:
        """Return the number of samples at a rate in Hz."""
        return self.frames if rate == self.sample_rate else round(self.frames * rate / self.sample_rate)

    def read(self, rate: int) -> Wav:
        """Return the audio (N,) at a rate in Hz, with as many samples as `samples` says. Raises AudioNotFound.

        The encoders of `audio` write the same 16-bit samples again.
        """
        try:
            samples_N, _ = soundfile.read(self.path, dtype="int16")
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioNotFound(self.path, str(error)) from error
        if len(samples_N) != self.frames:
            raise AudioNotFound(self.path, "it has changed since it was measured")
        wav_N = resample(samples_N.astype(np.float32) / FULL_SCALE, self.sample_rate, rate)
        samples = self.samples(rate)
        return np.pad(wav_N[:samples], (0, max(0, samples - len(wav_N))))


@dataclass(frozen=True)
class Placed:
    """A clip from sample `start` to `end` of a track, and the factor of its samples."""

    clip: Source
    start: int
    end: int
    factor: float = 1.0


class Track:
    """Clips in order, with silence between them. Clips do not overlap."""

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate` is in Hz."""
        self.sample_rate = sample_rate
        self.placed: list[Placed] = []
        self.samples = 0
        """The length of the track."""

    @property
    def seconds(self) -> float:
        """Return the duration."""
        return self.samples / self.sample_rate

    def pause(self, seconds: float) -> None:
        """Append silence, rounded to whole samples."""
        self.samples += round(seconds * self.sample_rate)

    def append(self, clip: Source, *, factor: float = 1.0) -> Placed:
        """Append a clip, whose samples are multiplied by a factor, and return where it is."""
        return self.place(clip, self.samples, factor=factor)

    def place(self, clip: Source, start: int, *, factor: float = 1.0) -> Placed:
        """Place a clip at a sample from the end of the track on, and return where it is.

        Raises ValueError for a place before the end.
        """
        if start < self.samples:
            raise ValueError(f"sample {start} is before the end of the track, {self.samples}")
        placed = Placed(clip, start, start + clip.samples(self.sample_rate), factor)
        self.placed.append(placed)
        self.samples = placed.end
        return placed

    def extend(self, samples: int) -> None:
        """Append silence up to a length; a longer track stays as it is."""
        self.samples = max(self.samples, samples)

    def blocks(
        self, *, start: int = 0, end: int | None = None, only: Collection[Placed] | None = None
    ) -> Iterator[Wav]:
        """Yield the audio from one sample to another, in blocks (N,) of different lengths.

        Clips that are not in `only` are silent, for the stem of a speaker. Raises AudioNotFound for a clip that is gone
        or has changed.
        """
        end = self.samples if end is None else end
        position = start
        for placed in self.placed:
            if placed.end <= start or (only is not None and placed not in only):
                continue
            if placed.start >= end:
                break
            yield from _silence(placed.start - position)
            wav_N = placed.clip.read(self.sample_rate)
            if placed.factor != 1:
                wav_N = wav_N * np.float32(placed.factor)
            yield wav_N[max(0, start - placed.start) : end - placed.start]
            position = min(end, placed.end)
        yield from _silence(end - position)


def _silence(samples: int) -> Iterator[Wav]:
    while samples > 0:
        yield np.zeros(min(samples, BLOCK), np.float32)
        samples -= BLOCK
