"""Rows for listening pages: short tones as audio, and texts that try to break out of the HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from vallecli.quality.rows import Run

HOSTILE = (
    "</script><script>window.broken=1</script><img src=x onerror=window.broken=1> {{script}} <!-- ]]> &lt; \u2028 "
    "\u202e\x00'\"` " + "Donaudampfschiff" * 30
)


def write_tone(path: Path, *, seconds: float = 0.5, pitch: float = 220, rate: int = 24_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    time_N = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * time_N) * np.linspace(1, 0.2, len(time_N)), rate)
    return path


def row(folder: Path, name: str, text: str = "Red green blue.", **values: Any) -> dict[str, Any]:
    """Return a row whose prompt and output exist, with other values."""
    write_tone(folder / f"{name}.wav")
    write_tone(folder / "prompt.wav", pitch=330)
    return {"id": name, "text": text, "prompt": "prompt.wav", "output": f"{name}.wav", "status": "ok", **values}


def scored(folder: Path, name: str, heard: str, errors: int, similarity: float | None, **values: Any) -> dict[str, Any]:
    scores = {"heard": heard, "errors": errors, "words": 3, "similarity": similarity, "seconds": 0.5}
    opinion = {"ovrl": 3.1, "sig": 3.5, "bak": 4.0}
    return row(folder, name, **{**scores, "opinion": opinion, "manner": {"pitch_median": -1.5}, **values})


def failed(name: str, message: str = "it is silent") -> dict[str, Any]:
    error = {"code": "SilentPrompt", "message": message, "hint": "Record it again."}
    return {"id": name, "text": "Not spoken.", "prompt": "nobody.wav", "status": "failed", "error": error}


def evaluated(folder: Path, shift: float = 0) -> Run:
    """Return a run of four rows: right, wrong, without similarity, and failed."""
    rows = [
        scored(folder, "right", "red green blue", 0, 0.9 - shift, speaker="Ann"),
        scored(folder, "wrong", "red grown blue pink", 2, 0.7 + shift, notes=["sentence 1 was cut off"]),
        scored(folder, "plain", "green blue", 1, None),
        failed("broken"),
    ]
    return Run(folder.name, folder, rows)
