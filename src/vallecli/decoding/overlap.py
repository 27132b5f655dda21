"""Work on finished items by the cores that a generator leaves idle.

The decode steps of a small model are too short to be split between cores: one core takes the steps, and the others
finish the sequences that have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Done = TypeVar("Done")


@contextmanager
def one_thread() -> Iterator[int]:
    """Let torch use one thread in each of our threads; yield the number of further threads that have a core."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield 0
        return
    torch.set_num_threads(1)
    try:
        yield threads - 1
    finally:
        torch.set_num_threads(threads)


def overlap(
    items: Iterable[Item | None], finish: Callable[[Item], Done], *, helpers: int, ahead: int
) -> Iterator[Done]:
    """Yield `finish(item)` for each item as it is done, in any order. Raises what `finish` raises.

    While the next items are produced, up to `ahead` items wait for the helper threads. This thread finishes those
    beyond that number and, at the end, those that no helper has started. None among the items is no item, but a moment
    at which those that are done can be yielded.
    """
    if not helpers:
        yield from (finish(item) for item in items if item is not None)
        return
    waiting: deque[tuple[Item, Future[Done]]] = deque()
    pool = ThreadPoolExecutor(helpers, "finisher")
    try:
        for item in items:
            if item is None:
                pass
            elif len(waiting) < ahead:
                waiting.append((item, pool.submit(finish, item)))
            else:
                yield finish(item)
            done = [pair for pair in waiting if pair[1].done()]
            for pair in done:
                waiting.remove(pair)
                yield pair[1].result()
        while waiting:
            item, future = waiting.pop()
            yield finish(item) if future.cancel() else future.result()
    finally:
        pool.shutdown(cancel_futures=True)
