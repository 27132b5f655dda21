"""Command-line options that solve an error; library errors do not name any."""

from __future__ import annotations

import re
from collections.abc import Collection

from vallecli import errors
from vallecli.errors import VallecliError

# Class of an error -> sentences. A command shows those whose options it has.
HINTS: dict[type[VallecliError], tuple[str, ...]] = {
    errors.OutputExists: ("Add --force to overwrite it.",),
    errors.VoiceExists: ("Add --force to replace it.",),
    errors.TranscriptMissing: ("Use --prompt-text TEXT, or --transcribe.",),
    errors.PromptTooLong: ("Use --transcribe.",),
    errors.EmptyTranscript: ("Use --prompt-text TEXT.",),
    errors.PromptColumnMissing: (
        "Use --prompt FILE or --voice NAME for all rows without one, or --map prompt=NAME for another column.",
    ),
    errors.UnknownColumn: ("Use --map COLUMN=NAME for columns of other names, for example --map text=sentence.",),
    errors.OverlappingCues: ("Or use --allow-overlaps, to speak them one after the other.",),
    errors.PlayerMissing: ("Or leave out --play.",),
    errors.FolderInUse: ("Another folder is chosen by --out-dir.",),
    errors.OutOfMemory: ("Try --device cpu.", "Try a lower --max-seconds.", "Try fewer --slots."),
}
OPTION = re.compile(r"--[a-z][a-z-]*")


def hint_for(error: VallecliError, options: Collection[str]) -> str:
    """Return the hint of an error, followed by what helps of a command's options, such as "--force"."""
    hint = hint_of(type(error).__name__, error.hint, options)
    if isinstance(error, errors.ForeignText) and error.language is not None:
        hint += f" Known ones: {', '.join(_speaking(error.language))}."
    return hint


def _speaking(language: str) -> list[str]:
    """Return the names of the registry's checkpoints that speak a language."""
    from vallecli.checkpoints import registry

    return [name for name, spec in registry.load().specs.items() if spec.kind == "model" and language in spec.languages]


def hint_of(code: str, hint: str, options: Collection[str]) -> str:
    """Return the hint of an error as `hint_for`, given the name of its class, as a record stores it."""
    kind = getattr(errors, code, None)
    sentences = HINTS.get(kind, ()) if isinstance(kind, type) else ()
    return " ".join([*([hint] if hint else []), *(s for s in sentences if set(OPTION.findall(s)) <= set(options))])
