"""What models take of memory while they are made: not more than what is left of them in the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vallecli.bench import random_checkpoint
from vallecli.families.valle.refine import refine
from vallecli.families.valle import detect, native
from vallecli.families.valle.checkpoint import Checkpoint, build, build_to_speak
from vallecli.checkpoints.weights import MappedFiles, read_pt
from vallecli.decoding.quantize import quantize

CPU = torch.device("cpu")
MEGABYTE = 2**20


def resident() -> int:
    """Return how many bytes of mapped files are in memory."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile")]
    return 1024 * int(line.split()[1])


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights of nano's size, as checkpoint folders in both precisions."""
    made, at = random_checkpoint("nano"), tmp_path_factory.mktemp("saved")
    tensors = {key: tensor.float() for key, tensor in made.tensors.items()}
    around = {"front_end": "arpabet-1", "codec": {"kind": "encodec"}, "limits": made.limits, "sampling": {}}
    for dtype in (torch.float32, torch.float16):
        name = str(dtype).removeprefix("torch.")
        native.save(at / name, name=name, model=made.model, tensors=tensors, dtype=dtype, **around)
    return {path.name: path for path in at.iterdir()}


def codes(checkpoint: Checkpoint, dtype: torch.dtype, *, to_speak: bool) -> Tensor:
    """Return what the models make of a text, loaded to speak or as they were trained."""
    if to_speak:
        ar, nar = build_to_speak(checkpoint, device=CPU, dtype=dtype)
    else:
        ar, nar = build(checkpoint)
        for model in (ar, nar) if dtype == torch.int8 else ():
            quantize(model, replaced=lambda linear: None)
    text_S, prompt_PQ = torch.arange(9), torch.arange(80).view(10, 8)
    with torch.inference_mode():
        logits = ar(text_S[None], torch.tensor([9]), prompt_PQ[None, :, 0], torch.tensor([10]))
        return torch.cat([logits.flatten(), refine(nar, text_S, prompt_PQ, torch.arange(12)).flatten()])


@pytest.mark.parametrize("stored", ["float32", "float16"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int8], ids=str)
def test_models_loaded_to_speak_are_those_that_were_trained(
    saved: dict[str, Path], stored: str, dtype: torch.dtype
) -> None:
    checkpoint = detect.load(saved[stored])
    assert torch.equal(codes(checkpoint, dtype, to_speak=True), codes(checkpoint, dtype, to_speak=False))


@linux
@pytest.mark.parametrize(
    ("stored", "dtype"),
    [("float32", torch.bfloat16), ("float32", torch.int8), ("float16", torch.float32), ("float16", torch.int8)],
    ids=str,
)
def test_what_is_converted_does_not_stay_in_memory(saved: dict[str, Path], stored: str, dtype: torch.dtype) -> None:
    checkpoint = detect.load(saved[stored])
    size = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    before = resident()
    models = build_to_speak(checkpoint, device=CPU, dtype=dtype)
    assert resident() - before < size / 10
    assert size > 20 * MEGABYTE
    del models


@linux
@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_a_mapped_tensor_that_was_let_go_is_read_again(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"weights.{kind}"
    held = {
        name: torch.randn(MEGABYTE, generator=torch.Generator().manual_seed(seed)) for seed, name in enumerate("abc")
    }
    if kind == "pt":
        torch.save(held, path)
        mapped = read_pt(path)
    else:
        save_file(held, path)
        mapped = load_file(path)
    before = resident()
    assert all(torch.equal(mapped[name], held[name]) for name in held)
    read = resident()
    assert read - before > 10 * MEGABYTE
    MappedFiles().let_go([mapped["a"], mapped["c"]])
    assert read - resident() > 7 * MEGABYTE
    assert all(torch.equal(mapped[name], held[name]) for name in held)


def test_memory_of_no_file_is_left_as_it_is() -> None:
    tensors = [torch.ones(MEGABYTE), torch.ones(3), torch.ones(0)]
    MappedFiles().let_go(tensors)
    assert all(bool((tensor == 1).all()) for tensor in tensors)
