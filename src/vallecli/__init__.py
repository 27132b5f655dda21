"""vallecli: VALL-E voice cloning (arXiv 2301.02111) on the command line and from Python.

import vallecli

synthesizer = vallecli.load("nano")
voice = synthesizer.voice("reference.wav")
for piece in synthesizer.speak("Hello, this is my voice.", voice):
    print(piece.audio.shape, piece.sample_rate)

Names are imported at first use: importing the package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from vallecli.decoding.sampling import Sampling
    from vallecli.errors import VallecliError
    from vallecli.families.base import Voice
    from vallecli.synthesizer import Job, JobResult, Piece, Synthesizer
    from vallecli.text.lexicon import Lexicon

__version__ = "0.17.0"

__all__ = ["Job", "JobResult", "Piece", "Sampling", "Synthesizer", "VallecliError", "Voice", "load"]

_MODULES = {
    "Job": "vallecli.synthesizer",
    "JobResult": "vallecli.synthesizer",
    "Piece": "vallecli.synthesizer",
    "Sampling": "vallecli.decoding.sampling",
    "Synthesizer": "vallecli.synthesizer",
    "VallecliError": "vallecli.errors",
    "Voice": "vallecli.families.base",
}


def load(
    checkpoint: str | PathLike[str] = "nano",
    *,
    device: str = "auto",
    dtype: str = "auto",
    options: Mapping[str, Any] | None = None,
    decoder: str | None = None,
    lexicon: str | PathLike[str] | Lexicon | None = None,
    watermark: bool = True,
) -> Synthesizer:
    """Load a checkpoint by its name, file or folder; see Synthesizer.load."""
    synthesizer: type[Synthesizer] = __getattr__("Synthesizer")
    return synthesizer.load(
        checkpoint,
        device=device,
        dtype=dtype,
        options=options,
        decoder=decoder,
        lexicon=lexicon,
        watermark=watermark,
    )


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'vallecli' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
