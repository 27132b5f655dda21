"""Optimisers, their rates, and where a training stands, in a file that is whole at any moment."""

from __future__ import annotations

import math
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


def optimizers(
    model: nn.Module, rate: float, blocks: str, *, betas: tuple[float, float], decay: float, share: float = 1.0
) -> list[torch.optim.Optimizer]:
    """Return Muon over the matrices inside blocks of a name, and AdamW at a share of the rate over all that is left.

    A block's name is a whole part of a parameter's: "layers" of "layers.0.weight".
    """
    learned = {f".{name}": p for name, p in model.named_parameters() if p.requires_grad}
    matrices = [p for name, p in learned.items() if p.ndim == 2 and f".{blocks}." in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in learned.values() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([{"params": others, "share": share}], rate, betas=betas, weight_decay=decay),
    ]


def set_rate(chain: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate; groups with a share get that much of it."""
    for group in [group for optimizer in chain for group in optimizer.param_groups]:
        group["lr"] = rate * group.get("share", 1.0)


def cosine(step: int, steps: int, *, warmup: int, floor: float) -> float:
    """Return which share of the peak rate a step is taken with: up in a line, down to a floor in half a cosine."""
    return min(1, (step + 1) / warmup) * (floor + (1 - floor) / 2 * (1 + math.cos(math.pi * step / steps)))
