"""Amphion v1: the latest epoch of an experiment folder, settings of args.json, clear errors for other experiments."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from published import ARGS, SIZES, published, write_amphion
from safetensors.torch import save_file

from vallecli.errors import CheckpointError, DamagedCheckpoint
from vallecli.families.detect import describe
from vallecli.families.valle.checkpoint import build
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.read import read_checkpoint
from vallecli.synthesizer import Synthesizer


def test_the_latest_epoch_is_read(tmp_path: Path) -> None:
    names = (
        "epoch-0009_step-0000900_loss-1.0",
        "final_epoch-0100_step-0000001_loss-3.88",
        "epoch-0010_step-9_loss-0.1",
    )
    folder = write_amphion(tmp_path / "valle_libritts", *names)
    for name in (names[0], names[2]):
        (folder / "checkpoint" / name / "pytorch_model.bin").write_bytes(b"not read")
    (folder / "checkpoint" / "samples").mkdir()
    checkpoint = read_checkpoint(folder)
    assert checkpoint.name == "valle_libritts"
    assert checkpoint.symbols == ("<pad>", "<bos>", "<eos>", "!", "<eps>", "b")
    assert (checkpoint.model.prefix_mode, checkpoint.model.n_heads, checkpoint.model.stop) == (1, 2, "argmax")
    weights = folder / "checkpoint" / names[1] / "pytorch_model.bin"
    assert describe(weights).family == "amphion-v1"  # args.json is in a folder above it
    assert read_checkpoint(weights).model == checkpoint.model


@pytest.mark.parametrize("dropped", ["nar_predict_layers.{}.weight", "nar_audio_embeddings.{}.word_embeddings.weight"])
def test_tied_tensors_may_be_stored_once(tmp_path: Path, dropped: str) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES))[2]
    folder = write_amphion(tmp_path / "amphion")
    expected = read_checkpoint(folder)
    for number in range(6):
        del state[dropped.format(number if "predict" in dropped else number + 2)]
    [weights] = folder.glob("checkpoint/*/pytorch_model.bin")
    save_file({f"module.{key}": tensor for key, tensor in state.items()}, weights.with_name("model.safetensors"))
    weights.unlink()  # not overwritten, because it is mapped
    weights.write_bytes(b"not read: the safe format is preferred")
    loaded = read_checkpoint(folder)
    for ours, theirs in zip(build(loaded), build(expected), strict=True):
        assert all(torch.equal(tensor, theirs.state_dict()[key]) for key, tensor in ours.state_dict().items())


def test_missing_settings_are_those_of_the_base_config(tmp_path: Path) -> None:
    folder = write_amphion(tmp_path / "amphion", args='{"model": {"nhead": 2}}', symbols=None)
    assert read_checkpoint(folder).model.prefix_mode == 0
    assert "option symbols=FILE" in describe(folder).missing[0]
    assert read_checkpoint(folder, prefix_mode=4).model.prefix_mode == 4


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("{", "args.json is damaged"),
        ("[1]", "not a configuration of Amphion"),
        ("[" * 10_000, "args.json is damaged"),
        ("[" * 100_000, "args.json is too long"),
        ('{"model": {}, "model": {}}', "args.json is damaged: it has the key 'model' twice"),
        ('{"model": {"nhead": NaN}}', "args.json is damaged: it has the number NaN"),
        ('{"model": {"nhead": [1]}}', "heads cannot be .1."),
        ('{"model": 3}', "model is not an object"),
        ('{"model_type": "FastSpeech2"}', "Amphion's FastSpeech2"),
        ('{"preprocess": {"acoustic_token_extractor": "DAC"}}', "uses codes of DAC"),
        ('{"model": {"nhead": "many"}}', "not in the lifeiteng layout"),
        ('{"model": {"add_prenet": true}}', "prenets"),
    ],
)
def test_args_of_other_models_are_refused(tmp_path: Path, args: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(write_amphion(tmp_path / "amphion", args=args))


def test_an_experiment_without_weights(tmp_path: Path) -> None:
    folder = write_amphion(tmp_path / "amphion")
    [weights] = folder.glob("checkpoint/*/pytorch_model.bin")
    weights.unlink()
    with pytest.raises(DamagedCheckpoint, match=r"no weights: .*checkpoint/epoch-0001.*pytorch_model\.bin"):
        read_checkpoint(folder)


def test_an_unknown_front_end(tmp_path: Path) -> None:
    args = ARGS.rstrip().removesuffix("}") + '"preprocess": {"phone_extractor": "pypinyin"}}'
    with pytest.raises(DamagedCheckpoint, match="unknown text front end 'pypinyin'"):
        Synthesizer.load(write_amphion(tmp_path / "amphion", args=args), device="cpu")
