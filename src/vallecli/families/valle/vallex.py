"""VALL-E X (Plachtaa): the lifeiteng layout with language embeddings and BOS.

The reference keeps its options in code, so a file without them is read with those of the published checkpoint. Its
text ids are those of a table in its front end, and it decodes with Vocos.
"""

from __future__ import annotations

from pathlib import Path

from vallecli.constants import FRAME_RATE
from vallecli.errors import DamagedCheckpoint
from vallecli.families.valle import lifeiteng
from vallecli.families.valle.checkpoint import Checkpoint, Contents, Limits
from vallecli.text.vallex import LANGUAGES, VallexFrontEnd

LANGUAGE_KEY = "ar_language_embedding.word_embeddings.weight"
PUBLISHED = {"nhead": 16, "prefix_mode": 1, "share_embedding": True}
CODEC = {"kind": "vocos"}
LIMITS = Limits(max_prompt_frames=15 * FRAME_RATE, max_text_chars=150)  # the reference takes prompts of up to 15 s


def read(contents: Contents, *, symbols: Path | None, heads: int | None, prefix_mode: int | None) -> Checkpoint:
    """Return the checkpoint of a .pt file or a state dict alone. Raises CheckpointError.

    `symbols` is not used: the table is part of the front end.
    """
    options = lifeiteng.told({**PUBLISHED, **contents.options}, heads=heads, prefix_mode=prefix_mode)
    model, tensors = lifeiteng.convert(contents.path, contents.tensors, options, stop="sample")
    if model.n_languages != len(LANGUAGES):
        raise DamagedCheckpoint(
            f"{contents.path} is not a VALL-E X checkpoint: it knows {model.n_languages} languages instead of "
            f"{len(LANGUAGES)}"
        )
    return Checkpoint(
        name=contents.path.absolute().stem,
        path=contents.path,
        model=model,
        tensors=tensors,
        front_end=VallexFrontEnd.name,
        codec=CODEC,
        limits=LIMITS,
    )
