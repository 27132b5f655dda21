"""valle's own format: what is saved is what is loaded, and the error of a damaged folder says what is wrong."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vallecli.checkpoints.modules import load_into, state_to_store
from vallecli.errors import DamagedCheckpoint
from vallecli.families.causal import Limits
from vallecli.families.valle import native
from vallecli.families.valle.ar import AR
from vallecli.families.valle.checkpoint import Checkpoint
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.nar import NAR

SIZES = {"d_model": 32, "n_heads": 2, "n_layers": 1, "nar_d_model": 16, "nar_n_heads": 2, "nar_n_layers": 1}
CONFIG = ModelConfig(text_vocab=20, **SIZES, bos="after_prompt")
OTHERS = {
    "name": "tiny",
    "front_end": "arpabet-1",
    "codec": {"kind": "nano", "width": 8},
    "limits": Limits(max_prompt_frames=225, max_text_chars=200),
    "sampling": {"top_k": 20, "temperature": 0.9},
    "symbols": ("<pad>", "ə", "—"),
    "equalize": 0.5,
}


def models() -> tuple[AR, NAR]:
    torch.manual_seed(0)
    return AR(CONFIG).eval(), NAR(CONFIG).eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint in half precision, as nano."""
    tensors = {
        f"{prefix}.{key}": tensor
        for prefix, module in zip(("ar", "nar"), models(), strict=True)
        for key, tensor in state_to_store(module).items()
    }
    checkpoint = Checkpoint(path=tmp_path, model=CONFIG, tensors=tensors, **OTHERS)
    native.save(tmp_path / "tiny", checkpoint, dtype=torch.float16)
    return tmp_path / "tiny"


def build(folder: Path) -> tuple[AR, NAR]:
    checkpoint = native.load(folder)
    ar, nar = AR(checkpoint.model), NAR(checkpoint.model)
    load_into(ar, checkpoint.tensors, "ar.", folder)
    load_into(nar, checkpoint.tensors, "nar.", folder)
    return ar, nar


def test_round_trip(folder: Path) -> None:
    checkpoint = native.load(folder)
    assert checkpoint.model == CONFIG
    assert {name: getattr(checkpoint, name) for name in OTHERS} == OTHERS
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    for loaded, original in zip(build(folder), models(), strict=True):
        for name, parameter in original.named_parameters():
            assert loaded.get_parameter(name).dtype == torch.float32
            assert torch.equal(loaded.get_parameter(name), parameter.half().float())


def test_tied_heads_are_stored_once_and_stay_tied(folder: Path) -> None:
    stored = load_file(folder / "model.safetensors")
    assert [key for key in stored if ".heads." in key] == ["nar.heads.6.weight"]
    nar = build(folder)[1]
    assert nar.heads[0].weight is nar.audio_embeddings[2].weight


def config_with(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))

    return change


def tensors_with(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        tensors = load_file(path) | {key.replace("__", "."): value for key, value in changes.items()}
        save_file({key: tensor for key, tensor in tensors.items() if tensor is not None}, path)

    return change


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(len(whole) * keep)])

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "tiny is not a checkpoint in valle.s own format"),
        (lambda folder: (folder / "model.safetensors").unlink(), "tiny has no model.safetensors"),
        (cut("config.json", 0.5), "config.json is damaged"),
        (cut("config.json", 0), "config.json is damaged"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe{}"), "config.json is damaged"),
        (lambda folder: (folder / "config.json").write_text("[1, 2]"), "config.json is not a configuration"),
        (config_with(format="vallecli-9"), "tiny is not a checkpoint in valle.s own format"),
        (config_with(family="llama"), "tiny is not a checkpoint in valle.s own format"),
        (config_with(name=None), "not a complete configuration: it has no name"),
        (config_with(model={"d_model": 8}), "not a complete configuration: .*text_vocab"),
        (config_with(model=CONFIG.to_dict() | {"n_heads": 3}), "not a complete configuration: a width of 32"),
        (config_with(model=7), "not a complete configuration"),
        (config_with(limits={"max_prompt_frames": 3}), "not a complete configuration: .*max_text_chars"),
        (config_with(limits=[]), "not a complete configuration"),
        (config_with(limits={"max_prompt_frames": 0, "max_text_chars": 1}), "max_prompt_frames cannot be 0"),
        (config_with(equalize=1.5), "equalize cannot be 1.5"),
        (config_with(equalize="all"), "not a complete configuration"),
        (config_with(codec=[1]), r"codec cannot be \[1\]"),
        (config_with(front_end=["arpabet-1"]), "front_end cannot be"),
        (config_with(symbols="abc"), "symbols is not a list of strings"),
        (config_with(symbols=[1]), "symbols is not a list of strings"),
        (cut("model.safetensors", 0.9), "model.safetensors is damaged"),
        (cut("model.safetensors", 0), "model.safetensors is damaged"),
        (tensors_with(ar__head__weight=None), "does not fit its own config: ar.head.weight is missing"),
        (tensors_with(nar__extra=torch.zeros(1)), "nar.extra is unknown"),
        (tensors_with(ar__norm__bias=torch.zeros(3)), r"ar.norm.bias is \(3,\) instead of \(32,\)"),
        (config_with(model=replace(CONFIG, n_layers=2).to_dict()), r"ar.layers.1.*missing.*\(and \d+ more\)"),
    ],
)
def test_damage(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(DamagedCheckpoint, match=message):
        build(folder)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DamagedCheckpoint, match="absent does not exist"):
        native.load(tmp_path / "absent")
