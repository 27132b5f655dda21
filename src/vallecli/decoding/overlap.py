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


def overlap(items: Iterable[Item], finish: Callable[[Item], Done], *, helpers: int, ahead: int) -> Iterator[Done]:
    """Yield `finish(item)` for each item as it is done, in any order. Raises what `finish` raises.

    While the next items are produced, up to `ahead` items wait for the helper threads. This thread finishes those
    beyond that number and, at the end, those that no helper has started.
    """
    if not helpers:
        yield from map(finish, items)
        return
    waiting: deque[tuple[Item, Future[Done]]] = deque()
    pool = ThreadPoolExecutor(helpers, "finisher")
    try:
        for item in items:
            if len(waiting) < ahead:
                waiting.append((item, pool.submit(finish, item)))
            else:
                yield finish(item)
            while waiting and waiting[0][1].done():
                yield waiting.popleft()[1].result()
        while waiting:
            item, future = waiting.pop()
            yield finish(item) if future.cancel() else future.result()
    finally:
        pool.shutdown(cancel_futures=True)
