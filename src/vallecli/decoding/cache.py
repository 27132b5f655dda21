"""The static key-value cache of the AR: allocated once, filled by a prefill of one row at a time, one slot a step.

Each row holds its text and, right behind it, its audio; with cross-attention, the text is a memory apart. Rows begin
and end each at their own time, and a row's slots serve the next utterance again: `KVCache.mask` hides what lies
beyond its end. Where rows end is known twice: on the device, where steps need it, and as plain numbers, which say how
far attention has to look without a question to the device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vallecli.families.valle.config import ModelConfig


class Memory(NamedTuple):
    """The text as the audio of one layer looks at it, in models with cross-attention."""

    keys: Tensor  # (B, H, S, D/H)
    values: Tensor  # (B, H, S, D/H)
    mask: Tensor | None  # (B, 1, 1, S), of either kind that Attention knows


class LayerCache:
    """Keys and values of one layer, head by head: what a step reads of a head lies in one piece."""

    def __init__(self, owner: KVCache, like: Tensor) -> None:
        self.owner = owner
        self._allocate(like)

    def _allocate(self, like: Tensor) -> None:
        owner, heads, width = self.owner, self.owner.config.n_heads, self.owner.config.d_model
        self.slots = like.new_zeros(owner.rows, 2, heads, owner.slots, width // heads)  # what is masked must not be NaN
        self.lines = self.slots.view(-1, width // heads)
        self.text = like.new_zeros(2, owner.rows, heads, owner.text_slots, width // heads)

    def grow(self) -> None:
        """Go on in as many slots as the owner has by now."""
        slots, text, filled = self.slots, self.text, max(self.owner.ends)
        self._allocate(slots)
        self.slots[..., :filled, :] = slots[..., :filled, :]
        self.text[..., : text.shape[-2], :] = text

    def write(self, both_BLE: Tensor) -> tuple[Tensor, Tensor]:
        """Given new keys and values side by side (B, L, 2 * D), store them and return all so far (B, H, K, D/H)."""
        owner = self.owner
        self.lines.index_copy_(0, owner.at, both_BLE.reshape(-1, self.lines.shape[1]))
        keys, values = self.slots[owner.first : owner.last, :, :, : owner.used].unbind(1)
        return keys, values

    def remember(self, memory: Memory | None) -> None:
        """Keep what a layer knows of the text of the row that is being filled."""
        if memory is not None:
            row, letters = self.owner.first, memory.keys.shape[2]
            self.text[0, row, :, :letters], self.text[1, row, :, :letters] = memory.keys[0], memory.values[0]

    def memory(self, mask: Tensor | None) -> Memory | None:
        """Return the text of the rows that step, in models with cross-attention."""
        if not self.owner.text_slots:
            return None
        keys, values = self.text[:, self.owner.first : self.owner.last, :, : self.owner.text_used].unbind(0)
        return Memory(keys, values, mask)


class KVCache:
    """The cache of all layers of one AR for a number of rows, and how far each row is filled."""

    def __init__(self, config: ModelConfig, rows: int, text: int, audio: int, like: Tensor, *, block: int = 1) -> None:
        """Reserve slots for `text` and `audio` positions a row, in the dtype and on the device of `like`.

        A step looks at whole blocks of slots; where they are larger than one, its shapes seldom change.
        """
        cross = config.cross_attention
        self.config, self.rows, self.block = config, rows, block
        self.slots = audio if cross else text + audio
        self.text_slots = text if cross else 0
        self.layers = [LayerCache(self, like) for _ in range(config.n_layers)]
        self.filled_B = torch.zeros(rows, dtype=torch.long, device=like.device)
        self.audio_B = torch.zeros_like(self.filled_B)  # audio positions among what is filled
        self.text_B = torch.zeros_like(self.filled_B)  # of the memory
        self.live_B = torch.zeros_like(self.filled_B, dtype=torch.bool)  # rows that a step takes further
        self.ends, self.texts = [0] * rows, [0] * rows  # filled slots and memory of each row; 0 if nobody has it
        self._number_lines()
        self.at = self.starts_B  # the lines that the next `write` fills
        self.first, self.last = 0, rows  # the rows that it is about
        self.used = self.text_used = 0  # how many of their slots attention looks at
        self.ragged = self.text_ragged = False  # whether some of these rows may have less

    def _number_lines(self) -> None:
        """Tell which lines of a layer are whose: a row's begin with those of its first key head, then the next ones."""
        heads = 2 * self.config.n_heads
        self.heads_at = torch.arange(heads, device=self.filled_B.device) * self.slots
        self.starts_B = torch.arange(self.rows, device=self.filled_B.device) * heads * self.slots

    def grow(self, text_slots: int, slots: int) -> None:
        """Go on with more slots. Layer by layer, for all of what was and of what will be would be much memory."""
        self.text_slots, self.slots = text_slots, slots
        self._number_lines()
        for layer in self.layers:
            layer.grow()

    def fits(self, text: int, audio: int) -> bool:
        """Return whether a row has room for so many positions."""
        memory = text if self.config.cross_attention else 0
        return memory <= self.text_slots and audio + text - memory <= self.slots

    def begin(self, row: int, text: int, audio: int) -> None:
        """Start a row over, for a prefill of `text` and `audio` positions. Raises ValueError for too few slots."""
        memory = text if self.config.cross_attention else 0
        self._check(memory, self.text_slots)
        end = audio + text - memory
        self._check(end, self.slots)
        self.first, self.last, self.used = row, row + 1, end
        self.at = self._lines(self.starts_B[row] + torch.arange(end, device=self.starts_B.device))
        self.ends[row], self.texts[row] = end, memory
        self.filled_B[row], self.audio_B[row], self.text_B[row] = end, audio, memory
        self.live_B[row] = True

    def free(self, row: int) -> None:
        """Forget a row; a step that it takes with others goes nowhere."""
        self.ends[row] = self.texts[row] = 0
        self.filled_B[row] = self.audio_B[row] = self.text_B[row] = 0
        self.live_B[row] = False

    def claim(self, rows: int) -> None:
        """Make room for one more position in the first `rows` rows. Raises ValueError where the cache is full."""
        self.ends[:rows] = [end + 1 if end else 0 for end in self.ends[:rows]]
        ends = [max(end, 1) for end in self.ends[:rows]]  # a row that nobody has looks at its first slot
        self._check(max(ends), self.slots)
        self.first, self.last = 0, rows
        self.used = self._whole(max(ends), self.slots)
        self.ragged = self.block > 1 or min(ends) < self.used
        if self.text_slots:
            self.text_used = self._whole(max(self.texts[:rows]), self.text_slots)
            self.text_ragged = self.block > 1 or min(self.texts[:rows]) < self.text_used

    def _whole(self, length: int, slots: int) -> int:
        return min(slots, -(-length // self.block) * self.block)

    def _check(self, needed: int, slots: int) -> None:
        if needed > slots:
            raise ValueError(f"the cache has {slots} slots, {needed} are needed")

    def place(self) -> Tensor:
        """Let the next `write` go behind the end of each row that steps, and return its position (B,) in the audio."""
        self.at = self._lines(self.starts_B[: self.last] + self.filled_B[: self.last])
        return self.audio_B[: self.last]

    def _lines(self, first_L: Tensor) -> Tensor:
        """Given the lines of the first head's keys (L,), return those of all keys and values (L * 2 * H,)."""
        return (first_L[:, None] + self.heads_at).flatten()

    def advance(self) -> None:
        """Count what a step has written, in the rows that go on."""
        live_B = self.live_B[: self.last]
        self.filled_B[: self.last] += live_B
        self.audio_B[: self.last] += live_B

    def mask(self) -> Tensor | None:
        """Return what to add to the scores (B, 1, 1, K): minus infinity where a row has nothing; None if all is full.

        Added rather than boolean, because attention would turn a boolean mask into this one in every layer.
        """
        if not self.ragged:
            return None
        return self._hide(self.used, self.filled_B[: self.last] + 1)

    def text_mask(self) -> Tensor | None:
        """Return the same for the text, in models where it is a memory apart."""
        if not self.text_ragged:
            return None
        return self._hide(self.text_used, self.text_B[: self.last].clamp(min=1))

    def _hide(self, length: int, lengths_B: Tensor) -> Tensor:
        beyond = torch.arange(length, device=lengths_B.device) >= lengths_B[:, None]
        like = self.layers[0].slots
        return like.new_zeros(beyond.shape).masked_fill(beyond, -torch.inf)[:, None, None]
