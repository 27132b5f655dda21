"""What follows a generator, done on the cores that it leaves idle.

The steps of a small AR are too short to be shared between cores: one of them takes the steps, and the others refine
what has ended.
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
def one_thread_each() -> Iterator[int]:
    """Let torch compute with one thread in each of ours, and give how many more of ours there is a core for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads - 1
    finally:
        torch.set_num_threads(threads)


def overlap(items: Iterable[Item], finish: Callable[[Item], Done], *, helpers: int, ahead: int) -> Iterator[Done]:
    """Yield what `finish` makes of each item as it is done, in any order. Raises what `finish` raises.

    While the next items are made, up to `ahead` of them wait for as many threads as there are helpers. This thread
    finishes those beyond, and in the end what no helper has begun.
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
