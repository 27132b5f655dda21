"""What the machine can do: how fast its threads read memory, and multiply matrices."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from vallecli.decoding.linear import Linear, packer, unpacked_dtype
from vallecli.decoding.overlap import one_thread

READ_BYTES = 2**29  # far more than any cache holds
WIDTH = {"cpu": 4096, "cuda": 8192}  # of the square matrices; a GPU needs larger ones
REPEATS = 5  # of which the fastest counts


def read_speed(device: torch.device, *, alone: bool) -> float:
    """Return the bytes per second that the threads read when they add up a buffer; `alone` uses one thread."""
    numbers = torch.ones(READ_BYTES // 4, device=device)
    with one_thread() if alone else nullcontext():
        return READ_BYTES / _fastest(numbers.sum, device)


@torch.inference_mode()
def product_speed(device: torch.device, dtype: torch.dtype, *, short: bool) -> float:
    """Return the operations per second of a large square product, by the kind of layer that a model has; see packer.

    `short` is that of the model; see decoding.linear.is_short.
    """
    width = WIDTH[device.type]
    linear = Linear(width, width, bias=False)
    packed = packer(dtype, device, short=short)
    floats = unpacked_dtype(dtype, packed)
    layer: nn.Module = linear.to(device, floats) if packed is None else packed(linear)
    x = torch.ones(width, width, device=device, dtype=floats)
    return 2 * width**3 / _fastest(lambda: layer(x), device)


@contextmanager
def torch_products() -> Iterator[None]:
    """Use the matrix products that torch itself chooses; see decoding.linear.product."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # a property of the module
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def peak_memory(device: torch.device) -> int | None:
    """Return the peak memory so far in bytes, of the GPU or of this process; None if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that the fastest of some repetitions takes."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return best
