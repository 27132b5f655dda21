"""A sentence by the built-in model whose codes are frozen in nano_take.json.

    python tests/golden/nano_take.py    # write nano_take.json anew: after new weights

Its seed is the first whose codes stay the same when every weight moves a little, by more than rounding does on any
machine.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from vallecli.synthesizer import Synthesizer

TAKE = Path(__file__).with_name("nano_take.json")
REFERENCE = Path(__file__).parents[2] / "examples" / "reference.wav"
TEXT = "Good day."
MOVE = 3e-6  # of itself that a weight moves: float32 rounds to 6e-8
MOVED = 4  # models that are made that way
SEEDS = range(1, 41)


def load(moves: int | None = None) -> Synthesizer:
    """Return nano on the CPU, in float32, its weights moved in one of many ways."""
    nano = Synthesizer.load("nano", device="cpu", dtype="float32")
    if moves is None:
        return nano
    generator = torch.Generator().manual_seed(moves)
    for module in (nano.ar, nano.nar, nano.codec):
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.data = tensor * (1 + MOVE * torch.randn(tensor.shape, generator=generator))
    return nano


def speak(nano: Synthesizer, seed: int) -> list[list[int]] | None:
    """Return the codes (T, 8) of one take, None if it does not end by itself."""
    [piece] = nano.speak(TEXT, nano.voice(REFERENCE), replace(nano.sampling, seed=seed))
    codes: list[list[int]] = piece.codes_TQ.tolist()
    return codes if piece.stop_reason == "eos" else None


def main() -> None:
    """Write nano_take.json."""
    nano, moved = load(), [load(moves) for moves in range(MOVED)]
    for seed in SEEDS:
        codes = speak(nano, seed)
        if codes is not None and all(speak(model, seed) == codes for model in moved):
            break
    else:
        raise SystemExit("no seed's codes stay the same: give it another text")
    lines = ",\n".join(json.dumps(frame, separators=(",", ":")) for frame in codes)
    TAKE.write_text(f'{{"seed": {seed}, "text": {json.dumps(TEXT)}, "codes": [\n{lines}\n]}}\n')
    print(f"{TAKE}: seed {seed}, {len(codes)} frames")


if __name__ == "__main__":
    main()
