"""Training that is saved and resumed goes on as if it had never stopped."""

from pathlib import Path

import torch
from state import resume, save
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
