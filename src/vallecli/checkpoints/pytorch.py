"""The two containers of PyTorch: a zip archive with a pickle and an array for each storage, and, until version 1.6,
pickles with the arrays behind them. Sizes are checked against the file before anything is allocated.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from vallecli.checkpoints.pickles import MAX_BYTES, Extent, Interpreter, Refused, Storage

MAGIC_NUMBER, PROTOCOL_VERSION = 0x1950A86A20F9469CFC6C, 1001  # of the older container
MAX_READ = 2**24  # bytes that are read at a time, such as the directory of an archive
MAX_ENTRIES = 2**17  # of an archive: a full-size model has some hundreds
LOCAL_HEADER = "<4s22xHH"  # of an entry: signature, and the lengths of its name and of further fields
ENCRYPTED = 1  # flag of an entry
TRAINING_STATE = "optimizer"  # key of what training needs to go on


class Span(NamedTuple):
    """Where an array is in a file: bytes."""

    start: int
    length: int


class Mapped:
    """Arrays of a file as tensors, mapped into memory: a page is read when one of its values is."""

    def __init__(self, path: Path, find: Callable[[str], Span]) -> None:
        """`find` returns where the array of a key is, or raises KeyError."""
        with path.open("rb") as file:
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._find = find
        self._arrays: dict[tuple[str, torch.dtype], Tensor] = {}

    def tensor(self, storage: Storage, extent: Extent) -> Tensor:
        """Return a tensor. Raises ValueError for one that the file does not have all values of."""
        if math.prod(extent.size) == 0:
            return torch.empty(extent.size, dtype=storage.dtype)
        array = self._array(storage.key, storage.dtype)
        if storage.first + storage.numel > len(array):
            raise ValueError(f"array {storage.key} has {len(array)} values, not {storage.first + storage.numel}")
        return array.as_strided(extent.size, extent.stride, storage.first + extent.offset)

    def keys_of(self, tensors: Iterable[Tensor]) -> list[str]:
        """Return the keys of the arrays that these tensors are parts of."""
        places = {array.untyped_storage().data_ptr(): key for (key, _), array in self._arrays.items()}
        used = {places[at] for tensor in tensors if (at := tensor.untyped_storage().data_ptr()) in places}
        return sorted(used)

    def _array(self, key: str, dtype: torch.dtype) -> Tensor:
        if (key, dtype) not in self._arrays:
            span = self._find(key)
            count = span.length // dtype.itemsize
            if not count or span.start < 0 or span.start + span.length > len(self._mapped):
                raise ValueError(f"array {key} is not in the file")
            array = torch.frombuffer(self._mapped, dtype=dtype, count=count, offset=span.start)
            aligned = array.data_ptr() % dtype.itemsize == 0  # not in the older container, and after other zip programs
            self._arrays[key, dtype] = array if aligned else array.clone()
        return self._arrays[key, dtype]


def load(path: Path, *, verify: bool) -> Any:
    """Return the contents of a PyTorch file: plain values, and tensors on the CPU.

    Raises Refused for a file with more than data in it, and OSError, ValueError or another exception for a damaged one.
    """
    with path.open("rb") as file:
        head = file.read(4)
    return _load_zip(path, verify=verify) if head.startswith(b"PK") else _load_older(path)


# Zip archives


class _SmallReads(io.BufferedReader):
    """A file that is read in pieces of limited size, so that an archive's directory is not as large as it says."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to that many bytes; by default, the rest. Raises Refused for too many."""
        wanted = MAX_READ + 1 if size is None or size < 0 else size
        content = super().read(min(wanted, MAX_READ + 1))
        if len(content) > MAX_READ:
            raise Refused("its directory is larger than that of any checkpoint")
        return content


def _load_zip(path: Path, *, verify: bool) -> Any:
    with _SmallReads(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in _checked_entries(path, archive)}
        root = next(iter(entries), "").partition("/")[0]
        order = _small(archive, entries, f"{root}/byteorder", sys.byteorder.encode())
        if order != sys.byteorder.encode():
            raise Refused(f"its numbers are in {order[:9].decode('ascii', 'replace')}-endian order")
        pickle = _small(archive, entries, f"{root}/data.pkl")

        def find(key: str) -> Span:
            if (entry := entries.get(f"{root}/data/{key}")) is None:
                raise ValueError(f"it has no array {key}")
            file.seek(entry.header_offset)
            signature, name, more = struct.unpack(LOCAL_HEADER, file.read(struct.calcsize(LOCAL_HEADER)))
            if signature != b"PK\x03\x04":
                raise ValueError(f"array {key} is not where its directory says")
            return Span(file.tell() + name + more, entry.file_size)

        mapped = Mapped(path, find)
        contents = Interpreter(pickle, mapped.tensor).load()
        if verify:
            _verify(archive, [f"{root}/data/{key}" for key in mapped.keys_of(_kept(contents))])
        return contents


def _kept(contents: Any) -> Iterator[Tensor]:
    """Yield the tensors of a checkpoint, without those that only the trainer needs, which may be most of the file."""
    if isinstance(contents, Tensor):
        yield contents
    elif isinstance(contents, dict):
        for key, value in contents.items():
            if key != TRAINING_STATE:
                yield from _kept(value)
    elif isinstance(contents, list | tuple):
        for value in contents:
            yield from _kept(value)


def _verify(archive: zipfile.ZipFile, names: Iterable[str]) -> None:
    """Read entries once. Raises ValueError for a wrong checksum."""
    for name in names:
        try:
            with archive.open(name) as entry:
                while entry.read(MAX_READ):
                    pass
        except zipfile.BadZipFile as error:
            raise ValueError(f"the checksum of {name} is wrong") from error


def _checked_entries(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the entries of an archive. Refused if it would unpack to more than its size, or has a name twice.

    torch stores without compression, so that sizes have to add up.
    """
    entries = archive.infolist()
    declared, size = sum(entry.file_size for entry in entries), path.stat().st_size
    if declared > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise Refused(f"{size} bytes that would unpack to {declared}, which torch never writes")
    if len(entries) > MAX_ENTRIES:
        raise Refused(f"it has {len(entries)} entries")
    if len({entry.filename for entry in entries}) < len(entries):
        raise Refused("it has two entries of the same name")
    if any(entry.flag_bits & ENCRYPTED for entry in entries):
        raise Refused("it is encrypted")
    return entries


def _small(
    archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], name: str, default: bytes | None = None
) -> bytes:
    """Return the content of a small entry."""
    if name not in entries:
        if default is None:
            raise ValueError(f"it has no entry {name}")
        return default
    if entries[name].file_size > MAX_BYTES:
        raise Refused(f"its {name} has {entries[name].file_size} bytes")
    return archive.read(name)


# The older container


def _load_older(path: Path) -> Any:
    """Read a file of five pickles (a number, a version, the machine, the contents, the keys of storages) and arrays.

    The contents are read twice, the first time without tensors: only their end says where the arrays are.
    """
    item_bytes: dict[str, int] = {}

    def note(storage: Storage, extent: Extent) -> Tensor:
        item_bytes[storage.key] = storage.dtype.itemsize
        return torch.empty(0)

    with path.open("rb") as file:
        data = file.read(MAX_BYTES)
        first = Interpreter(data, note)
        if first.load() != MAGIC_NUMBER or first.load() != PROTOCOL_VERSION:
            raise ValueError("its pickle is not of torch")
        machine = first.load()
        if not isinstance(machine, dict) or machine.get("little_endian", True) != (sys.byteorder == "little"):
            raise Refused("its numbers are in the order of another kind of machine")
        start = first.position
        first.load()
        keys = first.load()
        spans = _spans(file, first.position, keys, item_bytes)

    def find(key: str) -> Span:
        if key not in spans:
            raise ValueError(f"it has no array {key}")
        return spans[key]

    second = Interpreter(data, Mapped(path, find).tensor)
    second.position = start
    return second.load()


def _spans(file: BinaryIO, start: int, keys: Any, item_bytes: Mapping[str, int]) -> dict[str, Span]:
    """Return where the arrays are that begin at a position: before each of them is its number of values."""
    if not isinstance(keys, list):
        raise ValueError("it has no list of arrays")
    spans = {}
    for key in keys:
        if not isinstance(key, str) or key not in item_bytes:
            raise ValueError("it has an array that belongs to no tensor")
        file.seek(start)
        if len(counted := file.read(8)) < 8:
            raise ValueError("it ends early")
        [numel] = struct.unpack("<q", counted)
        spans[key] = Span(start + 8, numel * item_bytes[key])
        start = sum(spans[key])
        if numel < 0 or start > os.fstat(file.fileno()).st_size:
            raise ValueError("it ends early")
    return spans
