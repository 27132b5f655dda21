"""Optimizers, learning rates, and the training state, which is written atomically."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from common import write_beside
from torch import nn


def resume(path: Path, model: nn.Module, chain: Sequence[torch.optim.Optimizer], device: str) -> int:
    """Load the training state from a file, if it exists; return the step (0 if it does not)."""
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
    """Return two optimizers: Muon for the matrices inside the blocks, AdamW for all other parameters.

    A matrix is inside the blocks if `blocks` is one part of its name: "layers" of "layers.0.weight". AdamW uses the
    learning rate times `share`.
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
    """Set the learning rate of all parameter groups, multiplied by the group's `share` if it has one."""
    for group in [group for optimizer in chain for group in optimizer.param_groups]:
        group["lr"] = rate * group.get("share", 1.0)


def cosine(step: int, steps: int, *, warmup: int, floor: float) -> float:
    """Return a step's share of the peak learning rate: linear warmup, then a half cosine down to `floor`."""
    return min(1, (step + 1) / warmup) * (floor + (1 - floor) / 2 * (1 + math.cos(math.pi * step / steps)))
