"""The autoregressive model: phonemes and the prompt's codebook 1 in, the next code of codebook 1 out.

VALL-E (arXiv 2301.02111) section 4.2.1, in the layout of lifeiteng/vall-e. Text looks at all of the text and never
at audio; audio looks at all of the text and at the audio up to itself. That is why a key-value cache is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vallecli.decoding.cache import KVCache, Memory
from vallecli.families.valle.config import BOS, EOS, ModelConfig
from vallecli.families.valle.layers import CrossLayer, Layer, Linear, Norm, Positions, key_mask, memorize


class AR(nn.Module):
    """The AR transformer. `forward` scores whole sequences; `prefill` and `step` do the same one frame at a time."""

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

    def _embed_text(self, text_BS: Tensor, languages_BS: Tensor | None) -> Tensor:
        x: Tensor = self.text_embedding(text_BS)
        if self.language_embedding is not None:
            x = x + self.language_embedding(languages_BS)
        out: Tensor = x + self.text_positions(text_BS.shape[1])
        return out

    def _embed(
        self, text_BS: Tensor, text_len_B: Tensor, audio_BA: Tensor, audio_len_B: Tensor, languages_BS: Tensor | None
    ) -> tuple[Tensor, Tensor, list[Memory | None]]:
        """Return embeddings (B, S + A, D), the mask (B, 1, S + A, S + A) and what each layer remembers of the text.

        With cross-attention the memory is all there is of the text: S is then 0.
        """
        text = self._embed_text(text_BS, languages_BS)
        memories = memorize(self.layers, text, text_len_B)
        if self.config.cross_attention:
            text = text[:, :0]
        letters, positions = text.shape[1], audio_BA.shape[1]
        audio = self.audio_embedding(audio_BA) + self.audio_positions(positions)
        x = torch.cat([text, audio], 1)
        present = torch.cat([key_mask(letters, text_len_B), key_mask(positions, audio_len_B)], 1)  # (B, L)
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        causal[:letters, :letters] = True
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

        Models with language embeddings need the language of every text token, others ignore it.
        """
        x, mask, memories = self._embed(text_BS, text_len_B, audio_BA, audio_len_B, languages_BS)
        for layer, memory in zip(self.layers, memories, strict=True):
            x = layer(x, mask, memory=memory)
        logits: Tensor = self.head(self.norm(x[:, x.shape[1] - audio_BA.shape[1] :]))
        return logits

    def new_cache(self, rows: int, text: int, audio: int, *, block: int = 1) -> KVCache:
        """Return an empty cache for rows of up to `text` text tokens and `audio` audio positions; see KVCache."""
        self.audio_positions.reserve(audio)
        return KVCache(self.config, rows, text, audio, self.head.weight, block=block)

    def prefill(
        self, text_S: Tensor, audio_A: Tensor, cache: KVCache, row: int, *, languages_S: Tensor | None = None
    ) -> Tensor:
        """Fill a row of the cache with text and prompt and return the logits (1, 1025) of the first new code.

        It needs at least one audio position, a prompt frame or BOS. Other rows stay as they are.
        """
        lengths = torch.tensor([[len(text_S)], [len(audio_A)]], device=text_S.device)
        languages_BS = None if languages_S is None else languages_S[None]
        x, mask, memories = self._embed(text_S[None], lengths[0], audio_A[None], lengths[1], languages_BS)
        cache.begin(row, len(text_S), len(audio_A))
        for layer, kept, memory in zip(self.layers, cache.layers, memories, strict=True):
            kept.remember(memory)
            x = layer(x, mask, cache=kept, memory=memory)
        logits: Tensor = self.head(self.norm(x[:, -1]))
        return logits

    def step(self, codes_B: Tensor, cache: KVCache) -> Tensor:
        """Given the next code of each of the rows that `cache.claim` made room in, return logits (B, 1025) behind it.

        Only tensors are touched, of shapes that hang on what was claimed, so that a CUDA graph can hold all of it.
        """
        x = (self.audio_embedding(codes_B) + self.audio_positions.at(cache.place()))[:, None]  # (B, 1, D)
        mask, text_mask = cache.mask(), cache.text_mask()
        for layer, kept in zip(self.layers, cache.layers, strict=True):
            x = layer(x, mask, cache=kept, memory=kept.memory(text_mask))
        cache.advance()
        logits: Tensor = self.head(self.norm(x[:, 0]))
        return logits
