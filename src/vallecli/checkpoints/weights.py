"""The only reader of weight files. They are read as data: tensors and plain values, mapped into memory, never code.

Two containers exist. PyTorch's `.pt`, `.bin`, `.th` and `.ckpt` are zip archives with a pickle, of which only tensors,
plain values and the names of paths are accepted. safetensors files (also `.sft`) are a JSON header and raw bytes.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from vallecli.errors import DamagedCheckpoint, UnknownFormat

AGAIN = "Copy or download it again."
MAX_JSON_BYTES = 2**20  # of a configuration beside the weights
SUFFIXES = (".pt", ".pth", ".bin", ".th", ".ckpt", ".safetensors", ".sft")


class _PathText(str):
    """A pathlib object of the file, as text: its parts joined, never a path on this machine."""

    def __new__(cls, *parts: str) -> _PathText:
        return super().__new__(cls, "/".join(parts))


PATHLIB: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_PathText, f"{module}.{name}")
    for module in ("pathlib", "pathlib._local")  # the second is its name in Python 3.13
    for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
]  # trainers store the folders they ran in


def read(path: Path, *, verify: bool = True) -> Any:
    """Return the contents of a weight file of either container; see read_pt. UnknownFormat says what else it is."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError as error:
        raise DamagedCheckpoint(f"{path} does not exist", "Give the file of the checkpoint.") from error
    except OSError as error:
        raise DamagedCheckpoint(f"cannot read {path}: {error.strerror or error}") from error
    if not head:
        raise DamagedCheckpoint(f"{path} is empty", AGAIN)
    if head[4:9] == b"\0\0\0\0{":  # the high bytes of the header's length; its first byte may be that of a pickle
        return read_safetensors(path)
    if head.startswith((b"PK\x03\x04", b"\x80")):
        if path.suffix == ".safetensors":  # torch.load would go by the name
            raise UnknownFormat(f"{path} is a PyTorch file, in spite of its name", "Rename it so that it ends in .pt.")
        return read_pt(path, verify=verify)
    if head.startswith(b"version https://git-lfs"):
        raise UnknownFormat(f"{path} is a Git LFS pointer, not the file itself", "Fetch the file with: git lfs pull")
    raise UnknownFormat(
        f"{path} is not a weight file: it begins with {head[:16]!r}",
        "Give a .pt, .bin, .safetensors or .sft file, or the folder of a checkpoint.",
    )


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file; the header is read, the rest is mapped. Raises DamagedCheckpoint."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}", AGAIN) from error


def safetensors_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, {} for any other file. Raises DamagedCheckpoint."""
    try:
        with path.open("rb") as file:
            if file.read(9)[8:] != b"{":
                return {}
        with safe_open(path, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}", AGAIN) from error


def read_pt(path: Path, *, verify: bool = True) -> Any:
    """Return the contents of a PyTorch file, on the CPU; DamagedCheckpoint refuses truncated files and foreign pickles.

    To verify the checksums, the whole file is read once; otherwise tensors are read as they are used.
    """
    try:
        zipped = zipfile.is_zipfile(path)
        if zipped:
            _check_archive(path, verify=verify)
        with torch.serialization.safe_globals(PATHLIB):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except FileNotFoundError as error:
        raise DamagedCheckpoint(f"{path} does not exist", "Give the file of the checkpoint.") from error
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"its pickle asks for {named[1]}" if named else "its pickle has more than tensors and plain values"
        raise DamagedCheckpoint(
            f"{path} is refused: {reason}", "Use a checkpoint you trust, saved as tensors."
        ) from error
    except DamagedCheckpoint:
        raise
    except Exception as error:  # an unpickler that reads noise can raise anything
        reason = (str(error).splitlines() or ["it ends early"])[0]
        raise DamagedCheckpoint(f"{path} is damaged: {reason}", AGAIN) from error


def _check_archive(path: Path, *, verify: bool) -> None:
    """Refuse an archive that would unpack to more than its size and, to verify, one with wrong checksums.

    torch checks neither when it maps a file. It stores without compression, so that sizes have to add up.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        declared, size = sum(entry.file_size for entry in entries), path.stat().st_size
        if declared > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise DamagedCheckpoint(
                f"{path} is refused: {size} bytes that would unpack to {declared}, which torch never writes"
            )
        if len({entry.filename for entry in entries}) < len(entries):
            raise DamagedCheckpoint(f"{path} is refused: it has two entries of the same name")
        if verify and (name := archive.testzip()) is not None:
            raise DamagedCheckpoint(f"{path} is damaged: the checksum of {name} is wrong", AGAIN)


def read_tensors(path: Path, *, verify: bool = True) -> Mapping[str, Any]:
    """Return the state dict of a weight file. Raises CheckpointError if there is none."""
    tensors = state_dict(read(path, verify=verify))
    if not tensors:
        raise DamagedCheckpoint(f"{path} has no tensors by name")
    return tensors


def state_dict(contents: Any) -> Mapping[str, Any]:
    """Return the state dict in the contents of a file: under `model` if a trainer wrote it, else all; {} if none.

    The prefix `module.`, which distributed training adds to each name, is dropped.
    """
    state = contents.get("model", contents) if isinstance(contents, Mapping) else {}
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        return {}
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a small JSON file. Raises DamagedCheckpoint."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise DamagedCheckpoint(f"{path} is too long for a configuration")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedCheckpoint(f"{path} does not exist", "Give a complete checkpoint folder.") from error
    except (ValueError, OSError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}", AGAIN) from error
    if not isinstance(value, dict):
        raise DamagedCheckpoint(f"{path} is not a configuration: it is no JSON object")
    return value


class MappedFiles:
    """The files that are mapped into memory now, to release the memory of parts that have been read.

    This works on Linux only. Elsewhere, what is read of a mapped file stays until the last of its tensors is gone.
    """

    def __init__(self) -> None:
        maps = Path("/proc/self/maps")
        lines = [line.split() for line in maps.read_text().splitlines()] if maps.exists() else []
        spans = [places.split("-") for places, mode, _, _, inode, *_ in lines if mode.endswith("p") and inode != "0"]
        self._spans = [(int(first, 16), int(end, 16)) for first, end in spans]

    def release(self, tensors: Iterable[Tensor]) -> None:
        """Release the memory of those tensors that are in these files; reading them again reads the file again.

        They must not have been written to: changes would be lost.
        """
        for tensor in tensors:
            first, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
            if any(low <= first and end <= high for low, high in self._spans):
                first = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE  # neighbours share the pages at both ends
                length = end // mmap.PAGESIZE * mmap.PAGESIZE - first
                if length > 0:
                    ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_DONTNEED)
