"""The only reader of weight files. They are read as data: tensors and plain values, mapped into memory, never code.

Two containers exist. PyTorch's `.pt`, `.bin`, `.th` and `.ckpt` have a pickle, of which only tensors, plain values and
the names of paths are accepted (`pickles`, `pytorch`). safetensors files (also `.sft`) are a JSON header and raw bytes.
No size in a file is believed before it is compared with what the file has.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from vallecli.checkpoints import pytorch, strict_json
from vallecli.checkpoints.pickles import MAX_DIMENSIONS, Refused
from vallecli.checkpoints.small_files import AGAIN as AGAIN  # `as`: other modules import it from here
from vallecli.checkpoints.small_files import MAX_JSON_BYTES as MAX_JSON_BYTES
from vallecli.checkpoints.small_files import MAX_REASON, head_of, unreadable
from vallecli.checkpoints.small_files import parse_json as parse_json
from vallecli.checkpoints.small_files import read_json as read_json
from vallecli.checkpoints.small_files import read_text as read_text
from vallecli.errors import DamagedCheckpoint, UnknownFormat

MAX_HEADER_BYTES = 2**22  # of a safetensors file; that of a full-size model has 60 kB
SUFFIXES = (".pt", ".pth", ".bin", ".th", ".ckpt", ".safetensors", ".sft")


def read(path: Path, *, verify: bool = True) -> Any:
    """Return the contents of a weight file of either container; see read_pt. UnknownFormat says what else it is."""
    head = head_of(path, 512)
    if not head:
        raise DamagedCheckpoint(f"{path} is empty", AGAIN)
    if head[4:9] == b"\0\0\0\0{":  # the high bytes of the header's length; its first byte may be that of a pickle
        return read_safetensors(path)
    if head.startswith((b"PK\x03\x04", b"\x80")):
        if path.suffix == ".safetensors":  # torch.load would go by the name
            raise UnknownFormat(f"{path} is a PyTorch file, in spite of its name", "Rename it so that it ends in .pt.")
        return read_pt(path, verify=verify)
    if head[257:262] == b"ustar":
        raise UnknownFormat(
            f"{path} is a tar archive, the format of PyTorch before 2017",
            "Load it with the program that it belongs to, and save it again with torch.save.",
        )
    if head.startswith(b"version https://git-lfs"):
        raise UnknownFormat(f"{path} is a Git LFS pointer, not the file itself", "Fetch the file with: git lfs pull")
    raise UnknownFormat(
        f"{path} is not a weight file: it begins with {head[:16]!r}",
        "Give a .pt, .bin, .safetensors or .sft file, or the folder of a checkpoint.",
    )


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file; the header is read, the rest is mapped. Raises DamagedCheckpoint."""
    _check_header(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        raise unreadable(path, error) from error


def safetensors_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, {} for any other file. Raises DamagedCheckpoint."""
    if head_of(path, 9)[8:] != b"{":
        return {}
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        raise unreadable(path, error) from error


def _check_header(path: Path) -> None:
    """Raise DamagedCheckpoint for a header that is larger than that of any model, or has sizes that no tensor has.

    Whether the sizes fit the file is checked by the library.
    """
    head = head_of(path, 8 + MAX_HEADER_BYTES)
    length = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else 0
    try:
        if length > MAX_HEADER_BYTES:
            raise ValueError(f"its header is said to have {length} bytes")
        if not 0 < length <= len(head) - 8:
            raise ValueError("it ends within its header")
        header = strict_json.loads_object(head[8 : 8 + length].decode(), max_chars=MAX_HEADER_BYTES)
        for name, entry in header.items():
            shape = entry.get("shape") if isinstance(entry, dict) else None
            if name == "__metadata__":
                continue
            if (
                not isinstance(shape, list)
                or len(shape) > MAX_DIMENSIONS
                or not all(type(size) is int for size in shape)
            ):
                raise ValueError(f"{name[:MAX_REASON]!r} in its header is no tensor")
    except ValueError as error:
        raise unreadable(path, error) from error


def read_pt(path: Path, *, verify: bool = True) -> Any:
    """Return the contents of a PyTorch file, on the CPU; DamagedCheckpoint refuses truncated files and foreign pickles.

    To verify the checksums, the whole file is read once; otherwise tensors are read as they are used.
    """
    try:
        return pytorch.load(path, verify=verify)
    except Refused as error:
        reason = str(error)[:MAX_REASON]
        raise DamagedCheckpoint(
            f"{path} is refused: {reason}", "Use a checkpoint you trust, saved as tensors."
        ) from error
    except Exception as error:  # a reader of noise can raise anything
        raise unreadable(path, error) from error


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
