"""Outputs of a small model, frozen in bark_vectors.json, so that a plain clone notices when its numbers change.

    python tests/families/bark/bark_golden.py    # write bark_vectors.json

Do that only while check_bark_published.py passes: the vectors were frozen then, and stand in for it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from bark_published import write_preset, write_suno

from vallecli.families.bark.backend import BarkBackend
from vallecli.synthesizer import Synthesizer

VECTORS = Path(__file__).with_name("bark_vectors.json")
TEXT = "Hello there, [laughs] ♪ abca!"
SEED = 3
TOKENS, STEPS = 12, 130  # semantic tokens; codes of the coarse case, three windows
EVERY = 400  # one logit of so many is kept
MARGIN = 1e-3  # least distance of the two likeliest codes: far above what rounding does on any machine
HISTORY = 301  # semantic tokens: more than any model reads


def load(folder: Path) -> BarkBackend:
    backend = Synthesizer.load(folder, device="cpu").backend
    assert isinstance(backend, BarkBackend)
    return backend


def margin(logits: torch.Tensor) -> float:
    first, second = logits.topk(2).values.unbind(-1)
    return float((first - second).min())


def compute(backend: BarkBackend, preset: Path) -> dict[str, Any]:
    """Return ids, codes and some logits."""
    voice = backend.read_voice(preset)
    semantic = backend.generate_semantic(TEXT, voice, early_stop=False, seconds=TOKENS / 50, greedy=True)
    logits = backend.semantic_logits(TEXT, semantic, voice)
    tokens = torch.arange(STEPS // 3) * 37 % 10_000
    codes_TQ = backend.generate_coarse(tokens, voice, greedy=True)
    plain = backend.generate_coarse(tokens, greedy=True)
    fine = backend.generate_fine(codes_TQ, voice, temperature=None)
    return {
        "ids": backend.text_ids(TEXT).tolist(),
        "semantic": semantic.tolist(),
        "semantic_logits": logits[[0, -1], ::EVERY],
        "coarse": codes_TQ.tolist(),
        "coarse_logits": backend.logits("coarse", backend.coarse_run(tokens, voice).input(0))[-1, ::EVERY],
        "coarse_plain": plain.tolist(),
        "fine": fine.tolist(),
        "fine_logits": backend.fine_logits(fine, 7)[[0, -1], ::50],
    }


def least_margin(backend: BarkBackend, preset: Path, case: dict[str, Any]) -> float:
    """Return the least distance between the two likeliest classes, of all choices of the causal models."""
    voice = backend.read_voice(preset)
    logits = backend.semantic_logits(TEXT, case["semantic"], voice)[:-1, :10_000]
    run = backend.coarse_run(torch.arange(STEPS // 3) * 37 % 10_000, voice)
    run.add((torch.tensor(case["coarse"]) + torch.tensor([0, 1024])).flatten())
    margins = [margin(logits)]
    for first in range(0, run.steps, 60):
        ids = torch.cat([run.input(first), run.codes[0][first : first + 60]])
        window = backend.logits("coarse", ids[:-1])[len(run.input(first)) - 1 :]
        for step, classes in enumerate(window):
            start = 10_000 + 1024 * (step % 2)
            margins.append(margin(classes[None, start : start + 1024]))
    return min(margins)


def main() -> None:
    """Write bark_vectors.json; too small a margin needs another seed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backend = load(write_suno(folder / "suno", seed=SEED))
        preset = write_preset(folder / "voice.npz", tokens=HISTORY)
        case = compute(backend, preset)
        if least_margin(backend, preset, case) < MARGIN:
            raise SystemExit("choose another seed")
    for key, value in case.items():
        if isinstance(value, torch.Tensor):
            case[key] = [round(number, 5) for number in value.double().flatten().tolist()]
    VECTORS.write_text(json.dumps(case, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
