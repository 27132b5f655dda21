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
    hint = hint_of(type(error).__name__, error.hint)
    if isinstance(error, errors.ForeignText) and error.language is not None:
        hint += f" Known ones: {', '.join(_speaking(error.language))}."
    return hint


def _speaking(language: str) -> list[str]:
    """Return the names of the registry's checkpoints that speak a language."""
    from vallecli.checkpoints import registry

    return [name for name, spec in registry.load().specs.items() if spec.kind == "model" and language in spec.languages]


def hint_of(code: str, hint: str) -> str:
    """Return the hint of an error as `hint_for`, given the name of its class, as a record stores it."""
    return " ".join(part for part in (hint, HINTS.get(getattr(errors, code, VallecliError), "")) if part)
