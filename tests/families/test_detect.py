"""A checkpoint is known by what it holds: every family is found, described and loaded, and strangers are told apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from published import ARGS, SIZES, published, write_amphion, write_lifeiteng, write_vallex
from safetensors.torch import save_file

from vallecli.errors import CheckpointError, DamagedCheckpoint, UnknownFormat, UsageError
from vallecli.families.valle import detect
from vallecli.families.valle.checkpoint import build
from vallecli.families.valle.symbols import read_symbols
from vallecli.families.valle.config import ModelConfig
from vallecli.synthesizer import Synthesizer

MAKERS = {"vallex": write_vallex, "lifeiteng": write_lifeiteng, "amphion-v1": write_amphion}


@pytest.mark.parametrize("family", MAKERS)
def test_the_family_is_found_whatever_the_name(tmp_path: Path, family: str) -> None:
    path = MAKERS[family](tmp_path / "weights of mine")
    described = detect.describe(path)
    checkpoint = detect.load(path)
    assert described.family == family
    assert described.config["front_end"] == checkpoint.front_end
    assert {name: described.config[name] for name in checkpoint.model.to_dict()} == checkpoint.model.to_dict()
    assert described.tensors["nar_predict_layers.6.weight"] == (1024, 16)
    build(checkpoint)


def test_our_own_is_found_by_folder_or_by_either_file(tiny_checkpoint: Path) -> None:
    for path in (tiny_checkpoint, tiny_checkpoint / "config.json", tiny_checkpoint / "model.safetensors"):
        assert detect.describe(path).family == "native"
        assert detect.describe(path).missing == ()
        assert detect.load(path).path == tiny_checkpoint


def test_describing_reads_no_values(tmp_path: Path) -> None:
    path = write_vallex(tmp_path / "big.pt")
    whole = bytearray(path.read_bytes())
    begin = whole.index(b"/data/0") + 64
    whole[begin + 100] ^= 0xFF  # a value: whoever reads it sees that the checksum does not hold
    path.write_bytes(whole)
    assert detect.describe(path).family == "vallex"
    with pytest.raises(DamagedCheckpoint, match="checksum"):
        detect.load(path)


# Symbols


def test_symbols_are_numbered_by_code_point_after_the_special_ones(tmp_path: Path) -> None:
    table = tmp_path / "unique_text_tokens.k2symbols"
    table.write_text("<eps> 0\nb 1\n! 2\nɐ 3\n̩ 4\n")
    wanted = ("<pad>", "<bos>", "<eos>", "!", "<eps>", "b", "ɐ", "̩")
    assert read_symbols(table, 20) == wanted
    path = write_lifeiteng(tmp_path / "epoch-1.pt")
    assert detect.load(path).symbols == wanted  # it lies beside the weights
    assert detect.describe(path).missing == ()
    moved = table.rename(tmp_path / "mine.txt")
    assert detect.load(path).symbols is None
    assert "--symbols FILE" in detect.describe(path).missing[0]
    assert detect.load(path, symbols=moved).symbols == wanted


def test_the_place_of_the_table_is_never_taken_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a 0\n")
    path = write_lifeiteng(tmp_path / "here.pt", text_tokens=str(tmp_path / "elsewhere" / "secret"))
    assert detect.load(path).symbols == ("<pad>", "<bos>", "<eos>", "a")  # its name counts, beside the weights
    (tmp_path / "sub").mkdir()
    moved = Path(shutil.move(path, tmp_path / "sub" / "here.pt"))
    assert detect.load(moved).symbols is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "it is empty"),
        (b"a\n", "line 1 is 'a'"),
        (b"a 0\nb c d\n", "line 2"),
        (b"a 0\na 1\n", "a symbol stands in it twice"),
        (b"\xff\xfe 0\n", "not UTF-8"),
        ("".join(f"{chr(0x4E00 + i)} {i}\n" for i in range(18)).encode(), "18 symbols, and the model 20 rows"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, table: bytes, message: str) -> None:
    (tmp_path / "table").write_bytes(table)
    with pytest.raises(DamagedCheckpoint, match=message):
        detect.load(write_lifeiteng(tmp_path / "epoch-1.pt"), symbols=tmp_path / "table")


@pytest.mark.parametrize(("options", "message"), [({"heads": 0}, "0 attention heads"), ({"prefix_mode": 3}, "mode 3")])
def test_options_that_no_model_has(tmp_path: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        detect.load(write_lifeiteng(tmp_path / "epoch-1.pt"), **options)


# Amphion


def test_amphion_takes_the_latest_epoch(tmp_path: Path) -> None:
    names = (
        "epoch-0009_step-0000900_loss-1.0",
        "final_epoch-0100_step-0000001_loss-3.88",
        "epoch-0010_step-9_loss-0.1",
    )
    folder = write_amphion(tmp_path / "valle_libritts", *names)
    for name in (names[0], names[2]):
        (folder / "checkpoint" / name / "pytorch_model.bin").write_bytes(b"not read")
    (folder / "checkpoint" / "samples").mkdir()
    checkpoint = detect.load(folder)
    assert checkpoint.name == "valle_libritts"
    assert checkpoint.symbols == ("<pad>", "<bos>", "<eos>", "!", "<eps>", "b")
    assert (checkpoint.model.prefix_mode, checkpoint.model.n_heads, checkpoint.model.stop) == (1, 2, "argmax")
    weights = folder / "checkpoint" / names[1] / "pytorch_model.bin"
    assert detect.describe(weights).family == "amphion-v1"  # args.json is found above it
    assert detect.load(weights).model == checkpoint.model


@pytest.mark.parametrize("dropped", ["nar_predict_layers.{}.weight", "nar_audio_embeddings.{}.word_embeddings.weight"])
def test_amphion_with_tied_tensors_once(tmp_path: Path, dropped: str) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES))[2]
    folder = write_amphion(tmp_path / "amphion")
    expected = detect.load(folder)
    for number in range(6):
        del state[dropped.format(number if "predict" in dropped else number + 2)]
    [weights] = folder.glob("checkpoint/*/pytorch_model.bin")
    save_file({f"module.{key}": tensor for key, tensor in state.items()}, weights.with_name("model.safetensors"))
    weights.unlink()  # not overwritten, as it is mapped
    weights.write_bytes(b"not read: the safe format is preferred")
    loaded = detect.load(folder)
    for ours, theirs in zip(build(loaded), build(expected), strict=True):
        assert all(torch.equal(tensor, theirs.state_dict()[key]) for key, tensor in ours.state_dict().items())


def test_amphion_fills_in_the_defaults_of_its_base_config(tmp_path: Path) -> None:
    folder = write_amphion(tmp_path / "amphion", args='{"model": {"nhead": 2}}', symbols=None)
    assert detect.load(folder).model.prefix_mode == 0
    assert "--symbols FILE" in detect.describe(folder).missing[0]
    assert detect.load(folder, prefix_mode=4).model.prefix_mode == 4


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("{", "args.json is damaged"),
        ("[1]", "not a configuration of Amphion"),
        ("[" * 100_000, "args.json is damaged"),
        ('{"model": 3}', "model is no table"),
        ('{"model_type": "FastSpeech2"}', "Amphion's FastSpeech2"),
        ('{"preprocess": {"acoustic_token_extractor": "DAC"}}', "speaks in codes of DAC"),
        ('{"model": {"nhead": "many"}}', "not in the lifeiteng layout"),
        ('{"model": {"add_prenet": true}}', "prenets"),
    ],
)
def test_amphion_with_other_args(tmp_path: Path, args: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        detect.load(write_amphion(tmp_path / "amphion", args=args))


def test_amphion_without_weights(tmp_path: Path) -> None:
    folder = write_amphion(tmp_path / "amphion")
    [weights] = folder.glob("checkpoint/*/pytorch_model.bin")
    weights.unlink()
    with pytest.raises(DamagedCheckpoint, match=r"neither checkpoint/epoch-0001.*pytorch_model\.bin"):
        detect.load(folder)


def test_a_front_end_that_is_not_known(tmp_path: Path) -> None:
    args = ARGS.rstrip().removesuffix("}") + '"preprocess": {"phone_extractor": "pypinyin"}}'
    with pytest.raises(DamagedCheckpoint, match="unknown text front end 'pypinyin'"):
        Synthesizer.load(write_amphion(tmp_path / "amphion", args=args), device="cpu")


# Strangers


def some_folder(path: Path) -> None:
    path.mkdir()
    for name in ("optimizer.bin", "a.wav", "b.wav", "c.wav"):
        (path / name).touch()


STRANGERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("Dear diary"), "begins with b'Dear diary'"),
    "git lfs": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
    "another model": (
        lambda path: torch.save({f"lstm.{i}.weight": torch.ones(2) for i in range(9)}, path),
        r"9 tensors, such as lstm\.0\.weight, lstm\.1\.weight, lstm\.2\.weight and 6 more",
    ),
    "a list": (lambda path: torch.save([1, 2], path), "no tensors by name"),
    "safetensors": (lambda path: save_file({"w": torch.ones(2)}, path), "1 tensors, such as w"),
    "a folder": (some_folder, r"a\.wav, b\.wav, c\.wav and 1 more"),
    "an empty folder": (lambda path: path.mkdir(), "it holds nothing"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_strangers_are_told_what_was_seen_in_them(tmp_path: Path, stranger: str) -> None:
    write, message = STRANGERS[stranger]
    write(tmp_path / "stranger")
    for look in (detect.load, detect.describe):
        with pytest.raises(UnknownFormat, match=message):
            look(tmp_path / "stranger")
