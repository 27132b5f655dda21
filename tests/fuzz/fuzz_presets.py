"""Published voices: .npz files of three arrays. Arrays of the right shapes come out as they were written."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from mutations import LONG_NUMBERS, mutated_bytes, words

from vallecli.families.catalog import read_preset

NAMES = ("audio_tokens", "text_tokens", "lang_code")


def arrays(frames: int, ids: int, language: int) -> dict[str, Any]:
    return {
        "audio_tokens": (np.arange(frames * 8).reshape(1, frames, 8) * 7 % 1024).astype(np.int64),
        "text_tokens": (np.arange(ids)[None] % 70).astype(np.int64),
        "lang_code": np.array(language, dtype=np.int64),
    }


def to_npz(values: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **values, **options)
    return file.getvalue()


def header(text: str, *, version: int = 1, length: int | None = None, data: bytes = b"") -> bytes:
    """Return an .npy file with any header."""
    raw = text.encode("latin1", "replace")
    size = (len(raw) if length is None else length) % 256 ** (2 if version == 1 else 4)
    return b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + raw + data


def archive(entries: list[tuple[str, bytes]], compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two entries of the same name
        for name, content in entries:
            made.writestr(name, content)
    return file.getvalue()


VALID = (to_npz(arrays(9, 5, 2)), to_npz(arrays(1, 1, 0)))
ARRAYS = [io.BytesIO(), io.BytesIO(), io.BytesIO()]
for _file, _array in zip(ARRAYS, arrays(9, 5, 2).values(), strict=True):
    np.save(_file, _array)
NPY = [file.getvalue() for file in ARRAYS]
SHAPE = st.lists(st.one_of(st.integers(-2, 12), st.sampled_from(LONG_NUMBERS)), max_size=4).map(tuple)
DTYPE = st.sampled_from(words("<i8 >i4 <u2 |i1 |b1 <f4 |O <U9 |V8 <M8[s] <c8 |S0 <i3 x <i8,<i8"))
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
HEADER = st.one_of(
    st.fixed_dictionaries({"descr": DTYPE, "fortran_order": st.booleans(), "shape": SHAPE}).map(repr),
    st.sampled_from(("", "{}", "{" * 5_000, "[" * 100, "__import__('os')", "(" * 100 + ")" * 100, "9" * 5_000)),
    st.just("{'descr': [('a','<i8')]}"),
    st.text(max_size=30),
)
ENTRY = st.one_of(
    st.sampled_from(NPY),
    mutated_bytes(NPY),
    st.builds(
        header,
        HEADER,
        version=st.sampled_from((1, 1, 2, 3, 0, 255)),
        length=st.sampled_from((None, None, 0, 2**16, 2**31)),
        data=st.binary(max_size=99),
    ),
    st.sampled_from(
        (bytes(2**22), b"\x93NUMPY\x01\x00", b"", header("{'descr': '<i8', 'shape': ()}", data=bytes(2**20)))
    ),
)
NAME = st.sampled_from([f"{name}.npy" for name in NAMES] + [*NAMES, "x.npy", "../audio_tokens.npy", "lang_code.npy"])
ENTRIES = st.one_of(
    st.lists(st.tuples(NAME, ENTRY), max_size=4),
    st.tuples(ENTRY, ENTRY, ENTRY).map(lambda three: [(f"{NAMES[index]}.npy", raw) for index, raw in enumerate(three)]),
    st.tuples(st.sampled_from((0, 1, 2)), ENTRY).map(
        lambda one: [(f"{name}.npy", one[1] if index == one[0] else NPY[index]) for index, name in enumerate(NAMES)]
    ),
)
SAMPLES = st.one_of(
    st.tuples(st.just("arrays"), st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2))),
    st.tuples(
        st.just("bytes"), mutated_bytes(VALID, tokens=(b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\x93NUMPY"))
    ),
    st.tuples(
        st.just("bytes"),
        st.builds(archive, ENTRIES, st.sampled_from(COMPRESSIONS)),
    ),
)
FOUND: tuple[tuple[str, Any], ...] = ()


def check(sample: tuple[str, Any], folder: Path) -> None:
    kind, content = sample
    path = folder / "voice.npz"
    path.write_bytes(to_npz(arrays(*content)) if kind == "arrays" else content)
    preset = read_preset(path)
    assert preset.codes_PQ.ndim == 2
    assert preset.codes_PQ.shape[1] == 8
    assert preset.codes_PQ.min() >= 0
    assert preset.codes_PQ.max() < 1024
    if kind == "arrays":
        wanted = arrays(*content)
        assert np.array_equal(preset.codes_PQ, wanted["audio_tokens"][0])
        assert list(preset.phonemes.ids) == wanted["text_tokens"][0].tolist()
        assert preset.phonemes.language == ("zh", "ja", "en")[content[2]]
