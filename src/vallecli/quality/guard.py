"""Signs that an utterance went wrong, in its samples and codes: silence, noise, loops, an odd length, an abrupt end.

Thresholds were chosen on good and on spoilt speech: see docs/robust.md. Suffixes: N samples, F frames of 10 ms, T
frames of a codec.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from vallecli.audio.pcm import Wav

HOP = 0.010  # seconds between two levels
SILENT_DB = -50.0  # full scale is 0; speech that is never louder is none
PAUSE_DB = 35.0  # below the level of the speech
LONGEST_PAUSE = 1.5  # seconds
END = 0.03  # seconds at the end whose level is compared with that of the speech
ABRUPT_DB = 12.0  # an end that is no further below the speech is cut
FLAT = 0.3  # spectral flatness of noise: white noise has 0.56, speech less than 0.1
LOOP = 0.5  # seconds that a repetition lasts
LOOP_SHARE = 0.85  # of its codes that are those of the cycle before
LOOP_LAG = 0.1  # seconds of the shortest cycle in samples: longer than two periods of a low voice
LOOP_LAGS = 4.0  # seconds of the longest cycle
LOOP_CORRELATION = 0.97
RATE = 8000  # Hz at which samples are compared for loops


class Problem(StrEnum):
    """What is wrong with an utterance."""

    SILENT = "no speech"
    NOISE = "noise"
    PAUSE = "long pause"
    LOOP = "loop"
    SHORT = "too short"
    LONG = "too long"
    ABRUPT = "ends abruptly"
    CUT_OFF = "cut off"
    OTHER_WORDS = "other words"


def levels(wav_N: Wav, rate: int) -> npt.NDArray[np.float64]:
    """Return the level of each 10 ms in dB (F,); full scale is 0."""
    hop = max(1, round(HOP * rate))
    frames = len(wav_N) // hop
    squares = np.square(wav_N[: frames * hop].astype(np.float64)).reshape(frames, hop).mean(1)
    found: npt.NDArray[np.float64] = 10 * np.log10(squares + 1e-12)
    return found


def problems(
    wav_N: Wav, rate: int, *, codes_T: npt.NDArray[np.int16] | None = None, frame_rate: float = 0.0
) -> list[Problem]:
    """Return what is wrong with an utterance, judged without its text; `codes_T` are those of the first codebook."""
    level_F = levels(wav_N, rate)
    if not len(level_F) or (speech_db := float(np.percentile(level_F, 95))) < SILENT_DB:
        return [Problem.SILENT]
    active_F = level_F > speech_db - PAUSE_DB
    found = []
    if flatness(wav_N, rate) > FLAT:
        found.append(Problem.NOISE)
    if _longest_pause(active_F) * HOP > LONGEST_PAUSE:
        found.append(Problem.PAUSE)
    if level_F[-round(END / HOP) :].mean() > speech_db - ABRUPT_DB:
        found.append(Problem.ABRUPT)
    in_codes = 0.0 if codes_T is None else code_repetition(codes_T, frame_rate, active_F)
    if in_codes >= LOOP_SHARE or sample_repetition(wav_N, rate) >= LOOP_CORRELATION:
        found.append(Problem.LOOP)
    return found


def _longest_pause(active_F: npt.NDArray[np.bool_]) -> int:
    """Return the frames of the longest pause between two active ones."""
    places = np.flatnonzero(active_F)
    return int(np.diff(places).max() - 1) if len(places) > 1 else 0


def flatness(wav_N: Wav, rate: int) -> float:
    """Return the median over the louder half of the frames of geometric over arithmetic mean of the power spectrum."""
    width = 2 * round(HOP * rate)
    frames = len(wav_N) // width
    if not frames:
        return 0.0
    windows = wav_N[: frames * width].astype(np.float64).reshape(frames, width) * np.hanning(width)
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    band = power[:, max(1, width // 100) : max(2, round(width * min(0.5, 6000 / rate)))] + 1e-12
    loud = band[band.sum(1) >= np.median(band.sum(1))]
    return float(np.median(np.exp(np.log(loud).mean(1)) / loud.mean(1)))


def code_repetition(codes_T: npt.NDArray[np.int16], frame_rate: float, active_F: npt.NDArray[np.bool_]) -> float:
    """Return the largest share of codes, over LOOP seconds at any distance, that equal those one distance before."""
    length = round(LOOP * frame_rate)
    places = np.minimum((np.arange(len(codes_T)) / frame_rate / HOP).astype(int), len(active_F) - 1)
    heard_T = active_F[places]  # codes of silence repeat
    largest = 0.0
    for lag in range(1, min(len(codes_T) - length, round(LOOP_LAGS * frame_rate)) + 1):
        equal = (codes_T[lag:] == codes_T[:-lag]) & heard_T[lag:]
        sums = np.cumsum(np.concatenate([[0], equal]))
        largest = max(largest, float((sums[length:] - sums[:-length]).max()) / length)
    return largest


def sample_repetition(wav_N: Wav, rate: int) -> float:
    """Return the largest correlation of LOOP seconds with as many that come at least LOOP_LAG later."""
    step = max(1, rate // RATE)
    x = wav_N[: len(wav_N) // step * step].reshape(-1, step).mean(1).astype(np.float64)
    length, first = round(LOOP * rate / step), round(LOOP_LAG * rate / step)
    span = round(LOOP_LAGS * rate / step) + length
    largest, loud = 0.0, np.percentile(np.abs(x), 90) * 0.1 if len(x) else 0.0
    for start in range(0, len(x) - length - first, length // 2):
        piece, later = x[start : start + length], x[start : start + span]
        if np.sqrt(np.mean(piece**2)) < loud:
            continue
        size = 1 << (len(later) + length).bit_length()
        products = np.fft.irfft(np.fft.rfft(later, size) * np.conj(np.fft.rfft(piece, size)), size)
        count = len(later) - length + 1
        sums = np.cumsum(np.concatenate([[0.0], later**2]))
        energy = np.sqrt(np.maximum(sums[length : length + count] - sums[:count], 1e-9) * (piece**2).sum())
        if count > first:
            largest = max(largest, float((products[:count] / energy)[first:].max()))
    return largest
