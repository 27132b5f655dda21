"""Stage 6, evaluate: synthesize every sentence in every voice, as a user would, for a scoring tool.

    python examples/nano/evaluate.py --checkpoint runs/nano/export --sentences sentences.txt --prompts a.flac b.flac \
        --out runs/nano/evaluation --bounds

Writes OUT/*.wav and OUT/manifest.jsonl (wav, text, prompt, stop_reason), and prints the number of rows that ended with
an end-of-speech code and the real-time factor. Sampling uses the defaults of the checkpoint, with a seed that is --seed
plus the number of the sentence. Rows whose OUT/*.json exists are kept, so the stage can be resumed; use another folder
for another checkpoint.

--bounds writes two more manifests, whose scores bound those of any language model on this codec: OUT/recordings.jsonl,
the prompt recordings in full, and OUT/resynthesis.jsonl, the same encoded and decoded by the codec alone. It needs a
transcript of each prompt (a.txt beside a.flac). The rows of recordings.jsonl have no prompt, because they would be
compared with themselves.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from common import write_beside

from vallecli.audio import files, prompt
from vallecli.synthesizer import Synthesizer

Row = dict[str, Any]


def speak(synthesizer: Synthesizer, sentences: list[str], prompts: list[Path], out: Path, seed: int) -> list[Row]:
    """Synthesize every row that does not exist yet, print a summary, and return all rows."""
    kept, seconds, spent = [], 0.0, 0.0
    for recording in prompts:
        voice = synthesizer.voice(recording)
        for index, text in enumerate(sentences):
            wav = out / f"{recording.stem}-{index:02}.wav"
            note = wav.with_suffix(".json")
            if not note.exists():
                began = time.perf_counter()
                pieces = list(synthesizer.speak(text, voice, replace(synthesizer.sampling, seed=seed + index)))
                audio = np.concatenate([piece.audio for piece in pieces])
                spent += time.perf_counter() - began
                seconds += len(audio) / synthesizer.sample_rate
                soundfile.write(wav, audio, synthesizer.sample_rate)
                row = {"wav": wav.name, "text": text, "prompt": str(recording.resolve())}
                stops = sorted({piece.stop_reason for piece in pieces})
                with write_beside(note) as path:
                    path.write_text(json.dumps({**row, "stop_reason": ",".join(stops)}))
            kept.append(json.loads(note.read_text()))
        print(f"{recording.stem}: {len(kept)} of {len(prompts) * len(sentences)} rows", flush=True)
    stopped = sum(row["stop_reason"] == "eos" for row in kept)
    speed = f", real-time factor {spent / seconds:.2f}" if seconds else ""
    print(f"{len(kept)} rows, {stopped} stopped by themselves{speed}")
    return kept


def bound(synthesizer: Synthesizer, texts: dict[Path, str], out: Path) -> tuple[list[Row], list[Row]]:
    """Given recordings and their texts, return manifest rows of the recordings, and of the codec's output for them."""
    recordings, resynthesis = [], []
    for recording, text in texts.items():
        wav = out / f"{recording.stem}.resynthesis.wav"
        rate = synthesizer.sample_rate
        wav_N = files.read_audio(recording, sample_rate=rate)
        whole_N = prompt.prepare(wav_N, recording, sample_rate=rate, max_seconds=math.inf).wav
        codes_1TQ = synthesizer.backend.codec.encode(torch.from_numpy(whole_N)[None].to(synthesizer.device))
        soundfile.write(wav, synthesizer.backend.codec.decode(codes_1TQ)[0].cpu().numpy(), synthesizer.sample_rate)
        source = str(recording.resolve())
        recordings.append({"wav": source, "text": text})
        resynthesis.append({"wav": wav.name, "text": text, "prompt": source})
    return recordings, resynthesis


def write_manifest(path: Path, rows: list[Row]) -> None:
    """Write manifest rows as JSON Lines."""
    with write_beside(path) as part:
        part.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    """Synthesize every row that does not exist yet, and write the manifests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="nano", help="a name or a path")
    parser.add_argument("--sentences", type=Path, required=True, help="sentences to synthesize, one per line")
    parser.add_argument("--prompts", type=Path, nargs="+", required=True, help="recordings")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--bounds", action="store_true", help="also write the recordings, and the codec's output for them"
    )
    parser.add_argument("--dtype", default="auto", help="precision, as for valle speak")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-watermark", action="store_true", help="speech without the mark")
    args = parser.parse_args()
    told = {path: prompt.read_transcript(path) for path in args.prompts if args.bounds}
    texts = {path: text for path, text in told.items() if text is not None}
    if silent := told.keys() - texts.keys():
        parser.error(f"--bounds needs a transcript beside {', '.join(sorted(map(str, silent)))}")
    args.out.mkdir(parents=True, exist_ok=True)
    synthesizer = Synthesizer.load(args.checkpoint, dtype=args.dtype, watermark=not args.no_watermark)
    sentences = [line for line in args.sentences.read_text().splitlines() if line.strip()]
    write_manifest(args.out / "manifest.jsonl", speak(synthesizer, sentences, args.prompts, args.out, args.seed))
    if args.bounds:
        recordings, resynthesis = bound(synthesizer, texts, args.out)
        write_manifest(args.out / "recordings.jsonl", recordings)
        write_manifest(args.out / "resynthesis.jsonl", resynthesis)


if __name__ == "__main__":
    main()
