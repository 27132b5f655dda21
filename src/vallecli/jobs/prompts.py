"""The prompts of a batch. Each is hashed together with its decoding: what is heard is what is recorded."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from vallecli.audio import prompt
from vallecli.audio.prompt import PreparedPrompt
from vallecli.checkpoints import disk
from vallecli.checkpoints.local import sha256
from vallecli.errors import AudioError, AudioNotFound, VallecliError, shortage
from vallecli.families.base import Preset
from vallecli.families.catalog import is_preset, read_preset
from vallecli.voices.library import StoredVoice

Prompt = Path | StoredVoice

TRIES = 5  # to read a file that is being written to


def read_prompt(path: Prompt, sample_rate: int = prompt.DEFAULT_RATE) -> PreparedPrompt | Preset | StoredVoice:
    """Read the recording of a voice at `sample_rate` in Hz, a published preset, or a voice of the library.

    Raises InputError.
    """
    if isinstance(path, StoredVoice):
        return path.with_recording()
    return read_preset(path) if is_preset(path) else prompt.load(path, sample_rate=sample_rate)


def read_hashed_prompt(
    path: Prompt, sample_rate: int = prompt.DEFAULT_RATE
) -> tuple[PreparedPrompt | Preset | StoredVoice, str]:
    """Return a prompt and the sha256 of the bytes that were decoded. Raises InputError, also for what is no file.

    The file is hashed before and after it is decoded, and read again if it has changed in between. The hash
    of a voice of the library is that of its samples, wherever it is stored; the hash of a preset in several files is
    that of its arrays.
    """
    if isinstance(path, StoredVoice):
        return path.with_recording(), f"voice:{path.record.sha256}"
    if disk.exists(path) and not disk.is_file(path):  # reading a pipe would block, and a device is endless
        raise AudioNotFound(path, "it is not a file")
    if path.suffix.lower() == ".npy":
        preset = read_preset(path)
        return preset, f"preset:{preset.digest()}"
    try:
        after = sha256(path)
        for _ in range(TRIES):
            before, found = after, read_prompt(path, sample_rate)
            if (after := sha256(path)) == before:
                return found, before
    except (OSError, ValueError) as error:  # a name that is too long, or that contains a zero byte
        if (known := shortage(error)) is not None:
            raise known from error
        raise AudioNotFound(path, str(getattr(error, "strerror", None) or error).lower()) from error
    raise AudioError(f"{path} changes while it is read", "Wait until it is complete.")


def transcript_of(path: Prompt) -> str | None:
    """Return the transcript of a voice of the library, or that next to a recording. Raises InputError."""
    return path.transcript if isinstance(path, StoredVoice) else prompt.read_transcript(path)


class PromptChecker:
    """Checks prompts; all results are cached, errors too."""

    def __init__(self) -> None:
        self.transcript = cache(transcript_of)
        self._checked = cache(self._check)

    def check(self, path: Prompt) -> str:
        """Return the sha256 of a prompt. Raises InputError for a file that cannot be used."""
        checked = self._checked(path)
        if isinstance(checked, VallecliError):
            raise checked
        return checked

    def _check(self, path: Prompt) -> str | VallecliError:
        try:
            return read_hashed_prompt(path)[1]
        except VallecliError as error:
            return error
