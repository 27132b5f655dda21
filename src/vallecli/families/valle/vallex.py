"""VALL-E X (Plachtaa): the lifeiteng layout with language embeddings and BOS.

The reference keeps its settings in code, so a file without them gets those of the published checkpoint. Its table of
text ids is part of the front end, and it decodes with Vocos.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vallecli.checkpoints.contents import Contents
from vallecli.errors import DamagedCheckpoint
from vallecli.families.causal import Limits
from vallecli.families.valle import lifeiteng
from vallecli.families.valle.checkpoint import Checkpoint
from vallecli.families.valle.lifeiteng import open_contents
from vallecli.families.valle.stored import Stored
from vallecli.text.vallex import LANGUAGES, VallexFrontEnd

PUBLISHED = {"nhead": 16, "prefix_mode": 1, "share_embedding": True}
CODEC = {"kind": "vocos"}
LIMITS = Limits(max_prompt_frames=15 * 75, max_text_chars=150)  # the reference accepts prompts of up to 15 s

__all__ = ["open_contents"]


def recognise(contents: Contents) -> bool:
    """Return whether a file has language embeddings."""
    return lifeiteng.LANGUAGE_KEY in contents.own_tensors


def read(stored: Stored, options: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint of a .pt file, or of a state dict alone. Raises CheckpointError.

    The option `symbols` has no effect: the table is part of the front end.
    """
    settings = lifeiteng.merged({**PUBLISHED, **stored.options}, options)
    model, tensors = lifeiteng.convert(stored.path, stored.tensors, settings, stop="sample")
    if model.n_languages != len(LANGUAGES):
        raise DamagedCheckpoint(
            f"{stored.path} is not a VALL-E X checkpoint: it has {model.n_languages} languages instead of "
            f"{len(LANGUAGES)}"
        )
    return Checkpoint(
        name=stored.path.absolute().stem,
        path=stored.path,
        model=model,
        tensors=tensors,
        front_end=VallexFrontEnd.name,
        codec=CODEC,
        limits=LIMITS,
    )
