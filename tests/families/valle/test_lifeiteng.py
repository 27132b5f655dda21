"""Layouts of lifeiteng/vall-e and VALL-E X: tensors are renamed, settings are found or must be given."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published import OPTIONS, SIZES, legacy, published, shapes, write
from torch import Tensor

from vallecli.errors import CheckpointError, DamagedCheckpoint, UsageError
from vallecli.families.detect import describe
from vallecli.families.valle.ar import AR
from vallecli.families.valle.checkpoint import build
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.nar import NAR
from vallecli.families.valle.read import read_checkpoint


def assert_same(models: tuple[AR, NAR], path: Path, **options: Any) -> None:
    """Check that every parameter of the file is in its place, and that tied parameters are tied."""
    for model, loaded in zip(models, build(read_checkpoint(path, **options)), strict=True):
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, loaded.get_parameter(name)), name
        assert len(list(loaded.parameters())) == len(list(model.parameters()))


@pytest.mark.parametrize("cross", [False, True], ids=["VALL-E", "VALL-F"])
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_lifeiteng(tmp_path: Path, wrapper: str, cross: bool) -> None:
    wanted = ModelConfig(text_vocab=512, **SIZES, prefix_mode=0, stop="argmax", cross_attention=cross)
    *models, state = published(wanted)
    path = write(tmp_path / "epoch-1.pt", {wrapper + key: tensor for key, tensor in state.items()}, **OPTIONS)
    assert describe(path).family == "lifeiteng"
    checkpoint = read_checkpoint(path)
    assert checkpoint.model == wanted
    assert (checkpoint.front_end, checkpoint.codec) == ("espeak-1", {"kind": "encodec"})
    assert_same(tuple(models), path)


def test_the_first_layout(tmp_path: Path) -> None:
    sizes = SIZES | {"nar_d_model": 32, "nar_n_heads": 2}
    wanted = ModelConfig(text_vocab=128, **sizes, prefix_mode=0, stage_alphas=True)
    ar, nar, _ = published(wanted)
    nar.text_embedding.weight, nar.text_positions.alpha = ar.text_embedding.weight, ar.text_positions.alpha
    path = write(tmp_path / "best.pt", legacy(published(wanted)[2]), nhead=2, share_embedding=True)
    assert describe(path).family == "lifeiteng-legacy"
    assert read_checkpoint(path).model == wanted
    assert_same((ar, nar), path)
    held = torch.load(path, weights_only=False)
    del held["model"]["audio_positions.3.alpha"]
    torch.save(held, path)
    with pytest.raises(DamagedCheckpoint, match=r"it has no audio_positions\.3\.alpha"):
        read_checkpoint(path)


def test_a_state_dict_alone_needs_options(tmp_path: Path) -> None:
    wanted = ModelConfig(text_vocab=512, **SIZES, prefix_mode=2, stop="argmax")
    *models, state = published(wanted)
    torch.save(state, tmp_path / "pytorch_model.bin")
    missing = describe(tmp_path / "pytorch_model.bin").missing
    assert [re.search(r"\(option (\w+)=", sentence)[1] for sentence in missing] == ["heads", "prefix_mode", "symbols"]
    with pytest.raises(UsageError, match="option heads="):
        read_checkpoint(tmp_path / "pytorch_model.bin", prefix_mode="2")
    with pytest.raises(UsageError, match="option prefix_mode="):
        read_checkpoint(tmp_path / "pytorch_model.bin", heads=2)
    assert read_checkpoint(tmp_path / "pytorch_model.bin", heads=2, prefix_mode=2).model == wanted
    assert_same(tuple(models), tmp_path / "pytorch_model.bin", heads=2, prefix_mode=2)


def test_vallex_has_the_published_settings_by_default(tmp_path: Path) -> None:
    sizes = {"d_model": 64, "n_heads": 16, "n_layers": 1, "nar_d_model": 64, "nar_n_heads": 16, "nar_n_layers": 1}
    wanted = ModelConfig(text_vocab=2048, **sizes, n_languages=3, bos="start")
    *models, state = published(wanted)
    path = write(tmp_path / "vallex.pt", state)
    assert describe(path).family == "vallex"
    checkpoint = read_checkpoint(path)
    assert checkpoint.model == wanted
    assert (checkpoint.front_end, checkpoint.codec) == ("vallex-1", {"kind": "vocos"})
    assert_same(tuple(models), path)


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
        (lambda state: None, {"norm_first": False}, "norms after its layers"),
    ],
)
def test_models_that_do_not_fit_are_refused_with_the_reason(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], None], options: dict[str, object], message: str
) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES))[2]
    change(state)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(write(tmp_path / "odd.pt", state, **OPTIONS | options))


def test_other_numbers_of_languages_are_refused(tmp_path: Path) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES, n_languages=4))[2]
    with pytest.raises(DamagedCheckpoint, match="4 languages instead of 3"):
        read_checkpoint(write(tmp_path / "other.pt", state, **OPTIONS))


def test_tied_and_untied_heads_are_distinguished(tmp_path: Path) -> None:
    *models, state = published(ModelConfig(text_vocab=20, **SIZES, tied_heads=False))
    path = write(tmp_path / "untied.pt", state, **OPTIONS)
    with pytest.raises(DamagedCheckpoint, match=r"nar\.heads\.0\.weight differs from nar\.audio_embeddings\.2\.weight"):
        read_checkpoint(path)
    write(path, state, **OPTIONS | {"share_embedding": False})
    assert_same(tuple(models), path)
    torch.save(state, tmp_path / "alone.pt")
    assert not read_checkpoint(tmp_path / "alone.pt", heads=2, prefix_mode=1).model.tied_heads


@pytest.mark.parametrize("options", [{}, {"n_languages": 3, "bos": "start"}, {"cross_attention": True}], ids=str)
def test_published_models_have_the_published_names_and_shapes(options: dict[str, Any]) -> None:
    config = ModelConfig(text_vocab=20, **SIZES, **options)
    expected = shapes(
        text=20,
        width=SIZES["d_model"],
        nar_width=SIZES["nar_d_model"],
        layers=SIZES["n_layers"],
        languages=config.n_languages,
        bos=config.bos == "start",
        cross_attention=config.cross_attention,
    )
    assert {name: tuple(tensor.shape) for name, tensor in published(config)[2].items()} == expected
