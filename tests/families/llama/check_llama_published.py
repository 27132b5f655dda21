"""Published layouts give the published numbers; run by hand where the parity vectors are available.

pytest tests/families/llama/check_llama_published.py
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from vallecli.decoding import engine
from vallecli.families.llama.amphion_v2 import EOS_TARGET, ar_prefix
from vallecli.synthesizer import Synthesizer

PARITY = Path(__file__).parents[4] / "shared" / "parity"
pytestmark = pytest.mark.skipif(not PARITY.exists(), reason="the parity vectors are not available")
STEPS = 40
TOLERANCE = {"atol": 1e-4, "rtol": 0}


def cases(name: str) -> list[tuple[dict[str, Tensor], dict[str, Any]]]:
    """Return the tensors and the other values of each case."""
    tensors = load_file(PARITY / name / "cases.safetensors")
    values = json.loads((PARITY / name / "cases.json").read_text())["cases"]
    return [
        (
            {key.split(".", 1)[1]: tensor for key, tensor in tensors.items() if key.startswith(f"case{index}.")},
            case["values"],
        )
        for index, case in enumerate(values)
    ]


@cache
def load(path: str) -> Any:
    return Synthesizer.load(PARITY / path, device="cpu").backend


@pytest.mark.parametrize("number", range(3))
def test_amphion_v2(number: int) -> None:
    backend, (case, _) = load("amphion_v2_tiny"), cases("amphion_v2_tiny")[number]
    given = (case["phone_ids"], case["prompt_codes"])
    assert torch.equal(ar_prefix(given[0], given[1][:, 0]), case["ar_input_ids"])
    codes = backend.generate_codes(*given, frames=STEPS, exclude_eos=True, greedy=True)
    assert torch.equal(codes, case["ar_tokens_greedy40"])
    logits = backend.ar_logits(*given, codes)
    expected = case["ar_logits_first5"][:, [*range(1024), EOS_TARGET]]
    torch.testing.assert_close(logits[: len(expected)], expected, **TOLERANCE)
    refined = backend.refine(*given, codes)
    assert torch.equal(refined, case["codes_all8"])
    nar = backend.nar_logits(*given, refined)
    for level in (1, 7):
        torch.testing.assert_close(nar[level - 1], case[f"nar_logits_level{level}"][:, :1024], **TOLERANCE)


@pytest.mark.parametrize("path", ["ecker_v6_tiny", "ecker_v6_tiny/models/ckpt/ar+nar-len-llama-8/fp32.sft"])
@pytest.mark.parametrize("number", range(3))
def test_ecker(number: int, path: str) -> None:
    backend, (case, values) = load(path), cases("ecker_v6_tiny")[number]
    given = (case["phn_ids"], case["prompt_codes"], backend.languages[values["lang_id"]])
    codes = backend.generate_codes(*given, frames=STEPS, exclude_eos=True, greedy=True)
    assert torch.equal(codes, case["ar_tokens_greedy40"])
    torch.testing.assert_close(backend.ar_logits(*given, codes)[:5], case["ar_logits_first5"], **TOLERANCE)
    refined = backend.refine(*given, codes)
    assert torch.equal(refined, case["codes_all8"])
    nar = backend.nar_logits(*given, refined)
    for level in (1, 7):
        torch.testing.assert_close(nar[level - 1], case[f"nar_logits_level{level}"], **TOLERANCE)
    assert backend.frames(*given) == max(75, int(1.05 * values["len_value"]))
    logits = backend.duration_logits(*given, [int(digit) for digit in str(values["len_value"])])
    torch.testing.assert_close(logits[: len(case["len_logits"])], case["len_logits"], **TOLERANCE)
    demasked = backend.demask(*given, STEPS, steps=values["narlen_steps"])
    assert torch.equal(backend.refine(*given, demasked), case["narlen_codes_all8"])


@pytest.mark.parametrize("slots", [2, 3])
@pytest.mark.parametrize("name", ["amphion_v2_tiny", "ecker_v6_tiny"])
def test_batches(name: str, slots: int) -> None:
    backend = load(name)
    requests = []
    for case, values in cases(name):
        given: tuple[Any, ...] = (case.get("phone_ids", case.get("phn_ids")), case["prompt_codes"])
        if "lang_id" in values:
            given = (*given, backend.languages[values["lang_id"]])
        for frames in (STEPS, 7, 20):
            sampling = {"greedy": True, "min_frames": frames, "max_frames": frames}
            requests.append((case, backend.request_of(*given, **sampling)))
    with backend.batcher(slots) as batcher:
        for case, output in engine.decode(batcher, requests):
            assert torch.equal(output.codes_T, case["ar_tokens_greedy40"][: len(output.codes_T)])
