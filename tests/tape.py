"""A substitute for CUDA graphs on machines without a GPU: it records operations on tensors and runs them again.

As in a graph, the same operations run on the same memory each time: what Python decided is fixed, and reading a value
from the device is an error.
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
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}  # other memory, with a copy

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "a captured step reads from the device"
        for tensor in tensors((args, kwargs)):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.made | self.before.keys():
                self.before[storage.data_ptr()] = storage, storage.clone()
        out = func(*args, **(kwargs or {}))
        self.made |= {tensor.untyped_storage().data_ptr() for tensor in tensors(out)} - self.before.keys()
        self.operations.append((func, args, kwargs or {}, out))
        return out

    def rewind(self) -> None:
        """Undo what recording has changed in memory that existed before."""
        for storage, copy in self.before.values():
            storage.copy_(copy)

    def replay(self) -> None:
        """Run the operations again."""
        for func, args, kwargs, out in self.operations:
            for kept, again in zip(tensors(out), tensors(func(*args, **kwargs)), strict=True):
                if kept.data_ptr() != again.data_ptr():
                    kept.copy_(again)


class TapeCapture:
    """A `graphs.Capture` that counts its calls."""

    def __init__(self) -> None:
        self.warmed = self.captured = self.replayed = self.resets = 0

    def warm_up(self, step: Callable[[], None]) -> None:
        self.warmed += 1
        step()

    def capture(self, step: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1
        tape = Tape()
        with tape:
            step()
        tape.rewind()
        resets = self.resets

        def replay() -> None:
            assert resets == self.resets, "a step is replayed after a reset: its memory is no longer in use"
            self.replayed += 1
            tape.replay()

        return replay

    def reset(self) -> None:
        self.resets += 1


def tensors(tree: Any) -> list[Tensor]:
    """Return the tensors of a tree, except for packed weights, which no operation changes."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.layout == torch.strided]
