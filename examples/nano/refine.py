"""Stage 5, refine: let the NAR refine codebook 1 of the real recordings, for the codec's decoder to learn from.

    python examples/nano/refine.py --run runs/nano --recordings voices/

The decoder has learned from codes that the encoder made. What it will hear are the NAR's, which are smoother. Here
the NAR refines codebook 1 of each passage of stage 3 behind another passage as its prompt, and as the recording lies
beside it, `codec.py --decoder-steps` learns to make the one of the other.

Writes RUN/refined/RECORDING.npz: audio (N,) and codes (N // 320, 8). A recording whose file exists is skipped, so the
stage resumes.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from batches import Row, load_speaker
from common import log, write_beside
from config import MAX_PROMPT, MODEL
from speech import REAL

from vallecli.audio import files, prompt
from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.constants import HOP
from vallecli.decoding import nar
from vallecli.model.config import ModelConfig
from vallecli.model.nar import NAR


def place(row: Row, codes_TQ: np.ndarray) -> int | None:
    """Return at which frame of a recording (T, 8) a passage lies; None if it is not of these codes."""
    windows = np.lib.stride_tricks.sliding_window_view(codes_TQ, len(row.codes_TQ), axis=0)  # (T - R + 1, 8, R)
    found = np.flatnonzero((windows == row.codes_TQ.T).all((1, 2)))
    return int(found[0]) if len(found) else None


def refined(model: NAR, row: Row, prompter: Row) -> np.ndarray:
    """Return the NAR's codes (T, 8) for a passage, behind the last frames of another one."""
    text_S, codes_T = torch.from_numpy(row.text_S).long(), torch.from_numpy(row.codes_TQ[:, 0]).long()
    prompt_PQ = torch.from_numpy(prompter.codes_TQ[-MAX_PROMPT:]).long()
    return nar.refine(model, text_S, prompt_PQ, codes_T).numpy()


def main() -> None:
    """Refine every recording that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--recordings", type=Path, required=True, help="the folder of real speech of stage 3")
    args = parser.parse_args()
    (args.run / "refined").mkdir(exist_ok=True)
    codec = NanoCodec(NanoCodecConfig()).eval()
    codec.load_state_dict(torch.load(args.run / "codec.frozen.pt", weights_only=True))
    model = NAR(ModelConfig.from_dict(MODEL)).eval()
    model.load_state_dict(torch.load(args.run / "nar.done.pt", weights_only=True, map_location="cpu"))
    began, passages = time.time(), 0
    tokens = sorted((args.run / "tokens").glob(f"{REAL}*-0.npz"))  # version 0 is the recording's own voice
    for done, path in enumerate(tokens, 1):
        name = path.stem.removeprefix(REAL).removesuffix("-0")
        target = args.run / "refined" / f"{name}.npz"
        rows = load_speaker(path)
        if target.exists() or len(rows) < 2:
            continue
        recording = next(args.recordings.glob(f"{name}.[!t]*"))
        wav = prompt.prepare(files.read(recording), recording, max_seconds=math.inf).wav
        wav = np.pad(wav, (0, -len(wav) % HOP))
        codes_TQ = codec.encode(torch.from_numpy(wav)[None])[0].numpy()
        pieces, rng = [], random.Random(name)
        for row in rows:
            first = place(row, codes_TQ)
            if first is not None:
                codes = refined(model, row, rng.choice([other for other in rows if other is not row]))
                pieces.append((wav[first * HOP :][: len(codes) * HOP], codes))
        if not pieces:
            continue
        passages += len(pieces)
        with write_beside(target) as beside, beside.open("wb") as file:
            np.savez(
                file,
                wav=(np.concatenate([heard for heard, _ in pieces]) * 32767).astype(np.int16),
                codes=np.concatenate([codes for _, codes in pieces]).astype(np.int16),
            )
        if done % 20 == 0 or done == len(tokens):
            log(args.run, "refine", recordings=done, passages=passages, seconds=time.time() - began)


if __name__ == "__main__":
    main()
