"""safetensors files: tensors come out as they were written; headers and sizes that do not fit are refused."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from hypothesis import strategies as st
from mutations import LONG_NUMBERS, VALUES, mutated_bytes, mutated_trees

from vallecli.checkpoints import weights
from vallecli.errors import UnknownFormat
from vallecli.families.detect import describe

DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "F8_E4M3", "U64", "C64", "F4", "x", "")
TENSORS = {
    "ar.head.weight": torch.arange(12.0).reshape(3, 4),
    "scalar": torch.tensor(2.5),
    "empty": torch.empty(0, 3),
    "codes": torch.arange(6, dtype=torch.int16).reshape(2, 3),
    "half": torch.ones(5, dtype=torch.bfloat16),
}
VALID = safetensors.torch.save(TENSORS, {"config": '{"version": 6, "name": "ar+nar-len"}'})
(LENGTH,) = struct.unpack("<Q", VALID[:8])
HEADER, DATA = json.loads(VALID[8 : 8 + LENGTH]), VALID[8 + LENGTH :]
ONE = {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}
NUMBERS = st.one_of(st.integers(-4, 100), st.sampled_from(LONG_NUMBERS))
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(DTYPES),
        "shape": st.lists(NUMBERS, max_size=4),
        "data_offsets": st.one_of(st.tuples(NUMBERS, NUMBERS).map(list), st.just([0, len(DATA)])),
    }
)
TREE = st.one_of(
    mutated_trees([HEADER, ONE], values=st.one_of(VALUES, NUMBERS, ENTRY)),
    st.dictionaries(st.sampled_from(("a", "b", "__metadata__", "x" * 5_000, "é")), ENTRY, max_size=3),
)


def container(header: Any, data: bytes, shift: int = 0) -> bytes:
    """Return a file of a header, whose stated length is `shift` bytes wrong, and data."""
    raw = json.dumps(header).encode()
    return struct.pack("<Q", (len(raw) + shift) % 2**64) + raw + data


TOKENS = (json.dumps(ONE).encode(), b"{" * 3_000, b"[" * 3_000, b"null", b'"a":{},', b"\xff")
DATAS = st.one_of(st.just(DATA), st.binary(max_size=64), st.integers(0, 5_000).map(bytes))
SAMPLES = st.one_of(
    mutated_bytes([VALID], tokens=TOKENS),
    st.builds(container, TREE, DATAS),
    st.builds(container, TREE, DATAS, st.sampled_from((0, 0, 1, -1, 8, 2**22, 2**40, -(2**40), 2**63))),
    st.just(VALID),
)
FOUND: tuple[bytes, ...] = ()


def check(content: bytes, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(content)
    with contextlib.suppress(UnknownFormat):
        describe(path)
    tensors = weights.read(path)
    weights.safetensors_metadata(path)
    if content[4:9] != b"\0\0\0\0{":
        return
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert tensors.keys() == header.keys() - {"__metadata__"}
    for name, tensor in tensors.items():
        begin, end = header[name]["data_offsets"]
        stored = content[8 + length + begin : 8 + length + end]
        assert list(tensor.shape) == header[name]["shape"], "another shape"
        if tensor.element_size() * tensor.numel() == len(stored):  # not for types of less than a byte
            assert tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() == stored, "other numbers"
    if content == VALID:
        assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())
