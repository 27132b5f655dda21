"""VALL-E X presets: the published layout is read, other files are refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vallecli.errors import PresetError
from vallecli.families.catalog import is_preset, read_preset
from vallecli.families.valle import preset
from vallecli.text.base import Phonemes

GOOD: dict[str, Any] = {
    "audio_tokens": np.arange(1200).reshape(1, 150, 8) % 1024,
    "text_tokens": np.array([[24, 18, 51, 10]]),
    "lang_code": np.array(2),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "voice.npz"


@pytest.mark.parametrize(("code", "language"), [(0, "zh"), (1, "ja"), (2, "en")])
def test_a_published_preset(path: Path, code: int, language: str) -> None:
    np.savez(path, **{**GOOD, "lang_code": np.int32(code)})
    found = read_preset(path)
    np.testing.assert_array_equal(found.codes_PQ, GOOD["audio_tokens"][0])
    assert (found.family, found.codes_PQ.dtype) == ("vallex", np.int16)
    assert found.phonemes == Phonemes((24, 18, 51, 10), language, "vallex")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"audio_tokens": GOOD["audio_tokens"][0]}, "audio_tokens has the shape"),
        ({"audio_tokens": np.zeros((1, 0, 8), int)}, "audio_tokens has the shape"),
        ({"audio_tokens": np.zeros((1, 9, 4), int)}, "audio_tokens has the shape"),
        ({"audio_tokens": np.zeros((1, 9, 8))}, "float64"),
        ({"audio_tokens": np.full((1, 9, 8), 1024)}, "outside 0 to 1023"),
        ({"audio_tokens": np.full((1, 9, 8), -1)}, "outside 0 to 1023"),
        ({"audio_tokens": np.zeros((1, 70_000, 8), int)}, "too large"),
        ({"text_tokens": np.array([[70]])}, "outside 0 to 69"),
        ({"text_tokens": np.array([1, 2])}, "text_tokens has the shape"),
        ({"text_tokens": np.array([[None]], dtype=object)}, "text_tokens is object"),
        ({"lang_code": np.array(3)}, "outside 0 to 2"),
        ({"lang_code": np.array([1])}, "lang_code has the shape"),
    ],
)
def test_arrays_that_are_not_those_of_a_preset(path: Path, changed: dict[str, Any], message: str) -> None:
    np.savez(path, **{**GOOD, **changed})
    with pytest.raises(PresetError) as caught:
        read_preset(path)
    assert message in caught.value.message
    assert "voice.npz" in caught.value.message


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_array_is_named(path: Path, key: str) -> None:
    np.savez(path, **{name: array for name, array in GOOD.items() if name != key})
    with pytest.raises(PresetError, match=f"it has no {key}"):
        read_preset(path)


def test_an_archive_with_other_arrays_is_of_no_known_family(path: Path) -> None:
    np.savez(path, codes=GOOD["audio_tokens"])
    assert preset.read_preset(path) is None
    with pytest.raises(PresetError, match="none of the arrays of a published preset"):
        read_preset(path)


def test_files_that_are_no_presets(path: Path) -> None:
    with pytest.raises(PresetError, match="does not exist"):
        read_preset(path)
    np.savez(path, **GOOD)
    content = path.read_bytes()
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    npy = path.read_bytes()
    for damaged in (b"", b"not a zip", content[:500], npy, content[:600] + b"\0" * 300 + content[900:]):
        path.write_bytes(damaged)
        with pytest.raises(PresetError):
            read_preset(path)


def test_presets_are_recognised_by_their_file_name() -> None:
    assert is_preset("a.NPZ")
    assert is_preset(Path("a/b.npz"))
    assert not is_preset("npz.wav")
