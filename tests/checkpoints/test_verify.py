"""`checkpoints.verify`: published files, intact ones, damaged ones, and folders whose files do not fit together."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from published import write_vallex
from safetensors.torch import save_file

from vallecli.checkpoints import local
from vallecli.checkpoints.spec import CheckpointSpec, File, Source
from vallecli.checkpoints.verify import Verified, verify
from vallecli.errors import DamagedCheckpoint
from vallecli.families.detect import describe


def entry(*paths: Path, kind: str = "model", name: str = "known") -> CheckpointSpec:
    """Return an entry that lists files with their hashes."""
    files = tuple(File(path=path.name, sha256=local.sha256(path)) for path in paths)
    return CheckpointSpec(
        name=name, kind=kind, family="tiny", quality="", sources=(Source(repo="someone/tiny", files=files),)
    )


def results(path: Path, *specs: CheckpointSpec) -> list[Verified]:
    return list(verify(path, specs, describe=describe))


def flip(path: Path) -> None:
    """Change one bit in the middle of a file, which may be mapped."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Iterator[Path]:
    """A checkpoint folder that may be damaged."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "folder"))


def test_a_published_file_has_the_names_of_its_entries(tmp_path: Path) -> None:
    path = tmp_path / "renamed.bin"
    path.write_bytes(b"published, whatever it is")
    specs = entry(path), entry(path, name="mirror"), entry(Path(__file__), name="other")
    assert results(path, *specs) == [Verified(state="ok", path=path, names=("known", "mirror"))]


def test_an_intact_file_without_a_published_hash_is_unknown(tmp_path: Path) -> None:
    path = write_vallex(tmp_path / "mine.pt")
    assert results(path, entry(Path(__file__))) == [Verified(state="unknown", path=path)]


def test_a_flipped_bit_is_bad_even_if_nothing_is_published(tmp_path: Path) -> None:
    path = write_vallex(tmp_path / "mine.pt")
    flip(path)
    [result] = results(path)
    assert result.state == "bad"
    assert result.reason.startswith("it is damaged: the checksum of ")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "it is empty"), (b"PK\x03\x04", "it is damaged"), (b"hello", "it is not a weight")]
)
def test_a_file_without_weights_is_bad(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "odd.pt"
    path.write_bytes(content)
    [result] = results(path)
    assert (result.state, result.path, result.names) == ("bad", path, ())
    assert result.reason.startswith(reason)


def test_an_intact_file_of_no_family_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"lstm.weight": torch.ones(2)}, path)
    [result] = results(path)
    assert result.state == "bad"
    assert result.reason.startswith("it is not a checkpoint in a known format")


def test_each_weight_file_of_a_folder_has_a_result(folder: Path) -> None:
    weights = folder / "model.safetensors"
    save_file({"w": torch.ones(2)}, folder / "optimizer.bin")
    (folder / "README.md").write_text("Not a weight file.")
    states = {result.path.name: result.state for result in results(folder, entry(weights))}
    assert states == {"model.safetensors": "ok", "optimizer.bin": "unknown"}


def test_a_damaged_file_of_a_folder_is_named(folder: Path) -> None:
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:-1])
    [result] = results(folder)
    assert (result.state, result.path) == ("bad", weights)


def test_a_folder_with_intact_files_but_no_configuration_is_bad(folder: Path) -> None:
    weights = folder / "model.safetensors"
    (folder / "config.json").unlink()
    unknown, missing = results(folder)
    assert unknown == Verified(state="unknown", path=weights)
    assert (missing.state, missing.path) == ("bad", folder)
    assert results(folder, entry(weights))[1] == missing  # a published file does not make the folder complete


def test_a_folder_without_weights_is_bad(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    [result] = results(folder)
    assert (result.state, result.path) == ("bad", folder)
    assert "model.safetensors" in result.reason


def test_a_published_codec_needs_no_family(tmp_path: Path) -> None:
    codec = tmp_path / "codec" / "codec.pt"
    codec.parent.mkdir()
    torch.save({"encoder.weight": torch.ones(2)}, codec)
    assert [result.state for result in results(codec.parent)] == ["unknown", "bad"]
    assert [result.state for result in results(codec.parent, entry(codec, kind="codec"))] == ["ok"]


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DamagedCheckpoint, match="does not exist"):
        results(tmp_path / "missing")
