"""The model of e-c-k-e-r/vall-e, versions 5 and 6: one Llama stack for all codebooks and for durations.

A sequence is made of segments, joined by a separator: text | language | level | prompt | response. Which tables embed
prompt and response, and which head reads the response, depends on the level and on the task:

- AR: codebook 1, code by code.
- NAR: level l from 1 to 7 predicts codebook l + 1 of all frames at once, given codebooks 1 to l.
- NAR-len: codebook 1 by demasking, given the number of frames.
- duration: the number of frames, digit by digit.

Suffixes of tensors: B batch, S text tokens, P prompt frames, T generated frames, Q codebooks, L positions, D width,
V classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vallecli.decoding.cache import KVCache
from vallecli.decoding.linear import Linear
from vallecli.decoding.request import PrefixSize
from vallecli.families.llama.ecker_config import CODEBOOK_SIZE, DIGITS, NUM_CODEBOOKS, EckerConfig, length_head
from vallecli.families.llama.layers import Llama, pad_rows
from vallecli.families.llama.published import NORMS, Published

EOS = CODEBOOK_SIZE  # of the AR; its embedding is never fed
MASK = CODEBOOK_SIZE  # of NAR-len
LEVELS = NUM_CODEBOOKS  # rows of the level embedding
NULL_TEXT = (1, 2)  # <bos> </eos>: what classifier-free guidance reads instead of the text, without a prompt


@dataclass(frozen=True, eq=False)
class Conditions:
    """What speech is generated from: text (S,), a language, and a prompt (P, 8) or None."""

    text_S: Tensor
    language: int
    prompt_PQ: Tensor | None

    def null(self) -> Conditions:
        """Return the conditions of the other pass of classifier-free guidance."""
        return Conditions(self.text_S.new_tensor(NULL_TEXT), self.language, None)


class Segments(NamedTuple):
    """The embeddings (L, D) and positions (L,) of a sequence, and the length of its last segment."""

    x_LD: Tensor
    positions_L: Tensor
    last: int


class Ecker(nn.Module):
    """All tables, the stack and the heads."""

    def __init__(self, config: EckerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.llama.width

        def head(classes: int) -> Linear:
            return Linear(width, classes, bias=config.biases)

        self.separator = nn.Parameter(torch.zeros(width))
        self.text_embedding = nn.Embedding(config.text_vocab, width)
        self.language_embedding = nn.Embedding(config.languages, width)
        self.level_embedding = nn.Embedding(LEVELS, width)
        self.prompt_embeddings = nn.ModuleList(nn.Embedding(CODEBOOK_SIZE, width) for _ in range(NUM_CODEBOOKS))
        levels = [CODEBOOK_SIZE] * (NUM_CODEBOOKS - 1)
        rows, classes = [EOS + 1, *levels], [EOS + 1, *levels]  # the first is the AR's
        if config.nar_len:
            rows, classes = [*rows, MASK + 1], [*classes, CODEBOOK_SIZE]
        self.response_embeddings = nn.ModuleList(nn.Embedding(size, width) for size in rows)
        self.heads = nn.ModuleList(head(size) for size in classes)
        self.duration_embedding = nn.Embedding(DIGITS + 1, width) if config.duration else None
        self.duration_head = head(DIGITS + 1) if config.duration else None
        self.llama = Llama(config.llama)

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self.separator.device

    # Sequences

    def segments(self, conditions: Conditions, level: int, response_TD: Tensor) -> Segments:
        """Return the sequence of a task at a level, given the embeddings of the response (T, D); T may be 0."""
        parts = [
            self.text_embedding(conditions.text_S),
            self.language_embedding.weight[conditions.language][None],
            self.level_embedding.weight[level][None],
        ]
        if conditions.prompt_PQ is not None:
            parts.append(self._sum(self.prompt_embeddings, conditions.prompt_PQ[:, : max(level, 1)]))
        separated = [piece for part in parts for piece in (part, self.separator[None])]
        x_LD = torch.cat([*separated, response_TD])
        positions_L = torch.arange(len(x_LD), device=x_LD.device)
        if not self.config.unified_positions:
            lengths = [*(len(part) + 1 for part in parts), len(response_TD)]  # a separator belongs to the part before
            positions_L = torch.cat([positions_L[:length] for length in lengths])
        return Segments(x_LD, positions_L, len(response_TD))

    def _sum(self, tables: nn.ModuleList, codes_TQ: Tensor, first: int = 0) -> Tensor:
        """Return the sum (T, D) of the embeddings of Q codebooks, each by its table."""
        embedded = [tables[first + q](codes_T) for q, codes_T in enumerate(codes_TQ.unbind(1))]
        return torch.stack(embedded).sum(0)

    def embed_known(self, known_TQ: Tensor) -> Tensor:
        """Return the response (T, D) of NAR level Q, given codebooks 1 to Q (T, Q)."""
        return self._sum(self.response_embeddings, known_TQ, first=1)

    def embed_masked(self, codes_T: Tensor) -> Tensor:
        """Return the response (T, D) of NAR-len, given codebook 1 or MASK in each frame."""
        out: Tensor = self.response_embeddings[NUM_CODEBOOKS](codes_T)
        return out

    # Passes

    def hidden(self, rows: Sequence[Segments], *, causal: bool) -> list[Tensor]:
        """Return the normed hidden states (L, D) of several sequences, computed at once."""
        x_BLD, mask = pad_rows([row.x_LD for row in rows])
        positions_BL = pad_sequence([row.positions_L for row in rows], batch_first=True)
        hidden_BLD = self.llama(x_BLD, positions_BL, "causal" if causal else mask)  # causal: padding is never seen
        return [hidden_LD[: len(row.x_LD)] for hidden_LD, row in zip(hidden_BLD, rows, strict=True)]

    def respond(self, rows: Sequence[Segments], head: int) -> list[Tensor]:
        """Return logits (T, 1024) of each response by one head of the NAR or NAR-len."""
        hidden = self.hidden(rows, causal=not self.config.bidirectional)
        return [
            self.heads[head](hidden_LD[len(hidden_LD) - row.last :])
            for hidden_LD, row in zip(hidden, rows, strict=True)
        ]

    def nar_logits(self, inputs: Sequence[tuple[Conditions, Tensor]], level: int) -> list[Tensor]:
        """Given conditions and codebooks 1 to `level` (T, level), return logits (T, 1024) of the next codebook."""
        rows = [self.segments(conditions, level, self.embed_known(known_TQ)) for conditions, known_TQ in inputs]
        return self.respond(rows, level)

    def masked_logits(self, inputs: Sequence[tuple[Conditions, Tensor]]) -> list[Tensor]:
        """Given conditions and codebook 1 or MASK in each frame (T,), return logits (T, 1024) of codebook 1."""
        rows = [self.segments(conditions, 0, self.embed_masked(codes_T)) for conditions, codes_T in inputs]
        return self.respond(rows, NUM_CODEBOOKS)


class EckerCausal:
    """A task of the model that is decoded step by step, a `decoding.request.CausalModel`. A prefix is Conditions."""

    stop_on_argmax = False
    tempered_last = False

    def __init__(self, model: Ecker, table: nn.Embedding, head: Linear, start: Sequence[int] = ()) -> None:
        """`start` is what the response begins with. The last class ends it."""
        self.model, self.table, self.head, self.start = model, table, head, tuple(start)
        self.classes = head.out_features
        self.eos = self.classes - 1

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self.model.device

    def _segments(self, prefix: Conditions, codes_T: Tensor | None = None) -> Segments:
        response_T = prefix.text_S.new_tensor(self.start)
        if codes_T is not None:
            response_T = torch.cat([response_T, codes_T])
        return self.model.segments(prefix, 0, self.table(response_T))

    def logits(self, prefix: Conditions, codes_T: Tensor) -> Tensor:
        """Given the response so far (T,), return logits (T + 1, V) of its codes and of the next, without a cache."""
        row = self._segments(prefix, codes_T)
        hidden_LD = self.model.hidden([row], causal=True)[0]
        out: Tensor = self.head(hidden_LD[len(hidden_LD) - len(codes_T) - 1 :])
        return out

    def prefix_size(self, prefix: Conditions) -> PrefixSize:
        """Return the number of positions: four segments and their separators. Raises ValueError without a prompt."""
        if prefix.prompt_PQ is None or not len(prefix.prompt_PQ):
            raise ValueError("this model needs a prompt")
        return PrefixSize(len(prefix.text_S) + len(prefix.prompt_PQ) + 6 + len(self.start))

    def new_cache(self, rows: int, *, block: int = 1) -> KVCache:
        """Return an empty cache without capacity; see KVCache."""
        return self.model.llama.new_cache(rows, block=block)

    def reserve(self, positions: int) -> None:
        """Nothing to prepare: rotations are computed from positions."""

    def moving_addresses(self) -> tuple[int, ...]:
        """Return (): no tensor of a step is reallocated."""
        return ()

    def prefill(self, prefix: Conditions, cache: KVCache, row: int) -> Tensor:
        """Write a prefix to a row of the cache and return the logits (1, V) of the first code."""
        x_LD, positions_L, last = self._segments(prefix)
        position = len(x_LD) if self.model.config.unified_positions else last
        logits: Tensor = self.head(self.model.llama.prefill(x_LD, positions_L, cache, row, position=position))
        return logits

    def step(self, codes_B: Tensor, cache: KVCache) -> Tensor:
        """Given the last code of each row that `cache.claim` made room in, return the next logits (B, V)."""
        logits: Tensor = self.head(self.model.llama.step(self.table(codes_B), cache))
        return logits


def ar(model: Ecker) -> EckerCausal:
    """Return the task of codebook 1."""
    table, head = model.response_embeddings[0], model.heads[0]
    assert isinstance(table, nn.Embedding)
    assert isinstance(head, Linear)
    return EckerCausal(model, table, head)


def duration(model: Ecker) -> EckerCausal:
    """Return the task of the number of frames. Raises ValueError if the model was not trained for it."""
    if model.duration_embedding is None or model.duration_head is None:
        raise ValueError("this model does not predict durations")
    return EckerCausal(model, model.duration_embedding, model.duration_head, start=[0])


# From the published names to ours

UNUSED = r"dropout_token|(raw_text|tasks|tones)_emb\.weight"  # only for training or other tasks


def our_tensors(published: Published, config: EckerConfig) -> dict[str, Tensor]:
    """Return the tensors under our names, without those of other tasks. Raises DamagedCheckpoint."""
    width, head = config.llama.width, length_head(published)
    tables = {
        "text_embedding": ("text_emb", config.text_vocab),
        "language_embedding": ("langs_emb", config.languages),
        "level_embedding": ("rvq_l_emb", LEVELS),
        **{f"prompt_embeddings.{q}": (f"proms_emb.embeddings.{q}", CODEBOOK_SIZE) for q in range(NUM_CODEBOOKS)},
    }
    heads = {}
    for level in range(NUM_CODEBOOKS + config.nar_len):
        rows = CODEBOOK_SIZE + (level in (0, NUM_CODEBOOKS))  # of the AR: EOS; of NAR-len: MASK
        tables[f"response_embeddings.{level}"] = (f"resps_emb.embeddings.{level}", rows)
        heads[f"heads.{level}"] = (level, CODEBOOK_SIZE + (level == 0))
    if config.duration and head is not None:
        tables["duration_embedding"] = ("len_emb", DIGITS + 1)
        heads["duration_head"] = (head, DIGITS + 1)
    ours = {f"{name}.weight": published.pop(f"{theirs}.weight", rows, width) for name, (theirs, rows) in tables.items()}
    for name, (index, classes) in heads.items():
        ours[f"{name}.weight"] = published.pop(f"classifiers.proj.{index}.weight", classes, width)
        if config.biases:
            ours[f"{name}.bias"] = published.pop(f"classifiers.proj.{index}.bias", classes)
    ours["separator"] = published.pop("sep", width)
    ours["llama.norm.weight"] = published.pop("model.norm.weight", width)
    for layer in range(config.llama.layers):
        for name, theirs in NORMS.items():
            weight = published.pop(f"model.layers.{layer}.{theirs}.weight", width)
            ours[f"llama.layers.{layer}.{name}.weight"] = weight
    matrices = published.stack("model.layers", config.llama)
    published.drop(r"classifiers\.proj\.\d+\.(weight|bias)|len_emb\.weight")  # of other tasks
    published.finish()
    return ours | {f"llama.layers.{name}": tensor for name, tensor in matrices.items()}
