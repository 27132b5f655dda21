"""Stage 2 of nano's recipe, where it does not train."""

from __future__ import annotations

import sys
from pathlib import Path

import codec
import pytest
import torch

from vallecli.formats import detect

SHIPPED = Path(__file__).parents[2] / "src" / "vallecli" / "data" / "nano"


def test_the_codec_of_a_checkpoint_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["codec.py", "--run", str(tmp_path), "--start", str(SHIPPED)])
    codec.main()
    frozen = torch.load(tmp_path / "codec.frozen.pt", weights_only=True)
    shipped = detect.load(SHIPPED).tensors
    assert {f"codec.{key}" for key in frozen} == {key for key in shipped if key.startswith("codec.")}
    for key, tensor in frozen.items():
        torch.testing.assert_close(tensor, shipped[f"codec.{key}"].float(), rtol=0, atol=0)
    assert not (tmp_path / "codec.jsonl").exists()
