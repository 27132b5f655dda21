"""Changes to finished audio. This module is the only one that imports soxr."""

from __future__ import annotations

import numpy as np
import soxr

from vallecli.audio.pcm import Wav

QUALITY = "HQ"  # soxr's name for 20 bits of precision, more than the 16 bits that are written


def resample(wav_N: Wav, from_rate: int, to_rate: int) -> Wav:
    """Return mono float32 audio (N,) at `to_rate`, (M,) with M = N * to_rate / from_rate, rounded.

    Rates are in Hz. At equal rates the input itself is returned. Samples can slightly exceed the range of the input,
    as with any band-limited filter. Raises ValueError for a rate below 1.
    """
    if from_rate < 1 or to_rate < 1:
        raise ValueError(f"cannot resample from {from_rate} Hz to {to_rate} Hz")
    if from_rate == to_rate:
        return wav_N
    resampled: Wav = soxr.resample(np.asarray(wav_N, np.float32), from_rate, to_rate, quality=QUALITY)
    return resampled
