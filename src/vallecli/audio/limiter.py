"""A peak limiter: FFmpeg's alimiter, which turns loud moments down for some milliseconds and leaves the rest alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vallecli.audio.filters import Filter
from vallecli.audio.pcm import Wav

ATTACK, RELEASE = 5, 50  # ms


def limit(blocks: Iterable[Wav], sample_rate: int, peak: float) -> Iterator[Wav]:
    """Yield the same audio, in other blocks (N,), with no sample beyond a peak in dBFS.

    It has as many samples, without delay: `latency` of the filter is on. Equal audio gives equal samples, however it is
    divided. Raises DependencyMissing without PyAV.
    """
    level = 10 ** (peak / 20)
    options = f"limit={level!r}:attack={ATTACK}:release={RELEASE}:level=disabled:latency=1"
    limiter = Filter("alimiter", options, sample_rate)
    for wav_N in blocks:
        for frame in limiter.push(wav_N):
            yield frame.to_ndarray().reshape(-1).astype(np.float32)
    for frame in limiter.finish():
        yield frame.to_ndarray().reshape(-1).astype(np.float32)
