"""Steps as CUDA graphs: a whole step, from the codes to the next codes, is launched as one piece of work.

A step of the AR is hundreds of small kernels, and launching them one by one takes longer than running them. A graph
holds those of one shape: the part of the cache that attention looks at grows in blocks, and each block has a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from vallecli.decoding.stepper import Stepper
from vallecli.families.valle.ar import AR


class Capture(Protocol):
    """What makes something that can be replayed of a step."""

    def warm_up(self, step: Callable[[], None]) -> None:
        """Take the step, so that whatever allocates memory the first time has done so."""

    def capture(self, step: Callable[[], None]) -> Callable[[], None]:
        """Return what takes the step again, as often as it is called; the step is not taken now."""

    def begin_anew(self) -> None:
        """Be done with what was captured so far: nobody will take those steps again."""


class CudaCapture:
    """Captures on a stream of its own, as CUDA wants it; all graphs share one pool of memory for what is in between."""

    def __init__(self, device: torch.device) -> None:
        self.begin_anew()
        with torch.cuda.device(device):
            self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def warm_up(self, step: Callable[[], None]) -> None:
        """Take the step."""
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

    def begin_anew(self) -> None:
        """Take another pool: torch lets no graph into one whose graphs are all gone."""
        self.pool = torch.cuda.graph_pool_handle()


class GraphStepper(Stepper):
    """A Stepper whose steps are captured, the second time each kind of them is taken."""

    every = 16  # the GPU works while the host draws, and nobody waits but once in so many steps
    block = 256
    together = True

    def __init__(self, model: AR, rows: int, capture: Capture | None = None) -> None:
        super().__init__(model, rows)
        self._capture = capture or CudaCapture(self.codes_B.device)
        self._replays: dict[tuple[Any, ...], Callable[[], None] | None] = {}  # None once the kind is warm

    def _run(self, rows: int) -> None:
        step = super()._run
        kind = (
            *(self.cache.used, self.cache.text_used, self.knobs.drawn, self.knobs.cut, self.knobs.nucleus),
            self.model.audio_positions.table.data_ptr(),  # moves when `forward` is given more
        )
        if kind not in self._replays:
            self._capture.warm_up(lambda: step(rows))
            self._replays[kind] = None
            return
        replay = self._replays[kind]
        if replay is None:
            replay = self._replays[kind] = self._capture.capture(lambda: step(rows))
        replay()

    def _move(self, text_slots: int, slots: int) -> None:
        """Go on in larger tensors; what was captured of the smaller ones is left behind with them."""
        super()._move(text_slots, slots)
        self._replays.clear()
        self._capture.begin_anew()


def new_stepper(model: AR, rows: int) -> Stepper:
    """Return rows that step as fast as the model's device lets them."""
    return GraphStepper(model, rows) if model.head.weight.device.type == "cuda" else Stepper(model, rows)
