"""Measure how often `valle detect` finds the watermark, clean and after attacks, and how often it is wrong.

python examples/watermark/measure.py marked VOICES

The first folder is the output of `valle batch` for the table of make_jobs.py. VOICES is the folder of that table; its
recordings, except for the prompts and those that the thresholds were chosen on, are the unmarked ones. Prints a table
in Markdown: each share with its 95 % interval (Clopper-Pearson).
"""

from __future__ import annotations

import argparse
import io
import json
import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from scipy.stats import beta

from vallecli.audio.effects import resample
from vallecli.audio.files import read_audio
from vallecli.audio.pcm import Wav
from vallecli.marking.detection import MARKED, Detection, detect
from vallecli.marking.perth import Detector

RATE = 24_000  # Hz, of nano
CHOSEN_ON = 3_000  # unmarked recordings that the thresholds were chosen on


def encoded(encoder: str, container: str, bit_rate: int) -> Callable[[Wav], Wav]:
    """Return a function that encodes audio and decodes it again."""

    def attack(wav_N: Wav) -> Wav:
        file = io.BytesIO()
        with av.open(file, "w", format=container) as output:
            stream = output.add_stream(encoder, rate=RATE, layout="mono", bit_rate=bit_rate)
            samples_N = np.rint(np.clip(wav_N, -1, 1) * 32_767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples_N[None], format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        file.seek(0)
        with av.open(file) as source:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            frames = [out for frame in source.decode(audio=0) for out in resampler.resample(frame)]
            frames += resampler.resample(None)
            return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)

    return attack


def resampled(rate: int) -> Callable[[Wav], Wav]:
    """Return a function that reduces the sample rate to `rate` in Hz."""
    return lambda wav_N: resample(resample(wav_N, RATE, rate), rate, RATE)


def crop(wav_N: Wav) -> Wav:
    """Return 2 s from the middle."""
    start = max(0, (len(wav_N) - 2 * RATE) // 2)
    return wav_N[start : start + 2 * RATE]


def louder(decibels: float) -> Callable[[Wav], Wav]:
    """Return a function that changes the level and clips at full scale."""
    return lambda wav_N: np.clip(wav_N * 10 ** (decibels / 20), -1, 1).astype(np.float32)


def noise(decibels: float) -> Callable[[Wav], Wav]:
    """Return a function that adds white noise at a signal-to-noise ratio."""

    def attack(wav_N: Wav) -> Wav:
        level = np.sqrt(np.mean(wav_N**2)) * 10 ** (-decibels / 20)
        added_N = np.random.default_rng(len(wav_N)).standard_normal(len(wav_N))
        return (wav_N + level * added_N).astype(np.float32)

    return attack


def faster(speed: float) -> Callable[[Wav], Wav]:
    """Return a function that changes speed and pitch."""
    return lambda wav_N: resample(wav_N, RATE, round(RATE / speed))


ATTACKS: dict[str, tuple[Callable[[Wav], Wav], bool]] = {  # name -> attack, whether the search is thorough
    "none": (lambda wav_N: wav_N, False),
    "MP3, 64 kbit/s": (encoded("libmp3lame", "mp3", 64_000), False),
    "Opus, 24 kbit/s": (encoded("libopus", "ogg", 24_000), False),
    "AAC, 64 kbit/s": (encoded("aac", "adts", 64_000), False),
    "resampled to 16 kHz": (resampled(16_000), False),
    "resampled to 8 kHz": (resampled(8_000), False),
    "2 s from the middle": (crop, False),
    "+6 dB, clipped": (louder(6), False),
    "-6 dB": (louder(-6), False),
    "white noise, 30 dB SNR": (noise(30), False),
    "white noise, 20 dB SNR": (noise(20), False),
    "5 % faster": (faster(1.05), False),
    "5 % faster, `--thorough`": (faster(1.05), True),
    "5 % slower, `--thorough`": (faster(0.95), True),
}


def unmarked(voices: Path, prompts: set[str]) -> Iterator[Path]:
    """Yield the recordings that are neither prompts nor those that the thresholds were chosen on."""
    rows = [json.loads(line) for line in (voices / "manifest.jsonl").read_text().splitlines()]
    random.Random(1).shuffle(rows)
    paths = [voices / row["file"] for row in rows]
    yield from [path for path in paths if path.is_file() and str(path) not in prompts][CHOSEN_ON:]


def interval(hits: int, of: int) -> str:
    """Return a share and its 95 % interval, in percent."""
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return f"{hits}/{of} = {100 * hits / of:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"


def measure(paths: Sequence[Path], attack: Callable[[Wav], Wav], detector: Detector, *, thorough: bool) -> str:
    """Return the share of recordings in which the mark is found."""
    found: list[Detection] = []
    for path in paths:
        found.append(detect(attack(read_audio(path, sample_rate=RATE)), RATE, detector, thorough=thorough))
    return interval(sum(each.verdict == MARKED for each in found), len(found))


def main() -> None:
    """Print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("marked", type=Path)
    parser.add_argument("voices", type=Path)
    parser.add_argument("--attacked", type=int, default=300, help="unmarked recordings that are attacked, too")
    parser.add_argument("--searched", type=int, default=60, help="recordings of each kind for a thorough search")
    parser.add_argument("--clean", type=int, default=2_000, help="unmarked recordings without an attack")
    parser.add_argument("--jobs", type=Path, default=Path("jobs.jsonl"), help="the table of make_jobs.py")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    detector = Detector(torch.device("cpu"))
    prompts = {json.loads(line)["prompt"] for line in arguments.jobs.read_text().splitlines()}
    marked = sorted(arguments.marked.glob("*.wav"))
    clean = list(unmarked(arguments.voices.resolve(), prompts))[: arguments.clean]
    print("| change | marked speech that is found | unmarked recordings that are taken for marked |")
    print("|---|---|---|", flush=True)
    for name, (attack, thorough) in ATTACKS.items():
        count = arguments.searched if thorough else arguments.attacked
        found = measure(marked[:count] if thorough else marked, attack, detector, thorough=thorough)
        wrong = measure(clean[:count], attack, detector, thorough=thorough)
        print(f"| {name} | {found} | {wrong} |", flush=True)
    print(f"| none, more recordings | | {measure(clean, ATTACKS['none'][0], detector, thorough=False)} |", flush=True)


if __name__ == "__main__":
    main()
