"""Outputs of small models, frozen in llama_vectors.json, so that a plain clone notices when their numbers change.

    python tests/families/llama/llama_golden.py    # write llama_vectors.json

Do that only while check_llama_published.py passes: the vectors were frozen then, and stand in for it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llama_published import write_amphion, write_ecker
from torch import Tensor

from vallecli.families.llama.amphion_v2_backend import AmphionV2Backend
from vallecli.families.llama.ecker_backend import EckerBackend
from vallecli.synthesizer import Synthesizer

VECTORS = Path(__file__).with_name("llama_vectors.json")
TEXT, PROMPT, FRAMES = 11, 9, 16
STEPS = 6  # of demasking
EVERY = 32  # one logit of so many is kept
MARGIN = 1e-2  # least distance of the two likeliest codes: far above what rounding does on any machine

CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "amphion_v2": (3, {}),
    "ecker_v6": (3, {"version": 6}),
    "ecker_v5_unified_causal": (0, {"version": 5, "biases": True, "unified": True, "bidirectional": False}),
}


def inputs(seed: int) -> tuple[Tensor, Tensor]:
    """Return text (S,) and prompt (P, 8)."""
    random = np.random.RandomState(seed)
    return (
        torch.from_numpy(random.randint(0, 200, TEXT)),
        torch.from_numpy(random.randint(0, 1024, (PROMPT, 8))),
    )


def load(name: str, folder: Path) -> AmphionV2Backend | EckerBackend:
    seed, options = CASES[name]
    write = write_amphion if name.startswith("amphion") else write_ecker
    backend = Synthesizer.load(write(folder, seed=seed, **options), device="cpu").backend
    assert isinstance(backend, AmphionV2Backend | EckerBackend)
    return backend


def compute(name: str, folder: Path, *, exact: bool = False) -> dict[str, Any]:
    """Return codes (T, 8), some logits, and the least margin of any choice of codebooks 1 to 8.

    `exact` adds what demasking gives in float64: it depends on more than one margin.
    """
    backend = load(name, folder)
    text_S, prompt_PQ = inputs(CASES[name][0])
    given: tuple[Any, ...] = (text_S, prompt_PQ)
    if isinstance(backend, EckerBackend):
        given = (*given, "de")
    codes_T = backend.generate_codes(*given, frames=FRAMES, exclude_eos=True, greedy=True)
    codes_TQ = backend.refine(*given, codes_T)
    ar_logits, nar_logits = backend.ar_logits(*given, codes_T), backend.nar_logits(*given, codes_TQ)
    choices = torch.cat([ar_logits[:-1, :1024], *nar_logits])
    first, second = choices.topk(2).values.unbind(-1)
    result = {
        "codes": codes_TQ.tolist(),
        "ar_logits": ar_logits[[0, 1, -1], ::EVERY],
        "nar_logits": nar_logits[:, [0, -1], ::EVERY],
        "margin": (first - second).min().item(),
    }
    if isinstance(backend, EckerBackend):
        result["frames"] = backend.frames(*given)
        result["demasked"] = backend.demask(*given, FRAMES, steps=STEPS).tolist()
        if exact:
            backend.model.double()
            result["exact"] = backend.demask(*given, FRAMES, steps=STEPS).tolist()
    return result


def main() -> None:
    """Write llama_vectors.json; a case with too small a margin needs another seed."""
    frozen = {}
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            case = compute(name, Path(folder), exact=True)
        if case.pop("margin") < MARGIN or case.pop("exact", None) != case.get("demasked"):
            raise SystemExit(f"{name}: choose another seed")
        for key in ("ar_logits", "nar_logits"):
            case[key] = [round(value, 5) for value in case[key].double().flatten().tolist()]
        frozen[name] = case
    lines = ",\n".join(f'"{name}": {json.dumps(case, separators=(",", ":"))}' for name, case in frozen.items())
    VECTORS.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
