"""Published layouts give the published numbers: codes equal, logits within the vectors' own tolerance."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vallecli.decoding.ar import audio_prefix, generate
from vallecli.decoding.nar import refine
from vallecli.decoding.sampling import Sampling
from vallecli.formats import lifeiteng, vallex
from vallecli.formats.base import load_into
from vallecli.model.ar import AR
from vallecli.model.config import ModelConfig
from vallecli.model.nar import NAR

PARITY = Path(__file__).parents[3] / "shared" / "parity"
READERS = {"lifeiteng_valle_tiny": lifeiteng.read_model, "vallex_tiny": vallex.read_model}
MODES = {"lifeiteng_valle_tiny": (1, 0, 4), "vallex_tiny": (1,)}
pytestmark = pytest.mark.skipif(not PARITY.exists(), reason="the parity vectors are not beside this checkout")
TOLERANCE = {"atol": 5e-4, "rtol": 1e-5}  # as stated by the vectors
STEPS, FIRST = 40, 5  # frames of every case, and of how many there are AR logits


def cases() -> list[tuple[str, str]]:
    if not PARITY.exists():
        return [(family, "absent") for family in READERS]  # to be seen as skipped
    return [(family, case["name"]) for family in READERS for case in notes(family)]


def notes(family: str) -> list[dict[str, object]]:
    return json.loads((PARITY / family / "cases.json").read_text())["cases"]


@cache
def load(family: str) -> tuple[ModelConfig, AR, dict[int, NAR]]:
    path = PARITY / family / "checkpoint.pt"
    config, tensors = READERS[family](path)
    ar = AR(config).eval()
    nars = {mode: NAR(replace(config, prefix_mode=mode)).eval() for mode in MODES[family]}
    load_into(ar, tensors, "ar.", path)
    for nar in nars.values():
        load_into(nar, tensors, "nar.", path)
    return config, ar, nars


@cache
def vectors(family: str) -> dict[str, Tensor]:
    return load_file(PARITY / family / "cases.safetensors")


def inputs(family: str, case: str) -> dict[str, Tensor]:
    own = {k.removeprefix(case + "."): v for k, v in vectors(family).items() if k.startswith(case + ".")}
    own = {k: v.long() if v.dtype == torch.int32 else v for k, v in own.items()}
    if "text_ids" not in own:
        own["text_ids"] = torch.cat([own["prompt_phonemes"], own["target_phonemes"]])
    return own


def overheard(head: nn.Module, into: list[Tensor]) -> torch.utils.hooks.RemovableHandle:
    return head.register_forward_hook(lambda _module, _inputs, logits: into.append(logits[0].clone()))


@pytest.mark.parametrize(("family", "case"), cases())
@torch.inference_mode()
def test_ar(family: str, case: str) -> None:
    config, ar, _ = load(family)
    given = inputs(family, case)
    text, prompt, languages = given["text_ids"], given["prompt_codes"][:, 0], given.get("language_ids")
    seen: list[Tensor] = []
    greedy = Sampling(greedy=True, min_frames=STEPS, max_frames=STEPS)
    with overheard(ar.head, seen):
        speech = generate(ar, text, prompt, greedy, languages_S=languages)
    assert torch.equal(speech.codes_T, given["ar_codes"])
    torch.testing.assert_close(torch.stack(seen[:FIRST]), given["ar_logits_first5"], **TOLERANCE)

    audio = torch.cat([audio_prefix(config.bos, prompt), given["ar_codes"]])
    lengths = torch.tensor([[len(text)], [len(audio)]])
    languages_BS = None if languages is None else languages[None]
    whole = ar(text[None], lengths[0], audio[None], lengths[1], languages_BS=languages_BS)[0]
    begin = len(audio) - STEPS - 1
    torch.testing.assert_close(whole[begin : begin + FIRST], given["ar_logits_first5"], **TOLERANCE)


@pytest.mark.parametrize(
    ("family", "case", "mode"), [(family, case, mode) for family, case in cases() for mode in MODES[family]]
)
def test_nar(family: str, case: str, mode: int) -> None:
    nar = load(family)[2][mode]
    given = inputs(family, case)
    enrolled = next(note for note in notes(family) if note["name"] == case).get("enroll_x_lens", 0)
    suffix = f"_prefix_mode{mode}" if mode != 1 else ""
    shown: list[Tensor] = []
    handles = [overheard(head, shown) for head in nar.heads]
    codes = refine(
        nar,
        given["text_ids"],
        given["prompt_codes"],
        given["ar_codes"],
        prompt_tokens=enrolled,
        languages_S=given.get("language_ids"),
    )
    for handle in handles:
        handle.remove()
    assert torch.equal(codes[:, 1:], given["nar_codes" + suffix])
    prompt = len(given["prompt_codes"])
    first3 = torch.stack([logits[prompt : prompt + 3] for logits in shown])
    torch.testing.assert_close(first3, given["nar_logits_first3" + suffix], **TOLERANCE)
