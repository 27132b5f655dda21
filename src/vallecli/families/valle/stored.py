"""What a layout of the valle families stores, before it is understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Tensors under their published names, mapped and not read, and the options next to them."""

    path: Path
    tensors: Mapping[str, Tensor]
    options: Mapping[str, Any]
    symbols: Path | None = None
    """The table of text symbols next to the weights."""
