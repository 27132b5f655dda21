"""The autoregressive model: phonemes and the prompt's codebook 1 in, the next code of codebook 1 out.

VALL-E (arXiv 2301.02111) section 4.2.1, in the layout of lifeiteng/vall-e. Text attends to all of the text and never
to audio; audio attends to all of the text and to audio up to itself. That is why a KV cache is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vallecli.decoding.cache import CacheShape, KVCache, Memory
from vallecli.decoding.linear import Linear
from vallecli.decoding.request import PrefixSize
from vallecli.families.valle.config import BOS, EOS, ModelConfig
from vallecli.families.valle.layers import CrossLayer, Layer, Norm, Positions, key_mask, memorize


@dataclass(frozen=True, eq=False)
class Prefix:
    """What the AR continues: text (S,) and its audio so far (A,), BOS included; languages (S,) for models with them."""

    text_S: Tensor
    audio_A: Tensor
    languages_S: Tensor | None = None


def audio_prefix(config: ModelConfig, prompt_P: Tensor) -> Tensor:
    """Given codebook 1 of the prompt (P,), return the AR's audio before the first new frame (A,).

    Raises ValueError if a model without BOS gets no prompt.
    """
    if config.ar_prompt_frames:
        prompt_P = prompt_P[: config.ar_prompt_frames]
    start = prompt_P.new_tensor([BOS])
    audio_A = {
        "none": prompt_P,
        "start": torch.cat([start, prompt_P]),
        "after_prompt": torch.cat([prompt_P, start]),
    }[config.bos]
    if not len(audio_A):
        raise ValueError("this model needs a prompt: it has no BOS to start from")
    return audio_A


class AR(nn.Module):
    """The AR transformer, a `decoding.request.CausalModel`.

    `forward` scores whole sequences; `prefill` and `step` compute the same, one frame at a time.
    """

    classes = EOS + 1
    eos = EOS
    tempered_last = False

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.d_model
        self.text_embedding = nn.Embedding(config.text_vocab, width)
        self.audio_embedding = nn.Embedding(EOS + 1 if config.bos == "none" else BOS + 1, width)
        self.language_embedding = nn.Embedding(config.n_languages, width) if config.n_languages else None
        self.text_positions = Positions(width)
        self.audio_positions = Positions(width)
        kind = CrossLayer if config.cross_attention else Layer
        self.layers = nn.ModuleList(kind(width, config.n_heads, Norm) for _ in range(config.n_layers))
        self.norm = Norm(width)
        self.head = Linear(width, EOS + 1, bias=False)
        for table in (self.text_embedding, self.audio_embedding):
            nn.init.normal_(table.weight, std=0.5)

    @property
    def stop_on_argmax(self) -> bool:
        """Return whether an EOS that is the most likely class ends speech, even if another code was sampled."""
        return self.config.stop == "argmax"

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self.head.weight.device

    def _embed_text(self, text_BS: Tensor, languages_BS: Tensor | None) -> Tensor:
        x: Tensor = self.text_embedding(text_BS)
        if self.language_embedding is not None:
            x = x + self.language_embedding(languages_BS)
        out: Tensor = x + self.text_positions(text_BS.shape[1])
        return out

    def _embed(
        self, text_BS: Tensor, text_len_B: Tensor, audio_BA: Tensor, audio_len_B: Tensor, languages_BS: Tensor | None
    ) -> tuple[Tensor, Tensor, list[Memory | None]]:
        """Return embeddings (B, S + A, D), the mask (B, 1, S + A, S + A) and the text memory of each layer.

        With cross-attention, the text is in the memory only: S is then 0.
        """
        text = self._embed_text(text_BS, languages_BS)
        memories = memorize(self.layers, text, text_len_B)
        if self.config.cross_attention:
            text = text[:, :0]
        text_length, positions = text.shape[1], audio_BA.shape[1]
        audio = self.audio_embedding(audio_BA) + self.audio_positions(positions)
        x = torch.cat([text, audio], 1)
        present = torch.cat([key_mask(text_length, text_len_B), key_mask(positions, audio_len_B)], 1)  # (B, L)
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        causal[:text_length, :text_length] = True
        return x, (causal & present[:, None])[:, None], memories

    def forward(
        self,
        text_BS: Tensor,
        text_len_B: Tensor,
        audio_BA: Tensor,
        audio_len_B: Tensor,
        *,
        languages_BS: Tensor | None = None,
    ) -> Tensor:
        """Given right-padded text and audio ids with their lengths, return logits (B, A, 1025) of each next code.

        Models with language embeddings need the language of every text token.
        """
        x, mask, memories = self._embed(text_BS, text_len_B, audio_BA, audio_len_B, languages_BS)
        for layer, memory in zip(self.layers, memories, strict=True):
            x = layer(x, mask, memory=memory)
        logits: Tensor = self.head(self.norm(x[:, x.shape[1] - audio_BA.shape[1] :]))
        return logits

    def prefix_size(self, prefix: Prefix) -> PrefixSize:
        """Return the number of cache positions of a prefix."""
        text, audio = len(prefix.text_S), len(prefix.audio_A)
        return PrefixSize(audio, text) if self.config.cross_attention else PrefixSize(text + audio)

    def new_cache(self, rows: int, *, capacity: int = 0, memory_capacity: int = 0, block: int = 1) -> KVCache:
        """Return an empty cache for rows of up to `capacity` positions; see KVCache."""
        config = self.config
        shape = CacheShape(config.n_layers, config.n_heads, config.d_model // config.n_heads, config.cross_attention)
        self.reserve(capacity)
        return KVCache(shape, rows, self.head.weight, capacity=capacity, memory_capacity=memory_capacity, block=block)

    def reserve(self, positions: int) -> None:
        """Prepare for sequences of up to `positions` positions."""
        self.audio_positions.reserve(positions)

    def moving_addresses(self) -> tuple[int, ...]:
        """Return the address of the position table, which moves when `forward` gets a longer sequence."""
        return (self.audio_positions.table.data_ptr(),)

    def prefill(self, prefix: Prefix, cache: KVCache, row: int) -> Tensor:
        """Write a prefix to a row of the cache and return the logits (1, 1025) of the first new code.

        It needs at least one audio position, a prompt frame or BOS. Other rows do not change.
        """
        text_S, audio_A, size = prefix.text_S, prefix.audio_A, self.prefix_size(prefix)
        lengths = torch.tensor([[len(text_S)], [len(audio_A)]], device=text_S.device)
        languages_BS = None if prefix.languages_S is None else prefix.languages_S[None]
        x, mask, memories = self._embed(text_S[None], lengths[0], audio_A[None], lengths[1], languages_BS)
        cache.begin(row, size.sequence, position=len(audio_A), memory=size.memory)
        for layer, kept, memory in zip(self.layers, cache.layers, memories, strict=True):
            kept.write_memory(memory)
            x = layer(x, mask, cache=kept, memory=memory)
        logits: Tensor = self.head(self.norm(x[:, -1]))
        return logits

    def step(self, codes_B: Tensor, cache: KVCache) -> Tensor:
        """Given the last code of each row that `cache.claim` made room in, return the next logits (B, 1025)."""
        x = (self.audio_embedding(codes_B) + self.audio_positions.at(cache.place()))[:, None]  # (B, 1, D)
        mask, memory_mask = cache.mask(), cache.memory_mask()
        for layer, kept in zip(self.layers, cache.layers, strict=True):
            x = layer(x, mask, cache=kept, memory=kept.memory(memory_mask))
        cache.advance()
        logits: Tensor = self.head(self.norm(x[:, 0]))
        return logits
