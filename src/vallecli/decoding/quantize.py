"""Weights in 8 bits, for models that wait for their weights: on a CPU, a step of the AR reads all of them once.

Each output of a linear layer has its own scale; products are of weights in 8 bits and activations in bfloat16. Of a
model, the matrices inside the layers are kept so: nearly all that is read. Embeddings, norms and heads are not.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.families.valle.layers import AdaptiveNorm, Layer, Replaced

ROWS = 64  # rounded at a time: larger pieces in float32 would leave holes in memory between what stays
FEW = 16  # positions up to which torch's kernel reads the weights as they are; for more it pays to unpack them first


class Int8Linear(nn.Module):
    """A linear layer with weights in int8 (O, D) and a scale for each output (O,); it stands in for a Linear."""

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
        self.register_buffer("bias", linear.bias.detach().float())

    def forward(self, x: Tensor, part: slice = slice(None)) -> Tensor:
        """Given (..., D), return (..., O), or of the outputs that part."""
        weight, scale, bias = self.weight[part], self.scale[part], self.bias[part]
        flat = x.flatten(0, -2).bfloat16()  # for which alone torch's kernel is a fast one
        if len(flat) > FEW:
            y = F.linear(flat, weight.bfloat16())
        else:  # without a public name, so that packages that quantize models call it by this one as well
            y = torch._weight_int8pack_mm(flat, weight, scale.new_ones(len(scale), dtype=torch.bfloat16))
        out = torch.addcmul(bias, y.float(), scale)
        return out.view(*x.shape[:-1], -1)


def quantize(model: nn.Module, *, replaced: Replaced) -> None:
    """Replace the linear layers inside a model's layers, in place; `replaced` hears of each that is not needed more."""
    for layer in [module for module in model.modules() if isinstance(module, Layer)]:
        adaptive = {part for norm in layer.modules() if isinstance(norm, AdaptiveNorm) for part in norm.modules()}
        for module in list(layer.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Linear) and child not in adaptive:
                    setattr(module, name, Int8Linear(child))
                    replaced(child)
