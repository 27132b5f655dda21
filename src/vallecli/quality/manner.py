"""The manner of speech and the sound of a room, in numbers: how much of the prompt's carries over to the output.

Pitch, level and syllables are measured by Praat (parselmouth). All values are estimates from one recording each; what
they are for is the difference between two recordings.

F frequency bins, M bands, T steps, N samples.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vallecli.audio import prompt
from vallecli.audio.pcm import Wav
from vallecli.errors import AudioError
from vallecli.extras import extra
from vallecli.quality.pretrained import EXTRA, RATE, Embedding, Pretrained

EMOTION = "wav2vec2-emotion"  # its entry in the registry

STEP = 0.01  # seconds
PITCH_FLOOR, PITCH_CEILING = 60.0, 600.0  # Hz, of any speaker
# A second pass searches in a speaker's own range, which avoids errors by octaves: these factors of the first pass's
# quartiles (De Looze and Hirst, Speech Prosody 2008).
FLOOR_FACTOR, CEILING_FACTOR = 0.75, 1.5
LOW, HIGH = 10, 90  # percentiles between which the range of the pitch is measured
MIN_VOICED = 10  # steps with a pitch

# Syllables are peaks of the intensity with a pitch (de Jong and Wempe, Behavior Research Methods 2009).
INTENSITY_FLOOR = 50.0  # Hz: the length of the window is 3.2 periods of it
BELOW_LOUDEST = 25.0  # dB below the 99th percentile: quieter peaks are none
DIP = 2.0  # dB by which the intensity falls between two syllables

# Reverberation: the fastest falls of the level in each band are as fast as the room allows
# (J. Wen et al., "Blind estimation of reverberation time based on the distribution of signal decay rates", ICASSP
# 2008).
BANDS = 16
LOWEST, HIGHEST = 200.0, 6000.0  # Hz
FFT, HOP = 400, 80  # samples: 25 ms and 5 ms
FALL_STEPS = 12  # steps of HOP, over which the slope of a fall is measured: 60 ms
ABOVE_NOISE = 15.0  # dB, at the end of a fall
FASTEST = 2.0  # percentile of the slopes
FALL = 60.0  # dB, of the reverberation time
MIN_FALLS = 50  # slopes that a percentile needs


@dataclass(frozen=True, kw_only=True)
class Measures:
    """The measures of a recording; None where there is too little speech for one."""

    pitch_median: float | None
    """Hz."""
    pitch_range: float | None
    """Semitones between the 10th and the 90th percentile of the pitch."""
    rate: float | None
    """Syllables per second of speech, without long pauses."""
    level: float
    """RMS of the speech, in dB relative to full scale."""
    background: float | None
    """DNSMOS's score of the background, from 1 (noisy) to 5."""
    reverberation: float | None
    """Seconds in which the level falls by 60 dB."""


def check_installed() -> None:
    """Raise ExtraMissing if Praat is not installed."""
    with extra(EXTRA, "measuring pitch"):
        import parselmouth  # noqa: F401


def measure(wav_N: Wav, source: str | Path, background: float | None) -> Measures:
    """Return the measures of a recording (N,) at RATE. Raises SilentPrompt."""
    import parselmouth

    speech_N = prompt.speech(wav_N, source, sample_rate=RATE)
    sound = parselmouth.Sound(speech_N.astype(np.float64), RATE)
    pitch_T = _pitch(sound)
    voiced = pitch_T[pitch_T > 0]
    low, median, high = np.percentile(voiced, [LOW, 50, HIGH]) if len(voiced) >= MIN_VOICED else (None, None, None)
    seconds = len(speech_N) / RATE
    return Measures(
        pitch_median=None if median is None else float(median),
        pitch_range=None if low is None else 12 * math.log2(high / low),
        rate=_syllables(sound, pitch_T) / seconds if len(voiced) >= MIN_VOICED else None,
        level=float(10 * np.log10(np.mean(speech_N.astype(np.float64) ** 2) + 1e-12)),
        background=background,
        reverberation=reverberation(wav_N),
    )


def differences(prompt_measures: Measures, output: Measures) -> dict[str, float | None]:
    """Return output minus prompt for each measure.

    Semitones for the pitch and its range, percent for the rate, dB for the level, points for the background, and
    seconds for the reverberation. None where one of both is unknown.
    """
    before, after = asdict(prompt_measures), asdict(output)
    found: dict[str, float | None] = {}
    for name, old in before.items():
        new = after[name]
        if old is None or new is None or (name in ("pitch_median", "rate") and old <= 0):
            found[name] = None
        elif name == "pitch_median":
            found[name] = 12 * math.log2(new / old)
        elif name == "rate":
            found[name] = 100 * (new / old - 1)
        else:
            found[name] = new - old
    return found


def _pitch(sound: Any) -> npt.NDArray[np.float64]:
    """Return the pitch of each STEP in Hz (T,), 0 where there is none."""
    floor, ceiling = PITCH_FLOOR, PITCH_CEILING
    if sound.duration < 3.5 / floor:  # Praat's window is three periods of the lowest pitch
        return np.zeros(0)
    pitch_T = sound.to_pitch_ac(STEP, floor, pitch_ceiling=ceiling).selected_array["frequency"]
    voiced = pitch_T[pitch_T > 0]
    if len(voiced) < MIN_VOICED:
        return np.zeros(0)
    first, third = np.percentile(voiced, [25, 75])
    floor, ceiling = max(floor, FLOOR_FACTOR * first), min(ceiling, CEILING_FACTOR * third)
    found: npt.NDArray[np.float64] = sound.to_pitch_ac(STEP, floor, pitch_ceiling=ceiling).selected_array["frequency"]
    return found


def _syllables(sound: Any, pitch_T: npt.NDArray[np.float64]) -> int:
    """Return the number of syllables, given a sound and its pitch."""
    if sound.duration < 6.5 / INTENSITY_FLOOR:
        return 0
    intensity = sound.to_intensity(INTENSITY_FLOOR, STEP)
    level_T = intensity.values[0]
    threshold = np.percentile(level_T, 99) - BELOW_LOUDEST
    inner = (level_T[1:-1] >= level_T[:-2]) & (level_T[1:-1] > level_T[2:])
    peaks = [int(place) for place in np.flatnonzero(inner) + 1 if level_T[place] > threshold]
    count, last = 0, None
    for place in peaks:
        if last is not None and level_T[last : place + 1].min() > min(level_T[last], level_T[place]) - DIP:
            last = place if level_T[place] > level_T[last] else last  # the same syllable
            continue
        at = round(intensity.t_grid()[place] / STEP) if pitch_T.size else 0
        if pitch_T.size and pitch_T[min(max(at, 0), len(pitch_T) - 1)] > 0:
            count += 1
        last = place
    return count


def reverberation(wav_N: Wav) -> float | None:
    """Return the estimated reverberation time of a recording (N,) at RATE in seconds, None for too little speech."""
    frames = (len(wav_N) - FFT) // HOP + 1
    if frames <= FALL_STEPS:
        return None
    frames_TF = np.lib.stride_tricks.sliding_window_view(wav_N, FFT)[::HOP] * np.hanning(FFT).astype(np.float32)
    power_TF = np.abs(np.fft.rfft(frames_TF, axis=1)) ** 2
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 1) * FFT / RATE
    bands = [power_TF[:, int(low) : max(int(low) + 1, int(high))].sum(axis=1) for low, high in pairwise(edges)]
    level_TM = 10 * np.log10(np.stack(bands, axis=1) + 1e-10)
    at = np.arange(FALL_STEPS) - (FALL_STEPS - 1) / 2
    window_TMK = np.lib.stride_tricks.sliding_window_view(level_TM, FALL_STEPS, axis=0)
    slope_TM = window_TMK @ at / (at @ at) * RATE / HOP  # dB per second, by linear regression
    heard_TM = window_TMK[:, :, -1] > np.percentile(level_TM, 10, axis=0) + ABOVE_NOISE
    falls = slope_TM[heard_TM]
    if len(falls) < MIN_FALLS:
        return None
    fastest = float(np.percentile(falls, FASTEST))
    return FALL / -fastest if fastest < 0 else None


class EmotionModel:
    """wav2vec 2.0 fine-tuned on arousal, dominance and valence (arXiv 2203.07378); its states carry the emotion."""

    def __init__(self, folder: Path) -> None:
        """Raises ExtraMissing and DamagedCheckpoint."""
        self.pretrained = Pretrained(folder, "Wav2Vec2Model", prefix="wav2vec2.")

    def embed(self, wav_N: Wav) -> Embedding:
        """Given a recording (N,) at RATE, return the mean of its states (E,). Raises AudioError for a short one."""
        if len(wav_N) < RATE // 10:
            raise AudioError("it is too short for an emotion", "Give a recording of a sentence.")
        states: Embedding = self.pretrained.run(wav_N).last_hidden_state[0].mean(dim=0).numpy()
        return states
