"""VALL-E X (Plachtaa): the lifeiteng layout with language embeddings and BOS.

The reference keeps its options in code, so a file without them is read with those of the published checkpoint.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from vallecli.errors import DamagedCheckpoint
from vallecli.formats import lifeiteng
from vallecli.formats.pt import read_pt
from vallecli.model.config import ModelConfig
from vallecli.text.vallex import LANGUAGES

PUBLISHED = {"nhead": 16, "prefix_mode": 1, "share_embedding": True}


def read_model(path: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Return the model's options and its tensors under our names. Raises CheckpointError."""
    stored = read_pt(path)
    if not isinstance(stored, dict):
        raise DamagedCheckpoint(f"{path} is not a VALL-E X checkpoint")
    config, tensors = lifeiteng.convert(path, PUBLISHED | stored, stop="sample")
    if config.n_languages != len(LANGUAGES):
        raise DamagedCheckpoint(
            f"{path} is not a VALL-E X checkpoint: it knows {config.n_languages} languages instead of {len(LANGUAGES)}"
        )
    return config, tensors
