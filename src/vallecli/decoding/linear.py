"""Linear layers of the models: oneDNN in float32 on a CPU, weights in 8 bits, and memory released as they load.

A decode step on a CPU waits for the weights: it reads all of them once. In 8 bits, each output of a linear layer has a
scale; products are of 8-bit weights and bfloat16 activations. Only the matrices inside the transformer layers are
quantized, which are nearly all that is read: not embeddings, norms and heads.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONEDNN = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
ROWS = 64  # rounded at a time: larger pieces in float32 would leave holes between the memory that stays
FEW = 16  # positions up to which torch's kernel reads 8-bit weights as they are; for more, unpacking first is faster

Replaced = Callable[[nn.Linear], object]  # receives a layer whose weights are no longer needed


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return F.linear(x, weight, bias), (..., D) to (..., O); by oneDNN in float32 on a CPU, without gradients.

    By default torch uses oneDNN for other precisions only, and MKL for float32, which is half as fast on CPUs not made
    by Intel. `torch.backends.mkldnn.enabled = False` restores torch's choice.
    """
    use_onednn = ONEDNN and torch.backends.mkldnn.enabled and x.dtype == torch.float32 and x.device.type == "cpu"
    if not use_onednn or torch.is_grad_enabled():
        return F.linear(x, weight, bias)
    # It has no public name; torch's compiler calls it by this one.
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


class Linear(nn.Linear):
    """A linear layer that can compute a part of its outputs."""

    def forward(self, x: Tensor, part: slice = slice(None)) -> Tensor:
        """Given (..., D), return (..., outputs of that part)."""
        weight, bias = self.weight[part], None if self.bias is None else self.bias[part]
        return product(x, weight, bias)


class Int8Linear(nn.Module):
    """A linear layer with weights in int8 (O, D) and a scale for each output (O,); it replaces a Linear."""

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self.register_buffer("weight", torch.empty_like(weight, dtype=torch.int8))
        self.register_buffer("scale", torch.empty(len(weight)))
        for first in range(0, len(weight), ROWS):
            rows = slice(first, first + ROWS)
            floats = weight[rows].float()
            self.scale[rows] = (floats.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
            self.weight[rows] = (floats / self.scale[rows, None]).round_()
        bias = torch.zeros(len(weight)) if linear.bias is None else linear.bias.detach().float()
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor, part: slice = slice(None)) -> Tensor:
        """Given (..., D), return (..., outputs of that part)."""
        weight, scale, bias = self.weight[part], self.scale[part], self.bias[part]
        flat = x.flatten(0, -2).bfloat16()  # torch's kernel is fast for bfloat16 only
        if len(flat) > FEW:
            y = F.linear(flat, weight.bfloat16())
        else:  # it has no public name, so that packages that quantize models call it by this one
            y = torch._weight_int8pack_mm(flat, weight, scale.new_ones(len(scale), dtype=torch.bfloat16))
        out = torch.addcmul(bias, y.float(), scale)
        return out.view(*x.shape[:-1], -1)


def quantize(module: nn.Module, *, replaced: Replaced) -> None:
    """Replace all linear layers inside a module by Int8Linear, in place; `replaced` receives each old layer."""
    for owner in list(module.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, nn.Linear):
                setattr(owner, name, Int8Linear(child))
                replaced(child)
