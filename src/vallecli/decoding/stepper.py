"""Rows of an AR that take their steps together, each with a text, a prompt, a sampling and a generator of its own.

All that a step reads and writes lies in tensors that stay where they are: the cache, the codes, who goes on. So a
step is the same work on any device, needs no answer from it, and can be captured (`graphs`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vallecli.decoding.sampling import Knobs, choose
from vallecli.decoding.utterance import StopReason, Utterance, audio_prefix, most_frames
from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import EOS

ROOM = 256  # frames that a row has room for from the start, if it may become so long
GRAIN = 128  # positions by which room grows, so that it seldom has to
ABREAST = 4  # rows: products of so many or more round each of them in the same way, of fewer in ways of their own
LANES = 16  # positions: attention that looks at whole numbers of these rounds as if it saw those of its row alone


class State(NamedTuple):
    """How far a row is."""

    row: int
    frames: int
    stop_reason: StopReason | None  # None while it goes on


class Stepper:
    """A number of rows, each free or speaking an utterance. Use it inside `torch.inference_mode()`.

    Where there are several, free ones take part in a step until its shapes are such that a row's numbers are the same
    to the last bit whoever is beside it: as a CPU computes them in float32, with one thread. A single row is spared
    that, and may differ from the same among others in the last bits, which seldom changes a code.

    Chance comes from a generator on the CPU, seeded by each row's sampling, of which every code takes one number for
    each class: a seed draws the same on any device, whoever is in the other rows, and however many steps are taken
    between two looks at who has ended.
    """

    every = 1  # steps between two looks at who has ended
    block = 1  # see KVCache
    together = False  # whether free rows take part in a step, so that its shapes stay the same

    def __init__(self, model: AR, rows: int) -> None:
        self.model, self.rows = model, rows
        device = model.head.weight.device
        if rows > 1:
            self.block = max(self.block, LANES)
            rows = _whole(rows, ABREAST)
        self.wide = rows  # with those that are always free
        self.codes_B = torch.zeros(rows, dtype=torch.long, device=device)  # what each row said last
        self.frames_B = torch.zeros_like(self.codes_B)
        self.least_B, self.most_B = torch.zeros_like(self.codes_B), torch.zeros_like(self.codes_B)
        self.eos_B = torch.zeros_like(self.codes_B, dtype=torch.bool)
        self.said_BT = self.codes_B.new_zeros(rows, 1)
        self.knobs = Knobs(rows, device)
        self.cache = model.new_cache(rows, 0, 0, block=self.block)
        self._generators: list[torch.Generator | None] = [None] * rows  # None for a row that is free
        # Numbers for the next steps, as they are drawn and where they are read: on a CPU, one tensor.
        self._drawn_BKV = torch.zeros(rows, self.every, EOS + 1)
        self._uniform_BKV = self._drawn_BKV.to(device)
        self._at = self.codes_B.new_zeros(1)  # which of these steps is next

    def free_rows(self) -> list[int]:
        """Return the rows that `prefill` can be called for."""
        return [row for row, generator in enumerate(self._generators[: self.rows]) if generator is None]

    def prefill(self, row: int, utterance: Utterance) -> None:
        """Begin an utterance in a free row and choose its first code, while the other rows stay where they are.

        Raises ValueError where a model without BOS gets no prompt.
        """
        text_S, sampling = utterance.text_S, utterance.sampling
        audio_A = audio_prefix(self.model.config, utterance.prompt_PQ[:, 0])
        most = most_frames(self.model.config, utterance)
        self._reserve(len(text_S), len(audio_A) + min(most, ROOM))  # for more if it comes to that: it seldom does
        generator = self._generators[row] = torch.Generator().manual_seed(sampling.seed)
        self.knobs.set(row, sampling)
        self.least_B[row], self.most_B[row] = sampling.min_frames, most
        self.frames_B[row], self.eos_B[row] = 0, False
        logits_1V = self.model.prefill(text_S, audio_A, self.cache, row, languages_S=utterance.languages_S)
        uniform_1V = torch.rand(1, EOS + 1, generator=generator).to(logits_1V.device)
        self._choose(slice(row, row + 1), logits_1V, uniform_1V)
        self._draw(row)

    def step(self) -> None:
        """Give each row that goes on its next codes: `every` of them, if it does not end before."""
        if self._uniform_BKV is not self._drawn_BKV:
            self._uniform_BKV.copy_(self._drawn_BKV)
        self._at.zero_()
        busy = [row for row, generator in enumerate(self._generators) if generator is not None]
        rows = self.wide if self.together else min(self.wide, _whole(busy[-1] + 1, ABREAST))
        if max(self.cache.ends) + self.every > self.cache.slots:
            self._move(self.cache.text_slots, self.cache.slots + self.every)
        for _ in range(self.every):
            self.cache.claim(rows)
            self._run(rows)
        for row in busy:  # while a GPU is still at work
            self._draw(row)

    def _run(self, rows: int) -> None:
        """Take one step with the first so many rows: what a CUDA graph replaces."""
        logits_BV = self.model.step(self.codes_B[:rows], self.cache)
        uniform_BV = self._uniform_BKV[:rows].index_select(1, self._at)[:, 0]
        self._choose(slice(0, rows), logits_BV, uniform_BV)
        self._at += 1

    def _choose(self, rows: slice, logits_BV: Tensor, uniform_BV: Tensor) -> None:
        """Choose the next codes of these rows, keep them, and see who ends by them."""
        logits_BV = logits_BV.float()
        frames_B, live_B = self.frames_B[rows], self.cache.live_B[rows]
        logits_BV[:, EOS].masked_fill_(frames_B < self.least_B[rows], -torch.inf)
        codes_B = choose(logits_BV, self.knobs, uniform_BV, rows)
        if self.model.config.stop == "argmax":
            codes_B = codes_B.masked_fill(logits_BV.argmax(-1) == EOS, EOS)
        ended_B = codes_B == EOS
        self.codes_B[rows] = codes_B
        # Rows that have ended write as well, behind what they said.
        self.said_BT[rows].scatter_(1, frames_B[:, None], codes_B[:, None])
        self.eos_B[rows] |= live_B & ended_B
        live_B &= ~ended_B
        frames_B += live_B
        live_B &= frames_B < self.most_B[rows]

    def _draw(self, row: int) -> None:
        """Draw the numbers of a row's next steps."""
        generator = self._generators[row]
        if generator is not None and self.knobs.drawn:
            self._drawn_BKV[row].uniform_(generator=generator)

    def look(self) -> list[State]:
        """Return how far each busy row is; this waits for the device."""
        numbers = torch.stack([self.frames_B, self.cache.live_B.long(), self.eos_B.long()]).tolist()
        return [
            State(row, frames, None if live else StopReason.EOS if eos else StopReason.MAX_FRAMES)
            for row, (frames, live, eos) in enumerate(zip(*numbers, strict=True))
            if self._generators[row] is not None
        ]

    def take(self, state: State) -> Tensor:
        """Return the codes (T,) of a row and free it."""
        codes_T = self.said_BT[state.row, : state.frames].clone()
        self.free(state.row)
        return codes_T

    def free(self, row: int) -> None:
        """Let a row take the next utterance."""
        self._generators[row] = None
        self.knobs.forget(row)
        self.cache.free(row)

    def _reserve(self, text: int, audio: int) -> None:
        """Make room for text and audio of a row, and the steps until somebody looks."""
        if not self.cache.fits(text, audio + self.every):
            cross = self.model.config.cross_attention
            slots = audio + self.every + (0 if cross else text)
            self._move(max(text, self.cache.text_slots) if cross else 0, max(slots, self.cache.slots))

    def _move(self, text_slots: int, slots: int) -> None:
        """Go on in larger tensors."""
        grain = max(self.block, GRAIN)
        slots = _whole(slots, grain)
        self.model.audio_positions.reserve(slots)
        self.cache.grow(_whole(text_slots, grain), slots)
        said_BT = self.said_BT
        self.said_BT = said_BT.new_zeros(self.wide, slots + 1)
        self.said_BT[:, : said_BT.shape[1]] = said_BT


def _whole(length: int, block: int) -> int:
    return -(-length // block) * block
