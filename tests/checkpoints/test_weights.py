"""Weight files of either container are read as data; damaged files, and pickles with more than data, are refused."""

from __future__ import annotations

import json
import pathlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vallecli.checkpoints import weights
from vallecli.checkpoints.weights import read_json, read_pt, read_tensors, safetensors_metadata, state_dict
from vallecli.errors import DamagedCheckpoint, UnknownFormat


@pytest.mark.parametrize("name", ["pathlib PosixPath", "pathlib WindowsPath", "pathlib._local PosixPath"])
def test_paths_of_any_system_are_read_as_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / "paths.pt"
    # The old container, because its pickle can be edited in place.
    torch.save({"exp_dir": Path("exp/valle"), "x": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    here, there = (
        f"c{kind}".encode().replace(b" ", b"\n") for kind in (f"{Path.__module__} {type(path).__name__}", name)
    )
    assert here in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(here, there))
    contents = read_pt(path)
    assert isinstance(contents["exp_dir"], str)
    assert contents["exp_dir"] == "exp/valle"
    assert torch.equal(contents["x"], torch.ones(2))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pathlib.Path.touch, (pathlib.Path("ran"),)


@pytest.mark.parametrize(
    "save", [torch.save, lambda contents, path: path.write_bytes(pickle.dumps(contents, protocol=2))]
)
def test_pickles_with_code_are_refused_and_do_not_run(tmp_path: Path, save: Callable[[object, Path], object]) -> None:
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


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DamagedCheckpoint, match=r"gone\.pt does not exist"):
        read_pt(tmp_path / "gone.pt")
    with pytest.raises(DamagedCheckpoint, match=r"gone\.pt does not exist"):
        weights.read(tmp_path / "gone.pt")


def test_a_pytorch_file_with_the_name_of_the_other_container(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(UnknownFormat, match="is a PyTorch file") as caught:
        weights.read(tmp_path / "weights.safetensors")
    assert caught.value.hint == "Rename it so that it ends in .pt."


# The container is known by its content


@pytest.mark.parametrize("name", ["weights.pt", "weights.sft", "weights of mine"])
def test_the_container_is_known_by_its_content_and_not_by_its_name(tmp_path: Path, name: str) -> None:
    tensors = {"a": torch.arange(3.0), "module.b": torch.ones(2, 2)}
    savers: list[Callable[[object, Path], object]] = [
        torch.save,
        lambda contents, path: torch.save({"model": contents, "epoch": 3}, path),
        lambda contents, path: torch.save(contents, path, _use_new_zipfile_serialization=False),
        save_file,
    ]
    for number, save in enumerate(savers):
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        save(tensors, path)
        found = read_tensors(path)
        assert found.keys() == {"a", "b"}
        assert torch.equal(found["a"], tensors["a"])
        assert torch.equal(found["b"], tensors["module.b"])


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", DamagedCheckpoint, "is empty"),
        (b"Dear diary, today", UnknownFormat, "begins with b'Dear diary"),
        (b"version https://git-lfs.github.com/spec/v1\noid", UnknownFormat, "Git LFS pointer"),
    ],
)
def test_other_files_are_refused_by_their_first_bytes(
    tmp_path: Path, content: bytes, error: type[Exception], message: str
) -> None:
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(error, match=message):
        weights.read(tmp_path / "file.pt")
    with pytest.raises(DamagedCheckpoint, match="cannot read"):
        weights.read(tmp_path)  # a folder


@pytest.mark.parametrize("contents", [[1, 2], {}, {"model": [1]}, {"model": {}}, {3: torch.ones(1)}, torch.ones(1)])
def test_a_file_without_tensors_by_name_has_no_state_dict(tmp_path: Path, contents: object) -> None:
    assert state_dict(contents) == {}
    torch.save(contents, tmp_path / "file.pt")
    with pytest.raises(DamagedCheckpoint, match="no tensors by name"):
        read_tensors(tmp_path / "file.pt")


def test_metadata_of_safetensors(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "with.sft", metadata={"config": "{}", "name": "é"})
    save_file({"a": torch.ones(1)}, tmp_path / "without.sft")
    torch.save({"a": torch.ones(1)}, tmp_path / "other.pt")
    assert safetensors_metadata(tmp_path / "with.sft") == {"config": "{}", "name": "é"}
    assert safetensors_metadata(tmp_path / "without.sft") == {}
    assert safetensors_metadata(tmp_path / "other.pt") == {}
    whole = (tmp_path / "with.sft").read_bytes()
    (tmp_path / "cut.sft").write_bytes(whole[:40])
    with pytest.raises(DamagedCheckpoint, match=r"cut\.sft is damaged"):
        safetensors_metadata(tmp_path / "cut.sft")
    with pytest.raises(DamagedCheckpoint, match=r"gone\.sft"):
        safetensors_metadata(tmp_path / "gone.sft")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is damaged"),
        (b"\xff\xfe{}", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b"[1, 2]", "it is no JSON object"),
        (b'{"a": "' + b"b" * weights.MAX_JSON_BYTES + b'"}', "is too long for a configuration"),
    ],
)
def test_json_files_that_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(DamagedCheckpoint, match="does not exist"):
        read_json(path)
    path.write_text(json.dumps({"a": "ɐ"}))
    assert read_json(path) == {"a": "ɐ"}
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match=message):
        read_json(path)
