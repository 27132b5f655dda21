"""Linear layers of the models: oneDNN in float32 on a CPU, and weights packed for a CPU in the order it reads them.

A decode step on a CPU waits for the weights: it reads all of them once. So `pack` replaces the matrices inside the
transformer layers, which are nearly all that is read (not embeddings, norms and heads), by one kind for each precision:

- float32, bfloat16: oneDNN's blocked order. Its products round a row the same whatever the other rows. In float32, only
  models that a CPU's caches hold: for one row of others, which waits for the memory, the plain order is faster.
- float16: weights in 16 bits, activations and sums in float32, by FBGEMM.
- int8: weights in 8 bits with a scale for each output; activations are rounded to 8 bits with a scale for each row, so
  that a row does not depend on its neighbours; sums are exact. By FBGEMM, or, where torch has none (CPUs that are not
  x86), by torch's product of 8-bit weights and bfloat16 activations.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.device import FBGEMM

ONEDNN = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
ROWS = 64  # rounded at a time: larger pieces in float32 would leave holes between the memory that stays
FEW = 16  # positions up to which torch's product reads 8-bit weights as they are; for more, unpacking first is faster
PACKED_FOR = 64  # rows that oneDNN orders weights for; from 8 on, its order is the same
SHORT = 2**25  # weights of a model that caches hold, and whose steps are too short to be shared between threads
VNNI = hasattr(torch.cpu, "_is_vnni_supported") and torch.cpu._is_vnni_supported()
# Largest 8-bit activation. Without VNNI, FBGEMM adds pairs of products in 16 bits, which larger ones would overflow.
LARGEST = 127 if VNNI else 63

Replaced = Callable[[nn.Linear], object]  # receives a layer whose weights are no longer needed


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return F.linear(x, weight, bias), (..., D) to (..., O); by oneDNN in float32 on a CPU, without gradients.

    By default torch uses oneDNN for other precisions only, and MKL for float32, which is half as fast on CPUs not made
    by Intel. `torch.backends.mkldnn.enabled = False` restores torch's choice.
    """
    use_onednn = ONEDNN and torch.backends.mkldnn.enabled and x.dtype == torch.float32 and x.device.type == "cpu"
    if not use_onednn or torch.is_grad_enabled():
        return F.linear(x, weight, bias)
    return _onednn(x, weight, bias)


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # It has no public name; torch's compiler calls it by this one.
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


class Linear(nn.Linear):
    """A linear layer that can compute a part of its outputs."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, *, cut: int = 0) -> None:
        """`cut` is where a part of a packed layer can begin or end, apart from its ends."""
        super().__init__(inputs, outputs, bias)
        self.cut = cut

    def forward(self, x: Tensor, part: slice = slice(None)) -> Tensor:
        """Given (..., D), return (..., outputs of that part)."""
        weight, bias = self.weight[part], None if self.bias is None else self.bias[part]
        return product(x, weight, bias)


class Packed(nn.Module, ABC):
    """A layer in place of a Linear whose weights are packed; for inference on a CPU."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        outputs, cut = linear.out_features, linear.cut if isinstance(linear, Linear) else 0
        weight, bias = linear.weight.detach(), None if linear.bias is None else linear.bias.detach()
        self.cuts = (0, cut, outputs) if cut else (0, outputs)
        self.pieces = []
        self.weight_bytes = 0
        self.parameter_count = sum(parameter.numel() for parameter in linear.parameters())
        """Of the layer that this one replaces."""
        for start, end in zip(self.cuts, self.cuts[1:], strict=False):
            self.pieces.append(self.pack(weight[start:end], None if bias is None else bias[start:end].float()))

    @abstractmethod
    def pack(self, weight: Tensor, bias: Tensor | None) -> Any:
        """Return packed weights (O, D) and a bias (O,) in float32, and add their size to `weight_bytes`."""

    @abstractmethod
    def piece(self, x: Tensor, packed: Any) -> Tensor:
        """Given (..., D), return the outputs (..., O) of what `pack` has returned."""

    def forward(self, x: Tensor, part: slice = slice(None)) -> Tensor:
        """Given (..., D), return (..., outputs of that part). Raises ValueError for one that does not end at a cut."""
        start, end, _ = part.indices(self.cuts[-1])
        outputs = [self.piece(x, packed) for packed in self.pieces[self.cuts.index(start) : self.cuts.index(end)]]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)


class OneDnnLinear(Packed):
    """Weights and products in one precision, float32 or bfloat16, by oneDNN."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        self.dtype = dtype
        super().__init__(linear)

    def pack(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the weights in oneDNN's order."""
        self.weight_bytes += self.dtype.itemsize * (weight.numel() + (0 if bias is None else len(bias)))
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(self.dtype), PACKED_FOR)
        return packed, None if bias is None else bias.to(self.dtype)

    def piece(self, x: Tensor, packed: tuple[Tensor, Tensor | None]) -> Tensor:
        """Given (..., D) in the same precision, return (..., O)."""
        return _onednn(x, *packed)


class Float16Linear(Packed):
    """Weights in float16, everything else in float32, by FBGEMM."""

    def pack(self, weight: Tensor, bias: Tensor | None) -> Any:
        """Return the weights in FBGEMM's order."""
        self.weight_bytes += 2 * weight.numel() + (0 if bias is None else bias.nbytes)
        with _fbgemm():
            return torch.ops.quantized.linear_prepack_fp16(weight.float(), bias)

    def piece(self, x: Tensor, packed: Any) -> Tensor:
        """Given (..., D) in float32, return (..., O)."""
        out: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, packed)
        return out


class Int8Linear(Packed):
    """Weights and activations in 8 bits; see the module."""

    def pack(self, weight: Tensor, bias: Tensor | None) -> tuple[Any, Tensor, Tensor]:
        """Return the weights, a scale for each output (O,) unless FBGEMM has them, and the bias (O,)."""
        self.weight_bytes += weight.numel() + 8 * len(weight)
        rounded, scale_O = torch.empty_like(weight, dtype=torch.int8), torch.empty(len(weight))
        for first in range(0, len(weight), ROWS):
            rows = slice(first, first + ROWS)
            floats = weight[rows].float()
            scale_O[rows] = (floats.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
            rounded[rows] = (floats / scale_O[rows, None]).round_()
        bias_O = torch.zeros(len(weight)) if bias is None else bias
        if not FBGEMM:
            return rounded, scale_O, bias_O
        with _fbgemm():
            zeros_O = torch.zeros(len(weight), dtype=torch.long)
            with warnings.catch_warnings():  # of a deprecation; there is no other way to these kernels
                warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
                quantized = torch._make_per_channel_quantized_tensor(rounded, scale_O.double(), zeros_O, 0)
            return torch.ops.quantized.linear_prepack(quantized, None), scale_O.new_ones(1), bias_O

    def piece(self, x: Tensor, packed: tuple[Any, Tensor, Tensor]) -> Tensor:
        """Given (..., D) in float32, return (..., O)."""
        weight, scale_O, bias_O = packed
        if FBGEMM:
            scale = x.abs().amax(-1, keepdim=True).clamp_(min=torch.finfo(x.dtype).tiny)
            y = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
                x / scale, 1 / LARGEST, LARGEST + 1, weight
            )
            return torch.addcmul(bias_O, y, scale)
        flat = x.flatten(0, -2).bfloat16()  # torch's kernel is fast for bfloat16 only
        if len(flat) > FEW:
            y = F.linear(flat, weight.bfloat16())
        else:  # it has no public name, so that packages that quantize models call it by this one
            y = torch._weight_int8pack_mm(flat, weight, scale_O.new_ones(len(scale_O), dtype=torch.bfloat16))
        return torch.addcmul(bias_O, y.float(), scale_O).view(*x.shape[:-1], len(bias_O))


def is_short(module: nn.Module) -> bool:
    """Return whether a model is small, as far as a step on a CPU is concerned."""
    return parameter_count(module) < SHORT


def packer(dtype: torch.dtype, device: torch.device, *, short: bool) -> Callable[[nn.Linear], Packed] | None:
    """Return what packs a layer of a model, which may be a short one; None where layers are used as they are."""
    if device.type != "cpu":
        return None
    if dtype == torch.int8:
        return Int8Linear
    if dtype == torch.float16:
        return Float16Linear if FBGEMM else None
    if not (ONEDNN and torch.backends.mkldnn.enabled):
        return None
    worthwhile = short if dtype == torch.float32 else torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return (lambda linear: OneDnnLinear(linear, dtype)) if worthwhile else None


def unpacked_dtype(dtype: torch.dtype, packed: Callable[[nn.Linear], Packed] | None) -> torch.dtype:
    """Return the precision of what is not packed: float32 beside weights in 8 or 16 bits; see packer."""
    return torch.float32 if packed is not None and dtype in (torch.int8, torch.float16) else dtype


def pack(module: nn.Module, packed: Callable[[nn.Linear], Packed], *, replaced: Replaced) -> None:
    """Replace all linear layers inside a module, in place; `replaced` receives each old layer."""
    for owner in list(module.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, nn.Linear):
                setattr(owner, name, packed(child))
                replaced(child)


def parameter_count(module: nn.Module) -> int:
    """Return the number of parameters of a module, packed ones included."""
    packed = sum(part.parameter_count for part in module.modules() if isinstance(part, Packed))
    return packed + sum(parameter.numel() for parameter in module.parameters())


def weight_bytes(module: nn.Module) -> int:
    """Return the size of all weights of a module, packed ones included."""
    packed = sum(part.weight_bytes for part in module.modules() if isinstance(part, Packed))
    return packed + sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


@contextmanager
def _fbgemm() -> Iterator[None]:
    """Let torch's operators pack for FBGEMM."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    try:
        yield
    finally:
        torch.backends.quantized.engine = before
