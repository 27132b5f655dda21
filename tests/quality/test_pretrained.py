"""Checkpoints of transformers: read by valle's own reader, with the results of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vallecli.checkpoints import imports, registry
from vallecli.codec.encodec import torchaudio_or_stand_in
from vallecli.errors import DamagedCheckpoint
from vallecli.quality import evaluation
from vallecli.quality.evaluation import SIMILARITY
from vallecli.quality.manner import EmotionModel
from vallecli.quality.pretrained import RATE, cosine, find
from vallecli.quality.similarity import Wavlm

with torchaudio_or_stand_in():
    from transformers import Wav2Vec2Config, Wav2Vec2Model, WavLMConfig, WavLMForXVector

TINY: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": [8, 8, 8, 8, 8, 8, 8],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "layerdrop": 0.0,
}
WAVLM = {**TINY, "tdnn_dim": [16] * 5, "xvector_output_dim": 12}
AUDIO = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


def save(folder: Path, model: Any, *, prefix: str = "", old_names: bool = False, normalize: bool = False) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(model.config.to_json_string(use_diff=False))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": normalize}))
    state = {prefix + name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if old_names:  # of weight_norm in the published files
        names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        for new, old in names.items():
            state = {name.replace(new, old): tensor for name, tensor in state.items()}
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file(state, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def wavlm() -> Any:
    torch.manual_seed(0)
    return WavLMForXVector(WavLMConfig(**WAVLM)).eval()


@pytest.mark.parametrize("old_names", [False, True])
def test_wavlms_embedding_is_that_of_transformers(tmp_path: Path, wavlm: Any, old_names: bool) -> None:
    made = Wavlm(save(tmp_path / "wavlm", wavlm, old_names=old_names)).embed(AUDIO, "noise")
    with torch.inference_mode():
        expected = wavlm(torch.from_numpy(AUDIO)[None]).embeddings[0].numpy()
    assert np.allclose(made, expected, atol=1e-6)
    assert cosine(made, expected) == pytest.approx(1)


def test_a_checkpoint_that_normalizes_its_input_ignores_the_level(tmp_path: Path, wavlm: Any) -> None:
    loud = Wavlm(save(tmp_path / "wavlm", wavlm, normalize=True))
    assert np.allclose(loud.embed(AUDIO, "noise"), loud.embed(3 * AUDIO, "noise"), atol=1e-4)


def test_short_audio_is_padded(tmp_path: Path, wavlm: Any) -> None:
    assert np.isfinite(Wavlm(save(tmp_path / "wavlm", wavlm)).embed(AUDIO[:100], "click")).all()


def test_the_emotion_is_the_mean_of_the_states(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Wav2Vec2Model(Wav2Vec2Config(**TINY)).eval()
    made = EmotionModel(save(tmp_path / "emotion", model, prefix="wav2vec2.")).embed(AUDIO)
    with torch.inference_mode():
        assert np.allclose(made, model(torch.from_numpy(AUDIO)[None])[0][0].mean(dim=0).numpy(), atol=1e-6)


def test_incomplete_weights_are_refused(tmp_path: Path, wavlm: Any) -> None:
    folder = save(tmp_path / "wavlm", wavlm)
    state = {name: tensor.contiguous() for name, tensor in wavlm.state_dict().items() if name != "projector.weight"}
    save_file(state, folder / "model.safetensors")
    with pytest.raises(DamagedCheckpoint, match=r"projector\.weight"):
        Wavlm(folder)


@pytest.mark.parametrize("config", ["{", "[]", '{"hidden_size": 32}', '{"hidden_size": "x"}'])
def test_a_configuration_that_does_not_fit_is_refused(tmp_path: Path, wavlm: Any, config: str) -> None:
    folder = save(tmp_path / "wavlm", wavlm)
    (folder / "config.json").write_text(config)
    with pytest.raises(DamagedCheckpoint):
        Wavlm(folder)


def test_entries_that_are_not_here_are_not_found(own_folder: Path) -> None:
    assert find("wavlm-base-plus-sv") is None
    (own_folder / "unknown").mkdir()
    assert find("unknown") is None  # a folder of that name is no entry


def test_models_are_used_when_their_files_are_here(tmp_path: Path, wavlm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "Resemblyzer", lambda: None)
    assert evaluation.load_scorers([SIMILARITY]).wavlm is None
    folder = save(tmp_path / "wavlm", wavlm, old_names=True)
    spec = registry.get("wavlm-base-plus-sv")
    imports.add(folder, spec, report=lambda message: None, describe=lambda path: pytest.fail("it is of no family"))
    scorers = evaluation.load_scorers([SIMILARITY])
    assert scorers.identity["similarity_wavlm"] == spec.name
    assert scorers.wavlm is not None
    assert np.isfinite(scorers.wavlm.embed(AUDIO, "noise")).all()
    assert scorers.emotions is None
