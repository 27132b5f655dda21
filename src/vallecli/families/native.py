"""valle's own format of checkpoints, for all families: a folder with config.json and model.safetensors.

config.json: {format: "vallecli-1", family, name, ...}; the other fields belong to the family. Without `family` it is a
VALL-E. model.safetensors: tensors in any floating-point precision, tied ones stored once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vallecli import atomic

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vallecli.checkpoints.contents import Contents

FORMAT, FIRST_FAMILY = "vallecli-1", "valle"
CONFIG, TENSORS = "config.json", "model.safetensors"


def config_of(contents: Contents, family: str) -> dict[str, Any] | None:
    """Return the content of config.json if it is in this format and of that family, else None.

    The contents may be the folder or one of its two files. Raises DamagedCheckpoint for invalid JSON.
    """
    if contents.file is not None and contents.file.name not in (CONFIG, TENSORS):
        return None
    config = contents.json(CONFIG)
    if config is None or config.get("format") != FORMAT or config.get("family", FIRST_FAMILY) != family:
        return None
    return config


def write(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    dtype: torch.dtype,
    files: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write config.json and model.safetensors to an existing folder, the tensors in `dtype`. Raises OSError.

    `files` are the texts of further files by name.
    """
    from safetensors.torch import save_file

    with atomic.replace_file(folder / TENSORS) as file:
        stored = {name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}
        save_file(_separate(stored), file.name)
    with atomic.replace_file(folder / CONFIG) as file:
        text = json.dumps({"format": FORMAT, **config}, indent=2, ensure_ascii=False)
        file.write(text.encode() + b"\n")
        mode = Path(file.name).stat().st_mode
    for name, content in files.items():
        with atomic.replace_file(folder / name) as file:
            file.write(content.encode())
    (folder / TENSORS).chmod(mode)  # safetensors gives access to the owner only


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without shared memory, which safetensors does not store."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        separate[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return separate
