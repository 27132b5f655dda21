"""Stage 1, data: synthesize sentences in many voices and store when each phoneme sounds.

    python examples/nano/data.py --run runs/nano --texts texts.txt --speakers 800

hibari-tts (Apache-2.0) synthesizes the speech; an additional output of its ONNX graph provides the duration of each
phoneme. Long sentences are split as `valle speak` splits them for nano. Praat then changes the voice (voice.py): each
speaker gets another voice and another recording channel.

Writes RUN/speech/SPEAKER.flac (left channel: the speaker's voice, right channel: the same in hibari-tts's voice) and
then SPEAKER.json with rows {start, end, text, phones, phone_ends, words}. Times are in samples at 24 kHz; those of
phone_ends and words count from the start of the row. A speaker whose JSON file exists is skipped, so the stage can be
resumed.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import soundfile
from common import SAMPLE_RATE, log, write_beside
from config import LIMITS
from hibari import Hibari, dsp
from voice import OtherVoice

from vallecli.text.english.normalize import normalize
from vallecli.text.split import split

GAP = SAMPLE_RATE // 20  # silence between the rows of a file
DURATIONS = "/Clip_output_0"  # phoneme durations of hibari-tts, in frames of 12.5 ms
LEVEL = 0.7  # the peak of each row
MIN_CHARS = 12


def sentences(path: Path) -> list[str]:
    """Return the sentences of a file with one sentence per line; long ones are split."""
    lines = path.read_text().replace('"', "").splitlines()
    pieces = [piece for line in lines for piece in split(line, LIMITS.max_text_chars)]
    return [piece for piece in dict.fromkeys(pieces) if speakable(piece)]


def speakable(text: str) -> bool:
    """Return whether every text front end reads a text in the same way."""
    return text.isascii() and len(text) >= MIN_CHARS and not any(c in "[]{}*_#|()0123456789" for c in text)


@functools.cache
def speaker_model() -> tuple[Hibari, onnxruntime.InferenceSession]:
    """Return hibari-tts, and a session of its model that also outputs phoneme durations."""
    tts = Hibari()
    graph = onnx.load(tts.model_path)
    graph.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return tts, onnxruntime.InferenceSession(graph.SerializeToString(), options)


def speak_phones(phones: list[str], speed: float, rng: random.Random) -> tuple[np.ndarray, list[int]]:
    """Given phonemes of hibari-tts, return audio (N,) at 24 kHz and the end of each phoneme in samples.

    Entry 0 of the ends is that of the leading pad. The trailing pad lasts until the end of the audio.
    """
    tts, session = speaker_model()
    ids = [0, *(tts.vocab[phone] for phone in phones), 0]
    *spectra, frames = session.run(None, {"ids": np.array([ids]), "speed": np.array([speed], np.float32)})
    wav = dsp.synth(*(o[0] for o in spectra[:6]), np.random.default_rng(rng.randrange(1 << 30)))
    ends = np.cumsum(frames.reshape(-1)) / frames.sum() * len(wav)
    return wav, [int(end) for end in ends[:-1]]


def speak_row(text: str, rng: random.Random) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Given one sentence, return its audio (N,) at 24 kHz and its timing, or None if hibari-tts splits it."""
    tts, _ = speaker_model()
    text = normalize(text)  # so that hibari-tts has the words of our front end: it joins "forty-three"
    spoken = tts.phonemize(text)
    if len(spoken) != 1:
        return None
    phones = [c for c in spoken[0] if c in tts.vocab]
    speed = float(np.clip(rng.gauss(1.0, 0.1), 0.8, 1.3))
    wav, phone_ends = speak_phones(phones, speed, rng)
    words, begin = [], phone_ends[0]
    for index, phone in enumerate([*phones, " "]):
        if phone == " ":
            words.append([begin, phone_ends[index]])
            begin = phone_ends[min(index + 1, len(phones))]
    return wav, {"text": text, "phones": "".join(phones), "phone_ends": phone_ends, "words": words}


def make_speaker(index: int, *, folder: Path, texts: list[str], rows: int) -> float:
    """Write the audio and timing of one speaker; return its seconds (0 if it exists already)."""
    stem = folder / f"s{index:05d}"
    if stem.with_suffix(".json").exists():
        return 0.0
    rng = random.Random(index)
    voice, pieces, entries, position = OtherVoice.draw(rng), [], [], 0
    while len(entries) < rows:
        spoken = speak_row(rng.choice(texts), rng)
        if spoken is None:
            continue
        plain, entry = spoken
        both = LEVEL * np.stack([voice.speak(plain, rng), plain / np.abs(plain).max()], 1)  # (N, 2)
        entries.append({"start": position, "end": position + len(both), **entry})
        pieces += [both, np.zeros((GAP, 2), np.float32)]
        position += len(both) + GAP
    with write_beside(stem.with_suffix(".flac")) as path:
        soundfile.write(path, np.concatenate(pieces), SAMPLE_RATE, format="FLAC")
    with write_beside(stem.with_suffix(".json")) as path:
        path.write_text(json.dumps({"voice": vars(voice), "rows": entries}, ensure_ascii=False))
    return position / SAMPLE_RATE


def main() -> None:
    """Write every speaker that does not exist yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--texts", type=Path, required=True, help="sentences to synthesize, one per line")
    parser.add_argument("--speakers", type=int, default=800)
    parser.add_argument("--rows", type=int, default=12, help="sentences per speaker")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    folder = args.run / "speech"
    folder.mkdir(parents=True, exist_ok=True)
    job = functools.partial(make_speaker, folder=folder, texts=sentences(args.texts), rows=args.rows)
    began, seconds = time.time(), 0.0
    with multiprocessing.Pool(args.workers) as pool:
        for done, made in enumerate(pool.imap_unordered(job, range(args.speakers)), 1):
            seconds += made
            if done % 20 == 0:
                log(args.run, "data", speakers=done, hours=seconds / 3600, seconds=time.time() - began)


if __name__ == "__main__":
    main()
