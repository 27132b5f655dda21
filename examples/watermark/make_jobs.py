"""Make the table of the marked outputs that measure.py measures: one row for each of many voices.

python examples/watermark/make_jobs.py VOICES --rows 300 > jobs.jsonl
valle batch jobs.jsonl --out-dir marked

VOICES is a folder of recordings with manifest.jsonl (an object with `file`, `speaker` and `seconds` on each line) and
texts.txt (one sentence on each line). The choice is random, and the same for the same folder.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

PROMPT_SECONDS = (3.5, 10)
LETTERS = (10, 140)  # of a text: 1 to 10 seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", type=Path)
    parser.add_argument("--rows", type=int, default=300)
    arguments = parser.parse_args()
    chooser = random.Random(0)
    recordings = [json.loads(line) for line in (arguments.voices / "manifest.jsonl").read_text().splitlines()]
    chooser.shuffle(recordings)
    shortest, longest = PROMPT_SECONDS
    of_speaker = {
        row["speaker"]: arguments.voices / row["file"]
        for row in recordings
        if row["speaker"] is not None and shortest <= row["seconds"] <= longest
    }
    prompts = [path for path in of_speaker.values() if path.is_file()]
    chooser.shuffle(prompts)
    texts = [line.strip() for line in (arguments.voices / "texts.txt").read_text().splitlines()]
    texts = [text for text in texts if LETTERS[0] <= len(text) <= LETTERS[1]]
    for prompt in prompts[: arguments.rows]:
        wanted = chooser.randint(*LETTERS)  # all lengths are equally frequent
        text = min(chooser.sample(texts, 200), key=lambda text: abs(len(text) - wanted))
        print(json.dumps({"text": text, "prompt": str(prompt.resolve())}))


if __name__ == "__main__":
    main()
