"""Revisions of checkpoints: a hash of the files that their families read, and of no others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import published
import pytest

from vallecli.checkpoints import local
from vallecli.errors import CheckpointError
from vallecli.jobs.fingerprint import revision


def differs(checkpoint: Path | str, path: Path, content: bytes) -> bool:
    """Return whether the revision changes with a file, which is then put back."""
    before, kept = revision(str(checkpoint)), path.read_bytes() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    changed = revision(str(checkpoint)) != before
    path.unlink() if kept is None else path.write_bytes(kept)
    assert revision(str(checkpoint)) == before
    return changed


def unrelated(folder: Path) -> list[Path]:
    names = ["README.md", "LICENSE", "notes.txt", "out/a.wav", "out/results.jsonl", "optimizer.json", ".hidden"]
    return [folder / name for name in names]


def test_the_revision_of_nano_is_that_of_earlier_versions() -> None:
    assert revision("nano") == "81da9f824ffb68dd"


def test_a_folder_in_our_format(tiny_checkpoint: Path, own_folder: Path) -> None:
    shutil.copytree(tiny_checkpoint, "tiny")
    folder = own_folder / "tiny"
    config = (folder / "config.json").read_bytes()
    assert differs("tiny", folder / "config.json", config + b" ")
    weights = (folder / "model.safetensors").read_bytes()
    assert differs("tiny", folder / "model.safetensors", weights[:-1] + b"x")
    assert not any(differs("tiny", path, b"{}") for path in unrelated(folder))


def test_the_table_of_symbols_next_to_a_weight_file(own_folder: Path) -> None:
    published.write_lifeiteng(own_folder / "model.pt")
    table = own_folder / "unique_text_tokens.k2symbols"
    assert differs("model.pt", table, b"<eps> 0\nb 1\n! 2\n")
    assert not any(differs("model.pt", path, b"{}") for path in [*unrelated(own_folder), own_folder / "config.json"])
    before = revision("model.pt")
    (own_folder / "model.pt").rename("renamed.pt")
    assert revision("renamed.pt") == before


def test_the_configuration_of_amphion_and_its_table(own_folder: Path) -> None:
    folder = own_folder / "amphion"
    published.write_amphion(folder, "epoch-0001_step-0000010_loss-1.0")
    args = (folder / "args.json").read_bytes()
    assert differs(folder, folder / "args.json", args + b"\n")
    assert differs(folder, folder / "symbols.dict", b"<eps> 0\nc 1\n! 2\n")
    assert not any(differs(folder, path, b"{}") for path in unrelated(folder))
    [weights] = [path for path in folder.rglob("*") if path.name in ("model.safetensors", "pytorch_model.bin")]
    assert differs(weights, folder / "args.json", args + b"\n")


def test_a_checkpoint_is_refused_before_anything_is_hashed(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        pytest.fail(f"{path} was hashed")

    monkeypatch.setattr("vallecli.checkpoints.digests.sha256", fail)
    monkeypatch.setattr(local, "sha256", fail)
    with Path("large.safetensors").open("wb") as file:
        file.truncate(2**40)
    Path("folder").mkdir()
    os.mkfifo("pipe")
    for name in ("large.safetensors", "folder", "pipe", "/dev/zero", "/", "/proc"):
        with pytest.raises(CheckpointError):
            revision(name)


def test_a_file_that_cannot_be_read_is_an_error_of_the_checkpoint(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("vallecli.checkpoints.digests.digest", fail)
    with pytest.raises(CheckpointError, match="permission denied"):
        revision(str(tiny_checkpoint))
