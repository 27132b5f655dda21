"""What all errors have, and errors of arguments and settings (exit code 2)."""

from __future__ import annotations

import reprlib
from os import PathLike

Path = str | PathLike[str]


class VallecliError(Exception):
    """A message, a hint that says what to do next, and an exit code for scripts."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(VallecliError):
    """Contradictory or unknown arguments."""

    exit_code = 2


class CannotContinue(UsageError):
    """A checkpoint that does not read the words of a prompt, and so cannot speak the rest of a text."""

    def __init__(self, checkpoint: str) -> None:
        super().__init__(
            f"{checkpoint} cannot go on from a prompt: it does not read the words of the prompt",
            "Use a checkpoint that does, or give only the text that is to be spoken.",
        )


class RegistryError(UsageError):
    """An invalid entry in a list of checkpoints."""

    def __init__(self, path: Path, entry: str, problem: str) -> None:
        super().__init__(
            f"{path}{f', entry {entry!r}' if entry else ''}: {problem}", "Correct the file or move it away."
        )


class PolicyError(UsageError):
    """A setting that is less strict than the system-wide file requires."""

    def __init__(self, name: str, value: str, source: str, required: str, policy: Path) -> None:
        super().__init__(
            f"{source}: {name} is {value}, but the policy in {policy} requires {required}",
            "Remove that setting. Only an administrator can change the policy.",
        )


_shortener = reprlib.Repr()
_shortener.maxlevel, _shortener.maxstring, _shortener.maxother, _shortener.maxlong = 2, 60, 60, 60


def short(value: object) -> str:
    """Return the repr of a value that came from a file, shortened: it may have any length."""
    try:
        return _shortener.repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of thousands of digits"
