"""Disclosures to those who hear the speech: their kinds, and the signal, two short tones."""

from __future__ import annotations

import numpy as np

from vallecli.audio.pcm import Wav

PITCHES = (880.0, 660.0)  # Hz
TONE_SECONDS, FADE_SECONDS, PAUSE_SECONDS = 0.15, 0.02, 0.25
LEVEL = 0.15  # of full scale


def signal(sample_rate: int) -> Wav:
    """Return two tones and a pause (N,) at `sample_rate` in Hz."""
    time_N = np.arange(round(TONE_SECONDS * sample_rate)) / sample_rate
    fade_N = np.clip(np.minimum(time_N, TONE_SECONDS - time_N) / FADE_SECONDS, 0, 1)
    tones = [LEVEL * fade_N * np.sin(2 * np.pi * pitch * time_N) for pitch in PITCHES]
    return np.concatenate([*tones, np.zeros(round(PAUSE_SECONDS * sample_rate))]).astype(np.float32)
