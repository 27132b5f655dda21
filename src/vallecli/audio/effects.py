"""Changes to finished audio. This module is the only one that imports soxr."""

from __future__ import annotations

from itertools import chain

import numpy as np
import soxr

from vallecli.audio.filters import Filter
from vallecli.audio.pcm import Wav
from vallecli.settings import MAX_SPEED, MIN_SPEED

QUALITY = "HQ"  # soxr's name for 20 bits of precision, more than the 16 bits that are written
FLUSH_SECONDS = 0.5  # of silence that let atempo finish: more than its longest window at half speed


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


def stretch(wav_N: Wav, sample_rate: int, speed: float) -> Wav:
    """Return mono float32 audio (N,) at another speed and the same pitch, (M,) with M = N / speed, rounded.

    It is FFmpeg's atempo (WSOLA): a sound may be up to 0.05 s from its place. Equal inputs give equal samples. At
    speed 1 the input itself is returned. Raises ValueError for a speed outside of MIN_SPEED to MAX_SPEED, NotFinite
    for NaN and infinite samples, and DependencyMissing without PyAV.
    """
    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise ValueError(f"cannot change the speed by {speed}")
    if speed == 1 or not len(wav_N):
        return wav_N
    samples = max(1, round(len(wav_N) / speed))
    atempo = Filter("atempo", f"tempo={speed!r}", sample_rate)
    flush_N = np.zeros(int(FLUSH_SECONDS * sample_rate), np.float32)
    frames = chain(atempo.push(wav_N), atempo.push(flush_N), atempo.finish())
    stretched: Wav = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    return stretched[:samples]
