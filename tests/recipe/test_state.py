"""Training that is saved and resumed goes on as if it had never stopped."""

from pathlib import Path

import pytest
import torch
from state import cosine, optimizers, resume, save, set_rate
from torch import nn


def take(model: nn.Module, chain: list[torch.optim.Optimizer], steps: range) -> None:
    for step in steps:
        model.zero_grad()
        model(torch.full((2, 3), step + 1.0)).square().sum().backward()
        for optimizer in chain:
            optimizer.step()


def new() -> tuple[nn.Linear, list[torch.optim.Optimizer]]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return model, [torch.optim.Muon([model.weight], 0.1), torch.optim.AdamW([model.bias], 0.1)]


def test_a_resumed_training_is_the_unbroken_one(tmp_path: Path) -> None:
    unbroken, chain = new()
    take(unbroken, chain, range(4))
    begun, chain = new()
    take(begun, chain, range(2))
    save(tmp_path / "ar.pt", begun, chain, 2)
    resumed, chain = new()
    step = resume(tmp_path / "ar.pt", resumed, chain, "cpu")
    assert step == 2
    take(resumed, chain, range(step, 4))
    assert torch.equal(resumed.weight, unbroken.weight)
    assert torch.equal(resumed.bias, unbroken.bias)


def test_without_a_file_it_begins(tmp_path: Path) -> None:
    model, chain = new()
    assert resume(tmp_path / "ar.pt", model, chain, "cpu") == 0


def test_the_rate_rises_and_falls_to_its_floor() -> None:
    shares = [cosine(step, 1000, warmup=100, floor=0.1) for step in (0, 49, 99, 500, 1000)]
    assert shares == pytest.approx([0.01, 0.5, 0.98, 0.55, 0.1], abs=0.01)


def test_matrices_inside_the_blocks_learn_by_muon_and_the_others_at_their_share() -> None:
    model = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(2, 2)]), "head": nn.Linear(2, 2)})
    model["head"].bias.requires_grad_(False)
    muon, adam = chain = optimizers(model, 1.0, "layers", betas=(0.9, 0.98), decay=0.01, share=0.3)
    learned = [[p for group in optimizer.param_groups for p in group["params"]] for optimizer in chain]
    assert learned[0] == [model["layers"][0].weight]
    assert learned[1] == [model["layers"][0].bias, model["head"].weight]
    set_rate(chain, 0.5)
    assert [group["lr"] for optimizer in (muon, adam) for group in optimizer.param_groups] == [0.5, 0.15]
