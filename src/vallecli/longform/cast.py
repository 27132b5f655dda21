"""The cast of a dialogue or a film, a TOML file: a table for each speaker, with a voice and how it speaks.

[ANNA]
voice = "anna"          # of the library; or prompt = "anna.wav", relative to this file
speed = 1.1

["Old Bob"]
prompt = "bob.wav"
gain = -3
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vallecli import inputs
from vallecli.errors import CastError, short
from vallecli.settings import suggest

VOICE, PROMPT = "voice", "prompt"
MAX_NAME = 60  # characters
MAX_SPEAKERS = 1_000
SHOWN = 10  # names in a hint


@dataclass(frozen=True)
class Member:
    """A speaker: `columns` are those of a row of a batch, without its text; paths are as they are written."""

    name: str
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Cast:
    """The speakers by their names, as they are written in the file; `source` is its path."""

    members: Mapping[str, Member]
    source: Path

    @property
    def names(self) -> list[str]:
        """Return the names, in the order of the file."""
        return list(self.members)


def folded(name: str) -> str:
    """Return what is equal for names that differ in case, spaces or the form of Unicode only."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def find_name(written: str, known: Mapping[str, str]) -> str | None:
    """Return the name of the cast that was written, None if there is none; `known` maps folded names to names."""
    return known.get(folded(written))


def nearest(written: str, names: Sequence[str]) -> str:
    """Return a hint for a name that is not in the cast: the nearest one, or the first names."""
    near = difflib.get_close_matches(folded(written), [folded(name) for name in names], n=1)
    if near:
        return f"Did you mean {next(name for name in names if folded(name) == near[0])}?"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"The cast is {', '.join(names[:SHOWN])}{more}."


def read_cast(path: Path, columns: Sequence[str]) -> Cast:
    """Return the cast in a file; `columns` are the names that a speaker's table may have, voice and prompt included.

    Raises CastError.
    """
    try:
        tables = inputs.read_toml(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CastError(
            path, f"cannot be read: {reason}", 'Each speaker is a table: [ANNA], then voice = "NAME".'
        ) from error
    if len(tables) > MAX_SPEAKERS:
        raise CastError(path, f"has more than {MAX_SPEAKERS} speakers", "Remove those that say nothing.")
    members: dict[str, Member] = {}
    used: dict[str, str] = {}
    for name, table in tables.items():
        _check_name(path, name)
        if (first := used.setdefault(folded(name), name)) != name:
            raise CastError(path, f"{short(first)} and {short(name)} are the same name", "Remove one of them.")
        members[name] = Member(name, _columns(path, name, table, columns))
    if not members:
        raise CastError(path, "has no speakers", 'Each speaker is a table: [ANNA], then voice = "NAME".')
    return Cast(members, path)


def _check_name(path: Path, name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable() or ":" in name:
        hint = f"A name has 1 to {MAX_NAME} printable characters, without a colon."
        raise CastError(path, f"has a speaker {short(name)}", hint)


def _columns(path: Path, name: str, table: Any, known: Sequence[str]) -> dict[str, Any]:
    """Return the columns of a speaker. Raises CastError."""
    where = f"has a speaker {short(name)}"
    if not isinstance(table, dict):
        raise CastError(path, f"{where} that is no table", f'Write [{name}], then voice = "NAME" or prompt = "FILE".')
    for column, value in table.items():
        if column not in known:
            raise CastError(path, f"{where} with an unknown setting {short(column)}", suggest(column, known))
        if isinstance(value, str) and not value.strip():
            raise CastError(path, f"{where} whose {column} is empty", "Give it a value, or remove it.")
        if not isinstance(value, str | int | float | bool):
            raise CastError(path, f"{where} whose {column} is {short(value)}", "It should be text or a number.")
    if (VOICE in table) == (PROMPT in table):
        problem = "with a voice and a prompt" if VOICE in table else "without a voice"
        raise CastError(path, f"{where} {problem}", 'Give it one of voice = "NAME" and prompt = "FILE".')
    for column in (VOICE, PROMPT):
        if not isinstance(table.get(column, ""), str):
            raise CastError(path, f"{where} whose {column} is {short(table[column])}", "It should be text.")
    return dict(table)
