"""PyTorch's files, as zip archives and as plain pickles: data comes out as it was written, and nothing runs."""

from __future__ import annotations

import io
import pathlib
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from mutations import CHARACTERS, mutated_bytes
from torch import Tensor

from vallecli.checkpoints import weights

STATE = {
    "model": OrderedDict({"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.arange(5, dtype=torch.int16)}),
    "exp_dir": pathlib.PurePosixPath("exp/valle"),
    "nhead": 2,
    "options": {"x": [1, 2.5, None, True, "text", b"raw"], "y": {"set", "of"}, "size": torch.Size([2, 3])},
}
WEIGHT = STATE["model"]["a.weight"]
SHARED = {"one": WEIGHT, "two": WEIGHT.t(), "part": WEIGHT[1:, 2]}


def saved(value: Any, *, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def pickle_of(content: bytes) -> bytes:
    """Return the pickle of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


def archive_with(data: bytes, values: int = 12) -> bytes:
    """Return an archive as torch writes it, with any pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/data.pkl", data)
        made.writestr("archive/byteorder", b"little")
        for key in range(3):
            made.writestr(f"archive/data/{key}", bytes(4 * values))
        made.writestr("archive/version", b"3\n")
    return file.getvalue()


VALID = [saved(value, zipped=zipped) for value in (STATE, SHARED) for zipped in (True, False)]
PICKLES = [pickle_of(VALID[0]), pickle_of(VALID[2])]
OPCODES = [code.code.encode("latin1") for code in pickletools.opcodes]
NAMES = (
    *("torch._utils\n_rebuild_tensor_v2\n", "torch\nFloatStorage\n", "collections\nOrderedDict\n", "torch\nSize\n"),
    *("builtins\nset\n", "os\nsystem\n", "builtins\neval\n", "builtins\ngetattr\n", "torch\ndevice\n"),
    *("pathlib\nPosixPath\n", "_codecs\nencode\n", "torch._utils\n_rebuild_parameter\n", "torch\nload\n"),
    "torch.storage\nUntypedStorage\n",
)
TOKENS = [
    *OPCODES,
    *(f"c{name}".encode() for name in NAMES),
    *(f"c{name}(K\x05tR".encode() for name in NAMES),
    *(b"X\x07\x00\x00\x00storage", b"K\x0c", b"M\xff\xff", b"J\xff\xff\xff\x7f", b"\x8a\x08" + b"\xff" * 7 + b"\x7f"),
    *(b"q\x00", b"h\x00", *b"( ) t \x85 \x86 \x87 ] } e u s a R b Q .".split(), b"2" * 50, b"(" * 2_000),
    *(b"]q\x00h\x00a", b"\x85" * 200, b"]" * 50 + b"a" * 49),
    *(b"X\xff\xff\xff\x7f", b"B\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f"),
]
PROGRAM = st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=3)), max_size=30).map(
    lambda parts: b"\x80\x02" + b"".join(parts) + b"."
)
DATA = st.one_of(mutated_bytes(PICKLES, tokens=TOKENS, least=1), PROGRAM)
NUMBER = st.one_of(st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False))
TENSOR = st.one_of(
    st.lists(st.integers(0, 4), max_size=3).map(torch.ones), st.sampled_from([torch.arange(6).reshape(2, 3).t()])
)
VALUE = st.recursive(
    st.one_of(st.none(), NUMBER, st.text(CHARACTERS, max_size=9), TENSOR),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4), st.tuples(inner, inner)
    ),
    max_leaves=12,
)
SAMPLES = st.one_of(
    st.tuples(st.sampled_from(("zip", "older")), VALUE),
    st.tuples(
        st.just("bytes"), mutated_bytes(VALID, tokens=(b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", *TOKENS[-20:]))
    ),
    st.tuples(st.just("bytes"), DATA.map(archive_with)),
    st.tuples(st.just("bytes"), st.lists(DATA, min_size=1, max_size=2).map(lambda parts: older(b"".join(parts)))),
    st.tuples(st.just("bytes"), DATA),
)
FOUND: tuple[tuple[str, Any], ...] = ()


def older(data: bytes) -> bytes:
    """Return the older container with any pickle of contents."""
    start = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    return start + data + pickle.dumps(["0"], 2) + (12).to_bytes(8, "little") + bytes(48)


def check(sample: tuple[str, Any], folder: Path) -> None:
    kind, content = sample
    path = folder / "weights.pt"
    path.write_bytes(content if kind == "bytes" else saved(content, zipped=kind == "zip"))
    read = weights.read(path, verify=True)
    touch(read)
    assert same(read, weights.read(path, verify=False)), "two readings differ"
    weights.state_dict(read)
    repr(read)
    if kind != "bytes":
        assert same(read, content), "it is not what was saved"


def touch(value: Any) -> None:
    """Read the numbers of all tensors."""
    if isinstance(value, Tensor):
        value.double().sum()
    elif isinstance(value, dict):
        touch(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            touch(item)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and one.numpy().tobytes() == other.numpy().tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or one != one)
