"""Command-line options that solve an error; library errors do not name any."""

from __future__ import annotations

from vallecli import errors
from vallecli.errors import VallecliError

HINTS: dict[type[VallecliError], str] = {
    errors.OutputExists: "Add --force to overwrite it.",
    errors.TranscriptMissing: "Use --prompt-text TEXT, or --transcribe.",
    errors.PromptTooLong: "Use --transcribe.",
    errors.EmptyTranscript: "Use --prompt-text TEXT.",
    errors.PromptColumnMissing: "Use --prompt FILE for all rows without one, or --map prompt=NAME for another column.",
    errors.UnknownColumn: "Use --map COLUMN=NAME for columns of other names, for example --map text=sentence.",
    errors.PlayerMissing: "Or leave out --play.",
    errors.FolderInUse: "Another folder is chosen by --out-dir.",
    errors.OutOfMemory: "Options: --device cpu, --max-seconds S, and for a batch --slots N.",
}


def hint_for(error: VallecliError) -> str:
    """Return the hint of an error, followed by command-line options that help."""
    return hint_of(type(error).__name__, error.hint)


def hint_of(code: str, hint: str) -> str:
    """Return the hint of an error as `hint_for`, given the name of its class, as a record stores it."""
    return " ".join(part for part in (hint, HINTS.get(getattr(errors, code, VallecliError), "")) if part)
