"""Names of voices: one part of a path, valid on every operating system, and unique whatever its case.

This module imports no audio, so that shells can complete names quickly.
"""

from __future__ import annotations

import os
import unicodedata
from contextlib import suppress
from pathlib import Path

from vallecli.errors import InvalidVoiceName, short

MAX_CHARACTERS = 64


def check_name(name: str) -> str:
    """Return a name in Unicode's form NFC. Raises InvalidVoiceName for one that cannot be the name of a folder."""
    from pathvalidate import ValidationError, validate_filename

    name = unicodedata.normalize("NFC", name)
    if not name or len(name) > MAX_CHARACTERS:
        raise InvalidVoiceName(short(name), f"it should have 1 to {MAX_CHARACTERS} characters")
    if not name.isprintable():
        raise InvalidVoiceName(short(name), "it has characters that are not printable")
    if name[0] in ".-~" or name != name.strip():
        raise InvalidVoiceName(short(name), "it begins with a dot, a tilde, a hyphen or a space, or ends in a space")
    try:
        validate_filename(name, platform="universal")
    except ValidationError as error:
        reason = 'it has one of / \\ : * ? " < > |, ends in a dot, or is reserved by Windows'
        raise InvalidVoiceName(short(name), reason) from error
    return name


def fold(name: str) -> str:
    """Return what is equal for names that a file system may not distinguish."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())


def folder() -> Path:
    """Return the folder of the library, in the user's data folder; each voice is a folder in it."""
    from platformdirs import user_data_path

    return user_data_path("vallecli", appauthor=False) / "voices"


def stored_names() -> list[str]:
    """Return the names of the library's folders, sorted; links and names that no voice can have are left out."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(folder()):
            with suppress(InvalidVoiceName, OSError):
                if entry.is_dir(follow_symlinks=False) and check_name(entry.name) == entry.name:
                    found.append(entry.name)
    return sorted(found)


def find_name(name: str) -> str | None:
    """Return the name of a stored voice as it is written there, whatever its case; None if there is none.

    Raises InvalidVoiceName.
    """
    folded = fold(check_name(name))
    return next((stored for stored in stored_names() if fold(stored) == folded), None)


def complete(incomplete: str) -> list[str]:
    """Return the names that begin with what was typed, for shells."""
    with suppress(Exception):  # a shell shows no error
        return [name for name in stored_names() if fold(name).startswith(fold(incomplete))]
    return []
