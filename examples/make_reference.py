"""Make examples/reference.wav, a voice that anybody may use, and its transcript: python examples/make_reference.py

No person was recorded. hibari-tts (Apache-2.0, its voice in the package) speaks, and Praat (by praat-parselmouth,
a tool of GPL-3.0, none of which is in its output) lowers pitch and formants to a voice that nobody has. The result is
published under the licence of this project. Needs: pip install hibari-tts==0.2.1 praat-parselmouth soundfile
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import parselmouth
import soundfile
from hibari import Hibari
from parselmouth.praat import call, run

TEXT = (
    "The rain had stopped by the time we reached the harbour, and one old fishing boat was already heading out to sea."
)
SAMPLE_RATE = 24_000  # samples a second, hibari's own
SEED = 7  # of hibari's and Praat's noise: the same file each time
SPEED = 0.95  # of hibari's usual pace
PITCH_FLOOR, PITCH_CEILING = 75, 500  # Hz, where Praat looks for the pitch
FORMANTS = 0.88  # of what they were: a longer throat
MEDIAN_PITCH = 115  # Hz
PITCH_RANGE = 1.0  # as lively as it was
PEAK = 0.7  # of full scale
MARGIN = SAMPLE_RATE // 5  # samples of silence before and after: 0.2 s


def main() -> None:
    """Write reference.wav and reference.txt beside this file."""
    folder = Path(__file__).parent
    spoken_N = Hibari()(TEXT, speed=SPEED, seed=SEED)
    sound = parselmouth.Sound(np.asarray(spoken_N, np.float64), SAMPLE_RATE)
    run(f"random_initializeWithSeedUnsafelyButPredictably({SEED})")
    changed = call(sound, "Change gender", PITCH_FLOOR, PITCH_CEILING, FORMANTS, MEDIAN_PITCH, PITCH_RANGE, 1.0)
    wav_N = np.pad(changed.values[0], MARGIN)
    soundfile.write(folder / "reference.wav", wav_N * PEAK / np.abs(wav_N).max(), SAMPLE_RATE, subtype="PCM_16")
    (folder / "reference.txt").write_text(TEXT + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
