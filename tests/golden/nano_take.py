"""A sentence by the built-in model whose codes are frozen in nano_take.json.

    python tests/golden/nano_take.py    # write nano_take.json, after new weights

Its seed is the first whose codes stay the same if each weight changes a little, by more than rounding on any machine.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from vallecli.synthesizer import Synthesizer

VECTOR = Path(__file__).with_name("nano_take.json")
REFERENCE = Path(__file__).parents[2] / "examples" / "reference.wav"
TEXT = "Good day."
CHANGE = 3e-6  # relative change of a weight; float32 rounds to 6e-8
VARIANTS = 4  # changed models
SEEDS = range(1, 41)


def load(variant: int | None = None) -> Synthesizer:
    """Return nano on the CPU, in float32; in a variant, with randomly changed weights."""
    nano = Synthesizer.load("nano", device="cpu", dtype="float32")
    if variant is None:
        return nano
    generator = torch.Generator().manual_seed(variant)
    for module in (*nano.backend.modules, nano.backend.codec):
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.data = tensor * (1 + CHANGE * torch.randn(tensor.shape, generator=generator))
    return nano


def speak(nano: Synthesizer, seed: int) -> list[list[int]] | None:
    """Return the codes (T, 8) of the sentence, None if it does not end with EOS."""
    [piece] = nano.speak(TEXT, nano.voice(REFERENCE), replace(nano.sampling, seed=seed))
    codes: list[list[int]] = piece.codes_TQ.tolist()
    return codes if piece.stop_reason == "eos" else None


def main() -> None:
    """Write nano_take.json."""
    nano, variants = load(), [load(variant) for variant in range(VARIANTS)]
    for seed in SEEDS:
        codes = speak(nano, seed)
        if codes is not None and all(speak(model, seed) == codes for model in variants):
            break
    else:
        raise SystemExit("the codes of every seed change: choose another text")
    lines = ",\n".join(json.dumps(frame, separators=(",", ":")) for frame in codes)
    VECTOR.write_text(f'{{"seed": {seed}, "text": {json.dumps(TEXT)}, "codes": [\n{lines}\n]}}\n')
    print(f"{VECTOR}: seed {seed}, {len(codes)} frames")


if __name__ == "__main__":
    main()
