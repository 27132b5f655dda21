"""Stage 0, filter: choose the recordings that are good enough to learn from, a few of each speaker.

    python examples/nano/filter.py --manifest voices/manifest.jsonl --run runs/nano --whisper whisper-base/ \\
        --corpora librispeech vctk commonvoice --held-out held_out.txt --recordings runs/nano/recordings

The manifest has one JSON object a line: file (relative to the manifest), speaker (null if unknown: the recording then
counts as a speaker), text (null if unknown). The folder of a file is its corpus.

A recording is dropped for the first of these reasons that applies:

    length    shorter than 2 s or longer than 20 s
    clipping  more than one sample in 2,000 at full scale
    noise     the background less than 22 dB below the speech
    opinion   DNSMOS overall (its first 9 s) below 2.9
    words     the letters that Whisper hears differ from those of the text by more than 15 %; without a text, the mean
              log-probability of what it hears is below -0.3
    enough    the speaker has enough recordings already

The cheapest measurement comes first. Of each speaker at most --tries recordings are measured, chosen at random, and
Whisper hears them from the best opinion score down until --keep are kept.

Appends one line for each measured recording to RUN/filter.jsonl, with its measurements and the reason (null if it is
kept). A speaker whose recordings are all there is skipped, so the stage resumes. At the end it writes RUN/kept.jsonl,
prints the counts of each corpus and, with --recordings, writes for each speaker what the other stages read: FOLDER/
SPEAKER.flac, the kept recordings at one level with a pause between them, and SPEAKER.txt. These are written once;
delete them to have them made of more recordings.

Needs faster-whisper, speechmos and librosa; nothing is downloaded if --whisper is a folder.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from common import SAMPLE_RATE, write_beside

from vallecli.errors import EmptyText
from vallecli.text.english.normalize import normalize

RATE = 16_000  # Hz, of what DNSMOS and Whisper hear
FRAMES_A_SECOND = 50  # measurements of the level
OPINION_SECONDS = 9.01  # DNSMOS scores windows of this length
FULL_SCALE = 0.999
SPEECH_DB, PEAK = -17.0, 0.95  # of full scale: the level of the recordings that are written
PAUSE = SAMPLE_RATE // 3  # samples between two recordings of a speaker
LOG_EVERY = 25  # speakers

Row = dict[str, Any]  # a line of the manifest and, after measuring, what was measured


@dataclass(frozen=True)
class Limits:
    """What a recording needs to be kept."""

    shortest: float = 2.0  # seconds
    longest: float = 20.0
    clipping: float = 1 / 2000  # share of the samples
    noise: float = 22.0  # dB by which the background is below the speech
    opinion: float = 2.9  # DNSMOS overall, 1 to 5
    words: float = 0.15  # share of the text's letters
    confidence: float = -0.3  # mean log-probability of a transcript, where there is no text


@dataclass(frozen=True)
class Scorers:
    """The two networks, as functions of audio (N,) at 16 kHz."""

    opinion: Callable[[np.ndarray], float]  # DNSMOS overall
    hear: Callable[[np.ndarray], tuple[str, float]]  # transcript and its mean log-probability a token


def load_scorers(whisper: str, threads: int) -> Scorers:
    """Return DNSMOS and a Whisper model, given by its name or folder."""
    from faster_whisper import WhisperModel
    from speechmos import dnsmos

    model = WhisperModel(whisper, device="cpu", compute_type="int8", cpu_threads=threads)

    def opinion(wav_N: np.ndarray) -> float:
        return float(dnsmos.run(np.clip(wav_N[: int(OPINION_SECONDS * RATE)], -1, 1), RATE)["ovrl_mos"])

    def hear(wav_N: np.ndarray) -> tuple[str, float]:
        found, _ = model.transcribe(
            wav_N, language="en", beam_size=5, condition_on_previous_text=False, without_timestamps=True
        )
        segments = list(found)
        tokens = sum(len(segment.tokens) for segment in segments)
        if not tokens:
            return "", -math.inf
        total = sum(segment.avg_logprob * len(segment.tokens) for segment in segments)
        return " ".join(segment.text.strip() for segment in segments), total / tokens

    return Scorers(opinion, hear)


def read(path: Path, rate: int) -> np.ndarray:
    """Return a recording as mono float32 audio (N,) at a sample rate."""
    wav, own_rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono: np.ndarray = wav.mean(1)
    return mono if rate == own_rate else soxr.resample(mono, own_rate, rate)


def clipping(wav_N: np.ndarray) -> float:
    """Return the share of samples at full scale."""
    return float((np.abs(wav_N) >= FULL_SCALE).mean())


def levels(wav_N: np.ndarray, rate: int) -> tuple[float, float]:
    """Return how loud the background and the speech are, in dB: the 5th and the 95th percentile of frames."""
    frame = rate // FRAMES_A_SECOND
    frames = wav_N[: len(wav_N) // frame * frame].reshape(-1, frame).astype(np.float64)
    low, high = np.percentile(10 * np.log10((frames**2).mean(1) + 1e-10), (5, 95))
    return float(low), float(high)


def noise(wav_N: np.ndarray) -> float:
    """Given audio (N,) at 16 kHz, return by how many dB the background is below the speech."""
    background, speech = levels(wav_N, RATE)
    return speech - background


def at_one_level(wav_N: np.ndarray) -> np.ndarray:
    """Given audio (N,) at 24 kHz, return it with its speech at one level, or softer if its peaks would not fit."""
    gain = min(10 ** ((SPEECH_DB - levels(wav_N, SAMPLE_RATE)[1]) / 20), PEAK / max(1e-4, float(np.abs(wav_N).max())))
    return wav_N * np.float32(gain)


def letters(text: str) -> str:
    """Return the letters of a text as it is read aloud, so that spelling and punctuation count little."""
    try:
        spoken = normalize(text.lower())
    except EmptyText:
        return ""
    return "".join(c for c in spoken.lower() if c.isalpha())


def difference(text: str, heard: str) -> float:
    """Return the edit distance of two texts' letters as a share of the first text's."""
    wanted, found = letters(text), np.array(list(letters(heard)), dtype=str)
    row = np.arange(len(found) + 1)
    for i, letter in enumerate(wanted, 1):
        changed = np.concatenate([[i], np.minimum(row[:-1] + (found != letter), row[1:] + 1)])
        steps = np.arange(len(row))
        row = np.minimum.accumulate(changed - steps) + steps  # insertions: one more for each letter to the right
    return float(row[-1] / max(1, len(wanted)))


def measure_sound(row: Row, wav_N: np.ndarray, scorers: Scorers, limits: Limits) -> Row:
    """Return a row with its measurements but for the words, and the reason to drop it, or None."""
    row = {**row, "seconds": round(len(wav_N) / RATE, 2), "reason": None}
    if not limits.shortest <= row["seconds"] <= limits.longest:
        return row | {"reason": "length"}
    row |= {"clipping": round(clipping(wav_N), 6), "noise": round(noise(wav_N), 1)}
    if row["clipping"] > limits.clipping:
        return row | {"reason": "clipping"}
    if row["noise"] < limits.noise:
        return row | {"reason": "noise"}
    row["opinion"] = round(scorers.opinion(wav_N), 3)
    return row | {"reason": "opinion"} if row["opinion"] < limits.opinion else row


def measure_words(row: Row, wav_N: np.ndarray, scorers: Scorers, limits: Limits) -> Row:
    """Return a row with what Whisper hears and, where that does not agree with the text, the reason to drop it."""
    heard, confidence = scorers.hear(wav_N)
    row = {**row, "heard": heard, "confidence": round(max(confidence, -99.0), 3)}
    if row["text"] is None:
        return row | {"reason": "words"} if confidence < limits.confidence or not letters(heard) else row
    row["difference"] = round(difference(row["text"], heard), 3)
    return row | {"reason": "words"} if row["difference"] > limits.words else row


def filter_speaker(
    rows: list[Row], folder: Path, scorers: Scorers, limits: Limits, *, keep: int, tries: int
) -> Iterator[Row]:
    """Measure the recordings of one speaker, and yield each with the reason to drop it, None for those kept."""
    rows = sorted(rows, key=lambda row: row["file"])
    tried = random.Random(rows[0]["file"]).sample(rows, min(tries, len(rows)))
    audio = {row["file"]: read(folder / row["file"], RATE) for row in tried}
    measured = [measure_sound(row, audio[row["file"]], scorers, limits) for row in tried]
    yield from (row for row in measured if row["reason"] is not None)
    kept = 0
    for row in sorted((row for row in measured if row["reason"] is None), key=lambda row: -row["opinion"]):
        if kept == keep:
            yield row | {"reason": "enough"}
            continue
        heard = measure_words(row, audio[row["file"]], scorers, limits)
        kept += heard["reason"] is None
        yield heard


def corpus(row: Row) -> str:
    """Return the name of the folder that a recording is in."""
    return Path(row["file"]).parent.name


def speaker(row: Row) -> str:
    """Return who speaks in a recording; if nobody knows, the recording's name."""
    return row["speaker"] or f"{corpus(row)}-{Path(row['file']).stem}"


def by_speaker(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return the rows of each speaker of each corpus, in their order."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((corpus(row), speaker(row)), []).append(row)
    return found


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a JSON Lines file, none if it is not there; a half-written last line is left out."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def summary(measured: list[Row]) -> list[str]:
    """Return a table: of each corpus the kept recordings, speakers and hours, and how many were dropped and why."""
    lines = []
    for name in [*dict.fromkeys(map(corpus, measured)), "all"]:
        rows = [row for row in measured if name in {"all", corpus(row)}]
        kept = [row for row in rows if row["reason"] is None]
        reasons = Counter(row["reason"] for row in rows if row["reason"] is not None)
        hours = sum(row["seconds"] for row in kept) / 3600
        dropped = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items())) or "none"
        lines.append(
            f"{name}: {len(kept)} of {len(rows)} recordings kept, {hours:.2f} h, {len(by_speaker(kept))} of "
            f"{len(by_speaker(rows))} speakers; dropped: {dropped}"
        )
    return lines


def words_of(row: Row) -> str:
    """Return what a kept recording says: its text, or what Whisper heard; a text in capitals in small letters."""
    text: str = row["heard"] if row["text"] is None else row["text"]
    return text.lower() if text.isupper() else text


def write_recordings(kept: list[Row], folder: Path, out: Path) -> int:
    """Write the recordings of each speaker as one, with its transcript beside it; return how many speakers are new."""
    out.mkdir(parents=True, exist_ok=True)
    new = 0
    speakers = {speaker(row): [other for other in kept if speaker(other) == speaker(row)] for row in kept}
    for name, rows in speakers.items():
        text = out / f"{name}.txt"
        if text.exists():
            continue
        pieces, words = [], []
        for row in rows:
            pieces += [at_one_level(read(folder / row["file"], SAMPLE_RATE)), np.zeros(PAUSE, np.float32)]
            words.append(words_of(row).strip().rstrip(".,;:!?") + ".")
        with write_beside(text.with_suffix(".flac")) as part:
            soundfile.write(part, np.concatenate(pieces[:-1]), SAMPLE_RATE, format="FLAC")
        with write_beside(text) as part:
            part.write_text(" ".join(words) + "\n")
        new += 1
    return new


def main() -> None:
    """Measure what was not measured yet and write what is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--manifest", type=Path, required=True, help="the recordings, one JSON object a line")
    parser.add_argument("--corpora", nargs="+", required=True, help="folders of the manifest, in the order of work")
    parser.add_argument("--held-out", type=Path, help="a file of speakers that are left out, one a line")
    parser.add_argument("--keep", type=int, default=4, help="recordings of each speaker at most")
    parser.add_argument("--tries", type=int, default=8, help="recordings of each speaker to measure at most")
    parser.add_argument("--whisper", default="base", help="a Whisper model for faster-whisper: a name or a folder")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--recordings", type=Path, help="a folder to write each speaker's recordings to, as one")
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    folder, notes = args.manifest.parent, args.run / "filter.jsonl"
    held_out = set(args.held_out.read_text().split()) if args.held_out else set()
    rows = [row for row in read_rows(args.manifest) if speaker(row) not in held_out]
    work = by_speaker(row for name in args.corpora for row in rows if corpus(row) == name)
    before = by_speaker(read_rows(notes))
    measured = []
    for key, theirs in before.items():
        if key in work and len(theirs) == min(args.tries, len(work[key])):  # else a kill left it half measured
            measured += theirs
    with write_beside(notes) as part:
        part.write_text("".join(json.dumps(row) + "\n" for row in measured))
    missing = [theirs for key, theirs in work.items() if key not in by_speaker(measured)]
    scorers = load_scorers(args.whisper, args.threads) if missing else None
    began = time.time()
    for done, theirs in enumerate(missing, 1):
        assert scorers is not None
        lines = list(filter_speaker(theirs, folder, scorers, Limits(), keep=args.keep, tries=args.tries))
        with notes.open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in lines))
        measured += lines
        if done % LOG_EVERY == 0 or done == len(missing):
            print(f"filter {done} of {len(missing)} speakers, {time.time() - began:.0f} s", flush=True)
    kept = [row for row in measured if row["reason"] is None]
    with write_beside(args.run / "kept.jsonl") as part:
        part.write_text("".join(json.dumps(row) + "\n" for row in kept))
    if args.recordings is not None:
        print(f"filter: recordings of {write_recordings(kept, folder, args.recordings)} speakers written")
    print("\n".join(summary(measured)))


if __name__ == "__main__":
    main()
