"""Tiny models whose outputs are frozen in vectors.json, so that a plain clone notices when a model's numbers change.

    python tests/golden/golden_vectors.py    # write vectors.json anew

Do that only while the vectors of the published layouts hold (tests/formats/test_parity.py): these here were frozen
then, and stand in for them. Weights and inputs come from numpy's RandomState, whose stream is promised never to
change: first the inputs, then the stored tensors in the order of their names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vallecli.decoding.ar import generate
from vallecli.families.valle.refine import refine
from vallecli.decoding.sampling import Sampling
from vallecli.decoding.stepper import Stepper
from vallecli.decoding.utterance import Utterance
from vallecli.families.valle.checkpoint import load_into, state_to_store
from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS, ModelConfig
from vallecli.families.valle.nar import NAR

VECTORS = Path(__file__).with_name("vectors.json")
TEXT, PROMPT, FRAMES = 11, 9, 16
PROMPT_TOKENS = 5  # of the text, for the modes that drop the prompt's words
EVERY = 32  # of the classes, so many apart, logits are kept
MARGIN = 1e-2  # least distance of the two likeliest codes: far above what rounding does on any machine

SIZES = {"d_model": 32, "n_heads": 4, "n_layers": 2, "nar_d_model": 48, "nar_n_heads": 3, "nar_n_layers": 2}
CASES = {
    "nano": (21, ModelConfig(text_vocab=40, **SIZES, bos="after_prompt")),
    "vallex": (14, ModelConfig(text_vocab=40, **SIZES, bos="start", n_languages=3)),
    "lifeiteng_mode0": (27, ModelConfig(text_vocab=40, **SIZES, prefix_mode=0, stop="argmax")),
    "lifeiteng_mode4_untied": (40, ModelConfig(text_vocab=40, **SIZES, prefix_mode=4, tied_heads=False, stop="argmax")),
    "lifeiteng_vallf": (18, ModelConfig(text_vocab=40, **SIZES, stop="argmax", cross_attention=True)),
    "lifeiteng_first_layout": (3, ModelConfig(text_vocab=40, **SIZES, prefix_mode=0, stage_alphas=True)),
    "amphion": (3, ModelConfig(text_vocab=40, **SIZES, stop="argmax")),
}


def fill(model: nn.Module, random: np.random.RandomState) -> None:
    """Give a model weights that keep signals and logits at a lively size."""
    tensors = {}
    for name, tensor in sorted(state_to_store(model).items()):
        values = torch.from_numpy(random.uniform(-1, 1, tuple(tensor.shape))).float()
        if name.endswith("alpha") or (tensor.ndim == 1 and name.endswith("weight")):
            values = 1 + values / 5
        elif tensor.ndim == 1:
            values = values / 5
        elif ".layers." in f".{name}" and tensor.ndim == 2:
            values = 4 * values / tensor.shape[1] ** 0.5
        tensors[name] = values
    load_into(model, tensors, "", "golden")


def compute(name: str) -> dict[str, Any]:
    """Return what the models of one case say: codes (T, 8), some logits, and the least margin of any choice."""
    seed, config = CASES[name]
    random = np.random.RandomState(seed)
    text_S = torch.from_numpy(random.randint(0, config.text_vocab, TEXT))
    prompt_PQ = torch.from_numpy(random.randint(0, CODEBOOK_SIZE, (PROMPT, NUM_CODEBOOKS)))
    languages_S = torch.from_numpy(random.randint(0, 3, TEXT)) if config.n_languages else None
    ar, nar = AR(config).eval(), NAR(config).eval()
    fill(ar, random)
    fill(nar, random)
    ar_logits: list[Tensor] = []
    nar_logits: list[Tensor] = []
    ar.head.register_forward_hook(lambda _module, _inputs, logits: ar_logits.append(logits[0].clone()))
    for head in nar.heads:
        head.register_forward_hook(lambda _module, _inputs, logits: nar_logits.append(logits[0, PROMPT:].clone()))
    greedy = Sampling(greedy=True, min_frames=FRAMES, max_frames=FRAMES)
    speech = generate(Stepper(ar, 1), Utterance(text_S, prompt_PQ, greedy, languages_S))
    codes_TQ = refine(nar, text_S, prompt_PQ, speech.codes_T, prompt_tokens=PROMPT_TOKENS, languages_S=languages_S)
    choices = torch.cat([torch.stack(ar_logits)[:, :CODEBOOK_SIZE], *nar_logits])
    first, second = choices.topk(2).values.unbind(-1)
    return {
        "codes": codes_TQ.tolist(),
        "ar_logits": torch.stack(ar_logits)[[0, 1, -1], ::EVERY],
        "nar_logits": torch.stack(nar_logits)[:, [0, -1], ::EVERY],
        "margin": (first - second).min().item(),
    }


def main() -> None:
    """Write vectors.json; a case that is too close to call needs another seed."""
    frozen = {}
    for name in CASES:
        case = compute(name)
        if case["margin"] < MARGIN:
            raise SystemExit(f"{name}: the closest choice is {case['margin']:.1e} apart, give it another seed")
        logits = {key: torch.round(case[key], decimals=5).double() for key in ("ar_logits", "nar_logits")}
        rounded = {key: [round(value, 5) for value in tensor.flatten().tolist()] for key, tensor in logits.items()}
        frozen[name] = {"codes": case["codes"], **rounded}
    lines = ",\n".join(f'"{name}": {json.dumps(case, separators=(",", ":"))}' for name, case in frozen.items())
    VECTORS.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
