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
import numpy.typing as npt

from vallecli import __version__, atomic, inputs
from vallecli.checkpoints import strict_json
from vallecli.families.base import Backend, Voice
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


def load(voice: StoredVoice, key: str, backend: Backend, transcript: str | None) -> Voice | None:
    """Return the cached voice with a transcript; None if none is valid for the recording and the checkpoint."""
    try:
        text = inputs.read_small(_file(voice, key), MAX_BYTES).decode()
        values = strict_json.loads_object(text, max_chars=MAX_BYTES)
        if values.keys() != {"recording", "arrays"} or values["recording"] != voice.record.sha256:
            return None
        arrays: dict[str, Any] = {name: _array(array) for name, array in values["arrays"].items()}
        found = backend.voice_type(source=voice.name, transcript=transcript, **arrays)
        found.check(backend.grid)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return found


def save(voice: StoredVoice, key: str, made: Voice) -> None:
    """Cache a voice. A disk that cannot be written is no error."""
    arrays = {name: value.tolist() for name, value in vars(made).items() if isinstance(value, np.ndarray)}
    values = {"recording": voice.record.sha256, "arrays": arrays}
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


def _array(values: list[Any]) -> npt.NDArray[Any]:
    """Return an array of int16 or float32. ValueError and TypeError for what is none."""
    array = np.array(values)
    if array.dtype.kind == "i" and np.iinfo(np.int16).min <= array.min() and array.max() <= np.iinfo(np.int16).max:
        return array.astype(np.int16)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    raise ValueError(f"it has values of type {array.dtype}")


def _file(voice: StoredVoice, key: str) -> Path:
    return voice.path / FOLDER / f"{key}.json"
