"""Damaged and malicious files: each is refused with a reason, without much memory, and no code in it runs."""

from __future__ import annotations

import json
import random
import resource
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from published import OPTIONS, SIZES, published, write, write_amphion, write_lifeiteng, write_vallex
from safetensors.torch import load_file, save_file

from vallecli.errors import CheckpointError, DamagedCheckpoint, UnknownFormat
from vallecli.families import detect
from vallecli.families.convert import convert
from vallecli.families.valle.checkpoint import Checkpoint, build
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.read import read_checkpoint

Damage = Callable[[Path], object]


MEMORY_KB = 1_000_000  # that no refusal may need


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Fail if a test needs much memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KB


def load(path: Path) -> Checkpoint:
    """Return the checkpoint at a path after detection, as `families.detect.load` reads it."""
    detect.detect(path, verify=True)
    return read_checkpoint(path)


def refused(path: Path, message: str, error: type[CheckpointError] = DamagedCheckpoint) -> None:
    """Check that a file can neither be loaded nor converted."""
    with pytest.raises(error, match=message):
        build(load(path))
    out = path.with_name("out")
    with pytest.raises(error, match=message):
        convert(path, out, {})
    assert not list(path.parent.glob("*.part"))
    assert not list(path.parent.glob(".*.part"))
    assert not out.exists()


# PyTorch's files


class Foreign:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def touch(path: Path) -> object:
    return Foreign(Path.touch, Path(path.parent / "ran"))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "plain pickle"])
@pytest.mark.parametrize(
    ("call", "named"),
    [
        (touch, r"pathlib\.(_local\.)?Path\.touch|getattr"),
        (lambda path: Foreign(exec, f"open({str(path.parent / 'ran')!r}, 'w')"), "exec"),
        (lambda path: Foreign(shutil.rmtree, str(path.parent)), r"shutil\.rmtree"),
    ],
    ids=["touch", "exec", "rmtree"],
)
def test_a_foreign_global_is_named_and_does_not_run(tmp_path: Path, zipped: bool, call: Any, named: str) -> None:
    path = tmp_path / "evil.pt"
    held = {"model": {"ar_text_embedding.word_embeddings.weight": torch.ones(2)}, "exp_dir": call(path)}
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    refused(path, f"evil.pt is refused: its pickle asks for .*({named})")
    assert not (tmp_path / "ran").exists()
    assert path.exists()


def cut(keep: float) -> Damage:
    def damage(path: Path) -> None:
        whole = path.read_bytes()
        path.unlink()
        path.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])

    return damage


@pytest.mark.parametrize("keep", [1, 3, 100, 0.5, 0.999])
def test_truncated(tmp_path: Path, keep: float) -> None:
    path = write_vallex(tmp_path / "cut.pt")
    cut(keep)(path)
    refused(path, r"cut\.pt (is damaged|is refused|is not a weight file)", CheckpointError)


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").touch()
    refused(tmp_path / "empty.pt", r"empty\.pt is empty")


def outcome(path: Path) -> Checkpoint | CheckpointError:
    try:
        return load(path)
    except CheckpointError as error:
        return error


def test_a_flipped_bit_is_detected_or_harmless(tmp_path: Path) -> None:
    whole = write_lifeiteng(tmp_path / "whole.pt").read_bytes()
    wanted = load(tmp_path / "whole.pt")
    chance = random.Random(0)
    structure = [*range(200), *range(len(whole) - 200, len(whole))]
    found = 0
    for place in [*chance.sample(range(len(whole)), 20), *chance.sample(structure, 20)]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        path = tmp_path / f"flipped{place}.pt"
        path.write_bytes(flipped)
        loaded = outcome(path)
        if isinstance(loaded, CheckpointError):
            assert str(path) in str(loaded)
            found += 1
            continue
        assert loaded.model == wanted.model
        assert all(torch.equal(tensor, wanted.tensors[key]) for key, tensor in loaded.tensors.items())
    assert found > 20  # the others are in padding, times and modes, which are not read


def test_a_flipped_bit_of_a_tensor_is_detected_by_its_checksum(tmp_path: Path) -> None:
    path = write_vallex(tmp_path / "flipped.pt")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.unlink()
    path.write_bytes(whole)
    refused(path, r"flipped\.pt is damaged: the checksum of .*/data/\d+ is wrong")


def rezip(path: Path, compression: int, **more: bytes) -> None:
    """Write a zip archive again, with another compression and more entries."""
    with zipfile.ZipFile(path) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    path.unlink()
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, data in {**entries, **more}.items():
            new.writestr(name, data)


def declare_more(path: Path) -> None:
    """Make the directory of the archive declare entries larger than the file."""
    whole = bytearray(path.read_bytes())
    at = whole.index(b"PK\x01\x02")
    struct.pack_into("<I", whole, at + 24, 2**31)
    path.unlink()
    path.write_bytes(whole)


def overlap(path: Path) -> None:
    """Make several entries of the archive refer to the same bytes."""
    whole = path.read_bytes()
    end = whole.rindex(b"PK\x05\x06")
    count, size, at = struct.unpack_from("<H", whole, end + 10)[0], *struct.unpack_from("<II", whole, end + 12)
    entries = whole[at : at + size]
    tail = bytearray(whole[end:])
    struct.pack_into("<HHI", tail, 8, 2 * count, 2 * count, 2 * size)
    path.unlink()
    path.write_bytes(whole[:at] + entries + entries.replace(b"data/", b"dat_/") + bytes(tail))


@pytest.mark.parametrize(
    "bomb",
    [
        lambda path: rezip(path, zipfile.ZIP_DEFLATED, **{"archive/data/99": bytes(10**8)}),
        declare_more,
        overlap,
    ],
    ids=["compressed", "declared", "overlapping"],
)
def test_zip_bombs_are_refused_by_their_declared_size(tmp_path: Path, bomb: Damage) -> None:
    path = write_vallex(tmp_path / "bomb.pt")
    bomb(path)
    refused(path, r"bomb\.pt is refused: \d+ bytes that would unpack to \d+")


def test_two_entries_of_one_name(tmp_path: Path) -> None:
    path = write_vallex(tmp_path / "twice.pt")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"x")
    refused(path, "two entries of the same name")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state["ar_predict_layer.weight"].new_zeros(1025, 31),
            r"ar\.head\.weight is \(1025, 31\) instead",
        ),
        (lambda state: state["ar_predict_layer.weight"].T, "does not store all values of ar_predict_layer"),
        (lambda state: torch.zeros(1).expand(10**6, 10**6), "does not store all values of ar_predict_layer"),
        (lambda state: state["ar_predict_layer.weight"].long(), "stores ar_predict_layer.weight as int64"),
        (lambda state: state["ar_predict_layer.weight"].to_sparse(), "asks for torch._utils._rebuild_sparse_tensor"),
        (lambda state: [1, 2], "has list 'ar_predict_layer.weight'"),
        (lambda state: torch.zeros(()), r"ar\.head\.weight is \(\) instead"),
    ],
)
def test_tensors_of_wrong_kind_or_shape(tmp_path: Path, change: Callable[[Any], Any], message: str) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES))[2]
    state["ar_predict_layer.weight"] = change(state)
    refused(write(tmp_path / "odd.pt", state, **OPTIONS), message)


@pytest.mark.parametrize("shape", [(), (0,), (0, 0), (20, 0), (3,)])
def test_shapes_that_no_model_has(tmp_path: Path, shape: tuple[int, ...]) -> None:
    state = published(ModelConfig(text_vocab=20, **SIZES))[2]
    for name in ("ar_text_embedding", "nar_text_embedding"):
        state[f"{name}.word_embeddings.weight"] = torch.zeros(shape)
    refused(write(tmp_path / "odd.pt", state, **OPTIONS), "not in the lifeiteng layout")


# Swapped files


def test_weights_of_another_family_in_a_folder(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = write_amphion(tmp_path / "amphion")
    [weights] = folder.glob("checkpoint/*/pytorch_model.bin")
    weights.unlink()
    write_vallex(weights)
    refused(folder, "of Amphion, but the weights are of another model")
    weights.unlink()
    shutil.copy(tiny_checkpoint / "model.safetensors", weights)
    refused(folder, r"has args\.json of Amphion, but its \d+ tensors are of another model", UnknownFormat)
    swapped = Path(shutil.copytree(tiny_checkpoint, tmp_path / "swapped"))
    (swapped / "model.safetensors").unlink()
    save_file(published(ModelConfig(text_vocab=20, **SIZES))[2], swapped / "model.safetensors")
    refused(swapped, "does not fit its own config")


# safetensors


def raw(header: object, data: bytes = b"", length: int | None = None) -> Damage:
    def damage(path: Path) -> None:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path.unlink()
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)

    return damage


def tensor(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "damage",
    [
        cut(0),
        cut(4),
        cut(100),
        cut(0.9),
        raw({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, bytes(12)),
        raw({"a": tensor(0, 8, [2])}, bytes(12)),
        raw({"a": tensor(4, 12, [2])}, bytes(12)),
        raw({"a": tensor(0, 8, [3])}, bytes(8)),
        raw({"a": tensor(0, 8, [2**40])}, bytes(8)),
        raw({"a": tensor(0, 8, [2**63, 2**63])}, bytes(8)),
        raw({"a": tensor(8, 0, [2])}, bytes(8)),
        raw({"a": tensor(0, 8, [2], "F33")}, bytes(8)),
        raw({"a": {"dtype": "F32"}}),
        raw(b"{" * 10_000),
        raw(b"{}", length=2**62),
        raw(b"{}", length=2**64 - 1),
        raw(b"[1, 2]"),
        raw(b"\xff\xfe\xfd"),
    ],
)
def test_damaged_safetensors(tmp_path: Path, tiny_checkpoint: Path, damage: Damage) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "odd"))
    damage(folder / "model.safetensors")
    refused(folder, r"model\.safetensors is damaged: ")


def test_integers_among_our_own_tensors(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "odd"))
    held = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save_file({**held, "ar.head.weight": held["ar.head.weight"].int()}, folder / "model.safetensors")
    refused(folder, r"ar\.head\.weight as int32, not as floating point")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_layers": 10**9}, "n_layers cannot be"),
        ({"d_model": 2**40}, "d_model cannot be"),
        ({"text_vocab": 10**15}, "text_vocab cannot be"),
        ({"tied_heads": "yes"}, "tied_heads cannot be"),
        ({"n_layers": 128, "nar_n_layers": 128}, "does not fit its own config"),
    ],
)
def test_a_configuration_that_needs_too_much(
    tmp_path: Path, tiny_checkpoint: Path, options: dict[str, object], message: str
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "odd"))
    config = json.loads((folder / "config.json").read_text())
    config["model"] |= options
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, message)


def test_a_configuration_with_too_many_levels(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "odd"))
    (folder / "config.json").write_text("[" * 100_000)
    refused(folder, r"config\.json is damaged")
