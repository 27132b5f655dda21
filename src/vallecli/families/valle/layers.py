"""The building blocks of both transformers: norms, attention, feed-forward, positions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.decoding.cache import LayerCache, Memory
from vallecli.decoding.linear import Linear, product

FFN_RATIO = 4  # feed-forward width over model width, the same in every published checkpoint


class Stage(NamedTuple):
    """One pass of the NAR."""

    number: int  # from 0
    embedding_D: Tensor | None  # input of the AdaptiveNorms


class Norm(nn.LayerNorm):
    """Layer norm that ignores the stage, so that AR and NAR use the same layer class."""

    def forward(self, x_BLD: Tensor, stage: Stage | None = None) -> Tensor:
        """Given (B, L, D), return (B, L, D)."""
        return super().forward(x_BLD)


class AdaptiveNorm(nn.Module):
    """Layer norm with a scale and a shift projected from the stage embedding: w * LN(x) + b."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = Linear(dim, 2 * dim)
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.project.weight, std=0.01)
        nn.init.ones_(self.project.bias[:dim])  # start as a plain norm
        nn.init.zeros_(self.project.bias[dim:])

    def forward(self, x_BLD: Tensor, stage: Stage) -> Tensor:
        """Given (B, L, D), return (B, L, D)."""
        scale, shift = self.project(stage.embedding_D).chunk(2, -1)
        out: Tensor = scale * self.norm(x_BLD) + shift
        return out


class FixedNorm(nn.Module):
    """Layer norm with a stored scale and shift for each stage: a trained AdaptiveNorm, precomputed."""

    def __init__(self, dim: int, stages: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        start_S2D = torch.zeros(stages, 2, dim)
        start_S2D[:, 0] = 1
        self.scales_and_shifts = nn.Parameter(start_S2D)

    @classmethod
    def of(cls, adaptive: AdaptiveNorm, stages_SD: Tensor) -> FixedNorm:
        """Precompute an AdaptiveNorm for stages with these embeddings (S, D)."""
        weight, bias = adaptive.project.weight.float(), adaptive.project.bias.float()
        rows = [
            product(stage_D, weight, bias) for stage_D in stages_SD
        ]  # one at a time, as AdaptiveNorm does: the same rounding
        fixed = cls(stages_SD.shape[1], len(stages_SD))
        fixed.norm = adaptive.norm
        fixed.scales_and_shifts = nn.Parameter(torch.stack(rows).view(len(rows), 2, -1))
        return fixed

    def forward(self, x_BLD: Tensor, stage: Stage) -> Tensor:
        """Given (B, L, D), return (B, L, D)."""
        scale, shift = self.scales_and_shifts[stage.number]
        out: Tensor = scale * self.norm(x_BLD) + shift
        return out


class Attention(nn.Module):
    """Multi-head self-attention with fused query, key and value (rows in that order)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(dim, 3 * dim)
        self.out = Linear(dim, dim)

    def forward(self, x_BLD: Tensor, mask: Tensor | None, cache: LayerCache | None = None, *, first: int = 0) -> Tensor:
        """Given (B, L, D) and a mask that broadcasts to (B, H, L, K), return (B, L, D), or its positions from `first`.

        The mask is boolean (True = attend) or additive.

        With a cache, keys and values are first written to it, and attention reads the whole filled part.
        """
        rows, length, dim = x_BLD.shape
        qkv = self.qkv(x_BLD)
        query, key, value = qkv.view(rows, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        if cache is not None:
            key, value = cache.write(qkv[..., dim:])
        y = F.scaled_dot_product_attention(query[:, :, first:], key, value, attn_mask=mask)
        out: Tensor = self.out(y.transpose(1, 2).reshape(rows, length - first, dim))
        return out


class CrossAttention(nn.Module):
    """Multi-head attention from audio to text; the fused weights have the layout of Attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(dim, 3 * dim, cut=dim)
        self.out = Linear(dim, dim)

    def memorize(self, text_BSD: Tensor, mask_B11S: Tensor) -> Memory:
        """Given the text (B, S, D) and its mask, return keys and values."""
        rows, letters, dim = text_BSD.shape
        both = self.qkv(text_BSD, slice(dim, None))
        keys, values = both.view(rows, letters, 2, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        return Memory(keys, values, mask_B11S)

    def forward(self, x_BLD: Tensor, memory: Memory) -> Tensor:
        """Given audio (B, L, D) and the text, return (B, L, D)."""
        rows, length, dim = x_BLD.shape
        query = self.qkv(x_BLD, slice(dim)).view(rows, length, self.heads, dim // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(query, memory.keys, memory.values, attn_mask=memory.mask)
        out: Tensor = self.out(y.transpose(1, 2).reshape(rows, length, dim))
        return out


class Layer(nn.Module):
    """A pre-norm transformer layer; norms that use the stage make it a NAR layer."""

    def __init__(self, dim: int, heads: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm1 = norm(dim)
        self.attention = Attention(dim, heads)
        self.norm2 = norm(dim)
        self.linear1 = Linear(dim, FFN_RATIO * dim)
        self.linear2 = Linear(FFN_RATIO * dim, dim)

    def forward(
        self,
        x_BLD: Tensor,
        mask: Tensor | None,
        stage: Stage | None = None,
        cache: LayerCache | None = None,
        memory: Memory | None = None,
        first: int = 0,
    ) -> Tensor:
        """Given (B, L, D), return (B, L, D), or its positions from `first`; see Attention for mask and cache."""
        x = x_BLD[:, first:] + self.attention(self.norm1(x_BLD, stage), mask, cache, first=first)
        out: Tensor = x + self.linear2(F.relu_(self.linear1(self.norm2(x, stage))))
        return out


class CrossLayer(Layer):
    """A layer of VALL-F: self-attention over the audio, cross-attention to the text, feed-forward."""

    def __init__(self, dim: int, heads: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__(dim, heads, norm)
        self.cross = CrossAttention(dim, heads)
        self.norm3 = norm(dim)

    def forward(
        self,
        x_BLD: Tensor,
        mask: Tensor | None,
        stage: Stage | None = None,
        cache: LayerCache | None = None,
        memory: Memory | None = None,
        first: int = 0,
    ) -> Tensor:
        """Given audio (B, L, D) and the text, return (B, L, D), or its positions from `first`; see Attention."""
        x = x_BLD[:, first:] + self.attention(self.norm1(x_BLD, stage), mask, cache, first=first)
        x = x + self.cross(self.norm2(x, stage), memory)
        out: Tensor = x + self.linear2(F.relu_(self.linear1(self.norm3(x, stage))))
        return out


def memorize(layers: nn.ModuleList, text_BSD: Tensor, text_len_B: Tensor) -> list[Memory | None]:
    """Given the text (B, S, D) and its lengths, return the memory of each layer; None without cross-attention."""
    mask = key_mask(text_BSD.shape[1], text_len_B)[:, None, None]
    return [layer.cross.memorize(text_BSD, mask) if isinstance(layer, CrossLayer) else None for layer in layers]


class Positions(nn.Module):
    """Sinusoidal positions, sine and cosine interleaved, scaled by a learned alpha (one, or one for each stage)."""

    table: Tensor

    def __init__(self, dim: int, *, alphas: int = 1, length: int = 2048) -> None:
        super().__init__()
        self.dim = dim
        self.alpha = nn.Parameter(torch.ones(alphas))
        self.register_buffer("table", self._rows(length), persistent=False)

    def _rows(self, length: int) -> Tensor:
        # On the CPU even if the module is on the meta device: no checkpoint stores this table.
        rates = torch.exp(torch.arange(0, self.dim, 2, device="cpu") * (-math.log(10_000.0) / self.dim))
        angles = torch.arange(length, device="cpu")[:, None] * rates
        return torch.stack([angles.sin(), angles.cos()], -1).view(length, self.dim)

    def forward(self, length: int, alpha: int = 0) -> Tensor:
        """Return the vectors (length, D) of positions 0 to length - 1; the table grows if needed."""
        self.reserve(length)
        return self.alpha[alpha] * self.table[:length]

    def at(self, positions_B: Tensor) -> Tensor:
        """Return the vectors (B, D) of positions within the table; see reserve."""
        return self.alpha * self.table[positions_B]

    def reserve(self, length: int) -> None:
        """Make the table long enough for positions below `length`."""
        if length > len(self.table):
            with torch.inference_mode(False):  # training may use the table later
                self.table = self._rows(2 * length).to(self.table)


def key_mask(length: int, lengths_B: Tensor) -> Tensor:
    """Return (B, length), True where a right-padded row is not padding."""
    return torch.arange(length, device=lengths_B.device) < lengths_B[:, None]
