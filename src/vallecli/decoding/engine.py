"""The decoding loop: many requests at the same time, and what each family computes from a finished sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.overlap import overlap
from vallecli.decoding.request import CausalOutput, CausalRequest
from vallecli.errors import NotFinite

Tag = TypeVar("Tag")  # the caller's identification of a request
Finished = TypeVar("Finished")
Item = TypeVar("Item")


def decode(
    batcher: ContinuousBatcher,
    requests: Iterable[tuple[Tag, CausalRequest]],
    *,
    on_frame: Callable[[Tag, int], None] | None = None,
    on_error: Callable[[Tag, Exception], None] | None = None,
) -> Iterator[tuple[Tag, CausalOutput]]:
    """Yield the output of each request as it ends; the next request is fetched when a row is free for it.

    A `request.Source` is asked again after each step in which it has no request for a free row.

    `on_frame` receives the number of frames of a request whenever it grows; an exception of it ends the request.
    `on_error` receives the error of such a request, of one that could not be started, or whose logits are not finite,
    and may raise it; the others continue. Without it, the error is raised here.
    """
    return (done for done in steps(batcher, requests, on_frame=on_frame, on_error=on_error) if done is not None)


@torch.inference_mode()
def steps(
    batcher: ContinuousBatcher,
    requests: Iterable[tuple[Tag, CausalRequest]],
    *,
    on_frame: Callable[[Tag, int], None] | None = None,
    on_error: Callable[[Tag, Exception], None] | None = None,
) -> Iterator[tuple[Tag, CausalOutput] | None]:
    """Yield what `decode` yields, and None after each step with a free row and no request for it."""
    waiting = iter(requests)
    running: dict[int, Tag] = {}
    reported: dict[int, int] = {}
    while True:
        spare = False
        for row in batcher.free_rows():
            if spare := (started := _start(batcher, row, waiting, on_error)) is None:
                break
            [running[row]], reported[row] = started, 0
        if not running:
            return
        states = batcher.poll()
        for state in states:
            tag = running[state.row]
            try:
                if not state.finite:
                    raise NotFinite("what the model predicts")
                if on_frame is not None and state.frames > reported[state.row]:
                    on_frame(tag, state.frames)
            except Exception as error:
                del running[state.row]
                batcher.free(state.row)
                if on_error is None:
                    raise
                on_error(tag, error)
                continue
            reported[state.row] = state.frames
            if state.stop_reason is not None:
                del running[state.row]
                yield tag, CausalOutput(batcher.collect(state), state.stop_reason, state.log_probability)
        if len(running) == len(states):  # else there are free rows
            batcher.step()
            if spare:
                yield None


def _start(
    batcher: ContinuousBatcher,
    row: int,
    waiting: Iterator[tuple[Tag, CausalRequest]],
    on_error: Callable[[Tag, Exception], None] | None,
) -> tuple[Tag] | None:
    """Start the next request that can be started in a row; return its tag, or None if there are no more."""
    for tag, request in waiting:
        try:
            batcher.prefill(row, request)
        except Exception as error:
            if on_error is None:
                raise
            batcher.free(row)
            on_error(tag, error)
            continue
        return (tag,)
    return None


@torch.inference_mode()
def decode_one(
    batcher: ContinuousBatcher, request: CausalRequest, *, on_frame: Callable[[int], None] | None = None
) -> CausalOutput:
    """Return the output of one request; `on_frame` receives its number of frames. Raises as `decode`."""
    report = None if on_frame is None else lambda _, frames: on_frame(frames)
    [(_, output)] = decode(batcher, [(None, request)], on_frame=report)
    return output


def finish_in_groups(
    outputs: Iterable[tuple[Tag, CausalOutput] | None],
    finish: Callable[[list[tuple[Tag, CausalOutput]]], list[Finished]],
    *,
    group: int,
    helpers: int,
    ahead: int,
    on_error: Callable[[Tag, Exception], None] | None = None,
) -> Iterator[tuple[Tag, CausalOutput, Finished]]:
    """Yield each output with what `finish` returns for it, computed for `group` outputs at once.

    None among the outputs says that there are no others soon: an incomplete group is finished, too. `finish` runs in
    this thread or in those of the helpers; see `overlap`. If it fails for a group, each output is tried alone, and
    `on_error` receives the error of the one that fails again; without it, the error is raised.
    """

    @torch.inference_mode()
    def finish_group(items: list[tuple[Tag, CausalOutput]]) -> list[tuple[Tag, CausalOutput, Finished]]:
        try:
            finished = finish(items)
        except Exception as error:
            if on_error is None:
                raise
            if len(items) > 1:  # there may be memory enough for one at a time
                return [done for item in items for done in finish_group([item])]
            on_error(items[0][0], error)
            return []
        return [(tag, output, done) for (tag, output), done in zip(items, finished, strict=True)]

    for done in overlap(_groups(outputs, group), finish_group, helpers=helpers, ahead=ahead):
        yield from done


def _groups(outputs: Iterable[Item | None], size: int) -> Iterator[list[Item] | None]:
    """Yield lists of outputs, and None where there is none to finish now."""
    group: list[Item] = []
    for output in outputs:
        if output is not None:
            group.append(output)
        if output is None or len(group) == size:
            yield group or None
            group = []
    if group:
        yield group
