"""Convert speech to another voice: Praat changes formants, median pitch and pitch range, and keeps the timing."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
import parselmouth
import soxr
from common import HOP, SAMPLE_RATE
from parselmouth.praat import call, run

LOWEST, HIGHEST = 75, 500  # Hz, range in which Praat searches the pitch of the input voice
LOWEST_PITCH = 60  # Hz, lower bound for the pitch of the resulting voices


@dataclass(frozen=True)
class OtherVoice:
    """A random speaker: parameters of Praat's "Change gender", and of a simulated recording channel."""

    pitch: float  # Hz, median
    formant: float  # ratio
    pitch_range: float  # ratio
    bandwidth: int  # sample rate of the recorder
    tilt: float  # dB per two octaves, around 1 kHz
    noise: float  # dB below the speech

    @classmethod
    def draw(cls, rng: random.Random) -> OtherVoice:
        """Return a random voice."""
        low = rng.random() < 0.5
        return cls(
            pitch=rng.uniform(80, 150) if low else rng.uniform(150, 260),
            formant=rng.uniform(0.78, 0.93) if low else rng.uniform(0.90, 1.13),
            pitch_range=rng.uniform(0.7, 1.3),
            bandwidth=rng.choice([SAMPLE_RATE, SAMPLE_RATE, 16_000]),
            tilt=rng.gauss(0, 3),
            noise=rng.uniform(30, 50) if rng.random() < 0.3 else 80,
        )

    def speak(self, wav: np.ndarray, rng: random.Random) -> np.ndarray:
        """Given speech (N,) at 24 kHz, return it (N,) in this voice and channel, peak-normalized to full scale."""
        run(f"random_initializeWithSeedUnsafelyButPredictably({rng.randrange(1 << 30)})")  # unvoiced sounds are random
        sound = parselmouth.Sound(wav.astype(np.float64), SAMPLE_RATE)
        knobs = (self.formant, self.pitch, self.pitch_range, 1.0)
        out = call(sound, "Change gender", LOWEST, HIGHEST, *knobs).values[0].astype(np.float32)[: len(wav)]
        out = np.pad(out, (0, len(wav) - len(out)))
        spectrum = np.fft.rfft(out)
        octaves = np.log2(np.maximum(np.fft.rfftfreq(len(out), 1 / SAMPLE_RATE), 100) / 1000)
        gain = 10 ** (self.tilt * np.clip(octaves, -2, 2) / 2 / 20)
        out = np.fft.irfft(spectrum * gain, len(out)).astype(np.float32)
        if self.bandwidth < SAMPLE_RATE:
            out = soxr.resample(soxr.resample(out, SAMPLE_RATE, self.bandwidth), self.bandwidth, SAMPLE_RATE)
            out = np.pad(out, (0, max(0, len(wav) - len(out))))[: len(wav)]
        level = float(np.sqrt(np.mean(out**2))) * 10 ** (-self.noise / 20)
        out = out + level * np.random.default_rng(rng.randrange(1 << 30)).standard_normal(len(out), np.float32)
        return out / max(1e-4, float(np.abs(out).max()))


def pitch(wav: np.ndarray) -> np.ndarray:
    """Given speech (N,) at 24 kHz, return Praat's pitch in Hz at the centre of each frame (N // 320,); 0 is unvoiced.

    Praat finds no pitch within half a window of either end, so the frames there get that of the nearest other frame.
    """
    step = HOP / SAMPLE_RATE
    heard = parselmouth.Sound(wav.astype(np.float64), SAMPLE_RATE).to_pitch_ac(
        time_step=step, pitch_floor=LOWEST_PITCH, pitch_ceiling=HIGHEST
    )
    found = np.array([heard.get_value_at_time((frame + 0.5) * step) for frame in range(len(wav) // HOP)])
    edge = math.ceil(1.5 / LOWEST_PITCH / step)
    found[:edge], found[-edge:] = found[edge], found[-edge - 1]
    return np.nan_to_num(found).astype(np.float32)
