"""Fails when a tensor is allocated that is larger than what a small file can hold."""

from __future__ import annotations

from typing import Any

import torch
from tape import tensors
from torch.utils._python_dispatch import TorchDispatchMode

LIMIT = 2**22  # bytes


class NoLargeTensors(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tensors(out):
            assert tensor.is_meta or tensor.untyped_storage().nbytes() <= LIMIT, f"{func} allocates {tensor.shape}"
        return out


def check_that_it_notices() -> None:
    try:
        with NoLargeTensors():
            torch.zeros(LIMIT)
    except AssertionError:
        return
    raise AssertionError("a large tensor was not noticed")
