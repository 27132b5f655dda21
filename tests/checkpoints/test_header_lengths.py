"""A safetensors file begins with the length of its header, which can look like the beginning of a pickle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vallecli.checkpoints import weights


@pytest.mark.parametrize("first", [0x80, 0x50])
def test_a_header_of_any_length_is_read(tmp_path: Path, first: int) -> None:
    path, tensor = tmp_path / "model.safetensors", torch.arange(3.0)
    for padding in range(0, 264, 8):
        save_file({"a": tensor}, path, {"padding": padding * "-"})
        if path.read_bytes()[0] == first:
            break
    assert path.read_bytes()[0] == first
    assert torch.equal(weights.read(path)["a"], tensor)
