"""The text of a command: an option, a file or stdin; and its voice: a recording, a preset or one of the library."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vallecli import inputs
from vallecli.cli.output import STDOUT
from vallecli.encoding import decode
from vallecli.errors import InputError, TextEncodingError, UsageError
from vallecli.settings import Settings

if TYPE_CHECKING:
    from vallecli.voices.library import StoredVoice

VOICE_FLAG = "--voice"

MAX_TEXT_BYTES = 2**26  # twenty times a long novel


def _checked(argument: str) -> str:
    """Return an argument that is Unicode. Raises UnicodeError."""
    if not any("\udc80" <= character <= "\udcff" for character in argument):
        return argument.encode().decode()
    return os.fsencode(argument).decode()  # in a locale without Unicode, bytes above 127 are lone surrogates


def read_text(text: str | None, text_file: str | None) -> str:
    """Return the text from the one place where it was given. Raises UsageError and InputError."""
    if text is not None and text_file is not None:
        raise UsageError("--text and --text-file both give a text", "Leave one of them out.")
    try:
        if text is not None:
            return _checked(text)
        if text_file is not None and text_file != STDOUT:
            return decode(inputs.read_input(Path(text_file), MAX_TEXT_BYTES), text_file)
        if text_file is None and sys.stdin.isatty():
            raise UsageError("there is no text", "Give it by --text or --text-file, or pipe it in.")
        return decode(inputs.read_bounded(sys.stdin.buffer, "stdin", MAX_TEXT_BYTES), "stdin")
    except UnicodeError as error:
        raise TextEncodingError("--text") from error
    except OSError as error:
        source = "stdin" if text_file in (None, STDOUT) else text_file
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read {source}: {reason}", "Give the text by --text or --text-file.") from error


def given_voice(prompt: str | None, settings: Settings) -> StoredVoice | Path | None:
    """Return the voice of a command: that of --prompt or of the setting `voice`, which a flag, too, can give.

    Raises UsageError for two flags, VoiceError, and CheckpointError for the preset of a checkpoint.
    """
    if prompt is not None:
        if settings.source("voice") == VOICE_FLAG:
            raise UsageError("--prompt and --voice both give a voice", "Leave one of them out.")
        return Path(prompt)
    if settings.voice is None:
        return None
    from vallecli.voices import policy

    return policy.resolve(settings.voice, settings.checkpoint, offline=settings.offline)
