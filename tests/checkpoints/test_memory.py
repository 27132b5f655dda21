"""Loading a model needs no more memory than the loaded model: files stay mapped, converted parts are released."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vallecli.checkpoints.weights import MappedFiles, read_pt
from vallecli.decoding.linear import pack, packer
from vallecli.families.valle import native
from vallecli.families.valle.checkpoint import Checkpoint, build, build_for_inference
from vallecli.families.valle.random import random_checkpoint
from vallecli.families.valle.read import read_checkpoint
from vallecli.families.valle.refine import refine

CPU = torch.device("cpu")
MEGABYTE = 2**20


def resident() -> int:
    """Return the number of bytes of mapped files that are in memory."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile")]
    return 1024 * int(line.split()[1])


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the memory of mapped files")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights of nano's size, as checkpoint folders in both precisions."""
    checkpoint, folder = random_checkpoint("nano"), tmp_path_factory.mktemp("saved")
    for dtype in (torch.float32, torch.float16):
        native.save(folder / str(dtype).removeprefix("torch."), checkpoint, dtype=dtype)
    return {path.name: path for path in folder.iterdir()}


def outputs(checkpoint: Checkpoint, dtype: torch.dtype, *, inference: bool) -> Tensor:
    """Return logits and codes of a text, from models loaded for inference or for training."""
    if inference:
        ar, nar = build_for_inference(checkpoint, device=CPU, dtype=dtype)
    else:
        ar, nar = build(checkpoint)
        for model in (ar, nar):
            pack(model.layers, packer(dtype, CPU, short=True), replaced=lambda linear: None)
    text_S, prompt_PQ = torch.arange(9), torch.arange(80).view(10, 8)
    with torch.inference_mode():
        logits = ar(text_S[None], torch.tensor([9]), prompt_PQ[None, :, 0], torch.tensor([10]))
        return torch.cat([logits.flatten(), refine(nar, text_S, prompt_PQ, torch.arange(12)).flatten()])


@pytest.mark.parametrize("stored", ["float32", "float16"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int8], ids=str)
def test_models_for_inference_equal_those_for_training(saved: dict[str, Path], stored: str, dtype: torch.dtype) -> None:
    checkpoint = read_checkpoint(saved[stored])
    assert torch.equal(outputs(checkpoint, dtype, inference=True), outputs(checkpoint, dtype, inference=False))


@linux
@pytest.mark.parametrize(
    ("stored", "dtype"),
    [("float32", torch.bfloat16), ("float32", torch.int8), ("float16", torch.float32), ("float16", torch.int8)],
    ids=str,
)
def test_converted_tensors_do_not_stay_in_memory(saved: dict[str, Path], stored: str, dtype: torch.dtype) -> None:
    checkpoint = read_checkpoint(saved[stored])
    size = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    before = resident()
    models = build_for_inference(checkpoint, device=CPU, dtype=dtype)
    assert resident() - before < size / 10
    assert size > 20 * MEGABYTE
    del models


@linux
@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_a_released_tensor_is_read_again(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"weights.{kind}"
    tensors = {
        name: torch.randn(MEGABYTE, generator=torch.Generator().manual_seed(seed)) for seed, name in enumerate("abc")
    }
    if kind == "pt":
        torch.save(tensors, path)
        mapped = read_pt(path)
    else:
        save_file(tensors, path)
        mapped = load_file(path)
    before = resident()
    assert all(torch.equal(mapped[name], tensors[name]) for name in tensors)
    read = resident()
    assert read - before > 10 * MEGABYTE
    MappedFiles().release([mapped["a"], mapped["c"]])
    assert read - resident() > 7 * MEGABYTE
    assert all(torch.equal(mapped[name], tensors[name]) for name in tensors)


def test_memory_without_a_file_is_unchanged() -> None:
    tensors = [torch.ones(MEGABYTE), torch.ones(3), torch.ones(0)]
    MappedFiles().release(tensors)
    assert all(bool((tensor == 1).all()) for tensor in tensors)
