"""Choose when `valle voices add` warns that a recording has several speakers: `python two_speakers.py FOLDER`.

FOLDER has manifest.jsonl: one JSON object a line, with `file` (relative to FOLDER), `speaker` (or null) and `seconds`.
Recordings are joined, with pauses between, to recordings of one speaker and of two speakers of the same corpus, and
prepared as `valle voices add` does it. The threshold is that which 1.5% of the recordings of one speaker do not reach.
The rates of each half of the speakers at the threshold of the other half are printed, too. Needs
`pip install --no-deps Resemblyzer==0.1.4`.
"""

from __future__ import annotations

import argparse
import json
import random
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from vallecli.audio import prompt
from vallecli.audio.files import read_audio
from vallecli.audio.pcm import Wav
from vallecli.errors import AudioError
from vallecli.voices import speaker

FALSE_WARNINGS = 0.015  # of recordings of one speaker
RATE = prompt.DEFAULT_RATE  # Hz
MIN_SECONDS = 2.0  # of a recording
SECONDS = (4, 6, 8, 10, 12, 16, 20, 30)  # of speech
LONG_SECONDS = (60, 90, 120)
TURN = (1.5, 5.0)  # seconds
LONG_TURN = (5.0, 15.0)  # in long recordings
MINOR = (0.2, 0.35)  # share of the speaker who says less
GAP = (0.15, 0.5)  # seconds of silence
MANY = 20  # speakers; corpora with more are equally frequent
LENGTHS = (1, 6, 10, 15, 33, 600)  # seconds of speech, in the table


@dataclass(frozen=True)
class Speaker:
    """The recordings of a speaker."""

    name: str
    corpus: str
    files: list[Path]
    seconds: float
    """Of all recordings."""


@dataclass(frozen=True)
class Score:
    """The similarity within a recording; `kind` says how the recording was made."""

    kind: str
    corpus: str
    seconds: float
    """Of speech."""
    similarity: float


class Recordings:
    """Makes recordings of one or two speakers."""

    def __init__(self, speakers: list[Speaker], seed: int) -> None:
        self.rng = random.Random(seed)
        self.speakers: dict[str, list[Speaker]] = defaultdict(list)
        for each in speakers:
            self.speakers[each.corpus].append(each)

    def one(self) -> tuple[str, str, Wav] | None:
        """Return a kind, a corpus and a recording of one speaker; None for a choice that is not possible."""
        corpus = self._corpus(1)
        who = self.rng.choice(self.speakers[corpus])
        kind = self.rng.choice(["one recording", "one speaker, joined", "one speaker, joined", "one speaker, long"])
        if kind == "one recording":
            return kind, corpus, _read(self.rng.choice(who.files))
        seconds = self.rng.choice(SECONDS if kind == "one speaker, joined" else LONG_SECONDS)
        if len(who.files) < 2 or who.seconds < min(seconds, 2 * SECONDS[-1]):
            return None
        # Whole recordings, or shorter parts of more of them.
        most = self.rng.choice([seconds, *TURN])
        parts, files = [], self._shuffled(who)
        while sum(map(len, parts)) < seconds * RATE:
            if not files:
                break
            parts += [self._cut(_read(files.pop()), most), self._gap()]
        return kind, corpus, np.concatenate(parts)

    def two(self) -> tuple[str, str, Wav] | None:
        """Return a kind, a corpus and a recording of two speakers; None for a choice that is not possible."""
        corpus = self._corpus(2)
        pair = self.rng.sample(self.speakers[corpus], 2)
        kind = self.rng.choice(["two, halves", "two, turns", "two, one says less", "two, long"])
        seconds = self.rng.choice(LONG_SECONDS if kind == "two, long" else SECONDS)
        if kind in ("two, halves", "two, one says less"):
            share = 0.5 if kind == "two, halves" else self.rng.uniform(*MINOR)
            turns = [seconds * share, seconds * (1 - share)]
        else:
            turns = []
            while sum(turns) < seconds:
                turns.append(self.rng.uniform(*(LONG_TURN if kind == "two, long" else TURN)))
        files = [self._shuffled(who) for who in pair]
        parts = []
        for number, turn in enumerate(turns):
            left = turn
            while left > 0.5 and files[number % 2]:
                parts += [self._cut(_read(files[number % 2].pop()), left), self._gap()]
                left -= len(parts[-2]) / RATE
            if left > 0.5:
                return None
        return kind, corpus, np.concatenate(parts)

    def _corpus(self, least: int) -> str:
        """Return a corpus with at least so many speakers; those with few speakers are chosen less often."""
        sizes = {name: len(speakers) for name, speakers in sorted(self.speakers.items()) if len(speakers) >= least}
        return self.rng.choices(list(sizes), [min(size, MANY) for size in sizes.values()])[0]

    def _shuffled(self, who: Speaker) -> list[Path]:
        return self.rng.sample(who.files, len(who.files))

    def _cut(self, wav_N: Wav, seconds: float) -> Wav:
        length = min(len(wav_N), int(seconds * RATE))
        start = self.rng.randrange(len(wav_N) - length + 1)
        return wav_N[start : start + length]

    def _gap(self) -> Wav:
        return np.zeros(int(self.rng.uniform(*GAP) * RATE), np.float32)


def scores(recordings: Recordings, count: int) -> Iterator[Score]:
    """Yield the scores of `count` recordings of one speaker, and of half as many of two."""
    for make, wanted in ((recordings.one, count), (recordings.two, count // 2)):
        found = 0
        while found < wanted:
            made = make()
            if made is None:
                continue
            kind, corpus, wav_N = made
            try:
                prepared = prompt.prepare(wav_N, kind, sample_rate=RATE, best=True)
            except AudioError:
                continue
            speech_N = prepared.wav if prepared.all_speech is None else prepared.all_speech
            similarity = speaker.self_similarity(speech_N, RATE)
            if similarity is not None:
                found += 1
                yield Score(kind, corpus, len(speech_N) / RATE, similarity)


@lru_cache(300)
def _read(path: Path) -> Wav:
    return read_audio(path, sample_rate=RATE)


def read_speakers(folder: Path) -> list[Speaker]:
    """Return the speakers of a folder; each recording of an unknown one counts as of another speaker."""
    files: dict[tuple[str, str], list[tuple[Path, float]]] = defaultdict(list)
    for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["seconds"] >= MIN_SECONDS and not row["file"].startswith(".."):
            name = row["speaker"] or row["file"]
            files[row["file"].split("/")[0], name].append((folder / row["file"], row["seconds"]))
    return [
        Speaker(name, corpus, [path for path, _ in found], sum(seconds for _, seconds in found))
        for (corpus, name), found in files.items()
    ]


def choose(found: list[Score]) -> float:
    """Return the similarity that FALSE_WARNINGS of the recordings of one speaker do not reach."""
    return float(np.quantile([score.similarity for score in found if score.kind.startswith("one")], FALSE_WARNINGS))


def table(found: list[Score], threshold: float) -> None:
    """Print the share of recordings below the threshold: by kind, corpus and duration."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for score in found:
        speakers, below = score.kind.split()[0].strip(","), score.similarity < threshold
        length = next(f"{low:g} to {high:g} s" for low, high in pairwise(LENGTHS) if score.seconds < high)
        for group in (f"{speakers}: all", score.kind, f"{speakers}: {score.corpus}", f"{speakers}: {length}"):
            groups[group].append(below)
    for name, warned in sorted(groups.items()):
        print(f"{name}: {np.mean(warned):.1%} of {len(warned)} give a warning")


def main() -> None:
    """Score recordings of both halves of the speakers, print the threshold and the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recordings", type=int, default=400, help="of one speaker, in each half")
    arguments = parser.parse_args()
    halves: tuple[list[Speaker], list[Speaker]] = ([], [])
    for who in read_speakers(arguments.folder):
        halves[zlib.crc32(who.name.encode()) % 2].append(who)
    first, second = (list(scores(Recordings(half, 0), arguments.recordings)) for half in halves)
    for measured_on, chosen_on in ((first, second), (second, first)):
        threshold = choose(chosen_on)
        rates = [
            np.mean([score.similarity < threshold for score in measured_on if score.kind.startswith(speakers)])
            for speakers in ("one", "two")
        ]
        print(f"at {threshold:.3f}, chosen on the other half: {rates[0]:.1%} of one speaker, {rates[1]:.1%} of two")
    threshold = choose(first + second)
    print(f"threshold at {FALSE_WARNINGS:.1%} false warnings, of both halves: {threshold:.3f}")
    table(first + second, threshold)


if __name__ == "__main__":
    main()
