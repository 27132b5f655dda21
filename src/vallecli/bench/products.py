"""Counting the floating-point operations of matrix products."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vallecli.decoding.linear import Packed


class ProductCounter(TorchFunctionMode):
    """Counts the products of linear layers, packed ones included, and of attention; use it by `with`."""

    def __init__(self, models: Iterable[nn.Module]) -> None:
        """Count the linear layers inside these models, and attention anywhere."""
        super().__init__()
        self.operations = 0
        layers = {id(layer): layer for model in models for layer in model.modules()}.values()
        self._layers = [layer for layer in layers if isinstance(layer, nn.Linear | Packed)]
        self._hooks: list[Any] = []

    def __enter__(self) -> ProductCounter:
        self._hooks = [layer.register_forward_hook(self._count_layer) for layer in self._layers]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()

    def take(self) -> int:
        """Return the number of operations since the last call."""
        taken, self.operations = self.operations, 0
        return taken

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return what a function of torch returns, and count it if it is attention."""
        if getattr(func, "__name__", "") == "scaled_dot_product_attention":
            query, key, value = args[:3]  # (B, H, L, D/H), and (B, H, K, D/H) twice
            self.operations += 2 * query.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])
        return func(*args, **(kwargs or {}))

    def _count_layer(self, _: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        self.operations += 2 * output.numel() * given[0].shape[-1]
