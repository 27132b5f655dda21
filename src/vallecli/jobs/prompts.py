"""The prompts of a batch: each file is hashed and tried once, however many rows speak with its voice."""

from __future__ import annotations

from functools import cache
from os import PathLike
from pathlib import Path

from vallecli.audio import prompt
from vallecli.audio.prompt import PreparedPrompt
from vallecli.checkpoints.local import sha256
from vallecli.errors import AudioNotFound, VallecliError
from vallecli.families.base import Preset
from vallecli.families.catalog import is_preset, read_preset


def read_prompt(path: str | PathLike[str], sample_rate: int = prompt.DEFAULT_RATE) -> PreparedPrompt | Preset:
    """Read the recording of a voice at a sample rate, or a published preset. Raises InputError."""
    return read_preset(path) if is_preset(path) else prompt.load(path, sample_rate=sample_rate)


class Prompts:
    """What is known of the files that were asked for."""

    def __init__(self) -> None:
        self.sha256 = cache(sha256)
        self.beside = cache(prompt.read_transcript)
        self._trouble = cache(self._tried)

    def check(self, path: Path) -> str:
        """Return the sha256 of a prompt that can be read as one. Raises InputError."""
        if (error := self._trouble(path)) is not None:
            raise error
        return self.sha256(path)

    def _tried(self, path: Path) -> VallecliError | None:
        try:
            if path.exists() and not path.is_file():  # a pipe would be waited for, and a device has no end
                raise AudioNotFound(path, "it is not a file")
            read_prompt(path)
            self.sha256(path)
        except VallecliError as error:
            return error
        except (OSError, ValueError) as error:  # a name too long, or with a zero byte in it
            return AudioNotFound(path, str(getattr(error, "strerror", None) or error).lower())
        return None
