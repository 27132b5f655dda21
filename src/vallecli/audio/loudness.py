"""Loudness of speech in LUFS, as ITU-R BS.1770 defines it: measured by FFmpeg's ebur128, in bounded memory."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from vallecli.audio.effects import amplify
from vallecli.audio.filters import BLOCK_SAMPLES, Filter
from vallecli.audio.pcm import Wav
from vallecli.settings import MAX_GAIN

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

MAX_PEAK = -1.0  # dBFS that normalized audio keeps below; lossy encoders overshoot
BLOCK_SECONDS = 0.4  # the standard's block: shorter audio has no loudness by the standard
INTEGRATED = "lavfi.r128.I"  # FFmpeg's name of the value
MAX_MEMORY = 2**25  # bytes of audio that wait for their loudness; more is in a temporary file
TOLERANCE = 0.05  # LU
SILENCE = -70.0  # LUFS; FFmpeg's value for audio of which no block passes the gate


class Meter:
    """The loudness and the peak of mono audio that is added in pieces."""

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate` is in Hz. Raises DependencyMissing without PyAV."""
        self.sample_rate, self.samples = sample_rate, 0
        self.peak = 0.0
        """The largest absolute sample so far."""
        self._filter = Filter("ebur128", "metadata=1:framelog=quiet", sample_rate)
        self._integrated: float | None = None
        self._finished = False

    def add(self, wav_N: Wav) -> None:
        """Measure float audio (N,) that follows what was added before. Raises ValueError after `integrated`."""
        if self._finished:
            raise ValueError("the loudness was already measured")
        if len(wav_N):
            self.peak = max(self.peak, float(np.abs(wav_N).max()))
            self.samples += len(wav_N)
            self._read(self._filter.push(wav_N))

    def integrated(self) -> float | None:
        """Return the integrated loudness of everything in LUFS, None for silence.

        Audio of less than one block counts as one: it has the loudness of its mean power.
        """
        block = math.ceil(BLOCK_SECONDS * self.sample_rate)
        missing = max(0, block - self.samples)
        if not self._finished:
            self._finished = True
            self._read(self._filter.push(np.zeros(missing, np.float32)))
            self._read(self._filter.finish())
        if self._integrated is None or not self.samples:
            return None
        return self._integrated + 10 * math.log10((self.samples + missing) / self.samples)

    def _read(self, frames: Iterable[AudioFrame]) -> None:
        for frame in frames:
            written = frame.metadata.get(INTEGRATED)
            if written is not None:  # FFmpeg measures every 0.1 s, and leaves an incomplete end out
                value = float(written)
                self._integrated = value if math.isfinite(value) and value > SILENCE else None


def loudness_of(wavs: Iterable[Wav], sample_rate: int) -> tuple[float | None, float]:
    """Return the integrated loudness in LUFS, see Meter, and the peak of pieces of audio, each (N,)."""
    meter = Meter(sample_rate)
    for wav_N in wavs:
        meter.add(wav_N)
    return meter.integrated(), meter.peak


def gain_to(target: float, measured: float | None, peak: float) -> float:
    """Return the dB that bring audio from a measured loudness to a target, both in LUFS; 0 for silence (None).

    The gain is less where the peak, the largest absolute sample, would exceed MAX_PEAK: nothing is compressed.
    """
    if measured is None or peak <= 0:
        return 0.0
    return min(target - measured, MAX_PEAK - 20 * math.log10(peak))


class Levels:
    """Brings speech to a loudness and adds a gain; without either, it is passed on as it is."""

    def __init__(self, sample_rate: int, *, loudness: float | None = None, gain: float | None = None) -> None:
        """`loudness` is in LUFS, `gain` in dB, `sample_rate` in Hz."""
        self.sample_rate, self.loudness, self.gain = sample_rate, loudness, gain or 0.0
        self.notes: tuple[str, ...] = ()
        """Messages for the user, known at the end of `apply`."""

    def apply(self, wavs: Iterable[Wav]) -> Iterator[Wav]:
        """Yield pieces of audio (N,) at their level: for a loudness, when all have been measured, otherwise at once.

        The gain comes on top of the loudness. Raises OSError if the temporary file cannot be written, and
        DependencyMissing without PyAV.
        """
        cut = 0
        for wav_N in self._normalized(wavs):
            louder_N = amplify(wav_N, self.gain)
            cut += int(np.count_nonzero(np.abs(louder_N) > 1)) if self.gain > 0 else 0
            yield louder_N
        if cut:
            self.notes += (f"the gain of {self.gain:g} dB cuts off the peaks of {cut} samples",)

    def _normalized(self, wavs: Iterable[Wav]) -> Iterator[Wav]:
        if self.loudness is None:
            yield from wavs
            return
        meter = Meter(self.sample_rate)
        with tempfile.SpooledTemporaryFile(MAX_MEMORY) as file:
            for wav_N in wavs:
                meter.add(wav_N)
                file.write(np.asarray(wav_N, np.float32).tobytes())
            gain = self._gain(self.loudness, meter)
            file.seek(0)
            while block := file.read(BLOCK_SAMPLES * np.dtype(np.float32).itemsize):
                yield amplify(np.frombuffer(block, np.float32), gain)

    def _gain(self, target: float, meter: Meter) -> float:
        measured = meter.integrated()
        gain = max(-MAX_GAIN, min(MAX_GAIN, gain_to(target, measured, meter.peak)))
        if measured is not None and measured + gain < target - TOLERANCE:
            reached = measured + gain
            self.notes += (f"its loudness is {reached:.1f} LUFS, not {target:g}: more would cut off its peaks",)
        return gain
