"""Where a training stands: weights, optimisers and step, in a file that is whole at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from common import write_beside
from torch import nn


def resume(path: Path, model: nn.Module, chain: Sequence[torch.optim.Optimizer], device: str) -> int:
    """Go on from the state in a file, if it is there; return the step."""
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True, map_location=device)
    model.load_state_dict(saved["model"])
    for optimizer, kept in zip(chain, saved["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    return int(saved["step"])


def save(path: Path, model: nn.Module, chain: Sequence[torch.optim.Optimizer], step: int) -> None:
    """Write the state that `resume` reads."""
    kept = [optimizer.state_dict() for optimizer in chain]
    with write_beside(path) as part:
        torch.save({"model": model.state_dict(), "optimizers": kept, "step": step}, part)
