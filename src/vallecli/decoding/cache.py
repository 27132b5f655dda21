"""The static KV cache of a causal model: allocated once, filled by prefills of one row each, one position a step.

Each row holds its sequence: prefix and generated codes. Models with cross-attention keep the text apart, in a memory.
Rows start and end independently, and the positions of a row serve the next request again: `KVCache.mask` hides what is
beyond its end. The ends of rows are known twice: on the device, where steps need them, and as plain numbers, which say
how far attention has to look without waiting for the device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Memory(NamedTuple):
    """Keys and values of the text for the cross-attention of one layer."""

    keys: Tensor  # (B, H, S, D/H)
    values: Tensor  # (B, H, S, D/H)
    mask: Tensor | None  # (B, 1, 1, S), boolean or additive


class CacheShape(NamedTuple):
    """The sizes of a model that its cache depends on."""

    layers: int
    heads: int
    head_width: int
    has_memory: bool = False  # whether the model has cross-attention


class LayerCache:
    """Keys and values of one layer, head by head: what a step reads of a head is contiguous."""

    def __init__(self, owner: KVCache, like: Tensor) -> None:
        self.owner = owner
        self._allocate(like)

    def _allocate(self, like: Tensor) -> None:
        owner, (_, heads, width, _) = self.owner, self.owner.shape
        self.entries = like.new_zeros(owner.rows, 2, heads, owner.capacity, width)  # masked entries must not be NaN
        self.lines = self.entries.view(-1, width)
        self.text = like.new_zeros(2, owner.rows, heads, owner.memory_capacity, width)

    def grow(self) -> None:
        """Continue with the capacity that the owner has now."""
        entries, text, filled = self.entries, self.text, max(self.owner.ends)
        self._allocate(entries)
        self.entries[..., :filled, :] = entries[..., :filled, :]
        self.text[..., : text.shape[-2], :] = text

    def write(self, keys_values_BLE: Tensor) -> tuple[Tensor, Tensor]:
        """Given new keys and values side by side (B, L, 2 * D), store them and return all so far (B, H, K, D/H)."""
        owner = self.owner
        self.lines.index_copy_(0, owner.at, keys_values_BLE.reshape(-1, self.lines.shape[1]))
        keys, values = self.entries[owner.first : owner.last, :, :, : owner.used].unbind(1)
        return keys, values

    def write_memory(self, memory: Memory | None) -> None:
        """Store the text memory of the row that is being filled."""
        if memory is not None:
            row, length = self.owner.first, memory.keys.shape[2]
            self.text[0, row, :, :length], self.text[1, row, :, :length] = memory.keys[0], memory.values[0]

    def memory(self, mask: Tensor | None) -> Memory | None:
        """Return the text memory of the rows that step, for models with cross-attention."""
        if not self.owner.memory_capacity:
            return None
        keys, values = self.text[:, self.owner.first : self.owner.last, :, : self.owner.memory_used].unbind(0)
        return Memory(keys, values, mask)


class KVCache:
    """The cache of all layers of a causal model for a number of rows, and the fill level of each row."""

    def __init__(
        self,
        shape: CacheShape,
        rows: int,
        like: Tensor,
        *,
        capacity: int = 0,
        memory_capacity: int = 0,
        block: int = 1,
    ) -> None:
        """Reserve `capacity` positions a row, in the dtype and on the device of `like`.

        A step attends to whole blocks of positions; with blocks larger than 1, its shapes rarely change.
        """
        self.shape, self.rows, self.block = shape, rows, block
        self.capacity, self.memory_capacity = capacity, memory_capacity
        self.layers = [LayerCache(self, like) for _ in range(shape.layers)]
        self.filled_B = torch.zeros(rows, dtype=torch.long, device=like.device)
        self.positions_B = torch.zeros_like(self.filled_B)  # position of the next code, as the model counts them
        self.memory_B = torch.zeros_like(self.filled_B)
        self.live_B = torch.zeros_like(self.filled_B, dtype=torch.bool)  # rows that a step continues
        self.ends, self.memory_ends = [0] * rows, [0] * rows  # filled positions of each row; 0 for a free row
        self._number_lines()
        self.at = self.starts_B  # the lines that the next `write` fills
        self.first, self.last = 0, rows  # the rows that it concerns
        self.used = self.memory_used = 0  # positions that attention reads
        self.ragged = self.memory_ragged = False  # whether some of these rows may have fewer

    def _number_lines(self) -> None:
        """Compute which lines of a layer belong to which row: first those of its first key head, then the next."""
        heads = 2 * self.shape.heads
        self.heads_at = torch.arange(heads, device=self.filled_B.device) * self.capacity
        self.starts_B = torch.arange(self.rows, device=self.filled_B.device) * heads * self.capacity

    def grow(self, capacity: int, memory_capacity: int) -> None:
        """Continue with more capacity, layer by layer: old and new tensors of all layers would need much memory."""
        self.capacity, self.memory_capacity = capacity, memory_capacity
        self._number_lines()
        for layer in self.layers:
            layer.grow()

    def fits(self, sequence: int, memory: int) -> bool:
        """Return whether a row has room for that many positions."""
        return memory <= self.memory_capacity and sequence <= self.capacity

    def begin(self, row: int, length: int, *, position: int, memory: int = 0) -> None:
        """Restart a row for a prefill of `length` positions. Raises ValueError if the capacity is too small.

        `position` is that of the first generated code, as the model counts positions.
        """
        self._check(memory, self.memory_capacity)
        self._check(length, self.capacity)
        self.first, self.last, self.used = row, row + 1, length
        self.at = self._lines(self.starts_B[row] + torch.arange(length, device=self.starts_B.device))
        self.ends[row], self.memory_ends[row] = length, memory
        self.filled_B[row], self.positions_B[row], self.memory_B[row] = length, position, memory
        self.live_B[row] = True

    def free(self, row: int) -> None:
        """Forget a row; a step that includes it writes nothing that counts."""
        self.ends[row] = self.memory_ends[row] = 0
        self.filled_B[row] = self.positions_B[row] = self.memory_B[row] = 0
        self.live_B[row] = False

    def claim(self, rows: int) -> None:
        """Make room for one more position in the first `rows` rows. Raises ValueError if the cache is full."""
        self.ends[:rows] = [end + 1 if end else 0 for end in self.ends[:rows]]
        ends = [max(end, 1) for end in self.ends[:rows]]  # a free row attends to its first position
        self._check(max(ends), self.capacity)
        self.first, self.last = 0, rows
        self.used = self._whole_blocks(max(ends), self.capacity)
        self.ragged = self.block > 1 or min(ends) < self.used
        if self.memory_capacity:
            self.memory_used = self._whole_blocks(max(self.memory_ends[:rows]), self.memory_capacity)
            self.memory_ragged = self.block > 1 or min(self.memory_ends[:rows]) < self.memory_used

    def _whole_blocks(self, length: int, capacity: int) -> int:
        return min(capacity, -(-length // self.block) * self.block)

    def _check(self, needed: int, capacity: int) -> None:
        if needed > capacity:
            raise ValueError(f"the cache has {capacity} positions, {needed} are needed")

    def place(self) -> Tensor:
        """Direct the next `write` to the end of each row that steps; return the position (B,) of each new code."""
        self.at = self._lines(self.starts_B[: self.last] + self.filled_B[: self.last])
        return self.positions_B[: self.last]

    def _lines(self, first_L: Tensor) -> Tensor:
        """Given the lines of the first head's keys (L,), return those of all keys and values (L * 2 * H,)."""
        return (first_L[:, None] + self.heads_at).flatten()

    def advance(self) -> None:
        """Count what a step has written, in the rows that continue."""
        live_B = self.live_B[: self.last]
        self.filled_B[: self.last] += live_B
        self.positions_B[: self.last] += live_B

    def mask(self) -> Tensor | None:
        """Return what to add to the scores (B, 1, 1, K): minus infinity beyond a row's end; None if all are full.

        It is additive because attention would convert a boolean mask to this one in every layer.
        """
        if not self.ragged:
            return None
        return self._hide(self.used, self.filled_B[: self.last] + 1)

    def memory_mask(self) -> Tensor | None:
        """Return the same for the text memory, in models that have one."""
        if not self.memory_ragged:
            return None
        return self._hide(self.memory_used, self.memory_B[: self.last].clamp(min=1))

    def _hide(self, length: int, lengths_B: Tensor) -> Tensor:
        beyond = torch.arange(length, device=lengths_B.device) >= lengths_B[:, None]
        like = self.layers[0].entries
        return like.new_zeros(beyond.shape).masked_fill(beyond, -torch.inf)[:, None, None]
