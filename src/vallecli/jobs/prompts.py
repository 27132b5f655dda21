"""The prompts of a batch: each file is hashed and checked once, however many rows use it."""

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
    """Read the recording of a voice at `sample_rate` in Hz, or a published preset. Raises InputError."""
    return read_preset(path) if is_preset(path) else prompt.load(path, sample_rate=sample_rate)


class PromptChecker:
    """Checks prompts; all results are cached."""

    def __init__(self) -> None:
        self.sha256 = cache(sha256)
        self.transcript = cache(prompt.read_transcript)
        self._error = cache(self._find_error)

    def check(self, path: Path) -> str:
        """Return the sha256 of a prompt. Raises InputError for a file that cannot be used."""
        if (error := self._error(path)) is not None:
            raise error
        return self.sha256(path)

    def _find_error(self, path: Path) -> VallecliError | None:
        try:
            if path.exists() and not path.is_file():  # reading a pipe would block, and a device is endless
                raise AudioNotFound(path, "it is not a file")
            read_prompt(path)
            self.sha256(path)
        except VallecliError as error:
            return error
        except (OSError, ValueError) as error:  # a name that is too long, or that contains a zero byte
            return AudioNotFound(path, str(getattr(error, "strerror", None) or error).lower())
        return None
