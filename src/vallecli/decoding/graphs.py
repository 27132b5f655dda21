"""Decode steps as CUDA graphs: a whole step, from codes to next codes, is launched as one piece of work.

A step is hundreds of small kernels, and launching them one by one takes longer than running them. A graph holds the
kernels of one shape: the part of the cache that attention reads grows in blocks, and each block size has a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.request import CausalModel


class Capture(Protocol):
    """Records a step so that it can be replayed."""

    def warm_up(self, step: Callable[[], None]) -> None:
        """Run the step, so that one-time allocations have happened."""

    def capture(self, step: Callable[[], None]) -> Callable[[], None]:
        """Return a function that replays the step any number of times; the step is not run now."""

    def reset(self) -> None:
        """Give up what was captured so far: it will not be replayed."""


class CudaCapture:
    """Captures on a separate stream, as CUDA requires; all graphs share one memory pool for intermediate results."""

    def __init__(self, device: torch.device) -> None:
        self.reset()
        with torch.cuda.device(device):
            self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def warm_up(self, step: Callable[[], None]) -> None:
        """Run the step."""
        with torch.cuda.device(self.stream.device):
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                step()
            torch.cuda.current_stream().wait_stream(self.stream)

    def capture(self, step: Callable[[], None]) -> Callable[[], None]:
        """Return the replay of a graph of the step."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.stream.device), torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            step()
        return graph.replay

    def reset(self) -> None:
        """Use another pool: torch adds no graph to a pool whose graphs are all gone."""
        self.pool = torch.cuda.graph_pool_handle()


class GraphBatcher(ContinuousBatcher):
    """A ContinuousBatcher that captures each kind of step the second time it occurs."""

    every = 16  # the GPU computes while the host draws random numbers, and is polled once in 16 steps
    block = 256
    fixed_rows = True

    def __init__(self, model: CausalModel, rows: int, capture: Capture | None = None) -> None:
        super().__init__(model, rows)
        self._capture = capture or CudaCapture(self.codes_B.device)
        self._replays: dict[tuple[Any, ...], Callable[[], None] | None] = {}  # None once a kind is warmed up

    def _run(self, rows: int) -> None:
        step, sampling = super()._run, self.sampling
        kind = (
            *(self.cache.used, self.cache.memory_used, *self.model.moving_addresses()),
            *(sampling.sampled, sampling.max_top_k, sampling.any_top_p, sampling.any_sigma),
            *(sampling.any_min_eos_p, sampling.max_window),
        )
        if kind not in self._replays:
            self._capture.warm_up(lambda: step(rows))
            self._replays[kind] = None
            return
        replay = self._replays[kind]
        if replay is None:
            replay = self._replays[kind] = self._capture.capture(lambda: step(rows))
        replay()

    def _grow(self, capacity: int, memory_capacity: int) -> None:
        """Continue in larger tensors; graphs of the smaller ones are given up."""
        super()._grow(capacity, memory_capacity)
        self._replays.clear()
        self._capture.reset()


def new_batcher(model: CausalModel, rows: int) -> ContinuousBatcher:
    """Return the fastest batcher for the model's device."""
    return GraphBatcher(model, rows) if model.device.type == "cuda" else ContinuousBatcher(model, rows)
