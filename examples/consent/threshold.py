"""Choose the similarity from which two recordings count as of one speaker: `python threshold.py FOLDER`.

FOLDER has manifest.jsonl: one JSON object a line, with `file` (relative to FOLDER), `speaker` and `seconds`. Up to
four recordings of each speaker are prepared and embedded as `valle voices consent` does it. The threshold is that which
1% of the pairs of different speakers of the same corpus reach: within one corpus, microphones help least. Needs
`pip install --no-deps Resemblyzer==0.1.4`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np

from vallecli.audio import prompt
from vallecli.errors import AudioError
from vallecli.voices import speaker

FALSE_ACCEPTANCE = 0.01
MIN_SECONDS = 3.0
EACH = 4  # recordings of a speaker
PAIRS = 20_000  # of different speakers, at most, in each corpus


def main() -> None:
    """Embed the recordings, print the threshold and the errors at it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speakers", type=int, default=60, help="of each corpus, at most")
    arguments = parser.parse_args()
    rng = random.Random(0)
    corpora: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for line in (arguments.folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["speaker"] and row["seconds"] >= MIN_SECONDS and not row["file"].startswith(".."):
            corpora[row["file"].split("/")[0]][row["speaker"]].append(row["file"])
    different: list[float] = []
    same: dict[str, list[float]] = {}
    for corpus, speakers in corpora.items():
        several = sorted(name for name, files in speakers.items() if len(files) >= 2)
        if len(several) < 2:
            continue
        chosen = rng.sample(several, min(arguments.speakers, len(several)))
        embedded = []
        for name in chosen:
            for file in rng.sample(speakers[name], min(EACH, len(speakers[name]))):
                try:
                    recording = prompt.load(arguments.folder / file)
                except AudioError:
                    continue
                embedded.append((name, speaker.embed(recording.wav, recording.sample_rate)))
        pairs = list(itertools.combinations(embedded, 2))
        same[corpus] = [speaker.similarity(a, b) for (one, a), (other, b) in pairs if one == other]
        others = [(a, b) for (one, a), (other, b) in pairs if one != other]
        found = [speaker.similarity(a, b) for a, b in rng.sample(others, min(PAIRS, len(others)))]
        different += found
        print(
            f"{corpus}: {len(chosen)} speakers, {len(same[corpus])} same, {len(found)} different; "
            f"99% of different below {np.percentile(found, 99):.3f}",
            flush=True,
        )
    threshold = float(np.quantile(different, 1 - FALSE_ACCEPTANCE))
    print(f"threshold at {FALSE_ACCEPTANCE:.0%} false acceptance of {len(different)} pairs: {threshold:.3f}")
    everything = np.concatenate([np.array(values) for values in same.values()])
    for name, scores in (*((name, np.array(values)) for name, values in same.items()), ("all", everything)):
        print(f"false rejections, {name}: {np.mean(scores < threshold):.1%} of {len(scores)} pairs")


if __name__ == "__main__":
    main()
