"""Codes of a voice's recording, cached for each checkpoint: JSON files that are ignored if they are damaged.

A checkpoint is identified by the paths, sizes and times of its files, as git identifies unchanged files.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from vallecli import __version__, atomic, inputs
from vallecli.checkpoints import strict_json
from vallecli.codec.base import AudioGrid
from vallecli.families.base import Voice
from vallecli.voices.library import StoredVoice

FOLDER = "codes"
MAX_BYTES = 2**20  # of a file; ten seconds of eight codebooks have 30 kB
MAX_FILES = 32  # of a voice; the oldest are removed
NAME = re.compile(r"[0-9a-f]{64}\.json")


def checkpoint_key(path: Path, **content: Any) -> str | None:
    """Return what identifies the files of a checkpoint and `content`; None if they cannot be read."""
    try:
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        entries = []
        for file in files:
            real = file.resolve()
            status = real.stat()
            entries.append([str(file.relative_to(path)), str(real), status.st_size, status.st_mtime_ns])
    except (OSError, RuntimeError):
        return None
    written = json.dumps([__version__, entries, content], sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()


def load(voice: StoredVoice, key: str, grid: AudioGrid, transcript: str | None) -> Voice | None:
    """Return the cached voice with a transcript, None if there is none that is valid for the recording and the grid."""
    try:
        text = inputs.read_small(_file(voice, key), MAX_BYTES).decode()
        values = strict_json.loads_object(text, max_chars=MAX_BYTES)
        if values.keys() != {"recording", "codes", "spectrum"} or values["recording"] != voice.record.sha256:
            return None
        codes_PQ = np.array(values["codes"])
        spectrum_C = None if values["spectrum"] is None else np.array(values["spectrum"], np.float32)
    except (OSError, ValueError, TypeError):
        return None
    shape_fits = codes_PQ.ndim == 2 and len(codes_PQ) > 0 and codes_PQ.shape[1] == grid.codebooks
    if not shape_fits or codes_PQ.dtype.kind != "i" or codes_PQ.min() < 0 or codes_PQ.max() >= grid.codebook_size:
        return None
    if spectrum_C is not None and (spectrum_C.ndim != 1 or not np.isfinite(spectrum_C).all()):
        return None
    return Voice(codes_PQ.astype(np.int16), voice.name, transcript, spectrum_C=spectrum_C)


def save(voice: StoredVoice, key: str, made: Voice) -> None:
    """Cache a voice. A disk that cannot be written is no error."""
    values = {
        "recording": voice.record.sha256,
        "codes": made.codes_PQ.tolist(),
        "spectrum": None if made.spectrum_C is None else made.spectrum_C.astype(float).tolist(),
    }
    path = _file(voice, key)
    with suppress(OSError):
        if path.parent.is_symlink():
            return
        path.parent.mkdir(exist_ok=True)
        atomic.sweep(path.parent)
        with atomic.replace_file(path) as file:
            file.write(json.dumps(values).encode())
        cached = [entry for entry in path.parent.iterdir() if NAME.fullmatch(entry.name)]
        for oldest in sorted(cached, key=lambda entry: entry.stat().st_mtime)[:-MAX_FILES]:
            oldest.unlink()


def _file(voice: StoredVoice, key: str) -> Path:
    return voice.path / FOLDER / f"{key}.json"
