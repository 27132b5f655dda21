"""What the engine decodes and what it returns; the protocol of a causal model.

Suffixes of tensors that cross a function boundary: B batch rows, T generated frames, V classes of the logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from vallecli.decoding.cache import KVCache
from vallecli.decoding.sampling import Sampling

Item = TypeVar("Item")


class PrefixSize(NamedTuple):
    """Number of cache positions that a prefix needs."""

    sequence: int
    memory: int = 0  # of a separate text memory, for models with cross-attention


class CausalModel(Protocol):
    """A model that predicts one code after the other, given a prefix. The engine knows no more of a family."""

    @property
    def classes(self) -> int:
        """Number of classes of the logits V: the codes and EOS."""

    @property
    def eos(self) -> int:
        """The class that ends a sequence. Codes are all other classes."""

    @property
    def stop_on_argmax(self) -> bool:
        """Whether an EOS that is the most likely class ends a sequence, even if another class was sampled."""

    @property
    def tempered_last(self) -> bool:
        """Whether the filters of Sampling apply before the temperature: top-p, top-k, temperature."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""

    def prefix_size(self, prefix: Any) -> PrefixSize:
        """Return the number of cache positions of a prefix. Raises ValueError for a prefix without positions."""

    def new_cache(self, rows: int, *, block: int) -> KVCache:
        """Return an empty cache without capacity; see KVCache."""

    def reserve(self, positions: int) -> None:
        """Prepare for sequences of up to `positions` positions."""

    def prefill(self, prefix: Any, cache: KVCache, row: int) -> Tensor:
        """Write a prefix to a row of the cache and return the logits (1, V) of the first code."""

    def step(self, codes_B: Tensor, cache: KVCache) -> Tensor:
        """Given the last code of each row that `cache.claim` made room in, return the next logits (B, V).

        It may use tensors only, with shapes that depend on what was claimed: a CUDA graph holds all of it.
        """

    def moving_addresses(self) -> tuple[int, ...]:
        """Return the addresses of tensors that `step` reads and that may be reallocated between two steps."""


class Source(Iterator[Item]):
    """Requests for the engine, which may have none at one time and more later: unlike a generator, it does not end.

    `fetch` returns the next one, None if there is none now.
    """

    def __init__(self, fetch: Callable[[], Item | None]) -> None:
        self._fetch = fetch

    def __next__(self) -> Item:
        """Return the next request. Raises StopIteration if there is none now."""
        if (found := self._fetch()) is None:
            raise StopIteration
        return found


@dataclass(frozen=True, eq=False)
class CausalRequest:
    """One sequence to decode."""

    prefix: Any
    """What the model's `prefill` reads."""
    sampling: Sampling
    max_frames: int
    """Limit of the model for this prefix; `sampling.max_frames` can lower it."""

    @property
    def limit(self) -> int:
        """Return the number of frames at which decoding stops."""
        return min(self.max_frames, self.sampling.max_frames or self.max_frames)


class StopReason(StrEnum):
    """Why decoding ended."""

    EOS = "eos"
    MAX_FRAMES = "max_frames"


@dataclass(frozen=True, eq=False)
class CausalOutput:
    """What was decoded for a request; EOS is not among the codes."""

    codes_T: Tensor
    stop_reason: StopReason
    log_probability: float
    """Natural logarithm of the probability of a code, mean over the codes and EOS, at temperature 1 without filters."""
