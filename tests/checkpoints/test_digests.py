"""Cached digests: a change is seen, and whatever is in the cache, the digest is right."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vallecli.checkpoints import digests

SIZE = digests.MIN_SIZE + 1


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list of the files that are hashed; all files count as unchanged for long."""
    paths: list[Path] = []
    whole: Callable[[Path], str] = digests.sha256

    def count(path: Path) -> str:
        paths.append(path)
        return whole(path)

    monkeypatch.setattr(digests, "sha256", count)
    monkeypatch.setattr(digests, "SETTLED", -1.0)
    return paths


@pytest.fixture
def large(own_folder: Path) -> Path:
    path = own_folder / "model.bin"
    path.write_bytes(b"a" * SIZE)
    return path


def test_a_digest_is_computed_once(large: Path, hashed: list[Path]) -> None:
    assert digests.digest(large) == digests.digest(large) == digests.digest(Path("model.bin")) == sha256(large)
    assert len(hashed) == 1
    Path("link.bin").symlink_to("model.bin")
    assert digests.digest(Path("link.bin")) == sha256(large)
    assert len(hashed) == 1


def test_changes_are_seen(large: Path, hashed: list[Path]) -> None:
    digests.digest(large)
    before = large.stat()
    large.write_bytes(b"b" * SIZE)
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))  # the same size, time and inode
    assert digests.digest(large) == sha256(large)
    other = large.with_name("other.bin")
    other.write_bytes(b"c" * SIZE)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(large)
    assert digests.digest(large) == sha256(large)
    assert len(hashed) == 3


def test_a_file_that_has_just_been_written_is_not_cached(large: Path, hashed: list[Path], monkeypatch: Any) -> None:
    monkeypatch.setattr(digests, "SETTLED", 3600.0)
    digests.digest(large)
    digests.digest(large)
    assert len(hashed) == 2


def test_small_files_are_not_cached(own_folder: Path, hashed: list[Path]) -> None:
    Path("small").write_bytes(b"a")
    digests.digest(Path("small"))
    assert not digests.cache_file().exists()


def test_an_invalid_cache_is_not_used(large: Path, hashed: list[Path]) -> None:
    digests.digest(large)
    cache = digests.cache_file()
    [(name, entry)] = json.loads(cache.read_bytes()).items()
    damaged: list[Any] = [
        {**entry, "sha256": "0" * 63},
        {**entry, "size": str(SIZE)},
        {**entry, "mtime": True},
        [],
        None,
    ]
    damaged += [{key: value for key, value in entry.items() if key != missing} for missing in entry]
    contents = [json.dumps({name: value}).encode() for value in damaged]
    contents += [b"", b"[]", b"[" * 100_000, b"\xff", b"{", b" " * (digests.MAX_BYTES + 1), b"7"]
    for content in contents:
        cache.write_bytes(content)
        hashed.clear()
        assert digests.digest(large) == sha256(large)
        assert len(hashed) == 1


def test_a_cache_that_is_a_link_or_cannot_be_written_is_not_used(large: Path, hashed: list[Path]) -> None:
    cache = digests.cache_file()
    cache.parent.mkdir(parents=True)
    thesis = Path("thesis")
    thesis.write_bytes(b"work")
    cache.symlink_to(thesis.absolute())
    assert digests.digest(large) == sha256(large)
    assert thesis.read_bytes() == b"work"
    cache.unlink()
    cache.mkdir()
    assert digests.digest(large) == sha256(large)
    cache.rmdir()
    cache.parent.rmdir()
    cache.parent.write_bytes(b"")
    assert digests.digest(large) == sha256(large)


def test_the_cache_is_bounded(own_folder: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "MAX_ENTRIES", 3)
    for number in range(5):
        Path(f"{number}.bin").write_bytes(b"a" * SIZE)
        digests.digest(Path(f"{number}.bin"))
    assert [Path(name).name for name in json.loads(digests.cache_file().read_bytes())] == ["2.bin", "3.bin", "4.bin"]


def test_pipes_and_missing_files_are_errors(own_folder: Path) -> None:
    os.mkfifo("pipe")
    for name in ("pipe", "missing", "/dev/zero", "."):
        with pytest.raises(OSError, match=r".+"):
            digests.digest(Path(name))
