"""A converted checkpoint has the same configuration, tensors and codes; its folder appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published import SIZES, legacy, published, write, write_amphion, write_lifeiteng, write_vallex
from safetensors import SafetensorError
from safetensors.torch import load_file

from vallecli.checkpoints.registry import BUILT_IN
from vallecli.errors import DamagedCheckpoint, OutputExists, OutputNotWritable
from vallecli.families.convert import convert
from vallecli.families.valle.checkpoint import build
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.read import read_checkpoint
from vallecli.synthesizer import Synthesizer


def write_vallf(path: Path) -> Path:
    config = ModelConfig(text_vocab=20, **SIZES, cross_attention=True)
    return write(path, published(config)[2], nhead=2, prefix_mode=4)


def write_legacy(path: Path) -> Path:
    config = ModelConfig(text_vocab=20, **SIZES | {"nar_d_model": 32, "nar_n_heads": 2}, stage_alphas=True)
    return write(path, legacy(published(config)[2]), nhead=2)


WRITERS: dict[str, Callable[[Path], Path]] = {
    "vallex": write_vallex,
    "lifeiteng": write_lifeiteng,
    "vallf": write_vallf,
    "legacy": write_legacy,
    "amphion": write_amphion,
}


@pytest.mark.parametrize("layout", WRITERS)
def test_converted_is_the_same(tmp_path: Path, layout: str) -> None:
    source = WRITERS[layout](tmp_path / "source")
    table = tmp_path / "table"
    table.write_text("b 0\na 1\n")
    options = {} if layout == "vallex" else {"symbols": table}
    convert(source, tmp_path / "new" / "out", options)
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == ["config.json", "model.safetensors"]
    before, after = read_checkpoint(source, **options), read_checkpoint(tmp_path / "new" / "out")
    for name in ("name", "model", "front_end", "symbols", "codec", "limits", "sampling"):
        assert getattr(after, name) == getattr(before, name), name
    for old, new in zip(build(before), build(after), strict=True):
        assert old.state_dict().keys() == new.state_dict().keys()
        assert all(torch.equal(tensor, new.state_dict()[key]) for key, tensor in old.state_dict().items())


def test_the_built_in_checkpoint_keeps_sampling_limits_and_equalizer(tmp_path: Path) -> None:
    convert(BUILT_IN["nano"], tmp_path / "out", {}, dtype=torch.float16)
    before, after = read_checkpoint(BUILT_IN["nano"]), read_checkpoint(tmp_path / "out")
    assert before.equalize > 0
    assert (after.equalize, after.sampling, after.limits) == (before.equalize, before.sampling, before.limits)


def test_codes_are_the_same(tmp_path: Path) -> None:
    source = write_vallex(tmp_path / "source.pt")
    convert(source, tmp_path / "out", {})
    given: dict[str, Any] = {"frames": 8, "exclude_eos": True, "greedy": True, "languages": [0, 1, 2]}
    codes = [
        Synthesizer.load(path, device="cpu").backend.generate_codes([3, 4, 5], [[7] * 8] * 3, **given)
        for path in (source, tmp_path / "out")
    ]
    assert torch.equal(*codes)
    assert len(codes[0]) == 8


def test_half_precision_needs_half_the_space_and_is_loaded_as_float32(tmp_path: Path) -> None:
    source = write_lifeiteng(tmp_path / "source.pt")
    convert(source, tmp_path / "whole", {})
    convert(source, tmp_path / "half", {}, dtype=torch.float16)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "whole")]
    assert 0.5 <= sizes[0] / sizes[1] < 0.6
    for half, whole in zip(
        build(read_checkpoint(tmp_path / "half")), build(read_checkpoint(tmp_path / "whole")), strict=True
    ):
        assert {tensor.dtype for tensor in half.parameters()} == {torch.float32}
        assert all(torch.equal(a, b.half().float()) for a, b in zip(half.parameters(), whole.parameters(), strict=True))


def test_valles_own_format_with_its_codec_can_be_converted_again(tmp_path: Path, tiny_checkpoint: Path) -> None:
    convert(tiny_checkpoint, tmp_path / "again", {})
    old, new = (load_file(folder / "model.safetensors") for folder in (tiny_checkpoint, tmp_path / "again"))
    assert old.keys() == new.keys()
    assert all(torch.equal(tensor, new[key]) for key, tensor in old.items())
    assert any(key.startswith("codec.") for key in new)


def test_an_existing_output_does_not_change(tmp_path: Path) -> None:
    source = write_lifeiteng(tmp_path / "source.pt")
    (tmp_path / "existing").mkdir()
    convert(source, tmp_path / "existing", {})  # empty, as mkdir leaves it
    before = (tmp_path / "existing" / "config.json").read_bytes()
    for out in (tmp_path / "existing", source):
        with pytest.raises(OutputExists, match=str(out)):
            convert(source, out, {})
    assert (tmp_path / "existing" / "config.json").read_bytes() == before


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_lifeiteng(tmp_path / "source.pt")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DamagedCheckpoint):
        convert(source, tmp_path / "out", {"symbols": tmp_path / "no table"})
    with pytest.raises(OutputNotWritable, match="not a directory"):
        convert(source, source / "out", {})
    failures = {
        KeyboardInterrupt(): KeyboardInterrupt,
        OSError(28, "No space left on device"): OutputNotWritable,
        SafetensorError("No space left on device"): OutputNotWritable,
    }
    for failure, expected in failures.items():

        def fails(_tensors: object, path: str, failure: BaseException = failure) -> None:
            Path(path).write_bytes(b"the first few tensors")
            raise failure

        monkeypatch.setattr("safetensors.torch.save_file", fails)
        with pytest.raises(expected):
            convert(source, tmp_path / "out", {})
        assert sorted(tmp_path.iterdir()) == before


def test_the_configuration_is_readable(tmp_path: Path) -> None:
    table = tmp_path / "table"
    table.write_text("ɐ 0\n", encoding="utf-8")
    convert(write_lifeiteng(tmp_path / "source.pt"), tmp_path / "out", {"symbols": table})
    text = (tmp_path / "out" / "config.json").read_text(encoding="utf-8")
    assert "ɐ" in text
    assert json.loads(text)["symbols"] == ["<pad>", "<bos>", "<eos>", "ɐ"]
