"""Compare the layouts of VALL-E with vectors that were computed by the published code.

    python tests/golden/check_published.py FOLDER

FOLDER has a folder for each layout: vallex_tiny, lifeiteng_valle_tiny, lifeiteng_vallf_tiny and amphion_v1_tiny, each
with weights, cases.json and cases.safetensors. Codes have to be equal, and logits within the tolerance of the vectors.
The vectors are too large for this repository; those in vectors.json were frozen while this comparison held.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from vallecli.decoding.sampling import Sampling
from vallecli.families.base import Request, Voice
from vallecli.families.valle.backend import ValleBackend
from vallecli.synthesizer import Synthesizer
from vallecli.text.base import Tokens

# File -> the loader options that it does not store.
FILES: dict[str, dict[str, Any]] = {
    "vallex_tiny/checkpoint.pt": {},
    "lifeiteng_valle_tiny/checkpoint.pt": {},
    "lifeiteng_valle_tiny/pytorch_model.bin": {"heads": 4, "prefix_mode": 1},
    "lifeiteng_vallf_tiny/checkpoint.pt": {},
    "amphion_v1_tiny": {},
    "amphion_v1_tiny/alt_accelerate_safetensors/model.safetensors": {},
}
MODES = {"lifeiteng_valle_tiny": (1, 0, 4, 2), "lifeiteng_vallf_tiny": (1, 0, 4, 2)}
STEPS, FIRST = 40, 5  # frames of every case, and for how many of them there are AR logits
SHORTER = (1, 7, 16, 3, 20)  # frames of other requests in a batch


@cache
def notes(folder: Path) -> list[dict[str, Any]]:
    """Return what is known of each case of a layout."""
    return json.loads((folder / "cases.json").read_text())["cases"]


@cache
def vectors(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "cases.safetensors")


@cache
def load(path: Path, file: str, prefix_mode: int | None = None) -> ValleBackend:
    options = FILES[file] if prefix_mode is None else FILES[file] | {"prefix_mode": prefix_mode}
    backend = Synthesizer.load(path, device="cpu", options=options).backend
    assert isinstance(backend, ValleBackend)
    return backend


def case_of(folder: Path, number: int, mode: int = 1) -> dict[str, Any]:
    """Return a case under the same names for every layout."""
    note = notes(folder)[number]
    prefix = note.get("name", f"case{number}") + "."
    own = {key.removeprefix(prefix): tensor for key, tensor in vectors(folder).items() if key.startswith(prefix)}
    if folder.name == "amphion_v1_tiny":
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
    return {
        "text": own["text_ids"] if "text_ids" in own else torch.cat([own["prompt_phonemes"], own["target_phonemes"]]),
        "prompt": own["prompt_codes"],
        "prompt_tokens": note.get("enroll_x_lens", 0),
        "languages": own.get("language_ids"),
        "ar_codes": own["ar_codes"],
        "ar_logits": own["ar_logits_first5"],
        "codes": torch.cat([own["ar_codes"][:, None], own["nar_codes" + suffix]], 1),
        "nar_logits": dict(enumerate(own["nar_logits_first3" + suffix])),
        "tolerance": {"atol": 5e-4, "rtol": 1e-5},
    }


def check_ar(model: ValleBackend, case: dict[str, Any]) -> None:
    """Check codebook 1, decoded with the cache, and its logits, computed without a cache."""
    given = (case["text"], case["prompt"])
    codes_T = model.generate_codes(*given, frames=STEPS, exclude_eos=True, greedy=True, languages=case["languages"])
    assert torch.equal(codes_T, case["ar_codes"].long())
    logits_TV = model.ar_logits(*given, case["ar_codes"], languages=case["languages"])
    assert logits_TV.shape == (STEPS + 1, 1025)
    torch.testing.assert_close(logits_TV[:FIRST], case["ar_logits"], **case["tolerance"])


def check_nar(model: ValleBackend, case: dict[str, Any]) -> None:
    """Check codebooks 2 to 8 and their logits."""
    given = (case["text"], case["prompt"])
    options = {"prompt_tokens": case["prompt_tokens"], "languages": case["languages"]}
    assert torch.equal(model.refine(*given, case["ar_codes"], **options), case["codes"].long())
    logits = model.nar_logits(*given, case["codes"], **options)
    assert logits.shape == (7, STEPS, 1024)
    for stage, expected in case["nar_logits"].items():
        torch.testing.assert_close(logits[stage, : len(expected)], expected, **case["tolerance"])


def request_of(
    text_S: Tensor, prompt_PQ: Tensor, languages_S: Tensor | None, *, prompt_tokens: int, frames: int
) -> Request:
    """Return a request that is decoded greedily to that many frames."""
    languages = None if languages_S is None else languages_S.tolist()
    return Request(
        text="",
        tokens=Tokens(ids=text_S.tolist(), languages=languages, prompt_tokens=prompt_tokens),
        voice=Voice(prompt_PQ.short().numpy(), "a test"),
        sampling=Sampling(greedy=True, min_frames=frames, max_frames=frames),
        index=0,
        sentences=1,
        first=True,
    )


def check_batch(model: ValleBackend, cases: list[dict[str, Any]], *, slots: int) -> None:
    """Check both models with several requests at the same time; others end sooner, so that their rows are reused."""

    def request(case: dict[str, Any], frames: int) -> Request:
        given = (case["text"], case["prompt"], case["languages"])
        return request_of(*given, prompt_tokens=case["prompt_tokens"], frames=frames)

    requests: list[tuple[int | None, Request]] = list(enumerate(request(case, STEPS) for case in cases))
    requests[1:1] = [(None, request(case, frames)) for case in cases for frames in SHORTER]
    done = []
    for number, generated in model.generate(requests, slots=slots):
        if number is not None:
            assert torch.equal(generated.codes_TQ, cases[number]["codes"].long())
            done.append(number)
    assert sorted(done) == list(range(len(cases)))


def check(root: Path) -> Iterator[str]:
    """Check all files, and yield a line for each check. Raises AssertionError for the first difference."""
    for file in FILES:
        folder, path = root / file.split("/")[0], root / file
        numbers = range(len(notes(folder)))
        for number in numbers:
            check_ar(load(path, file), case_of(folder, number))
            yield f"{file}: AR, case {number}"
        for mode in MODES.get(folder.name, (1,)):
            for number in numbers:
                check_nar(load(path, file, mode), case_of(folder, number, mode))
                yield f"{file}: NAR, case {number}, prefix mode {mode}"
        for slots in (2, 3):
            check_batch(load(path, file), [case_of(folder, number) for number in numbers], slots=slots)
            yield f"{file}: {slots} requests at the same time"


def main() -> None:
    """Print a line for each check that holds; a difference ends with an AssertionError."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for line in check(parser.parse_args().folder):
        print(line, flush=True)


if __name__ == "__main__":
    main()
