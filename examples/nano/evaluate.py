"""Stage 6, evaluate: speak every sentence in every voice, as a user would, and count what stopped by itself.

    python examples/nano/evaluate.py --checkpoint runs/nano/export --sentences sentences.txt --prompts a.flac b.flac \
        --out runs/nano/evaluation

Writes OUT/*.wav and OUT/manifest.jsonl (wav, text, prompt, stop_reason) for a scoring tool, and prints how many rows
stopped by themselves and the real-time factor. Rows whose note (OUT/*.json) exists are kept, so the stage resumes.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from common import write_beside

from vallecli.synthesizer import Synthesizer


def main() -> None:
    """Speak every row that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="nano", help="a name or a path")
    parser.add_argument("--sentences", type=Path, required=True, help="one a line")
    parser.add_argument("--prompts", type=Path, nargs="+", required=True, help="recordings")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dtype", default="auto", help="precision, as for valle speak")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    synthesizer = Synthesizer.load(args.checkpoint, dtype=args.dtype)
    sentences = [line for line in args.sentences.read_text().splitlines() if line.strip()]
    kept, seconds, spent = [], 0.0, 0.0
    for prompt in args.prompts:
        voice = synthesizer.voice(prompt)
        for index, text in enumerate(sentences):
            wav = args.out / f"{prompt.stem}-{index:02}.wav"
            note = wav.with_suffix(".json")
            if not note.exists():
                began = time.perf_counter()
                pieces = list(synthesizer.speak(text, voice, replace(synthesizer.sampling, seed=args.seed + index)))
                audio = np.concatenate([piece.audio for piece in pieces])
                spent += time.perf_counter() - began
                seconds += len(audio) / synthesizer.sample_rate
                soundfile.write(wav, audio, synthesizer.sample_rate)
                row = {"wav": wav.name, "text": text, "prompt": str(prompt.resolve())}
                stops = sorted({str(piece.stop_reason) for piece in pieces})
                with write_beside(note) as path:
                    path.write_text(json.dumps({**row, "stop_reason": ",".join(stops)}))
            kept.append(json.loads(note.read_text()))
    with write_beside(args.out / "manifest.jsonl") as path:
        path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    stopped = sum(row["stop_reason"] == "eos" for row in kept)
    speed = f", real-time factor {spent / seconds:.2f}" if seconds else ""
    print(f"{len(kept)} rows, {stopped} stopped by themselves{speed}")


if __name__ == "__main__":
    main()
