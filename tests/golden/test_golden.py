"""The models compute what they computed while they agreed with the vectors of the published code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_vectors import CASES, MARGIN, VECTORS, compute, load

FROZEN: dict[str, dict[str, Any]] = json.loads(VECTORS.read_text())


def assert_close(output: dict[str, Any], expected: dict[str, Any]) -> None:
    assert output["codes"] == expected["codes"]
    for kind in ("ar_logits", "nar_logits"):
        wanted = torch.tensor(expected[kind]).view(output[kind].shape)
        assert wanted.std() > 0.5
        torch.testing.assert_close(output[kind], wanted, atol=5e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_codes_and_logits_have_not_changed(name: str, tmp_path: Path) -> None:
    backend, inputs = load(name, FROZEN[name]["seed"], tmp_path)
    for item, expected in zip(inputs, FROZEN[name]["outputs"], strict=True):
        output = compute(backend, item, CASES[name].guidance)
        assert output["margin"] > MARGIN / 2  # or the equality of codes would depend on rounding
        assert_close(output, expected)


@pytest.mark.parametrize(
    ("name", "file"),
    [(name, file) for name, case in CASES.items() for file in case.files[1:]],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_other_files_with_the_same_tensors_give_the_same(name: str, file: Any, tmp_path: Path) -> None:
    backend, inputs = load(name, FROZEN[name]["seed"], tmp_path, file)
    for item, expected in zip(inputs, FROZEN[name]["outputs"], strict=True):
        assert_close(compute(backend, item, CASES[name].guidance), expected)


@pytest.mark.parametrize("name", ["valle_mode4", "vallf_mode4"])
def test_prefix_mode_2_gives_the_same_as_mode_4(name: str, tmp_path: Path) -> None:
    backend, inputs = load(name, FROZEN[name]["seed"], tmp_path, prefix_mode=2)
    assert backend.config.prefix_mode == 2
    for item, expected in zip(inputs, FROZEN[name]["outputs"], strict=True):
        assert_close(compute(backend, item, CASES[name].guidance), expected)


@pytest.mark.parametrize("slots", [2, 3])
@pytest.mark.parametrize("name", CASES)
def test_requests_that_are_decoded_together_give_the_same(name: str, slots: int, tmp_path: Path) -> None:
    backend, inputs = load(name, FROZEN[name]["seed"], tmp_path)
    requests = [(number, item.request()) for number, item in enumerate(inputs)]
    # Others that end sooner, so that rows are reused while the first request continues.
    requests[1:1] = [(-1, item.request(frames)) for item in inputs for frames in (1, 7, 3)]
    codes = {number: generated.codes_TQ.tolist() for number, generated in backend.generate(requests, slots=slots)}
    assert [codes[number] for number in range(2)] == [output["codes"] for output in FROZEN[name]["outputs"]]
