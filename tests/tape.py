"""What stands in for a CUDA graph where there is no GPU: it records operations on tensors and does them again.

As in a graph, the same operations run on the same memory each time: whatever Python decides is frozen, and a question
to the device is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    """The operations of one capture."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Callable[..., Any], Any, Any, Any]] = []
        self.made: set[int] = set()  # memory that the operations themselves have allocated
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}  # the rest, and what it held

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "a captured step asks the device"
        for tensor in tensors((args, kwargs)):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.made | self.before.keys():
                self.before[storage.data_ptr()] = storage, storage.clone()
        out = func(*args, **(kwargs or {}))
        self.made |= {tensor.untyped_storage().data_ptr() for tensor in tensors(out)} - self.before.keys()
        self.operations.append((func, args, kwargs or {}, out))
        return out

    def rewind(self) -> None:
        """Undo what recording has done to memory that was there before."""
        for storage, held in self.before.values():
            storage.copy_(held)

    def replay(self) -> None:
        """Do it again."""
        for func, args, kwargs, out in self.operations:
            for kept, again in zip(tensors(out), tensors(func(*args, **kwargs)), strict=True):
                if kept.data_ptr() != again.data_ptr():
                    kept.copy_(again)


class TapeCapture:
    """A `graphs.Capture` that counts what is asked of it."""

    def __init__(self) -> None:
        self.warmed = self.captured = self.replayed = self.begun = 0

    def warm_up(self, step: Callable[[], None]) -> None:
        self.warmed += 1
        step()

    def capture(self, step: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1
        tape = Tape()
        with tape:
            step()
        tape.rewind()
        begun = self.begun

        def replay() -> None:
            assert begun == self.begun, "a step is replayed whose memory is given up"
            self.replayed += 1
            tape.replay()

        return replay

    def begin_anew(self) -> None:
        self.begun += 1


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
