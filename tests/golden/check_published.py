"""Published layouts give the published numbers: codes equal, logits within the vectors' own tolerance."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from vallecli.decoding import batch
from vallecli.decoding.sampling import Sampling
from vallecli.decoding.stepper import Stepper
from vallecli.decoding.utterance import Utterance
from vallecli.synthesizer import Synthesizer

PARITY = Path(__file__).parents[3] / "shared" / "parity"
pytestmark = pytest.mark.skipif(not PARITY.exists(), reason="the parity vectors are not beside this checkout")
# Of every file, the options that it does not tell.
FILES: dict[str, dict[str, Any]] = {
    "vallex_tiny/checkpoint.pt": {},
    "lifeiteng_valle_tiny/checkpoint.pt": {},
    "lifeiteng_valle_tiny/pytorch_model.bin": {"heads": 4, "prefix_mode": 1},
    "lifeiteng_vallf_tiny/checkpoint.pt": {},
    "amphion_v1_tiny": {},
    "amphion_v1_tiny/alt_accelerate_safetensors/model.safetensors": {},
}
STEPS, FIRST = 40, 5  # frames of every case, and of how many there are AR logits


def family_of(file: str) -> str:
    return file.split("/")[0]


@cache
def notes(family: str) -> list[dict[str, Any]]:
    """Return what the vectors say about each case."""
    return json.loads((PARITY / family / "cases.json").read_text())["cases"]


def cases() -> list[tuple[str, int]]:
    """Return (file, number of the case)."""
    if not PARITY.exists():
        return [(file, 0) for file in FILES]  # to be seen as skipped
    return [(file, number) for file in FILES for number in range(len(notes(family_of(file))))]


def nar_cases() -> list[tuple[str, int, int]]:
    """Return (file, number of the case, prefix mode)."""
    modes = {"lifeiteng_valle_tiny": (1, 0, 4, 2), "lifeiteng_vallf_tiny": (1, 0, 4, 2)}
    return [(file, number, mode) for file, number in cases() for mode in modes.get(family_of(file), (1,))]


@cache
def load(file: str, prefix_mode: int | None = None) -> Synthesizer:
    options = FILES[file] if prefix_mode is None else FILES[file] | {"prefix_mode": prefix_mode}
    return Synthesizer.load(PARITY / file, device="cpu", **options)


@cache
def vectors(family: str) -> dict[str, Tensor]:
    return load_file(PARITY / family / "cases.safetensors")


def case_of(family: str, number: int, mode: int = 1) -> dict[str, Any]:
    """Return one case in the words of lifeiteng's vectors, whichever family it is of."""
    name = notes(family)[number].get("name", f"case{number}")
    own = {
        key.removeprefix(f"{name}."): tensor for key, tensor in vectors(family).items() if key.startswith(f"{name}.")
    }
    note = notes(family)[number]
    if family == "amphion_v1_tiny":
        return {
            "text": own["text_ids"],
            "prompt": own["prompt_codes"],
            "prompt_tokens": note["values"]["enroll_text_len"],
            "languages": None,
            "ar_codes": own["ar_tokens_greedy40"],
            "ar_logits": own["ar_logits_first5"],
            "codes": own["codes_all8"],
            "nar_logits": {0: own["nar_logits_stage1"], 6: own["nar_logits_stage7"]},
            "tolerance": {"atol": 1e-3, "rtol": 0},
        }
    suffix = "" if mode == 1 else f"_prefix_mode{4 if mode == 2 else mode}"  # modes 2 and 4 differ in training only
    text = own["text_ids"] if "text_ids" in own else torch.cat([own["prompt_phonemes"], own["target_phonemes"]])
    return {
        "text": text,
        "prompt": own["prompt_codes"],
        "prompt_tokens": note.get("enroll_x_lens", 0),
        "languages": own.get("language_ids"),
        "ar_codes": own["ar_codes"],
        "ar_logits": own["ar_logits_first5"],
        "codes": torch.cat([own["ar_codes"][:, None], own["nar_codes" + suffix]], 1),
        "nar_logits": dict(enumerate(own["nar_logits_first3" + suffix])),
        "tolerance": {"atol": 5e-4, "rtol": 1e-5},
    }


@pytest.mark.parametrize(("file", "number"), cases())
def test_ar(file: str, number: int) -> None:
    model, case = load(file), case_of(family_of(file), number)
    given = (case["text"], case["prompt"])
    codes = model.generate_codes(*given, frames=STEPS, exclude_eos=True, greedy=True, languages=case["languages"])
    assert torch.equal(codes, case["ar_codes"].long())
    logits = model.ar_logits(*given, case["ar_codes"], languages=case["languages"])
    assert logits.shape == (STEPS + 1, 1025)
    torch.testing.assert_close(logits[:FIRST], case["ar_logits"], **case["tolerance"])


@pytest.mark.parametrize(("file", "number", "mode"), nar_cases())
def test_nar(file: str, number: int, mode: int) -> None:
    model, case = load(file, mode), case_of(family_of(file), number, mode)
    given = (case["text"], case["prompt"])
    options = {"prompt_tokens": case["prompt_tokens"], "languages": case["languages"]}
    codes = model.refine(*given, case["ar_codes"], **options)
    assert torch.equal(codes, case["codes"].long())
    logits = model.nar_logits(*given, case["codes"], **options)
    assert logits.shape == (7, STEPS, 1024)
    for stage, expected in case["nar_logits"].items():
        torch.testing.assert_close(logits[stage, : len(expected)], expected, **case["tolerance"])


@pytest.mark.parametrize("slots", [2, 3])
@pytest.mark.parametrize("file", FILES)
@torch.inference_mode()
def test_both_in_a_batch(file: str, slots: int) -> None:
    model = load(file)
    cases = [case_of(family_of(file), number) for number in range(len(notes(family_of(file))))]

    def utterance(case: dict[str, Any], *, frames: int) -> Utterance:
        return Utterance(
            case["text"].long(),
            case["prompt"].long(),
            Sampling(greedy=True, min_frames=frames, max_frames=frames),
            None if case["languages"] is None else case["languages"].long(),
            case["prompt_tokens"],
        )

    waiting = [(case, utterance(case, frames=STEPS)) for case in cases]
    # Others that end sooner, so that rows are filled anew while the case goes on.
    waiting[1:1] = [(None, utterance(case, frames=frames)) for case in cases for frames in (1, 7, 16, 3, 20)]
    done = 0
    for case, codes_TQ, _ in batch.decode(Stepper(model.ar, slots), model.nar, waiting, group=slots):
        if case is not None:
            assert torch.equal(codes_TQ, case["codes"].long())
            done += 1
    assert done == len(cases)
