"""Loudness of speech in LUFS, as ITU-R BS.1770 defines it: measured by FFmpeg's ebur128, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from vallecli.audio.filters import Filter
from vallecli.audio.pcm import Wav

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

MAX_PEAK = -1.0  # dBFS that audio at a given loudness keeps below; lossy encoders overshoot
BLOCK_SECONDS = 0.4  # the standard's block: shorter audio has no loudness by the standard
INTEGRATED = "lavfi.r128.I"  # FFmpeg's name of the value
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
