"""The AR loop: codebook 1, one frame after the other, in as many rows as there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from vallecli.decoding.stepper import Stepper
from vallecli.decoding.utterance import Speech, Utterance

Tag = TypeVar("Tag")  # by which the caller knows an utterance again


@torch.inference_mode()
def generate_many(
    stepper: Stepper,
    utterances: Iterable[tuple[Tag, Utterance]],
    *,
    on_frame: Callable[[Tag, int], None] | None = None,
    on_error: Callable[[Tag, Exception], None] | None = None,
) -> Iterator[tuple[Tag, Utterance, Speech]]:
    """Yield what the AR makes of each utterance, as it ends; the next one is asked for when a row is free for it.

    `on_frame` hears how many frames an utterance has, whenever there are more. `on_error` hears, instead of the
    caller, why an utterance could not be begun, and may raise it; the others go on. Raises ValueError where a model
    without BOS gets no prompt.
    """
    waiting = iter(utterances)
    speaking: dict[int, tuple[Tag, Utterance]] = {}
    told: dict[int, int] = {}
    while True:
        for row in stepper.free_rows():
            if (following := _begin(stepper, row, waiting, on_error)) is None:
                break
            speaking[row], told[row] = following, 0
        if not speaking:
            return
        states = stepper.look()
        for state in states:
            tag, utterance = speaking[state.row]
            if on_frame is not None and state.frames > told[state.row]:
                on_frame(tag, state.frames)
            told[state.row] = state.frames
            if state.stop_reason is not None:
                del speaking[state.row]
                yield tag, utterance, Speech(stepper.take(state), state.stop_reason)
        if all(state.stop_reason is None for state in states):
            stepper.step()


def _begin(
    stepper: Stepper,
    row: int,
    waiting: Iterator[tuple[Tag, Utterance]],
    on_error: Callable[[Tag, Exception], None] | None,
) -> tuple[Tag, Utterance] | None:
    """Give a row the next utterance that can be begun, and return it; None where there is no more."""
    for tag, utterance in waiting:
        try:
            stepper.prefill(row, utterance)
        except Exception as error:
            if on_error is None:
                raise
            stepper.free(row)
            on_error(tag, error)
            continue
        return tag, utterance
    return None


@torch.inference_mode()
def generate(stepper: Stepper, utterance: Utterance, *, on_frame: Callable[[int], None] | None = None) -> Speech:
    """Return what the AR makes of one utterance; `on_frame` hears how many frames exist. Raises as generate_many."""
    heard = None if on_frame is None else lambda _, frames: on_frame(frames)
    [(_, _, speech)] = generate_many(stepper, [(None, utterance)], on_frame=heard)
    return speech
