"""The models of Amphion's VALL-E v2: two Llama stacks, one for codebook 1 and one for codebooks 2 to 8.

The AR has one table of ids for phones and codes, and reads `<bos_phone> phones <eos_phone> <bos_target> prompt`; the
codes that follow are the speech. The NAR reads phones, prompt and speech, with full attention and norms that depend on
the level. Published format: open-mmlab/Amphion, egs/tts/VALLE_V2.

Suffixes of tensors: B batch, S phones, P prompt frames, T generated frames, Q codebooks, L positions, V classes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.decoding.cache import KVCache
from vallecli.decoding.finite import FiniteLogits
from vallecli.decoding.linear import Linear
from vallecli.decoding.request import PrefixSize
from vallecli.errors import short
from vallecli.families.llama.layers import LevelNorm, Llama, LlamaConfig, pad_rows
from vallecli.families.llama.published import NORMS, Published

NUM_CODEBOOKS, CODEBOOK_SIZE = 8, 1024
LEVELS = NUM_CODEBOOKS - 1  # of the NAR: level l predicts codebook l + 1
PHONE_OFFSET = CODEBOOK_SIZE  # of phone ids in the AR's table
BOS_TARGET, EOS_TARGET, BOS_PHONE, EOS_PHONE = 1325, 1326, 1327, 1328
AR_VOCABULARY = 1334
EOS = CODEBOOK_SIZE  # the class of EOS_TARGET in our AR, which predicts codes and EOS only
MAX_LENGTH = 2000  # positions of a sequence of the AR in the published program, the last of which it drops
MIN_PROMPT_FRAMES = 5  # that the NAR reads in the published program
HEAD_WIDTH = 64  # of the published models; no file stores it
MAX_PHONES = 2**16


@dataclass(frozen=True, kw_only=True)
class AmphionV2Config:
    """Sizes of the two models."""

    ar: LlamaConfig
    nar: LlamaConfig
    phones: int
    """Rows of the NAR's phone table."""

    def __post_init__(self) -> None:
        """Raise ValueError for sizes that no model has; they may come from a file."""
        if type(self.phones) is not int or not 1 <= self.phones <= MAX_PHONES:
            raise ValueError(f"phones cannot be {short(self.phones)}")


class AmphionV2AR(nn.Module):
    """The AR, a `decoding.request.CausalModel`. A prefix is the ids (S,) of its table, as `ar_prefix` builds them."""

    classes = EOS + 1
    eos = EOS
    stop_on_argmax = False
    tempered_last = False

    def __init__(self, config: AmphionV2Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(AR_VOCABULARY, config.ar.width)
        self.llama = Llama(config.ar)
        self.head = Linear(config.ar.width, self.classes, bias=False)

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self.head.weight.device

    def forward(self, ids_BL: Tensor) -> Tensor:
        """Given ids (B, L), return logits (B, L, 1025) of each next code, without a cache."""
        positions_BL = torch.arange(ids_BL.shape[1], device=ids_BL.device)[None]
        logits: Tensor = self.head(self.llama(self.embedding(ids_BL), positions_BL, "causal"))
        return logits

    def prefix_size(self, prefix: Tensor) -> PrefixSize:
        """Return the number of ids. Raises ValueError for a prefix that leaves no room for speech."""
        if self.max_frames(prefix) < 1:
            raise ValueError(f"text and prompt need {len(prefix)} of {MAX_LENGTH} positions, no room for speech")
        return PrefixSize(len(prefix))

    def max_frames(self, prefix: Tensor) -> int:
        """Return the number of frames at which the published program stops; below 1 for too long a prefix."""
        return MAX_LENGTH - 1 - len(prefix)

    def new_cache(self, rows: int, *, block: int = 1) -> KVCache:
        """Return an empty cache without capacity; see KVCache."""
        return self.llama.new_cache(rows, block=block)

    def reserve(self, positions: int) -> None:
        """Nothing to prepare: rotations are computed from positions."""

    def moving_addresses(self) -> tuple[int, ...]:
        """Return (): no tensor of a step is reallocated."""
        return ()

    def prefill(self, prefix: Tensor, cache: KVCache, row: int) -> Tensor:
        """Write a prefix to a row of the cache and return the logits (1, 1025) of the first code."""
        positions_L = torch.arange(len(prefix), device=prefix.device)
        hidden = self.llama.prefill(self.embedding(prefix), positions_L, cache, row, position=len(prefix))
        logits: Tensor = self.head(hidden)
        return logits

    def step(self, codes_B: Tensor, cache: KVCache) -> Tensor:
        """Given the last code of each row that `cache.claim` made room in, return the next logits (B, 1025)."""
        logits: Tensor = self.head(self.llama.step(self.embedding(codes_B), cache))
        return logits


def ar_prefix(phones_S: Tensor, prompt_P: Tensor) -> Tensor:
    """Return the ids (S + 3 + P,) that the AR continues, given phones (S,) and codebook 1 of the prompt (P,)."""
    start, middle = phones_S.new_tensor([BOS_PHONE]), phones_S.new_tensor([EOS_PHONE, BOS_TARGET])
    return torch.cat([start, phones_S + PHONE_OFFSET, middle, prompt_P])


@dataclass(frozen=True, eq=False)
class NarInput:
    """Codebook 1 of the speech (T,), and the phones (S,) and prompt (P, 8) it was decoded from."""

    phones_S: Tensor
    prompt_PQ: Tensor
    codes_T: Tensor


class AmphionV2NAR(nn.Module):
    """The NAR. Level l, from 1 to 7, predicts codebook l + 1 of all frames at once."""

    def __init__(self, config: AmphionV2Config) -> None:
        super().__init__()
        width = config.nar.width
        self.phone_embedding = nn.Embedding(config.phones, width)
        self.code_embeddings = nn.ModuleList(nn.Embedding(CODEBOOK_SIZE, width) for _ in range(NUM_CODEBOOKS))
        self.llama = Llama(config.nar, functools.partial(LevelNorm, levels=LEVELS))
        self.heads = nn.ModuleList(Linear(width, CODEBOOK_SIZE, bias=False) for _ in range(LEVELS))

    def forward(self, inputs: Sequence[tuple[Tensor, Tensor, Tensor]], level: int) -> list[Tensor]:
        """Given phones (S,), prompt (P, 8) and codebooks 1 to `level` of the speech (T, level) of some utterances,
        return logits (T, 1024) of codebook `level` + 1 of each.
        """  # fmt: skip
        rows = [
            torch.cat([self.phone_embedding(phones_S), self._embed(prompt_PQ), self._embed(known_TQ)])
            for phones_S, prompt_PQ, known_TQ in inputs
        ]
        x_BLD, mask = pad_rows(rows)
        positions_BL = torch.arange(x_BLD.shape[1], device=x_BLD.device)[None]
        hidden_BLD = self.llama(x_BLD, positions_BL, mask, level=level - 1)
        return [
            self.heads[level - 1](hidden_LD[len(row) - len(known_TQ) : len(row)])
            for hidden_LD, row, (_, _, known_TQ) in zip(hidden_BLD, rows, inputs, strict=True)
        ]

    def _embed(self, codes_TQ: Tensor) -> Tensor:
        """Return the sum (T, D) of the embeddings of the first Q codebooks."""
        tables = list(self.code_embeddings)[: codes_TQ.shape[1]]
        return torch.stack([table(codes_TQ[:, q]) for q, table in enumerate(tables)]).sum(0)


@torch.inference_mode()
def refine(model: AmphionV2NAR, inputs: Sequence[NarInput]) -> list[Tensor]:
    """Return all codes (T, 8) of each input by argmax, one pass a level over all inputs.

    Raises ValueError for a prompt that is too short, and NotFinite.
    """
    for item in inputs:
        check_prompt(item.prompt_PQ)
    spoken = [item for item in inputs if len(item.codes_T)]
    known = [item.codes_T[:, None] for item in spoken]
    finite = FiniteLogits()
    for level in range(1, NUM_CODEBOOKS if spoken else 1):
        read = [(item.phones_S, item.prompt_PQ, codes_TQ) for item, codes_TQ in zip(spoken, known, strict=True)]
        logits = model(read, level)
        known = [
            torch.cat([codes_TQ, finite.argmax(logits_TV)[:, None]], 1)
            for codes_TQ, logits_TV in zip(known, logits, strict=True)
        ]
    finite.check()
    done = iter(known)
    return [next(done) if len(item.codes_T) else item.codes_T.new_zeros(0, NUM_CODEBOOKS) for item in inputs]


def check_prompt(prompt_PQ: Any) -> None:
    """Raise ValueError for a prompt (P, 8) that is too short for the NAR."""
    if len(prompt_PQ) < MIN_PROMPT_FRAMES:
        raise ValueError(f"the prompt has {len(prompt_PQ)} frames, this model needs at least {MIN_PROMPT_FRAMES}")


# From the published names to ours

STACK = "model.model"
IGNORED = {
    "ar": r".*\.rotary_emb\.inv_freq",  # computed from the sizes
    "nar": rf".*\.rotary_emb\.inv_freq|{STACK}\.embed_tokens\.weight",  # the second is never read
}


def infer_config(ar: Published, nar: Published, heads: int | None = None) -> AmphionV2Config:
    """Return the sizes of published tensors. No weight file stores the number of heads: by default they are 64 wide.

    Raises DamagedCheckpoint for sizes that no model has.
    """

    def stack(published: Published, width: int) -> LlamaConfig:
        return LlamaConfig(
            layers=published.layers(f"{STACK}.layers"),
            width=width,
            heads=max(1, width // HEAD_WIDTH) if heads is None else heads,
            ffn=published.size(f"{STACK}.layers.0.mlp.gate_proj.weight", 0),
            activation="silu",
        )

    ar_stack = ar.make(lambda: stack(ar, ar.size(f"{STACK}.embed_tokens.weight", 1)))
    nar_stack = nar.make(lambda: stack(nar, nar.size(f"{STACK}.embed_cond.weight", 1)))
    phones = nar.size("phone_embedder.weight", 0)
    return nar.make(lambda: AmphionV2Config(ar=ar_stack, nar=nar_stack, phones=phones))


def our_ar(published: Published, config: AmphionV2Config) -> dict[str, Tensor]:
    """Return the AR's tensors under our names, of the head only codes and EOS. Raises DamagedCheckpoint."""
    width = config.ar.width
    head = published.pop("model.lm_head.weight", AR_VOCABULARY, width)
    ours = {
        "embedding.weight": published.pop(f"{STACK}.embed_tokens.weight", AR_VOCABULARY, width),
        "head.weight": torch.cat([head[:CODEBOOK_SIZE], head[EOS_TARGET : EOS_TARGET + 1]]),
        "llama.norm.weight": published.pop(f"{STACK}.norm.weight", width),
    }
    for layer in range(config.ar.layers):
        for ours_name, name in NORMS.items():
            weight = published.pop(f"{STACK}.layers.{layer}.{name}.weight", width)
            ours[f"llama.layers.{layer}.{ours_name}.weight"] = weight
    matrices = published.stack(f"{STACK}.layers", config.ar)
    published.finish()
    return ours | {f"llama.layers.{name}": tensor for name, tensor in matrices.items()}


def our_nar(published: Published, config: AmphionV2Config) -> dict[str, Tensor]:
    """Return the NAR's tensors under our names, the norms of all levels precomputed. Raises DamagedCheckpoint."""
    width = config.nar.width
    levels_LD = published.pop(f"{STACK}.embed_cond.weight", NUM_CODEBOOKS, width)[1:].float()

    def norm(name: str) -> Tensor:
        weight = published.pop(f"{name}.to_weight.weight", width, width)
        weights_LD = F.linear(levels_LD, weight.float(), published.pop(f"{name}.to_weight.bias", width).float())
        published.release([weight])
        return weights_LD

    ours = {"phone_embedding.weight": published.pop("phone_embedder.weight", config.phones, width)}
    for codebook in range(NUM_CODEBOOKS):
        table = published.pop(f"prompt_embedder.embeddings.{codebook}.weight", CODEBOOK_SIZE, width)
        ours[f"code_embeddings.{codebook}.weight"] = table
    for level in range(LEVELS):
        head = published.pop(f"model.lm_head.{level}.weight", AR_VOCABULARY, width)
        ours[f"heads.{level}.weight"] = head[:CODEBOOK_SIZE]
    ours["llama.norm.weights"] = norm(f"{STACK}.norm")
    for layer in range(config.nar.layers):
        for ours_name, name in NORMS.items():
            ours[f"llama.layers.{layer}.{ours_name}.weights"] = norm(f"{STACK}.layers.{layer}.{name}")
    matrices = published.stack(f"{STACK}.layers", config.nar)
    published.finish()
    return ours | {f"llama.layers.{name}": tensor for name, tensor in matrices.items()}
