"""The non-autoregressive model: codebooks 1 to k of all frames in, codebook k + 1 of all frames out, k = 1 to 7.

VALL-E (arXiv 2301.02111) section 4.2.2, in the layout of lifeiteng/vall-e: full attention over text and audio, and
norms that adapt to the stage k.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from vallecli.decoding.linear import Linear, Replaced
from vallecli.families.valle.config import CODEBOOK_SIZE, EOS, NUM_CODEBOOKS, ModelConfig
from vallecli.families.valle.layers import (
    AdaptiveNorm,
    CrossLayer,
    FixedNorm,
    Layer,
    Positions,
    Stage,
    key_mask,
    memorize,
)


class NAR(nn.Module):
    """The NAR transformer; one `forward` is one stage."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.nar_d_model
        self.text_embedding = nn.Embedding(config.text_vocab, width)
        self.audio_embeddings = nn.ModuleList(
            nn.Embedding(CODEBOOK_SIZE if codebook else EOS + 1, width) for codebook in range(NUM_CODEBOOKS)
        )
        self.language_embedding = nn.Embedding(config.n_languages, width) if config.n_languages else None
        self.text_positions = Positions(width)
        self.audio_positions = Positions(width, alphas=NUM_CODEBOOKS - 1 if config.stage_alphas else 1)
        self.stage_embeddings = None if config.fixed_stages else nn.Embedding(NUM_CODEBOOKS - 1, width)
        kind = CrossLayer if config.cross_attention else Layer
        norm = functools.partial(FixedNorm, stages=NUM_CODEBOOKS - 1) if config.fixed_stages else AdaptiveNorm
        self.layers = nn.ModuleList(kind(width, config.nar_n_heads, norm) for _ in range(config.nar_n_layers))
        self.norm = norm(width)
        self.heads = nn.ModuleList(Linear(width, CODEBOOK_SIZE, bias=False) for _ in range(NUM_CODEBOOKS - 1))
        for table in (self.text_embedding, *self.audio_embeddings):
            nn.init.normal_(table.weight, std=0.1)
        if config.tied_heads:  # the last head has no embedding table to share
            for head, table in zip(self.heads[:-1], self.audio_embeddings[2:], strict=True):
                head.weight = table.weight

    def forward(
        self,
        text_BS: Tensor,
        text_len_B: Tensor,
        codes_BAQ: Tensor,
        prompt_len_B: Tensor,
        audio_len_B: Tensor,
        *,
        stage: int,
        languages_BS: Tensor | None = None,
        first: int = 0,
    ) -> Tensor:
        """Given prompt and speech in one array of codes, return logits (B, A - first, 1024) of codebook `stage` + 1.

        `first` is the first position whose logits are wanted: of those before, the last layer computes only keys and
        values.

        Of the speech, only codebooks 1 to `stage` are read; the prefix mode decides which of the prompt.
        Text and codes are padded on the right. Models with language embeddings need the language of every text token.
        """
        text_length, positions = text_BS.shape[1], codes_BAQ.shape[1]
        text = self.text_embedding(text_BS)
        if self.language_embedding is not None:
            text = text + self.language_embedding(languages_BS)
        text = text + self.text_positions(text_length)
        alpha = stage - 1 if self.config.stage_alphas else 0
        audio = self._embed_audio(codes_BAQ, prompt_len_B, stage) + self.audio_positions(positions, alpha)
        memories = memorize(self.layers, text, text_len_B)
        if self.config.cross_attention:
            x, present = audio, key_mask(positions, audio_len_B)
        else:
            x = torch.cat([text, audio], 1)
            present = torch.cat([key_mask(text_length, text_len_B), key_mask(positions, audio_len_B)], 1)
        now = Stage(stage - 1, None if self.stage_embeddings is None else self.stage_embeddings.weight[stage - 1])
        last, mask = len(self.layers) - 1, present[:, None, None]
        for index, (layer, memory) in enumerate(zip(self.layers, memories, strict=True)):
            x = layer(x, mask, now, memory=memory, first=x.shape[1] - positions + first if index == last else 0)
        logits: Tensor = self.heads[stage - 1](self.norm(x, now))
        return logits

    @torch.no_grad()
    def fix_stages(self, *, replaced: Replaced) -> None:
        """Replace adaptive norms by FixedNorms: inference needs only their projections of the seven stages.

        `replaced` receives each projection layer, whose weights are no longer needed.
        """
        if self.stage_embeddings is None:
            return
        stages_SD = self.stage_embeddings.weight.float()
        for owner in (self, *self.layers):
            for name, child in list(owner.named_children()):
                if isinstance(child, AdaptiveNorm):
                    setattr(owner, name, FixedNorm.of(child, stages_SD))
                    replaced(child.project)

    def _embed_audio(self, codes_BAQ: Tensor, prompt_len_B: Tensor, stage: int) -> Tensor:
        """Return the sum (B, A, D) of the embeddings of the codebooks that are visible in each frame."""
        tables = list(self.audio_embeddings)
        summed = torch.stack([table(codes_BAQ[..., q]) for q, table in enumerate(tables[:stage])]).sum(0)
        if self.config.prefix_mode == 0:
            return summed
        in_prompt = key_mask(codes_BAQ.shape[1], prompt_len_B)[..., None]
        rest = torch.stack([table(codes_BAQ[..., q]) for q, table in enumerate(tables) if q >= stage]).sum(0)
        return summed + rest * in_prompt  # codebooks that are visible in the prompt only
