"""The three models: GPT-2 blocks with exact GELU and learned positions, causal (semantic, coarse) or not (fine).

Suffixes of tensors: B batch, L positions, D width, Q codebooks, T frames, V classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.decoding.cache import CacheShape, KVCache, LayerCache
from vallecli.decoding.linear import Linear
from vallecli.decoding.request import PrefixSize
from vallecli.families.bark.config import (
    COARSE,
    COARSE_CODEBOOKS,
    CODEBOOK_SIZE,
    FINE,
    MAX_HISTORY,
    MAX_TEXT,
    NUM_CODEBOOKS,
    POSITIONS,
    SEMANTIC,
    SEMANTIC_EOS,
    SEMANTIC_SIZE,
    VOCABULARIES,
    GptConfig,
)

EPS = 1e-5  # of layer norms


class Norm(nn.Module):
    """Layer norm with or without a bias."""

    def __init__(self, width: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Given (..., D), return (..., D)."""
        return F.layer_norm(x_BLD, self.weight.shape, self.weight, self.bias, EPS)


class Layer(nn.Module):
    """A pre-norm layer: attention with fused query, key and value (rows in that order), then the MLP."""

    def __init__(self, config: GptConfig, *, norm_bias: bool) -> None:
        super().__init__()
        width, bias = config.width, config.bias
        self.heads = config.heads
        self.norm1 = Norm(width, bias=norm_bias)
        self.qkv = Linear(width, 3 * width, bias=bias, cut=width)
        self.out = Linear(width, width, bias=bias)
        self.norm2 = Norm(width, bias=norm_bias)
        self.up = Linear(width, 4 * width, bias=bias)
        self.down = Linear(4 * width, width, bias=bias)

    def forward(
        self,
        x_BLD: Tensor,
        *,
        causal: bool,
        mask: Tensor | None = None,
        cache: LayerCache | None = None,
        only: slice | None = None,
    ) -> Tensor:
        """Given (B, L, D), return (B, L, D). With a cache, keys and values are first written to it; see KVCache.

        With `only`, return these positions alone, each of which attends to all; a causal model has one: the last.
        """
        rows, length, width = x_BLD.shape
        normed_BLD = self.norm1(x_BLD)
        if only is None:
            query_BMD, kv_BLE = self.qkv(normed_BLD).split([width, 2 * width], -1)
        else:
            x_BLD = x_BLD[:, only]
            query_BMD = self.qkv(normed_BLD[:, only], slice(0, width))
            kv_BLE = self.qkv(normed_BLD, slice(width, None))
        query = query_BMD.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        if cache is None:
            key, value = kv_BLE.view(rows, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        else:
            key, value = cache.write(kv_BLE)
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal and only is None)
        x_BLD = x_BLD + self.out(y.transpose(1, 2).flatten(2))
        out: Tensor = x_BLD + self.down(F.gelu(self.up(self.norm2(x_BLD))))
        return out


class Stack(nn.Module):
    """Positions, layers and the final norm of one model; token embeddings and heads are added by each model."""

    def __init__(self, config: GptConfig, *, norm_bias: bool) -> None:
        super().__init__()
        self.config = config
        self.positions = nn.Embedding(POSITIONS, config.width)
        self.layers = nn.ModuleList(Layer(config, norm_bias=norm_bias) for _ in range(config.layers))
        self.norm = Norm(config.width, bias=norm_bias)

    def hidden(self, x_BLD: Tensor, *, causal: bool, cache: KVCache | None = None, only: slice | None = None) -> Tensor:
        """Given embeddings (B, L, D), return normed hidden states (B, L, D), or those of `only` these positions.

        With a cache, keys and values are written to it. Raises ValueError for more positions than the model has.
        """
        if x_BLD.shape[1] > POSITIONS:
            raise ValueError(f"a sequence of {x_BLD.shape[1]} positions is longer than the {POSITIONS} of the model")
        x_BLD = x_BLD + self.positions.weight[: x_BLD.shape[1]]
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            layer_cache = None if cache is None else cache.layers[index]
            x_BLD = layer(x_BLD, causal=causal, cache=layer_cache, only=only if index == last else None)
        out: Tensor = self.norm(x_BLD)
        return out


class CausalGpt(Stack):
    """What the semantic and the coarse model share as a `decoding.request.CausalModel`."""

    stop_on_argmax = False
    tempered_last = True
    classes: int
    eos: int

    def __init__(self, name: str, config: GptConfig) -> None:
        super().__init__(config, norm_bias=config.bias)
        inputs, outputs = VOCABULARIES[name]
        self.embedding = nn.Embedding(inputs, config.width)
        self.head = Linear(config.width, outputs, bias=False)

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self.head.weight.device

    def logits(self, ids_L: Tensor) -> Tensor:
        """Return the logits (L, V) of all published classes behind each id of a sequence (L,), without a cache."""
        out: Tensor = self.head(self.hidden(self.embedding(ids_L)[None], causal=True)[0])
        return out

    def new_cache(self, rows: int, *, block: int = 1) -> KVCache:
        """Return an empty cache without capacity; see KVCache."""
        config = self.config
        shape = CacheShape(config.layers, config.heads, config.width // config.heads)
        return KVCache(shape, rows, self.positions.weight, block=block)

    def reserve(self, positions: int) -> None:
        """Nothing to prepare."""

    def moving_addresses(self) -> tuple[int, ...]:
        """Return (): no tensor of a step is reallocated."""
        return ()

    def _prefill(self, x_LD: Tensor, cache: KVCache, row: int) -> Tensor:
        """Write embeddings (L, D) to a row of the cache and return the last hidden state (1, D)."""
        cache.begin(row, len(x_LD), position=len(x_LD))
        return self.hidden(x_LD[None], causal=True, cache=cache, only=slice(-1, None))[:, 0]

    def _step(self, x_BD: Tensor, cache: KVCache) -> Tensor:
        """Write one embedding (B, D) for each row that `cache.claim` made room in, return hidden states (B, D)."""
        positions_B = cache.place().clamp(max=POSITIONS - 1)  # of rows that have ended
        x_BLD = (x_BD + self.positions(positions_B))[:, None]
        mask = cache.mask()
        for layer, layer_cache in zip(self.layers, cache.layers, strict=True):
            x_BLD = layer(x_BLD, causal=False, mask=mask, cache=layer_cache)
        cache.advance()
        out: Tensor = self.norm(x_BLD[:, 0])
        return out


class SemanticPrefix(NamedTuple):
    """The input of the semantic model, (513,): text, history, and the id that asks for tokens."""

    ids_L: Tensor


class Semantic(CausalGpt):
    """Text and history to semantic tokens. The embeddings of text and history are added, position by position."""

    classes = SEMANTIC_SIZE + 1
    eos = SEMANTIC_EOS

    def __init__(self, config: GptConfig) -> None:
        super().__init__(SEMANTIC, config)

    def embed(self, prefix: SemanticPrefix) -> Tensor:
        """Return the embeddings (257, D) of a prefix."""
        x_LD = self.embedding(prefix.ids_L)
        text, history, infer = x_LD.split([MAX_TEXT, MAX_HISTORY, 1])
        return torch.cat([text + history, infer])

    def logits_after(self, prefix: SemanticPrefix, tokens_T: Tensor) -> Tensor:
        """Return the logits (T + 1, 10048) of each token behind a prefix, and of the next, without a cache."""
        x_LD = torch.cat([self.embed(prefix), self.embedding(tokens_T)])
        hidden_LD = self.hidden(x_LD[None], causal=True)[0]
        out: Tensor = self.head(hidden_LD[len(x_LD) - len(tokens_T) - 1 :])
        return out

    def prefix_size(self, prefix: SemanticPrefix) -> PrefixSize:
        """Return the number of positions."""
        return PrefixSize(MAX_TEXT + 1)

    def prefill(self, prefix: SemanticPrefix, cache: KVCache, row: int) -> Tensor:
        """Write a prefix to a row of the cache and return the logits (1, V) of the first token."""
        logits: Tensor = self.head(self._prefill(self.embed(prefix), cache, row), slice(0, self.classes))
        return logits

    def step(self, codes_B: Tensor, cache: KVCache) -> Tensor:
        """Given the last token of each row that `cache.claim` made room in, return the next logits (B, V)."""
        logits: Tensor = self.head(self._step(self.embedding(codes_B), cache), slice(0, self.classes))
        return logits


class Coarse(CausalGpt):
    """Semantic tokens to the first two codebooks in turn.

    For the engine, a code of codebook k is class k * 1024 + code, so that the last code says which codebook is next.
    The last class is EOS, which the model never predicts. A prefix is the input of a window, ids (L,).
    """

    classes = COARSE_CODEBOOKS * CODEBOOK_SIZE + 1
    eos = COARSE_CODEBOOKS * CODEBOOK_SIZE

    def __init__(self, config: GptConfig) -> None:
        super().__init__(COARSE, config)

    def prefix_size(self, prefix: Tensor) -> PrefixSize:
        """Return the number of positions."""
        return PrefixSize(len(prefix))

    def prefill(self, prefix: Tensor, cache: KVCache, row: int) -> Tensor:
        """Write the input of a window to a row of the cache and return the logits (1, V) of its first code."""
        hidden_BD = self._prefill(self.embedding(prefix), cache, row)
        return self._predict(hidden_BD, torch.full_like(prefix[:1], CODEBOOK_SIZE))

    def step(self, codes_B: Tensor, cache: KVCache) -> Tensor:
        """Given the last code of each row that `cache.claim` made room in, return the next logits (B, V)."""
        return self._predict(self._step(self.embedding(SEMANTIC_SIZE + codes_B), cache), codes_B)

    def _predict(self, hidden_BD: Tensor, codes_B: Tensor) -> Tensor:
        """Return logits (B, V), minus infinity for the codebook of the last codes (B,) and for EOS."""
        logits_BV = self.head(hidden_BD, slice(SEMANTIC_SIZE, SEMANTIC_SIZE + self.eos))
        codebooks_V = torch.arange(self.eos, device=codes_B.device) // CODEBOOK_SIZE
        logits_BV = logits_BV.masked_fill(codebooks_V == codes_B[:, None] // CODEBOOK_SIZE, -torch.inf)
        return F.pad(logits_BV, (0, 1), value=-torch.inf)


class Fine(Stack):
    """Known codebooks to the next one, for all frames at once. Head k - 1 is tied to the embedding of codebook k."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__(config, norm_bias=True)
        inputs, outputs = VOCABULARIES[FINE]
        self.embeddings = nn.ModuleList(nn.Embedding(inputs, config.width) for _ in range(NUM_CODEBOOKS))
        self.heads = nn.ModuleList(Linear(config.width, outputs, bias=False) for _ in range(NUM_CODEBOOKS - 1))
        for embedding, head in zip(list(self.embeddings)[1:], self.heads, strict=True):
            head.weight = embedding.weight

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self.positions.weight.device

    def logits(self, codes_TQ: Tensor, codebook: int, only: slice = slice(None), classes: int | None = None) -> Tensor:
        """Given codes (T, 8), return logits (T, 1056) of a codebook from 1 to 7, of `only` these frames and classes.

        Codebooks 0 to `codebook` are read, that which is predicted as well.
        """
        known: Sequence[Tensor] = codes_TQ[:, : codebook + 1].unbind(1)
        x_TD = torch.stack([table(codes_T) for table, codes_T in zip(self.embeddings, known, strict=False)]).sum(0)
        hidden_TD = self.hidden(x_TD[None], causal=False, only=only)[0]
        logits_TV: Tensor = self.heads[codebook - 1](hidden_TD, slice(0, classes))
        return logits_TV
