"""A Llama stack without token embeddings and heads: RMSNorm, rotary positions, multi-head attention, gated MLP.

The architecture is that of Llama (arXiv 2302.13971) without biases. Suffixes of tensors: B batch, L positions, K cached
positions, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vallecli.decoding.cache import CacheShape, KVCache, LayerCache
from vallecli.decoding.linear import Linear
from vallecli.errors import short

EPS = 1e-6  # of RMSNorm
THETA = 10_000.0  # base of the rotary frequencies
MAX_LAYERS, MAX_WIDTH, MAX_RATIO = 128, 2**13, 16  # far above any published model: sizes may come from a damaged file

Activation = Literal["silu", "gelu"]
Mask = Tensor | Literal["causal"] | None


@dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """Sizes of a stack."""

    layers: int
    width: int
    heads: int
    ffn: int
    """Width of the MLP."""
    activation: Activation

    def __post_init__(self) -> None:
        """Raise ValueError for sizes that no model has; they may come from a file."""
        limits = {"layers": MAX_LAYERS, "width": MAX_WIDTH, "heads": MAX_WIDTH, "ffn": MAX_WIDTH * MAX_RATIO}
        for name, limit in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= limit:
                raise ValueError(f"{name} cannot be {short(value)}")
        if self.activation not in get_args(Activation):
            raise ValueError(f"activation cannot be {short(self.activation)}")
        if self.width % (2 * self.heads):
            raise ValueError(f"a width of {self.width} cannot be divided among {self.heads} heads")

    @property
    def head_width(self) -> int:
        """Return the width of a head."""
        return self.width // self.heads


class RMSNorm(nn.Module):
    """Root mean square norm (arXiv 1910.07467), computed in float32. It ignores the level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_BLD: Tensor, level: int = 0) -> Tensor:
        """Given (B, L, D), return (B, L, D)."""
        return F.rms_norm(x_BLD, self.weight.shape, self.weight, EPS)


class LevelNorm(nn.Module):
    """RMSNorm with a stored weight for each level: an adaptive RMSNorm, precomputed."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(levels, width))

    def forward(self, x_BLD: Tensor, level: int) -> Tensor:
        """Given (B, L, D), return (B, L, D)."""
        weight = self.weights[level]
        return F.rms_norm(x_BLD, weight.shape, weight, EPS)


class Rotation(NamedTuple):
    """Cosine and signed sine of each position and dimension, (B or 1, L, 1, 1, D/H)."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, positions_BL: Tensor, head_width: int, dtype: torch.dtype) -> Rotation:
        """Return the rotations of some positions (B or 1, L), computed in float32 without a table."""
        exponents = torch.arange(0, head_width, 2, device=positions_BL.device).float() / head_width
        angles = (positions_BL[..., None].float() / THETA**exponents)[:, :, None, None]
        cos, sin = angles.cos(), angles.sin()
        return cls(torch.cat([cos, cos], -1).to(dtype), torch.cat([-sin, sin], -1).to(dtype))

    def turn(self, x_BLNHd: Tensor) -> Tensor:
        """Rotate queries and keys (B, L, 2, H, D/H); the halves of a head are the two coordinates."""
        return torch.addcmul(x_BLNHd * self.cos, x_BLNHd.roll(x_BLNHd.shape[-1] // 2, -1), self.sin)


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions and fused query, key and value (rows in that order)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = Linear(config.width, 3 * config.width, bias=False)
        self.out = Linear(config.width, config.width, bias=False)

    def forward(self, x_BLD: Tensor, rotation: Rotation, mask: Mask, cache: LayerCache | None = None) -> Tensor:
        """Given (B, L, D), return (B, L, D); see Llama for mask and cache."""
        rows, length, width = x_BLD.shape
        qkv = self.qkv(x_BLD).view(rows, length, 3, self.heads, -1)
        turned = rotation.turn(qkv[:, :, :2])
        query, key = turned.unbind(2)
        value = qkv[:, :, 2]
        if cache is None:
            key, value = key.transpose(1, 2), value.transpose(1, 2)
        else:
            key, value = cache.write(torch.stack([key, value], 2).view(rows, length, 2 * width))
        y = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            key,
            value,
            attn_mask=mask if isinstance(mask, Tensor) else None,
            is_causal=isinstance(mask, str),
        )
        out: Tensor = self.out(y.transpose(1, 2).reshape(rows, length, width))
        return out


class Layer(nn.Module):
    """A pre-norm layer: attention, then the gated MLP with fused gate and up projections (rows in that order)."""

    def __init__(self, config: LlamaConfig, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.activation = F.silu if config.activation == "silu" else F.gelu
        self.norm1 = norm(config.width)
        self.attention = Attention(config)
        self.norm2 = norm(config.width)
        self.gate_up = Linear(config.width, 2 * config.ffn, bias=False)
        self.down = Linear(config.ffn, config.width, bias=False)

    def forward(
        self, x_BLD: Tensor, rotation: Rotation, mask: Mask, level: int, cache: LayerCache | None = None
    ) -> Tensor:
        """Given (B, L, D), return (B, L, D); see Llama."""
        x = x_BLD + self.attention(self.norm1(x_BLD, level), rotation, mask, cache)
        gate, up = self.gate_up(self.norm2(x, level)).chunk(2, -1)
        out: Tensor = x + self.down(self.activation(gate) * up)
        return out


class Llama(nn.Module):
    """The stack: layers and the final norm. `norm` makes each norm, given the width; they receive the level."""

    def __init__(self, config: LlamaConfig, norm: Callable[[int], nn.Module] = RMSNorm) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Layer(config, norm) for _ in range(config.layers))
        self.norm = norm(config.width)

    def forward(
        self,
        x_BLD: Tensor,
        positions_BL: Tensor,
        mask: Mask = None,
        *,
        level: int = 0,
        caches: Sequence[LayerCache] | None = None,
    ) -> Tensor:
        """Given embeddings (B, L, D) and positions (B or 1, L), return normed hidden states (B, L, D).

        `mask` is "causal", None for attention to all positions, or a tensor that broadcasts to (B, H, L, K), boolean
        with True for attend or additive. With caches, rotated keys and values are first written to them, and attention
        reads the whole filled part.
        """
        rotation = Rotation.of(positions_BL, self.config.head_width, x_BLD.dtype)
        x = x_BLD
        for index, layer in enumerate(self.layers):
            x = layer(x, rotation, mask, level, None if caches is None else caches[index])
        out: Tensor = self.norm(x, level)
        return out

    def new_cache(self, rows: int, *, block: int = 1) -> KVCache:
        """Return an empty cache without capacity; see KVCache."""
        config = self.config
        shape = CacheShape(config.layers, config.heads, config.head_width)
        return KVCache(shape, rows, next(self.norm.parameters()), block=block)

    def prefill(self, x_LD: Tensor, positions_L: Tensor, cache: KVCache, row: int, *, position: int) -> Tensor:
        """Write embeddings (L, D) to a row of the cache, return the last hidden state (1, D).

        `position` is that of the first code to come. Other rows do not change.
        """
        cache.begin(row, len(x_LD), position=position)
        hidden: Tensor = self(x_LD[None], positions_L[None], "causal", caches=cache.layers)
        return hidden[:, -1]

    def step(self, x_BD: Tensor, cache: KVCache) -> Tensor:
        """Write one embedding for each row that `cache.claim` made room in, return the hidden states (B, D)."""
        positions_B = cache.place()
        hidden: Tensor = self(x_BD[:, None], positions_B[:, None], cache.mask(), caches=cache.layers)
        cache.advance()
        return hidden[:, 0]


def pad_rows(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Pad sequences of embeddings (L, D) on the right: return (B, L, D), and the mask of keys unless all are as long.

    The mask (B, 1, 1, L) is True where a row is not padding.
    """
    lengths = [len(row) for row in rows]
    x_BLD = pad_sequence(list(rows), batch_first=True)
    if min(lengths) == max(lengths):
        return x_BLD, None
    lengths_B = torch.tensor(lengths, device=x_BLD.device)
    return x_BLD, (torch.arange(max(lengths), device=x_BLD.device) < lengths_B[:, None])[:, None, None]
