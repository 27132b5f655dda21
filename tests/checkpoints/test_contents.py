"""Contents of a path: the files are listed to a depth, and nothing is read before it is needed, and then once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from published import write_lifeiteng

from vallecli.checkpoints import small_files, weights
from vallecli.checkpoints.contents import MAX_DEPTH, Contents
from vallecli.errors import DamagedCheckpoint, UnknownFormat


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read, in order."""
    names: list[str] = []
    for module, name in ((weights, "read"), (small_files, "read_json")):

        def recorded(path: Path, original: object = getattr(module, name), **options: bool) -> object:
            names.append(path.name)
            return original(path, **options)  # type: ignore[operator]

        monkeypatch.setattr(module, name, recorded)
    return names


def names_of(contents: Contents) -> list[str]:
    return [path.relative_to(contents.folder).as_posix() for path in contents.files]


def test_files_of_a_folder_are_those_below_it_up_to_a_depth(tmp_path: Path) -> None:
    deep = tmp_path
    expected = []
    for depth in range(MAX_DEPTH + 2):
        (deep / "b.bin").touch()
        (deep / "a").mkdir()
        expected.append("/".join(["a"] * depth + ["b.bin"]))
        deep /= "a"
    (tmp_path / "a.txt").touch()
    contents = Contents(tmp_path)
    assert sorted(names_of(contents)) == sorted([*expected[:MAX_DEPTH], "a.txt"])
    assert list(contents.files) == sorted(contents.files)
    assert contents.file is None
    assert contents.folder == contents.path == tmp_path


def test_a_file_is_its_only_file_and_has_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "symbols.txt").write_text("a 0\n")
    (tmp_path / "folder").mkdir()
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.v2.pt")
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "weights.v2.pt", Path("weights.v2.pt")):
        contents = Contents(path)
        assert contents.files == (path,)
        assert contents.file == path
        assert contents.folder == tmp_path
        assert contents.name == "weights.v2"
        assert contents.beside("symbols.txt") == tmp_path / "symbols.txt"
        assert contents.beside("/etc/elsewhere/symbols.txt") == tmp_path / "symbols.txt"  # only the name counts
        assert contents.beside("../symbols.txt") == tmp_path / "symbols.txt"
        assert contents.beside("folder") is None
        assert contents.beside("gone.txt") is None
        assert contents.own_tensors.keys() == {"a"}


@pytest.mark.parametrize("name", ["config.json", "args.json"])
def test_a_configuration_stands_for_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    (tmp_path / "other.json").write_text("{}")
    assert Contents(tmp_path / name).path == tmp_path
    assert Contents(tmp_path / "other.json").file == tmp_path / "other.json"


def test_nothing_at_the_path(tmp_path: Path) -> None:
    with pytest.raises(DamagedCheckpoint, match="gone does not exist") as caught:
        Contents(tmp_path / "gone")
    assert caught.value.hint


def test_nothing_is_read_before_it_is_needed_and_each_weight_file_once(tmp_path: Path, reads: list[str]) -> None:
    torch.save({"model": {"a": torch.ones(1)}, "epoch": 3}, tmp_path / "a.pt")
    torch.save({"b": torch.ones(1)}, tmp_path / "b.pt")
    (tmp_path / "settings.json").write_text(json.dumps({"c": 1}))
    folder, file = Contents(tmp_path), Contents(tmp_path / "a.pt")
    for contents in (folder, file):
        _ = (
            contents.name,
            contents.file,
            contents.folder,
            contents.files,
            contents.beside("b.pt"),
            contents.json("gone"),
        )
    assert folder.own_tensors == {}
    assert reads == []
    assert file.own_tensors.keys() == file.tensors(tmp_path / "a.pt").keys() == {"a"}
    assert file.raw(tmp_path / "a.pt")["epoch"] == 3
    assert reads == ["a.pt"]
    assert folder.tensors(tmp_path / "b.pt").keys() == {"b"}
    assert folder.tensors(tmp_path / "b.pt").keys() == {"b"}
    assert folder.json("settings.json") == {"c": 1}
    assert reads == ["a.pt", "b.pt", "settings.json"]


def test_checksums_are_verified_only_if_asked_for(tmp_path: Path) -> None:
    path = write_lifeiteng(tmp_path / "flipped.pt")
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"/data/0") + 164] ^= 0xFF  # a value
    path.write_bytes(whole)
    assert len(Contents(path).own_tensors) > 50
    with pytest.raises(DamagedCheckpoint, match="checksum"):
        _ = Contents(path, verify=True).own_tensors


def test_other_files_are_refused_when_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("Dear diary")
    (tmp_path / "b.json").write_text("[1]")
    contents = Contents(tmp_path)
    with pytest.raises(UnknownFormat, match="begins with"):
        contents.tensors(tmp_path / "a.pt")
    with pytest.raises(DamagedCheckpoint, match="no JSON object"):
        contents.json("b.json")
