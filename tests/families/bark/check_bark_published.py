"""Published layouts give the published numbers; run by hand where the parity vectors are available.

pytest tests/families/bark/check_bark_published.py
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from vallecli.decoding import engine
from vallecli.families.bark.backend import BarkBackend
from vallecli.families.bark.cloning import Cloner, resample_16k
from vallecli.families.bark.config import MAX_SEMANTIC
from vallecli.families.bark.presets import BarkVoice
from vallecli.synthesizer import Synthesizer
from vallecli.voices import presets

PARITY = Path(__file__).parents[4] / "shared" / "parity" / "bark_tiny"
pytestmark = pytest.mark.skipif(not PARITY.exists(), reason="the parity vectors are not available")
PRESETS = {"h_long": "v2/en_speaker_0", "h_short": "en_speaker_1", "h_odd": "en_speaker_2", "announcer": "announcer"}
LAYOUTS = ("suno", "transformers")
HUBERTS = ("hubert/hubert_base_ls960.pt", "hubert_transformers")
QUANTIZERS = ("quantifier_hubert_base_ls960_14.pth", "quantifier_V1_hubert_base_ls960_23.pth")
LOGITS, CLOSE = {"atol": 5e-4, "rtol": 0}, {"atol": 1e-4, "rtol": 0}


def cases(*stages: str) -> list[Any]:
    if not PARITY.exists():
        return []
    found = json.loads((PARITY / "cases.json").read_text())["cases"]
    return [pytest.param(case, id=case["name"]) for case in found if case["stage"] in stages]


def tensors(case: dict[str, Any]) -> dict[str, Tensor]:
    stored = load_file(PARITY / "cases.safetensors")
    found = {name: stored[entry["key"]] for name, entry in case["tensors"].items()}
    return {name: tensor.long() if tensor.dtype == torch.int32 else tensor for name, tensor in found.items()}


@cache
def load(layout: str) -> BarkBackend:
    options = {"tokenizer": PARITY / "tokenizer" / "vocab.txt"} if layout == "suno" else {}
    synthesizer = Synthesizer.load(
        PARITY / layout,
        device="cpu",
        options=options,
        codec_weights=lambda kind: PARITY / "encodec_24khz_tiny.th",
    )
    assert isinstance(synthesizer.backend, BarkBackend)
    return synthesizer.backend


def voice_of(backend: BarkBackend, case: dict[str, Any]) -> BarkVoice | None:
    name = case["history"]
    if name is None:
        return None
    return backend.read_voice(PARITY / (f"prompts/{PRESETS[name]}.npz" if name in PRESETS else name))


def semantic_options(case: dict[str, Any]) -> dict[str, Any]:
    options = {
        "seconds": case["max_gen_duration_s"],
        "early_stop": case["allow_early_stop"],
        "min_eos_p": case.get("min_eos_p", 0.2) or 0.0,
        "temperature": case.get("temperature", 0.7),
    }
    return {**options, **({"top_k": case["top_k"]} if "top_k" in case else {"greedy": True})}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", cases("semantic"))
def test_semantic(case: dict[str, Any], layout: str) -> None:
    backend, expected = load(layout), tensors(case)
    voice = voice_of(backend, {"history": None, **case})
    tokens = backend.generate_semantic(case["text"], voice, **semantic_options(case))
    assert torch.equal(tokens, expected["tokens"])
    if "input_ids" in expected:
        assert torch.equal(backend.semantic_input(case["text"], voice), expected["input_ids"])
    logits = backend.semantic_logits(case["text"], tokens[:-1] if len(tokens) == MAX_SEMANTIC else tokens, voice)
    if "logits_first3" in expected:
        torch.testing.assert_close(logits[:3], expected["logits_first3"], **LOGITS)
    if "p_eos" in expected:
        ends = backend.probabilities(logits[:, : backend.semantic.classes])[:, backend.semantic.eos]
        torch.testing.assert_close(ends, expected["p_eos"], **CLOSE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", cases("forward"))
def test_forward(case: dict[str, Any], layout: str) -> None:
    backend, expected = load(layout), tensors(case)
    if case["model"] == "text":
        logits = backend.logits("semantic", expected["ids"])[-1]
    else:
        logits = backend.fine_logits(expected["ids"], case["predicted_codebook"])
    torch.testing.assert_close(logits, expected["logits"], **LOGITS)


@pytest.mark.parametrize("case", cases("filter"))
def test_filter(case: dict[str, Any]) -> None:
    expected = tensors(case)
    found = load("suno").probabilities(
        expected["logits"][None],
        temperature=case["temperature"],
        top_k=case["top_k"] or 0,
        top_p=case["top_p"] or 1.0,
    )[0]
    assert (found > 0).sum() == case["n_kept"]
    wanted = expected.get("probs")
    if wanted is None:
        wanted = torch.zeros_like(found).index_copy(0, expected["kept_ids"], expected["kept_probs"])
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", cases("coarse"))
def test_coarse(case: dict[str, Any], layout: str) -> None:
    backend, expected = load(layout), tensors(case)
    voice, sizes = voice_of(backend, case), {"max_history": case["max_coarse_history"]}
    codes = backend.generate_coarse(
        expected["semantic"], voice, **sizes, window=case["sliding_window_len"], greedy=True
    )
    assert torch.equal(codes.T, expected["codes"])
    run = backend.coarse_run(expected["semantic"], voice, **sizes)
    run.add((codes + torch.tensor([0, 1024])).flatten())
    for window, ids in enumerate(expected["window_inputs"]):
        assert torch.equal(run.input(60 * window), ids[ids >= 0])
    if "logits_first" in expected:
        torch.testing.assert_close(backend.logits("coarse", run.input(0))[-1], expected["logits_first"], **LOGITS)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", cases("fine"))
def test_fine(case: dict[str, Any], layout: str) -> None:
    backend, expected = load(layout), tensors(case)
    codes = backend.generate_fine(expected["coarse"].T, voice_of(backend, case), temperature=None)
    assert torch.equal(codes.T, expected["codes"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", cases("pipeline"))
def test_pipeline(case: dict[str, Any], layout: str) -> None:
    backend, expected = load(layout), tensors(case)
    voice = voice_of(backend, case)
    semantic = backend.generate_semantic(case["text"], voice, **semantic_options(case))
    assert torch.equal(semantic, expected["semantic"])
    coarse = backend.generate_coarse(semantic, voice, greedy=True)
    assert torch.equal(coarse.T, expected["coarse"])
    assert torch.equal(backend.generate_fine(coarse, voice, temperature=None).T, expected["fine"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", cases("codec"))
def test_codec(case: dict[str, Any], layout: str) -> None:
    expected = tensors(case)
    wav = torch.from_numpy(load(layout).codes_to_audio(expected["codes"].T))
    torch.testing.assert_close(wav, expected["audio"], **CLOSE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", cases("text"))
def test_text(case: dict[str, Any], layout: str) -> None:
    backend = load(layout)
    ids = backend.text_ids(case["text"]).tolist()
    assert ids == case["ids"]
    assert (backend.semantic_input(case["text"])[:4] - 10_048).tolist() == ids[:4]


@pytest.mark.parametrize("hubert", HUBERTS)
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("case", cases("clone"))
def test_clone(case: dict[str, Any], version: int, hubert: str) -> None:
    expected = tensors(case)
    torch.testing.assert_close(resample_16k(expected["wav_24k"]), expected["wav_16k"], **CLOSE)
    files = {"hubert": PARITY / hubert, "quantizer": PARITY / "quantizer" / QUANTIZERS[version]}
    cloner = Cloner.load(files, torch.device("cpu"))
    features = cloner.features(expected["wav_16k"])
    torch.testing.assert_close(features, expected["hubert_layer9"], **CLOSE)
    assert torch.equal(cloner.tokens(features), expected[f"tokens_v{version}"])
    known = expected["logprobs_v1" if version else "logprobs_v0_first2"]
    torch.testing.assert_close(cloner.log_probabilities(features)[: len(known)], known, **LOGITS)
    backend = load("suno")
    backend.cloner = cloner
    preset = backend.clone(expected["wav_24k"])
    assert np.array_equal(preset.semantic_N, expected[f"tokens_v{version}"].numpy())
    assert np.array_equal(preset.codes_PQ.T, expected["codes"].numpy())
    stored = np.load(PARITY / "prompts" / "cloned.npz")
    if np.array_equal(preset.semantic_N, stored["semantic_prompt"]):
        assert np.array_equal(preset.coarse_PQ.T, stored["coarse_prompt"])
        assert np.array_equal(preset.codes_PQ.T, stored["fine_prompt"])


def test_presets_of_a_folder() -> None:
    backend = load("transformers")
    for name in ("v2/en_speaker_0", "en_speaker_1"):
        path = presets.find(name, str(PARITY / "transformers"), offline=True)
        assert path is not None
        preset = backend.read_voice(path)
        read = backend.read_voice(PARITY / "prompts" / f"{name}.npz")
        assert read.semantic_N is not None
        assert np.array_equal(preset.semantic_N, read.semantic_N)
        assert np.array_equal(preset.codes_PQ, read.codes_PQ)


@pytest.mark.parametrize("slots", [2, 3])
def test_batches(slots: int) -> None:
    backend, requests = load("suno"), []
    for parameter in cases("semantic"):
        case = parameter.values[0]
        if case["max_gen_duration_s"] is not None:
            voice = voice_of(backend, case)
            requests.append((case, backend.semantic_request(case["text"], voice, **semantic_options(case))))
    with backend.batcher(slots) as batcher:
        for case, output in engine.decode(batcher, requests):
            assert torch.equal(output.codes_T, tensors(case)["tokens"])
