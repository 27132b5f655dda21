"""The static key-value cache of the AR: allocated once, filled by prefill, one slot a step.

The first slots hold the text, those behind it the audio; with cross-attention, the text is a memory apart. Rows of a
batch may differ in length: each row writes its next frame right behind its own last one, and `KVCache.mask` hides
what lies beyond.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vallecli.model.config import ModelConfig


class Memory(NamedTuple):
    """The text as the audio of one layer looks at it, in models with cross-attention."""

    keys: Tensor  # (B, H, S, D/H)
    values: Tensor  # (B, H, S, D/H)
    mask: Tensor  # (B, 1, 1, S), True where a row has text


class LayerCache:
    """Keys and values (B, H, K, D/H) of one layer, and its memory of the text where it has one."""

    def __init__(self, shape: tuple[int, int, int, int], owner: KVCache, like: Tensor) -> None:
        self.keys = like.new_zeros(shape)  # zeros: what a mask hides must not be NaN
        self.values = like.new_zeros(shape)
        self.memory: Memory | None = None
        self.owner = owner

    def write(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Given new keys and values (B, H, L, D/H), store them and return the filled part (B, H, K, D/H)."""
        slots_BL, used = self.owner.slots_BL, self.owner.used
        rows = self.owner.rows_B1
        self.keys[rows, :, slots_BL] = key.transpose(1, 2)
        self.values[rows, :, slots_BL] = value.transpose(1, 2)
        return self.keys[:, :, :used], self.values[:, :, :used]


class KVCache:
    """The cache of all layers of one AR for a batch of rows, and how far each row is filled."""

    def __init__(self, config: ModelConfig, batch: int, slots: int, like: Tensor) -> None:
        """Reserve `slots` positions of text and audio together, in the dtype and on the device of `like`."""
        self.slots = slots
        shape = (batch, config.n_heads, slots, config.d_model // config.n_heads)
        self.layers = [LayerCache(shape, self, like) for _ in range(config.n_layers)]
        self.rows_B1 = torch.arange(batch, device=like.device)[:, None]
        self.slots_BL = self.rows_B1  # where the next `write` goes
        self.text_len_B = self.audio_len_B = torch.zeros(batch, dtype=torch.long, device=like.device)
        self.text = 0  # slots the text takes, the longest row's
        self.used = 0  # slots looked at: up to the longest row's end
        self.ragged = False  # whether some row is shorter than the longest

    def begin(self, text_len_B: Tensor, audio_len_B: Tensor, text: int, audio: int) -> None:
        """Start over, for a prefill of `text` and `audio` positions, of which each row fills its own lengths.

        Raises ValueError where the cache has too few slots.
        """
        self._claim(text + audio)
        self.text, self.text_len_B, self.audio_len_B = text, text_len_B, audio_len_B
        self.slots_BL = torch.arange(self.used, device=text_len_B.device).expand(len(text_len_B), -1)
        self.ragged = bool(((text_len_B < text) | (audio_len_B < audio)).any())

    def advance(self) -> Tensor:
        """Prepare for one more position a row and return those positions (B,), counted among the audio.

        Raises ValueError where the cache is full.
        """
        self._claim(self.used + 1)
        positions_B = self.audio_len_B
        self.slots_BL = self.text + positions_B[:, None]
        self.audio_len_B = positions_B + 1
        return positions_B

    def _claim(self, used: int) -> None:
        if used > self.slots:
            raise ValueError(f"the cache has {self.slots} slots, {used} are needed")
        self.used = used

    def mask(self) -> Tensor | None:
        """Return what to add to the scores (B, 1, 1, K): minus infinity where a row has nothing; None if all is full.

        Added rather than boolean, because attention would turn a boolean mask into this one in every layer.
        """
        if not self.ragged:
            return None
        slot = torch.arange(self.used, device=self.text_len_B.device)
        text = slot < self.text_len_B[:, None]
        audio = (slot >= self.text) & (slot < self.text + self.audio_len_B[:, None])
        keys = self.layers[0].keys
        return keys.new_zeros(len(text), self.used).masked_fill(~(text | audio), -torch.inf)[:, None, None]
