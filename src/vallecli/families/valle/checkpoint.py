"""A checkpoint of the valle families in our names, whatever layout it came from, and how its models are built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vallecli.checkpoints.modules import load_into, skeletons
from vallecli.families.causal import Limits
from vallecli.families.inference import fill
from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.nar import NAR
from vallecli.text.pace import Pace


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Configuration and tensors of an AR and a NAR."""

    name: str
    path: Path
    model: ModelConfig
    tensors: Mapping[str, Tensor]
    """Keys begin with `ar.`, `nar.` or, if the codec is included, `codec.`; in any precision."""
    front_end: str
    """Name and version of the text front end, for example `arpabet-1`."""
    symbols: tuple[str, ...] | None = None
    """The symbol of each text id, for front ends whose table comes with the checkpoint; None if it is missing."""
    homographs: str | None = None
    """The loader option "on" or "off"; None for the default of the front end."""
    codec: Mapping[str, Any]
    """`kind` and the sizes of the codec."""
    limits: Limits
    sampling: Mapping[str, float] = field(default_factory=dict)
    """Default sampling parameters."""
    equalize: float = 0.0
    """Share of the difference to the prompt's average spectrum that is corrected, 0 to 1; see codec.equalizer."""
    pace: Pace = field(default_factory=Pace)

    @property
    def parameters(self) -> int:
        """Return the number of parameters of both models."""
        return sum(tensor.numel() for tensor in self._models())

    @property
    def stored_in_half(self) -> bool:
        """Return whether all weights of both models are stored in float16."""
        return all(tensor.dtype == torch.float16 for tensor in self._models())

    def _models(self) -> Iterator[Tensor]:
        return (tensor for key, tensor in self.tensors.items() if key.startswith(("ar.", "nar.")))


def outline(config: ModelConfig) -> tuple[AR, NAR]:
    """Return models on the meta device, whose weights are to be assigned."""
    with skeletons():
        return AR(config).eval(), NAR(config).eval()


def build(checkpoint: Checkpoint) -> tuple[AR, NAR]:
    """Return the models of a checkpoint in float32, for training or conversion. Raises DamagedCheckpoint."""
    ar, nar = outline(checkpoint.model)
    load_into(ar, checkpoint.tensors, "ar.", checkpoint.path)
    load_into(nar, checkpoint.tensors, "nar.", checkpoint.path)
    return ar, nar


def build_for_inference(checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype) -> tuple[AR, NAR]:
    """Return the models on a device and in a precision, without what only training needs. Raises DamagedCheckpoint.

    With torch.int8, the matrices inside the layers are stored in 8 bits, and everything else in float32.
    """
    ar, nar = outline(checkpoint.model)
    tensors, path = checkpoint.tensors, checkpoint.path
    fill(ar, ar.layers, tensors, "ar.", path, device=device, dtype=dtype)
    fill(nar, nar.layers, tensors, "nar.", path, device=device, dtype=dtype, simplify=nar.fix_stages)
    return ar, nar
