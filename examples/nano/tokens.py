"""Stage 3, tokens: the speech of stage 1 as the codes of stage 2, next to its phonemes.

    python examples/nano/tokens.py --run runs/nano

Writes RUN/tokens/SPEAKER.npz, rows one after the other: codes (T, 8), text ids (S,), for each frame the index of the
text id that sounds in it (-1 between words), and how long each row is. Rows whose words do not match between the two
front ends are left out (3 to 4 in 100). A speaker whose file exists is skipped, so the stage resumes.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from align import ARPABET, align
from common import log, write_beside
from speech import read, rows, speakers

from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.constants import HOP
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.normalize import normalize

LEAD, TAIL = 4 * HOP, 8 * HOP  # silence kept around the words, samples
SILENT = -1  # the text id of frames in which nothing of the text sounds


@functools.cache
def _tools(run: Path) -> tuple[NanoCodec, ArpabetFrontEnd]:
    torch.set_num_threads(1)
    codec = NanoCodec(NanoCodecConfig()).eval()
    codec.load_state_dict(torch.load(run / "codec.frozen.pt", weights_only=True))
    return codec, ArpabetFrontEnd()


def sounding(row: dict[str, Any], symbols: list[str], words: list[int], begin: int, frames: int) -> np.ndarray:
    """Return, for each of `frames` codec frames from sample `begin` on, the index of the text id that sounds (T,)."""
    owner = np.full(frames, SILENT, np.int16)
    tokens_of = [[i for i, word in enumerate(words) if word == w] for w in range(max(words) + 1)]
    phone = 0  # index into the row's phones
    for tokens, spelled in zip(tokens_of, row["phones"].split(" "), strict=True):
        sounds = [i for i, c in enumerate(spelled, phone) if c in ARPABET]
        letters = [i for i in tokens if symbols[i][0].isalpha()]
        phone += len(spelled) + 1
        if not sounds:
            continue
        chosen = align([row["phones"][i] for i in sounds], [symbols[i] for i in letters])
        start = row["phone_ends"][sounds[0]]  # phone_ends begins with the leading pad's, so this is where it starts
        for i, target in zip(sounds, chosen, strict=True):
            end = row["phone_ends"][i + 1]
            owner[max(0, (start - begin) // HOP) : (end - begin) // HOP] = letters[target]
            start = end
    return owner


def encode_speaker(speaker: Path, *, run: Path) -> int:
    """Write the tokens of one speaker; return how many rows matched."""
    target = run / "tokens" / f"{speaker.stem}.npz"
    if target.exists():
        return 0
    codec, front_end = _tools(run)
    audio = read(speaker.with_suffix(".flac"))
    codes, texts, owners = [], [], []
    for row in rows(speaker):
        ids, words = front_end.encode_words(normalize(row["text"]))
        if max(words) + 1 != len(row["phones"].split(" ")):
            continue
        begin = max(0, row["phone_ends"][0] - LEAD)
        end = min(row["end"] - row["start"], row["phone_ends"][-1] + TAIL)
        wav = torch.from_numpy(audio[row["start"] + begin : row["start"] + end].astype(np.float32) / 32768)[None]
        codes.append(codec.encode(wav)[0].numpy().astype(np.int16))  # (T, 8)
        symbols = [front_end.vocabulary[i] for i in ids]
        owners.append(sounding(row, symbols, words, begin, len(codes[-1])))
        texts.append(np.array(ids, np.int16))
    with write_beside(target) as path, path.open("wb") as file:
        np.savez(
            file,
            frames=[len(c) for c in codes],
            letters=[len(t) for t in texts],
            codes=np.concatenate(codes),
            sounding=np.concatenate(owners),
            text=np.concatenate(texts),
        )
    return len(codes)


def main() -> None:
    """Encode every speaker that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    (args.run / "tokens").mkdir(exist_ok=True)
    began, matched = time.time(), 0
    with multiprocessing.Pool(args.workers) as pool:
        encode = functools.partial(encode_speaker, run=args.run)
        for done, count in enumerate(pool.imap_unordered(encode, speakers(args.run)), 1):
            matched += count
            if done % 50 == 0:
                log(args.run, "tokens", speakers=done, rows=matched, seconds=time.time() - began)


if __name__ == "__main__":
    main()
