"""Cloning: HuBERT in both layouts, both versions of the quantizer, and the preset that comes of them."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bark_published import write_suno
from conftest import Ran, Valle
from torch import Tensor, nn

from vallecli.checkpoints import local
from vallecli.codec.encodec import EncodecCodec, torchaudio_or_stand_in
from vallecli.errors import DamagedCheckpoint, MissingCheckpoint, PromptTooShort
from vallecli.families.bark.cloning import (
    HUBERT,
    LAYER,
    QUANTIZER,
    Cloner,
    Quantizer,
    read_hubert,
    read_quantizer,
    resample_16k,
)

WIDTH, HEADS, FFN, CONV, LAYERS = 32, 4, 24, 8, 10
CPU = torch.device("cpu")


def fairseq_name(name: str) -> str:
    """Return fairseq's name of a tensor of transformers."""
    for ours, theirs in (
        ("feature_projection.layer_norm.", "layer_norm."),
        ("feature_projection.projection.", "post_extract_proj."),
        ("pos_conv_embed.conv.parametrizations.weight.original0", "pos_conv.0.weight_g"),
        ("pos_conv_embed.conv.parametrizations.weight.original1", "pos_conv.0.weight_v"),
        ("pos_conv_embed.conv.bias", "pos_conv.0.bias"),
        ("conv_layers.0.layer_norm.", "conv_layers.0.2."),
        (".conv.weight", ".0.weight"),
        (".attention.", ".self_attn."),
        ("feed_forward.intermediate_dense.", "fc1."),
        ("feed_forward.output_dense.", "fc2."),
        ("masked_spec_embed", "mask_emb"),
    ):
        name = name.replace(ours, theirs)
    if name.startswith("encoder.layers.") and ".layer_norm." in name:
        name = name.replace(".layer_norm.", ".self_attn_layer_norm.")
    return name


@pytest.fixture(scope="module")
def hubert() -> nn.Module:
    pytest.importorskip("tokenizers")
    with torchaudio_or_stand_in():
        transformers = pytest.importorskip("transformers")
        config = transformers.HubertConfig(
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=FFN,
            conv_dim=[CONV] * 7,
        )
        torch.manual_seed(0)
        model: nn.Module = transformers.HubertModel(config).eval()
    return model


def write_hubert(folder: Path, model: nn.Module, monkeypatch: pytest.MonkeyPatch, *, fairseq: bool) -> Path:
    """Write weights in one of the two layouts."""
    folder.mkdir()
    if not fairseq:
        old = {
            name.replace("parametrizations.weight.original0", "weight_g").replace(
                "parametrizations.weight.original1", "weight_v"
            ): tensor
            for name, tensor in model.state_dict().items()
        }
        torch.save(old, folder / "pytorch_model.bin")
        (folder / "config.json").write_text(json.dumps({"num_attention_heads": HEADS}))
        return folder
    module = types.ModuleType("fairseq.data.dictionary")
    kind = type("Dictionary", (), {"__module__": "fairseq.data.dictionary", "__qualname__": "Dictionary"})
    module.Dictionary = kind  # type: ignore[attr-defined]
    for name in ("fairseq", "fairseq.data"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "fairseq.data.dictionary", module)
    words = kind()
    words.symbols = ["<s>", "<unk>"]
    state = {fairseq_name(name): tensor for name, tensor in model.state_dict().items()}
    state |= {"label_embs_concat": torch.zeros(3, 2), "final_proj.weight": torch.zeros(2, WIDTH)}
    path = folder / "hubert_base_ls960.pt"
    arguments = argparse.Namespace(arch="hubert", encoder_attention_heads=HEADS)
    torch.save({"args": arguments, "model": state, "task_state": {"dictionaries": [words]}}, path)
    return path


@pytest.mark.parametrize("fairseq", [False, True])
def test_features_are_those_of_layer_9(
    hubert: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fairseq: bool
) -> None:
    path = write_hubert(tmp_path / "hubert", hubert, monkeypatch, fairseq=fairseq)
    wav = torch.randn(8000, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = hubert(wav[None], output_hidden_states=True).hidden_states[LAYER][0]
    found = Cloner(read_hubert(path), quantizer()).features(wav)
    torch.testing.assert_close(found, expected)


def quantizer(*, intermediate: int | None = None, classes: int = 50) -> Quantizer:
    torch.manual_seed(1)
    return Quantizer(WIDTH, 8, intermediate, classes).eval()


def sequence(model: Quantizer, features_NF: Tensor) -> Tensor:
    """Return the logits (N, V) by the equations of an LSTM, gates in the order i, f, g, o."""
    x = features_NF
    for layer in range(2):
        weights = [getattr(model.lstm, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        h = c = torch.zeros(8)
        outputs = []
        for step in x:
            gates = weights[0] @ step + weights[2] + weights[1] @ h + weights[3]
            i, f, g, o = gates.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        x = torch.stack(outputs)
    if model.intermediate is not None:
        x = model.intermediate(x)
    out: Tensor = model.fc(x)
    return out


@pytest.mark.parametrize("intermediate", [None, 12])
def test_quantizers_of_both_versions(tmp_path: Path, intermediate: int | None) -> None:
    model, path = quantizer(intermediate=intermediate), tmp_path / "quantizer.pth"
    torch.save(model.state_dict(), path)
    sizes = {"input_size": WIDTH, "hidden_size": 8, "output_size": 50, "version": int(intermediate is not None)}
    if intermediate is not None:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("quantizer/.info", json.dumps(sizes))
    features = torch.randn(9, WIDTH)
    with torch.inference_mode():
        expected = sequence(model, features).log_softmax(-1)
        torch.testing.assert_close(read_quantizer(path)(features), expected)


def test_other_files_are_no_quantizers(tmp_path: Path) -> None:
    path = tmp_path / "quantizer.pth"
    torch.save({"fc.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(DamagedCheckpoint, match="not a quantizer"):
        read_quantizer(path)
    torch.save(quantizer().state_dict(), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("quantizer/.info", json.dumps({"hidden_size": 9}))
    with pytest.raises(DamagedCheckpoint, match="states another hidden_size"):
        read_quantizer(path)
    with pytest.raises(DamagedCheckpoint, match="not HuBERT"):
        read_hubert(path)


@pytest.mark.parametrize("frequency", [440.0, 3000.0])
def test_resampling_keeps_tones(frequency: float) -> None:
    times = torch.arange(24_000) / 24_000
    found = resample_16k((2 * math.pi * frequency * times).sin())
    expected = (2 * math.pi * frequency * torch.arange(16_000) / 16_000).sin()
    assert len(found) == len(expected)
    torch.testing.assert_close(found[100:-100], expected[100:-100], atol=5e-3, rtol=0)
    assert resample_16k((2 * math.pi * 11_000 * times).sin())[100:-100].abs().max() < 0.1  # above half of 16 kHz


class FakeHubert(nn.Module):
    def forward(self, wav_BN: Tensor, *, output_hidden_states: bool) -> Any:
        frames = (wav_BN.shape[1] - 80) // 320
        hidden = [torch.full((1, frames, WIDTH), float(layer)) for layer in range(LAYERS + 1)]
        return types.SimpleNamespace(hidden_states=hidden)


def test_the_preset_of_a_clip() -> None:
    codec, cloner = EncodecCodec.random(0), Cloner(FakeHubert(), quantizer())
    wav = 0.1 * torch.randn(2 * 24_000, generator=torch.Generator().manual_seed(3))
    codes = codec.encode(wav[None])[0]
    preset = cloner.preset(wav, codes, "ref.wav")
    assert (preset.semantic_N.shape, preset.coarse_PQ.shape, preset.codes_PQ.shape) == ((99,), (150, 2), (150, 8))
    assert np.array_equal(preset.codes_PQ, codes.numpy())
    assert np.array_equal(preset.coarse_PQ, preset.codes_PQ[:, :2])


@pytest.mark.parametrize("seconds", [0.01, 0.04])
def test_clips_that_are_too_short(seconds: float) -> None:
    codec, cloner = EncodecCodec.random(0), Cloner(FakeHubert(), quantizer())
    wav = torch.ones(int(seconds * 24_000))
    with pytest.raises(PromptTooShort, match=r"ref.wav has 0\.0 s of speech, at least 0\.83 s"):
        cloner.preset(wav, codec.encode(wav[None])[0], "ref.wav")


def test_without_hubert() -> None:
    with pytest.raises(MissingCheckpoint) as caught:
        Cloner.load({}, CPU)
    assert caught.value.message == "hubert-base-ls960 and bark-quantizer are not on this machine"
    assert caught.value.hint == "valle checkpoints pull hubert-base-ls960 bark-quantizer"


def test_a_voice_of_the_library_is_cloned_once(
    valle: Valle, hubert: nn.Module, reference: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_suno(own_folder / "tiny")
    add = ("voices", "add", "anna", reference, "--checkpoint", checkpoint)

    def speak(*voice: str | Path) -> Ran:
        fixed = ["--text", "Hello.", "--seed", "3", "--max-seconds", "0.2", "-o", "-", "--format", "raw"]
        return valle("speak", "--checkpoint", checkpoint, *fixed, *voice)

    install("encodec-24khz", EncodecCodec.random(0).model.state_dict())
    refused = valle(*add)
    assert refused.code == MissingCheckpoint.exit_code
    assert "valle checkpoints pull hubert-base-ls960 bark-quantizer" in refused.err
    assert "the voice anna is stored, its codes" in refused.err
    folder = write_hubert(own_folder / "hubert", hubert, monkeypatch, fairseq=False)
    local.install(HUBERT, "a test", lambda stage: shutil.copytree(folder, stage, dirs_exist_ok=True))
    install(QUANTIZER, quantizer().state_dict())
    assert valle(*add, "--force").code == 0
    cloned = speak("--prompt", reference)
    assert cloned.code == 0, cloned.err
    assert local.remove(HUBERT)
    assert local.remove(QUANTIZER)
    assert speak("--prompt", reference).code == MissingCheckpoint.exit_code
    first, again = speak("--voice", "anna"), speak("--voice", "anna")
    assert (first.code, len(first.out)) == (0, len(cloned.out))
    assert first.out == again.out


def install(name: str, state: dict[str, Any]) -> None:
    local.install(name, "a test", lambda stage: torch.save(state, stage / "weights.bin"))
