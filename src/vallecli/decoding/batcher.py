"""Continuous batching: rows of a causal model that step together, each with its own prefix, sampling and generator.

Everything that a step reads and writes is in tensors that keep their place: the cache, the codes, which rows are live.
So a step is the same work on any device, needs no answer from it, and can be captured (`graphs`).
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vallecli.decoding.linear import is_short
from vallecli.decoding.overlap import one_thread
from vallecli.decoding.request import CausalModel, CausalRequest, StopReason
from vallecli.decoding.sampling import SamplingTable, draw, draw_unrepeated, scores

INITIAL_FRAMES = 256  # frames that a row has room for at first, if its request may become that long
GRAIN = 128  # positions by which capacity grows, so that it rarely has to
MIN_ROWS = 4  # with 4 or more rows, matmul rounds every row identically; with fewer, it depends on their number
LANES = 16  # positions: attention over a multiple of these rounds as if over those of the row alone


class RowState(NamedTuple):
    """Progress of a row."""

    row: int
    frames: int
    stop_reason: StopReason | None  # None while it is running
    log_probability: float = 0.0  # mean over its codes and EOS; not finite once a logit is not

    @property
    def finite(self) -> bool:
        """Return whether the logits of all its codes are finite."""
        return math.isfinite(self.log_probability)


class ContinuousBatcher:
    """A number of rows, each free or decoding a request. Use it inside `torch.inference_mode()`.

    With several rows, free ones take part in a step until its shapes guarantee that a row's numbers are the same to
    the last bit whatever its neighbours: as a CPU computes in float32, with one thread. A single row is spared that,
    and may differ from the same row in a batch in the last bits, which rarely changes a code.

    Random numbers come from a generator on the CPU for each row, seeded by its sampling; every code uses one number
    for each class. So a seed gives the same numbers on any device, whatever the other rows, and however many steps
    are taken between two polls. Repetition-aware sampling uses a second generator.
    """

    every = 1  # steps between two polls
    block = 1  # see KVCache
    fixed_rows = False  # whether all rows take part in each step, so that its shapes stay the same

    def __init__(self, model: CausalModel, rows: int) -> None:
        self.model, self.rows = model, rows
        device = model.device
        self.alone = device.type == "cpu" and isinstance(model, nn.Module) and is_short(model)
        if rows > 1:
            self.block = max(self.block, LANES)
            rows = _round_up(rows, MIN_ROWS)
        self.width = rows  # including rows that are always free
        self.codes_B = torch.zeros(rows, dtype=torch.long, device=device)  # the last code of each row
        self.frames_B = torch.zeros_like(self.codes_B)
        self.min_B, self.max_B = torch.zeros_like(self.codes_B), torch.zeros_like(self.codes_B)
        self.eos_B = torch.zeros_like(self.codes_B, dtype=torch.bool)
        self.log_probability_B = torch.zeros(rows, device=device)  # sum over codes: not finite once a logit is not
        self.output_BT = self.codes_B.new_zeros(rows, 1)
        self.sampling = SamplingTable(rows, device)
        self.cache = model.new_cache(rows, block=self.block)
        # For each row, the generators of all codes and of those that repeat; () for a free row.
        self._generators: list[tuple[torch.Generator, ...]] = [()] * rows
        # Random numbers of the next steps, where they are drawn and where they are read: on a CPU, one tensor.
        self._drawn_BGKV = torch.zeros(rows, 2, self.every, model.classes)
        self._uniform_BGKV = self._drawn_BGKV.to(device)
        self._next = self.codes_B.new_zeros(1)  # index of the next step in K

    def free_rows(self) -> list[int]:
        """Return the rows that `prefill` can be called for."""
        return [row for row, generator in enumerate(self._generators[: self.rows]) if not generator]

    def prefill(self, row: int, request: CausalRequest) -> None:
        """Start a request in a free row and sample its first code; the other rows do not change.

        Raises ValueError for a prefix that the model refuses.
        """
        sampling, size = request.sampling, self.model.prefix_size(request.prefix)
        self._reserve(size.sequence + min(request.limit, INITIAL_FRAMES), size.memory)  # grows later if needed
        seeds = (sampling.seed, _second_seed(sampling.seed))[: 2 if sampling.repetition_window else 1]
        self._generators[row] = tuple(torch.Generator().manual_seed(seed) for seed in seeds)
        self.sampling.set(row, sampling)
        self.min_B[row], self.max_B[row] = sampling.min_frames, request.limit
        self.frames_B[row], self.eos_B[row], self.log_probability_B[row] = 0, False, 0.0
        logits_1V = self.model.prefill(request.prefix, self.cache, row)
        uniform_1V = torch.rand(1, self.model.classes, generator=self._generators[row][0]).to(logits_1V.device)
        self._sample(slice(row, row + 1), logits_1V, uniform_1V, uniform_1V)  # the first code repeats none
        self._draw(row)

    def step(self) -> None:
        """Decode the next codes of each live row: `every` of them, unless it ends before."""
        if self._uniform_BGKV is not self._drawn_BGKV:
            self._uniform_BGKV.copy_(self._drawn_BGKV)
        self._next.zero_()
        busy = [row for row, generators in enumerate(self._generators) if generators]
        rows = self.width if self.fixed_rows else min(self.width, _round_up(busy[-1] + 1, MIN_ROWS))
        if max(self.cache.ends) + self.every > self.cache.capacity:
            self._grow(self.cache.capacity + self.every, self.cache.memory_capacity)
        with one_thread() if self.alone else nullcontext():
            for _ in range(self.every):
                self.cache.claim(rows)
                self._run(rows)
        for row in busy:  # while a GPU is still computing
            self._draw(row)

    def _run(self, rows: int) -> None:
        """Take one step with the first rows: the part that a CUDA graph replaces."""
        logits_BV = self.model.step(self.codes_B[:rows], self.cache)
        uniform_BV, second_BV = self._uniform_BGKV[:rows].index_select(2, self._next)[:, :, 0].unbind(1)
        self._sample(slice(0, rows), logits_BV, uniform_BV, second_BV)
        self._next += 1

    def _sample(self, rows: slice, logits_BV: Tensor, uniform_BV: Tensor, second_BV: Tensor) -> None:
        """Sample the next codes of these rows, store them, and mark the rows that end."""
        logits_BV, eos = logits_BV.float(), self.model.eos
        frames_B, live_B = self.frames_B[rows], self.cache.live_B[rows]
        logits_BV[:, eos].masked_fill_(frames_B < self.min_B[rows], -torch.inf)
        scores_BV = scores(logits_BV, self.sampling, rows, tempered_last=self.model.tempered_last)
        codes_B = draw(scores_BV, self.sampling, uniform_BV, rows)
        if self.sampling.max_window:
            past_BT = self.output_BT[rows]
            codes_B = draw_unrepeated(codes_B, logits_BV, past_BT, frames_B, self.sampling, second_BV, rows)
        if self.model.stop_on_argmax:
            codes_B = codes_B.masked_fill(logits_BV.argmax(-1) == eos, eos)
        if self.sampling.any_min_eos_p:
            likely_B = scores_BV.softmax(-1)[:, eos] >= self.sampling.min_eos_B[rows]
            codes_B = codes_B.masked_fill(likely_B, eos)
        # NaN and infinity are chosen whenever there are any: they count as the largest.
        log_probability_B = logits_BV.gather(-1, codes_B[:, None])[:, 0] - logits_BV.logsumexp(-1)
        self.log_probability_B[rows] += log_probability_B.masked_fill(~live_B, 0.0)
        ended_B = codes_B == eos
        self.codes_B[rows] = codes_B
        # Rows that have ended write as well, after the end of their output.
        self.output_BT[rows].scatter_(1, frames_B[:, None], codes_B[:, None])
        self.eos_B[rows] |= live_B & ended_B
        live_B &= ~ended_B
        frames_B += live_B
        live_B &= frames_B < self.max_B[rows]

    def _draw(self, row: int) -> None:
        """Draw the random numbers of a row's next steps."""
        if self.sampling.sampled:
            for index, generator in enumerate(self._generators[row]):
                self._drawn_BGKV[row, index].uniform_(generator=generator)

    def poll(self) -> list[RowState]:
        """Return the progress of each busy row; this waits for the device."""
        columns = [self.frames_B, self.cache.live_B, self.eos_B, self.log_probability_B]
        states = []
        for row, (frames, live, eos, total) in enumerate(torch.stack([c.float() for c in columns], -1).tolist()):
            if self._generators[row]:
                reason = None if live else StopReason.EOS if eos else StopReason.MAX_FRAMES
                states.append(RowState(row, int(frames), reason, total / max(1, frames + eos)))
        return states

    def collect(self, state: RowState) -> Tensor:
        """Return the codes (T,) of a row and free it."""
        codes_T = self.output_BT[state.row, : state.frames].clone()
        self.free(state.row)
        return codes_T

    def free(self, row: int) -> None:
        """Make a row available for the next request."""
        self._generators[row] = ()
        self.sampling.forget(row)
        self.cache.free(row)

    def _reserve(self, sequence: int, memory: int) -> None:
        """Make room for a row of that many positions, and for the steps until the next poll."""
        sequence += self.every
        if not self.cache.fits(sequence, memory):
            self._grow(max(sequence, self.cache.capacity), max(memory, self.cache.memory_capacity))

    def _grow(self, capacity: int, memory_capacity: int) -> None:
        """Continue in larger tensors."""
        grain = max(self.block, GRAIN)
        capacity = _round_up(capacity, grain)
        self.model.reserve(capacity)
        self.cache.grow(capacity, _round_up(memory_capacity, grain))
        output_BT = self.output_BT
        self.output_BT = output_BT.new_zeros(self.width, capacity + 1)
        self.output_BT[:, : output_BT.shape[1]] = output_BT


def _second_seed(seed: int) -> int:
    """Return a seed that is unrelated to another one."""
    return int(np.random.SeedSequence([seed % 2**64, 1]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _round_up(length: int, block: int) -> int:
    return -(-length // block) * block
