"""Amphion v2: its files are found, checked and converted, and it speaks at 16 kHz."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from llama_published import HEADS, amphion_shapes, random_weights, write_amphion
from no_large_tensors import NoLargeTensors, check_that_it_notices
from torch import Tensor, nn

from vallecli.codec.speechtokenizer import SpeechTokenizer, SpeechTokenizerConfig
from vallecli.errors import CheckpointError, DamagedCheckpoint, InputError, UsageError
from vallecli.families import detect
from vallecli.families.base import Voice
from vallecli.families.convert import convert
from vallecli.families.llama.amphion_v2_backend import AmphionV2Backend
from vallecli.families.llama.amphion_v2_files import GRID
from vallecli.synthesizer import Job, Synthesizer

AR, NAR = "valle_ar_mls_200.bin", "valle_nar_mls_100.bin"
SMALL = SpeechTokenizerConfig(n_filters=4, dimension=16)
TEXT, PROMPT = torch.arange(3, 14), torch.arange(9 * 8).view(9, 8)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_amphion(tmp_path_factory.mktemp("amphion") / "amphion")


@pytest.fixture(scope="session")
def codec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SpeechTokenizer in the published layout."""
    codec, state = SpeechTokenizer.random(0, SMALL), {}
    for prefix, layer in codec._layers():
        for name, parameter in layer.named_parameters():
            if name == "weight" and not isinstance(layer, nn.LSTM):
                state[f"{prefix}.weight_v"] = parameter
                state[f"{prefix}.weight_g"] = parameter.norm(dim=(1, 2), keepdim=True)
            else:
                state[f"{prefix}.{name}"] = parameter
    for level, table in enumerate(codec.codebooks):
        state[f"quantizer.vq.layers.{level}._codebook.embed"] = table
    path = tmp_path_factory.mktemp("codec") / "SpeechTokenizer.pt"
    torch.save({name: tensor.detach().clone() for name, tensor in state.items()}, path)
    return path


def load(path: Path, **options: Any) -> AmphionV2Backend:
    backend = Synthesizer.load(path, device="cpu", options=options).backend
    assert isinstance(backend, AmphionV2Backend)
    return backend


def codes_of(backend: AmphionV2Backend) -> Tensor:
    codes_T = backend.generate_codes(TEXT, PROMPT, frames=12, exclude_eos=True, greedy=True)
    return backend.refine(TEXT, PROMPT, codes_T)


def change(folder: Path, out: Path, file: str, **changes: Tensor | None) -> Path:
    """Copy a folder with other tensors in one of its files; None takes a tensor away."""
    shutil.copytree(folder, out)
    state = torch.load(out / file, weights_only=True) | {
        f"module.{name.replace('__', '.')}": tensor for name, tensor in changes.items()
    }
    torch.save({name: tensor for name, tensor in state.items() if tensor is not None}, out / file)
    return out


# Files


def test_the_folder_and_each_file_are_the_same_checkpoint(folder: Path) -> None:
    expected = codes_of(load(folder))
    for path in (folder / AR, folder / NAR, folder / "config.json"):
        assert torch.equal(codes_of(load(path)), expected)
    description = detect.describe(folder)
    assert description.family == "amphion-v2"
    assert description.grid == GRID
    assert description.config["ar_heads"] == HEADS
    assert description.tensors["nar.model.lm_head.6.weight"] == (1334, 32)


def test_the_last_step_of_training_is_used(folder: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(folder, both)
    shutil.copy(write_amphion(tmp_path / "other", seed=5) / AR, both / "valle_ar_mls_1000.bin")
    codes = [
        load(path).generate_codes(TEXT, PROMPT, frames=8, exclude_eos=True, greedy=True) for path in (both, folder)
    ]
    assert not torch.equal(*codes)


@pytest.mark.parametrize(("kept", "missing"), [(AR, "valle_nar"), (NAR, "valle_ar")])
def test_one_file_without_the_other_is_refused(folder: Path, tmp_path: Path, kept: str, missing: str) -> None:
    shutil.copy(folder / kept, tmp_path)
    with pytest.raises(DamagedCheckpoint, match=missing):
        load(tmp_path / kept)


def test_heads_are_64_wide_unless_stated(folder: Path, tmp_path: Path) -> None:
    unstated = tmp_path / "unstated"
    shutil.copytree(folder, unstated, ignore=shutil.ignore_patterns("config.json"))
    assert load(unstated).config.ar.heads == 1
    assert any("heads" in note for note in detect.describe(unstated).notes)
    assert torch.equal(codes_of(load(unstated, heads=HEADS)), codes_of(load(folder)))
    with pytest.raises(DamagedCheckpoint, match="5 heads"):
        load(unstated, heads=5)
    with pytest.raises(UsageError, match="no option 'head'"):
        load(unstated, head=2)
    (unstated / "config.json").write_text('{"num_attention_heads": "all"}')
    with pytest.raises(DamagedCheckpoint, match="'all'"):
        load(unstated)


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        (AR, {"model__lm_head__weight": None}, "no tensor model.lm_head.weight"),
        (AR, {"model__lm_head__weight": torch.zeros(1334, 31)}, "instead of"),
        (AR, {"model__model__layers__1__self_attn__q_proj__weight": None}, "unknown use"),
        (AR, {"model__adapter__weight": torch.zeros(3)}, "unknown use, such as model.adapter.weight"),
        (AR, {"model__model__norm__weight": torch.zeros(32, dtype=torch.int64)}, "int64"),
        (AR, {"model__model__embed_tokens__weight": torch.zeros(1334)}, "width cannot be 0"),
        (AR, {"model__model__embed_tokens__weight": torch.zeros(1, 10**5)}, "width cannot be 100000"),
        (NAR, {"model__model__embed_cond__weight": torch.zeros(7, 32)}, "instead of"),
        (NAR, {"model__lm_head__3__weight": torch.zeros(1024, 32)}, "instead of"),
        (NAR, {"phone_embedder__weight": torch.zeros(10**6, 1)}, "phones cannot be 1000000"),
        (NAR, {"model__model__norm__to_weight__bias": None}, "no tensor model.model.norm.to_weight.bias"),
    ],
)
def test_damaged_files_are_refused_before_models_are_allocated(
    folder: Path, tmp_path: Path, file: str, changes: dict[str, Tensor | None], reason: str
) -> None:
    check_that_it_notices()
    damaged = change(folder, tmp_path / "damaged", file, **changes)
    with NoLargeTensors(), pytest.raises(DamagedCheckpoint, match=reason):
        load(damaged)


def test_tensors_that_share_their_values_are_refused(tmp_path: Path) -> None:
    folder = write_amphion(tmp_path / "shared")
    ar, _ = amphion_shapes()
    tensors = random_weights(ar, 0)
    for layer in range(2, 100):
        for name in list(tensors):
            if "layers.0." in name:
                tensors[name.replace("layers.0.", f"layers.{layer}.")] = tensors[name]
    torch.save(tensors, folder / AR)
    with pytest.raises(DamagedCheckpoint, match="share"):
        load(folder)


# Conversion


def test_converted_is_the_same(folder: Path, tmp_path: Path) -> None:
    convert(folder, tmp_path / "out", {})
    expected, converted = load(folder), load(tmp_path / "out")
    assert torch.equal(codes_of(converted), codes_of(expected))
    assert (converted.name, converted.config) == (expected.name, expected.config)
    convert(tmp_path / "out", tmp_path / "again", {})
    assert (tmp_path / "again" / "config.json").read_bytes() == (tmp_path / "out" / "config.json").read_bytes()
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (
        tmp_path / "out" / "model.safetensors"
    ).read_bytes()


def test_the_codec_is_converted_with_it(folder: Path, codec_file: Path, tmp_path: Path) -> None:
    convert(folder, tmp_path / "out", {"speechtokenizer": str(codec_file)})
    assert not detect.describe(tmp_path / "out").notes
    given, included = load(folder, speechtokenizer=str(codec_file)), load(tmp_path / "out")
    wav_BN = torch.rand(1, 4000) - 0.5
    codes_BTQ = given.codec.encode(wav_BN)
    assert torch.equal(included.codec.encode(wav_BN), codes_BTQ)
    assert torch.equal(included.codec.decode(codes_BTQ), given.codec.decode(codes_BTQ))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", None),
        ("model", {"ar": {}, "nar": {}, "phones": 310}),
        ("codec", {"kind": "encodec"}),
        ("codec", []),
        ("name", 3),
    ],
)
def test_a_damaged_configuration_is_refused(folder: Path, tmp_path: Path, field: str, value: Any) -> None:
    convert(folder, tmp_path / "out", {})
    path = tmp_path / "out" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(DamagedCheckpoint):
        load(tmp_path / "out")


# Speech


def test_it_speaks_at_16_khz_in_batches_as_alone(folder: Path, codec_file: Path, reference: Path) -> None:
    synthesizer = Synthesizer.load(folder, device="cpu", options={"speechtokenizer": str(codec_file)})
    voice = synthesizer.voice(reference, "Hello there.")
    sampling = replace(synthesizer.sampling, max_frames=15)
    texts = ["One two three. Four five!", "Six.", "Seven eight nine ten eleven twelve."]
    jobs = [Job(key=text, text=text, voice=voice, sampling=sampling) for text in texts]
    together = {result.job.key: result for result in synthesizer.speak_many(jobs, slots=3)}
    for text in texts:
        alone = list(synthesizer.speak(text, voice, sampling))
        assert together[text].error is None
        for piece, expected in zip(together[text].pieces, alone, strict=True):
            assert piece.sample_rate == 16_000
            assert (piece.codes_TQ == expected.codes_TQ).all()
            assert len(piece.audio) == len(expected.audio) >= 320 * piece.frames > 0


def test_a_codec_beside_the_models_is_used(folder: Path, codec_file: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(folder, both)
    shutil.copy(codec_file, both)
    assert isinstance(load(both).codec, SpeechTokenizer)
    assert not detect.describe(both).notes
    with pytest.raises(UsageError, match="vocos"):
        Synthesizer.load(both, device="cpu", decoder="vocos")


def test_a_codec_with_another_grid_is_refused(folder: Path, tmp_path: Path) -> None:
    backend = load(folder, speechtokenizer=str(tmp_path / "missing.pt"))
    with pytest.raises(CheckpointError, match="does not exist"):
        _ = backend.codec


def test_too_short_and_too_long_prompts_are_refused(folder: Path) -> None:
    backend = load(folder)
    for frames, reason in ((4, "at least 5"), (2000, "no room")):
        voice = Voice(torch.zeros(frames, 8, dtype=torch.int16).numpy(), "a recording", "hello")
        [request] = backend.requests("Good morning.", voice, backend.sampling)
        with pytest.raises(InputError, match=reason):
            backend.causal_request(request)
    with pytest.raises(ValueError, match="at least 5"):
        backend.refine(TEXT, PROMPT[:4], [1, 2, 3])
