"""One loudness for audio that belongs together: found in a first pass over it, and applied in a second one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import IO

import numpy as np

from vallecli.audio.filters import BLOCK_SAMPLES
from vallecli.audio.limiter import limit
from vallecli.audio.loudness import MAX_PEAK, Meter
from vallecli.audio.pcm import Wav

TOLERANCE = 0.1  # LU
MAX_PASSES = 3  # behind the limiter
MIN_SLOPE = 0.3  # of the loudness against the gain
MAX_MEMORY = 2**25  # bytes of audio that wait for their loudness; more is in a temporary file

Blocks = Callable[[], Iterable[Wav]]
"""Returns audio in blocks (N,) from its begin, at each call."""


@dataclass(frozen=True)
class Level:
    """How loud audio is, and how it is changed."""

    measured: float | None = None
    """LUFS; None for silence, and if it was not measured."""
    gain: float = 0.0
    """dB."""
    limited: bool = False
    """Whether peaks are turned down to MAX_PEAK: else, the gain would let them clip."""
    reached: float | None = None
    """LUFS of the result, which the limiter keeps below the target if there are too many peaks."""

    def apply(self, blocks: Iterable[Wav], sample_rate: int) -> Iterator[Wav]:
        """Yield audio with the gain, in blocks (N,). Raises DependencyMissing without PyAV."""
        if self.gain:
            blocks = (wav_N * np.float32(_factor(self.gain)) for wav_N in blocks)
        yield from limit(blocks, sample_rate, MAX_PEAK) if self.limited else blocks


def find_level(blocks: Blocks, sample_rate: int, *, loudness: float | None, gain: float = 0.0) -> Level:
    """Return the level of audio for a loudness in LUFS, to which `gain` in dB is added; None leaves the loudness.

    As the limiter makes audio softer, it is measured again behind it, until the loudness is within TOLERANCE, or
    MAX_PASSES. Raises DependencyMissing without PyAV.
    """
    if loudness is None and not gain:
        return Level()
    measured, peak = _measure(blocks, sample_rate, Level())
    change = 0.0 if loudness is None or measured is None else loudness - measured
    level = Level(measured, change + gain, limited=peak * _factor(change + gain) > _factor(MAX_PEAK))
    if loudness is None or measured is None or not level.limited:
        return replace(level, reached=None if measured is None else measured + level.gain)
    before, slope = Level(), 1.0  # LU that the result is louder for each dB of gain
    for left in reversed(range(MAX_PASSES)):
        reached, _ = _measure(blocks, sample_rate, level)
        level = replace(level, reached=reached)
        missing = 0.0 if reached is None else loudness + gain - reached
        if reached is None or abs(missing) <= TOLERANCE or not left:
            break
        if before.reached is not None and level.gain != before.gain:
            slope = min(1.0, max(MIN_SLOPE, (reached - before.reached) / (level.gain - before.gain)))
        before, level = level, replace(level, gain=level.gain + missing / slope)
    return level


def _measure(blocks: Blocks, sample_rate: int, level: Level) -> tuple[float | None, float]:
    """Return the loudness in LUFS and the peak of audio at a level."""
    meter = Meter(sample_rate)
    for wav_N in level.apply(blocks(), sample_rate):
        meter.add(wav_N)
    return meter.integrated(), meter.peak


def _factor(decibels: float) -> float:
    return float(10 ** (decibels / 20))


class Leveller:
    """Brings pieces of speech to a loudness and adds a gain; without either, they are passed on as they are."""

    def __init__(self, sample_rate: int, *, loudness: float | None = None, gain: float | None = None) -> None:
        """`loudness` is in LUFS, `gain` in dB, `sample_rate` in Hz."""
        self.sample_rate, self.loudness, self.gain = sample_rate, loudness, gain or 0.0
        self.notes: tuple[str, ...] = ()
        """Messages for the user, known at the end of `apply`."""

    def apply(self, wavs: Iterable[Wav]) -> Iterator[Wav]:
        """Yield audio (N,) at its level: for a loudness when all of it has been measured, otherwise at once.

        Raises OSError if the temporary file cannot be written, and DependencyMissing without PyAV.
        """
        if self.loudness is None:
            yield from Level(gain=self.gain, limited=self.gain > 0).apply(wavs, self.sample_rate)
            return
        with tempfile.SpooledTemporaryFile(MAX_MEMORY) as file:
            for wav_N in wavs:
                file.write(np.asarray(wav_N, np.float32).tobytes())
            level = find_level(lambda: _read(file), self.sample_rate, loudness=self.loudness, gain=self.gain)
            wanted = self.loudness + self.gain
            if level.reached is not None and level.reached < wanted - TOLERANCE:
                self.notes = (f"its loudness is {level.reached:.1f} LUFS, not {wanted:g}, because of its peaks",)
            yield from level.apply(_read(file), self.sample_rate)


def _read(file: IO[bytes]) -> Iterator[Wav]:
    """Yield the audio of a file in blocks (N,)."""
    file.seek(0)
    while block := file.read(BLOCK_SAMPLES * np.dtype(np.float32).itemsize):
        yield np.frombuffer(block, np.float32)
