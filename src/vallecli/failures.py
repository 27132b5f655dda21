"""An error as records of rows store it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from vallecli.errors import explain
from vallecli.printable import mask_credentials


@dataclass(frozen=True)
class Failure:
    """The name of an error's class in errors.py, the message and the hint."""

    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return the meaning of any library's error."""
        known = explain(error)
        if known is not None:
            return cls(type(known).__name__, mask_credentials(known.message), mask_credentials(known.hint))
        message = mask_credentials(f"this is a bug in valle: {error}")
        return cls(type(error).__name__, message, "Please report it together with the row.")
