"""Published files are data: names are translated, options found, and anything that is code is refused."""

import pathlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vallecli.errors import CheckpointError, DamagedCheckpoint
from vallecli.formats import lifeiteng, vallex
from vallecli.formats.base import load_into
from vallecli.formats.pt import read_pt
from vallecli.model.ar import AR
from vallecli.model.config import ModelConfig
from vallecli.model.nar import NAR

SIZES = {"d_model": 32, "n_heads": 2, "n_layers": 1, "nar_d_model": 16, "nar_n_heads": 1, "nar_n_layers": 1}
OPTIONS = {"nhead": 2, "scale_factor": 0.5, "prefix_mode": 0, "share_embedding": True, "norm_first": True}


def published(config: ModelConfig) -> tuple[AR, NAR, dict[str, Tensor]]:
    """Return models and their state under the names of section 4 of the layout, written out by hand."""
    torch.manual_seed(0)
    ar, nar = AR(config), NAR(config)
    state = {
        "ar_predict_layer.weight": ar.head.weight,
        "ar_audio_embedding.word_embeddings.weight": ar.audio_embedding.weight,
    }
    state |= {f"nar_audio_embeddings.{i}.word_embeddings.weight": e.weight for i, e in enumerate(nar.audio_embeddings)}
    state |= {f"nar_predict_layers.{i}.weight": head.weight for i, head in enumerate(nar.heads)}
    for stage in range(7):
        state[f"nar_stage_embeddings.{stage}.word_embeddings.weight"] = nar.stage_embeddings.weight[stage : stage + 1]
    for name, model in (("ar", ar), ("nar", nar)):
        state[f"{name}_text_embedding.word_embeddings.weight"] = model.text_embedding.weight
        if model.language_embedding is not None:
            state[f"{name}_language_embedding.word_embeddings.weight"] = model.language_embedding.weight
        state[f"{name}_text_position.alpha"] = model.text_positions.alpha
        state[f"{name}_audio_position.alpha"] = model.audio_positions.alpha
        norms = {f"{name}_decoder.norm": model.norm}
        for i, layer in enumerate(model.layers):
            at = f"{name}_decoder.layers.{i}"
            norms |= {f"{at}.norm1": layer.norm1, f"{at}.norm2": layer.norm2}
            for kind in ("weight", "bias"):
                state[f"{at}.self_attn.in_proj_{kind}"] = getattr(layer.attention.qkv, kind)
                state[f"{at}.self_attn.out_proj.{kind}"] = getattr(layer.attention.out, kind)
                state[f"{at}.linear1.{kind}"] = getattr(layer.linear1, kind)
                state[f"{at}.linear2.{kind}"] = getattr(layer.linear2, kind)
        for key, norm in norms.items():
            for kind in ("weight", "bias"):
                if name == "ar":
                    state[f"{key}.{kind}"] = getattr(norm, kind)
                else:
                    state[f"{key}.project_layer.{kind}"] = getattr(norm.project, kind)
                    state[f"{key}.norm.{kind}"] = getattr(norm.norm, kind)
    return ar, nar, {key: tensor.detach().clone() for key, tensor in state.items()}


def write(path: Path, state: dict[str, Tensor], **options: Any) -> Path:
    torch.save({"model": state, "exp_dir": pathlib.PurePosixPath("exp/valle"), **options}, path)
    return path


def filled(config: ModelConfig, tensors: dict[str, Tensor], path: Path) -> tuple[AR, NAR]:
    ar, nar = AR(config), NAR(config)
    load_into(ar, tensors, "ar.", path)
    load_into(nar, tensors, "nar.", path)
    return ar, nar


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_lifeiteng(tmp_path: Path, wrapper: str) -> None:
    wanted = ModelConfig(text_vocab=512, **SIZES, prefix_mode=0, stop="argmax")
    *models, state = published(wanted)
    path = write(tmp_path / "epoch-1.pt", {wrapper + key: tensor for key, tensor in state.items()}, **OPTIONS)
    config, tensors = lifeiteng.read_model(path)
    assert config == wanted
    for model, loaded in zip(models, filled(config, tensors, path), strict=True):
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, loaded.get_parameter(name)), name


def test_vallex_needs_no_options_in_the_file(tmp_path: Path) -> None:
    sizes = {"d_model": 64, "n_heads": 16, "n_layers": 1, "nar_d_model": 64, "nar_n_heads": 16, "nar_n_layers": 1}
    wanted = ModelConfig(text_vocab=2048, **sizes, n_languages=3, bos="start")
    *models, state = published(wanted)
    path = write(tmp_path / "vallex.pt", state)
    config, tensors = vallex.read_model(path)
    assert config == wanted
    loaded = filled(config, tensors, path)
    assert torch.equal(models[1].language_embedding.weight, loaded[1].language_embedding.weight)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda state: state.pop("nar_stage_embeddings.3.word_embeddings.weight"),
            {},
            "it has no nar_stage_embeddings.3",
        ),
        (lambda state: state.update(extra=torch.zeros(1)), {}, "unknown key extra"),
        (lambda state: None, {"nhead": 3}, "cannot be shared by 3 heads"),
        (lambda state: None, {"nhead": None}, "not in the lifeiteng layout"),
        (lambda state: None, {"prefix_mode": 7}, "prefix_mode cannot be 7"),
        (lambda state: None, {"add_prenet": True}, "prenets"),
        (lambda state: None, {"norm_first": False}, "norms behind its layers"),
    ],
)
def test_what_does_not_fit_is_told(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], None], options: dict[str, object], message: str
) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES))[2]
    change(state)
    with pytest.raises(CheckpointError, match=message):
        lifeiteng.read_model(write(tmp_path / "odd.pt", state, **OPTIONS | options))


def test_a_file_that_is_no_vallex(tmp_path: Path) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES))[2]
    with pytest.raises(DamagedCheckpoint, match="0 languages instead of 3"):
        vallex.read_model(write(tmp_path / "other.pt", state, **OPTIONS))
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(DamagedCheckpoint, match="not a VALL-E X checkpoint"):
        vallex.read_model(tmp_path / "list.pt")
    with pytest.raises(DamagedCheckpoint, match="not in the lifeiteng layout"):
        lifeiteng.read_model(tmp_path / "list.pt")


@pytest.mark.parametrize("name", ["pathlib PosixPath", "pathlib WindowsPath", "pathlib._local PosixPath"])
def test_paths_of_any_system_become_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / "paths.pt"
    # The old container, because its pickle can be edited in place.
    torch.save({"exp_dir": Path("exp/valle"), "x": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    here, there = (
        f"c{kind}".encode().replace(b" ", b"\n") for kind in (f"{Path.__module__} {type(path).__name__}", name)
    )
    assert here in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(here, there))
    held = read_pt(path)
    assert isinstance(held["exp_dir"], str)
    assert held["exp_dir"] == "exp/valle"
    assert torch.equal(held["x"], torch.ones(2))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pathlib.Path.touch, (pathlib.Path("ran"),)


@pytest.mark.parametrize("save", [torch.save, lambda held, path: path.write_bytes(pickle.dumps(held, protocol=2))])
def test_code_is_refused_and_does_not_run(tmp_path: Path, save: Callable[[object, Path], object]) -> None:
    save({"model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(DamagedCheckpoint, match=r"evil\.pt is refused"):
        read_pt(tmp_path / "evil.pt")
    assert not Path("ran").exists()


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_damaged(tmp_path: Path, keep: float, zipped: bool) -> None:
    path = tmp_path / "cut.pt"
    torch.save({"x": torch.randn(1000)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    assert torch.equal(read_pt(path)["x"], torch.load(path, weights_only=True)["x"])
    path.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(DamagedCheckpoint, match=r"cut\.pt is (damaged|refused)"):
        read_pt(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DamagedCheckpoint, match=r"gone\.pt is not there"):
        read_pt(tmp_path / "gone.pt")
