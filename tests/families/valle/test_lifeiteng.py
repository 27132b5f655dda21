"""Published files are data: names are translated, options found, and anything that is code is refused."""

import pathlib
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published import OPTIONS, SIZES, published, write
from torch import Tensor

from vallecli.errors import CheckpointError, DamagedCheckpoint, UsageError
from vallecli.families.valle import detect
from vallecli.families.valle.checkpoint import build
from vallecli.checkpoints.weights import read_pt
from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.nar import NAR


def legacy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state under the names of the first layout, where AR and NAR have the same text tables."""
    state = dict(state)
    for name in ("text_embedding.word_embeddings.weight", "text_position.alpha"):
        state[name] = state.pop(f"ar_{name}")
        del state[f"nar_{name}"]
    alphas = [*state.pop("ar_audio_position.alpha"), *state.pop("nar_audio_position.alpha")]
    state |= {f"audio_positions.{i}.alpha": alpha[None] for i, alpha in enumerate(alphas)}
    state["stage_embeddings.0.word_embeddings.weight"] = torch.zeros(1, 32)
    renames = {
        r"ar_audio_embedding\.(.*)": r"ar_embedding.\1",
        r"nar_audio_embeddings\.(.*)": r"nar_embeddings.\1",
        r"ar_predict_layer\.(.*)": r"predict_layers.0.\1",
    }
    for old, new in renames.items():
        state = {re.sub(old, new, key): tensor for key, tensor in state.items()}
    for stage in range(7):
        key = "stage_embeddings.{}.word_embeddings.weight"
        state[key.format(stage + 1)] = state.pop(f"nar_{key.format(stage)}")
        state[f"predict_layers.{stage + 1}.weight"] = state.pop(f"nar_predict_layers.{stage}.weight")
    return state


def assert_same(models: tuple[AR, NAR], path: Path, **options: Any) -> None:
    """Check that every parameter is where it belongs, and that what is tied stays so."""
    for model, loaded in zip(models, build(detect.load(path, **options)), strict=True):
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, loaded.get_parameter(name)), name
        assert len(list(loaded.parameters())) == len(list(model.parameters()))


@pytest.mark.parametrize("cross", [False, True], ids=["VALL-E", "VALL-F"])
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_lifeiteng(tmp_path: Path, wrapper: str, cross: bool) -> None:
    wanted = ModelConfig(text_vocab=512, **SIZES, prefix_mode=0, stop="argmax", cross_attention=cross)
    *models, state = published(wanted)
    path = write(tmp_path / "epoch-1.pt", {wrapper + key: tensor for key, tensor in state.items()}, **OPTIONS)
    assert detect.describe(path).family == "lifeiteng"
    checkpoint = detect.load(path)
    assert checkpoint.model == wanted
    assert (checkpoint.front_end, checkpoint.codec) == ("espeak-1", {"kind": "encodec"})
    assert_same(tuple(models), path)


def test_the_first_layout(tmp_path: Path) -> None:
    sizes = SIZES | {"nar_d_model": 32, "nar_n_heads": 2}
    wanted = ModelConfig(text_vocab=128, **sizes, prefix_mode=0, stage_alphas=True)
    ar, nar, _ = published(wanted)
    nar.text_embedding.weight, nar.text_positions.alpha = ar.text_embedding.weight, ar.text_positions.alpha
    path = write(tmp_path / "best.pt", legacy(published(wanted)[2]), nhead=2, share_embedding=True)
    assert detect.describe(path).family == "lifeiteng-legacy"
    assert detect.load(path).model == wanted
    assert_same((ar, nar), path)
    held = torch.load(path, weights_only=False)
    del held["model"]["audio_positions.3.alpha"]
    torch.save(held, path)
    with pytest.raises(DamagedCheckpoint, match=r"it has no audio_positions\.3\.alpha"):
        detect.load(path)


def test_a_state_dict_alone_needs_to_be_told_the_rest(tmp_path: Path) -> None:
    wanted = ModelConfig(text_vocab=512, **SIZES, prefix_mode=2, stop="argmax")
    *models, state = published(wanted)
    torch.save(state, tmp_path / "pytorch_model.bin")
    missing = detect.describe(tmp_path / "pytorch_model.bin").missing
    assert [re.search(r"\((--\S+)", sentence)[1] for sentence in missing] == ["--heads", "--prefix-mode", "--symbols"]
    with pytest.raises(UsageError, match="--heads"):
        detect.load(tmp_path / "pytorch_model.bin", prefix_mode=2)
    with pytest.raises(UsageError, match="--prefix-mode"):
        detect.load(tmp_path / "pytorch_model.bin", heads=2)
    assert detect.load(tmp_path / "pytorch_model.bin", heads=2, prefix_mode=2).model == wanted
    assert_same(tuple(models), tmp_path / "pytorch_model.bin", heads=2, prefix_mode=2)


def test_vallex_needs_no_options_in_the_file(tmp_path: Path) -> None:
    sizes = {"d_model": 64, "n_heads": 16, "n_layers": 1, "nar_d_model": 64, "nar_n_heads": 16, "nar_n_layers": 1}
    wanted = ModelConfig(text_vocab=2048, **sizes, n_languages=3, bos="start")
    *models, state = published(wanted)
    path = write(tmp_path / "vallex.pt", state)
    assert detect.describe(path).family == "vallex"
    checkpoint = detect.load(path)
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
        (lambda state: None, {"norm_first": False}, "norms behind its layers"),
    ],
)
def test_what_does_not_fit_is_told(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], None], options: dict[str, object], message: str
) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES))[2]
    change(state)
    with pytest.raises(CheckpointError, match=message):
        detect.load(write(tmp_path / "odd.pt", state, **OPTIONS | options))


def test_languages_are_those_of_vallex(tmp_path: Path) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES, n_languages=4))[2]
    with pytest.raises(DamagedCheckpoint, match="4 languages instead of 3"):
        detect.load(write(tmp_path / "other.pt", state, **OPTIONS))


def test_heads_that_are_not_tied_are_told_from_those_that_are(tmp_path: Path) -> None:
    *models, state = published(ModelConfig(text_vocab=20, **SIZES, tied_heads=False))
    path = write(tmp_path / "untied.pt", state, **OPTIONS)
    with pytest.raises(DamagedCheckpoint, match=r"nar\.audio_embeddings\.2\.weight is not"):
        detect.load(path)
    write(path, state, **OPTIONS | {"share_embedding": False})
    assert_same(tuple(models), path)
    torch.save(state, tmp_path / "alone.pt")
    assert not detect.load(tmp_path / "alone.pt", heads=2, prefix_mode=1).model.tied_heads


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
