"""Whether logits are finite, noted on the device and asked for once: a GPU is not waited for in between."""

from __future__ import annotations

from torch import Tensor

from vallecli.errors import NotFinite


class FiniteLogits:
    """Chooses the most likely classes, and notes whether their logits are finite."""

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0  # of the logits of all choices: not finite once one is not

    def argmax(self, logits: Tensor) -> Tensor:
        """Return the most likely class of each position; given (..., V), return (...)."""
        chosen = logits.argmax(-1)
        self.note(logits.gather(-1, chosen[..., None]))  # NaN counts as the largest
        return chosen

    def note(self, logits: Tensor) -> None:
        """Note whether logits are finite, of any shape."""
        self._sum = self._sum + logits.float().sum()

    def check(self) -> None:
        """Raise NotFinite if any were not; this waits for the device."""
        if isinstance(self._sum, Tensor) and not self._sum.isfinite():
            raise NotFinite("what the model predicts")
