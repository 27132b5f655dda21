"""A synthetic sound like a voice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def voiced(seconds: float, rate: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return a sound like a voice (N,): harmonics of a gliding pitch in syllables, and noise."""
    generator = np.random.default_rng(seed)
    time_N = np.arange(round(seconds * rate)) / rate
    phase_N = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time_N + seed)) / rate
    formant = 5 + 3 * np.sin(2 * np.pi * 1.3 * time_N)
    wav_N = sum(np.sin(number * phase_N) * np.exp(-(((number - formant) / 4) ** 2)) for number in range(1, 25))
    loudness_N = 0.05 + np.clip(np.sin(2 * np.pi * 2.5 * time_N), 0, 1)
    noise_N = 0.03 * generator.standard_normal(len(time_N))
    return (0.1 * (wav_N + noise_N) * loudness_N + 0.1 * noise_N).astype(np.float32)
