"""From tensors under published names to ours: shapes are checked and projections fused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from vallecli.checkpoints.modules import check_tensors
from vallecli.checkpoints.weights import MappedFiles
from vallecli.errors import DamagedCheckpoint
from vallecli.families.llama.layers import MAX_LAYERS, LlamaConfig

Made = TypeVar("Made")

FUSED = {
    "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
NORMS = {"norm1": "input_layernorm", "norm2": "post_attention_layernorm"}


class Published:
    """The tensors of a weight file, without those whose names match `ignored`."""

    def __init__(self, tensors: Mapping[str, Any], path: Path, ignored: str = r"(?!)") -> None:
        """Raise DamagedCheckpoint for values that are not tensors of floats, or more of them than the file has."""
        kept = {name: tensor for name, tensor in tensors.items() if not re.fullmatch(ignored, name)}
        self._tensors, self.path = dict(check_tensors(path, kept)), path
        if sum(tensor.nbytes for tensor in self._tensors.values()) > path.stat().st_size:
            raise DamagedCheckpoint(f"{path} is refused: its tensors share their values")  # fusing would copy them
        self._mapped = MappedFiles()

    def __contains__(self, name: str) -> bool:
        """Return whether a tensor is there and not taken yet."""
        return name in self._tensors

    def size(self, name: str, dimension: int) -> int:
        """Return a size of a tensor, 0 if it is missing or has fewer dimensions."""
        shape = self._tensors[name].shape if name in self._tensors else ()
        return shape[dimension] if dimension < len(shape) else 0

    def layers(self, prefix: str) -> int:
        """Return the number of layers under a prefix, at most one more than any model has."""
        for index in range(MAX_LAYERS + 1):
            if f"{prefix}.{index}.self_attn.q_proj.weight" not in self._tensors:
                return index
        return MAX_LAYERS + 1

    def make(self, build: Callable[[], Made]) -> Made:
        """Return what `build` makes of sizes that this file has. DamagedCheckpoint for its ValueErrors."""
        try:
            return build()
        except ValueError as error:
            raise DamagedCheckpoint(f"{self.path} has sizes that no model has: {error}") from error

    def pop(self, name: str, *shape: int) -> Tensor:
        """Return a tensor, which then counts as used. DamagedCheckpoint if it is missing or of another shape."""
        tensor = self._tensors.pop(name, None)
        if tensor is None:
            raise DamagedCheckpoint(f"{self.path} has no tensor {name}")
        if tuple(tensor.shape) != shape:
            raise DamagedCheckpoint(f"{self.path} has {name} of shape {tuple(tensor.shape)} instead of {shape}")
        return tensor

    def stack(self, prefix: str, config: LlamaConfig) -> dict[str, Tensor]:
        """Return the matrices of all layers under a prefix, by our names without `layers`. Norms are not among them."""
        shapes = {"mlp.down_proj": (config.width, config.ffn)}
        shapes |= dict.fromkeys(("mlp.gate_proj", "mlp.up_proj"), (config.ffn, config.width))
        ours = {}
        for index in range(config.layers):
            for name, parts in FUSED.items():
                taken = [
                    self.pop(f"{prefix}.{index}.{part}.weight", *shapes.get(part, (config.width, config.width)))
                    for part in parts
                ]
                ours[f"{index}.{name}.weight"] = self._fuse(taken)
        return ours

    def _fuse(self, parts: Sequence[Tensor]) -> Tensor:
        if len(parts) == 1:
            return parts[0]
        fused = torch.cat(list(parts))
        self.release(parts)
        return fused

    def release(self, tensors: Sequence[Tensor]) -> None:
        """Release the memory of tensors that have been read for the last time."""
        self._mapped.release(tensors)

    def drop(self, pattern: str) -> None:
        """Ignore the remaining tensors whose names match."""
        self._tensors = {name: tensor for name, tensor in self._tensors.items() if not re.fullmatch(pattern, name)}

    def finish(self) -> None:
        """Raise DamagedCheckpoint if tensors are left over: a model with further parts would compute other things."""
        if self._tensors:
            names = ", ".join(sorted(self._tensors)[:3])
            raise DamagedCheckpoint(f"{self.path} has {len(self._tensors)} tensors of unknown use, such as {names}")
