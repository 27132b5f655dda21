"""The cast of a dialogue or a film, a TOML file: a table for each speaker, with a voice and how it speaks.

[ANNA]
voice = "anna"
speed = 1.1

["Old Bob"]
prompt = "bob.wav"
gain = -3

`voice` is a name of the library or a preset, `prompt` a recording, relative to the file. All other settings are
columns of a batch, except for `gain`, in dB, which changes the finished speech.
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
from vallecli.jobs.cells import setting_of
from vallecli.jobs.plan import ACCENTS, KNOBS, LANGUAGES, LATER_KNOBS
from vallecli.settings import CHECKS, suggest

VOICE, PROMPT, GAIN = "voice", "prompt", "gain"
NOT_OF_SPEAKERS = ("seconds", "sample_rate")  # of a sentence, and of the whole work
SETTINGS = (
    *(VOICE, PROMPT, "prompt_text", "language", "accent", "checkpoint", "speed", GAIN),
    *(name for name in (*KNOBS, *LATER_KNOBS) if name not in NOT_OF_SPEAKERS),
)
CHOICES = {"language": LANGUAGES, "accent": ACCENTS}
MAX_NAME = 60  # characters
MAX_SPEAKERS = 1_000
SHOWN = 10  # names in a hint


@dataclass(frozen=True)
class Member:
    """A speaker: `columns` are those of a row of a batch, without its text; the prompt is relative to the folder."""

    name: str
    columns: Mapping[str, Any]
    gain: float = 0.0
    """dB."""


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


def read_cast(path: Path) -> Cast:
    """Return the cast in a file. Raises CastError. Whether voices and recordings exist is not checked."""
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
        columns = _columns(path, name, table)
        gain = columns.pop(GAIN, 0.0)
        if PROMPT in columns:
            columns[PROMPT] = str(path.parent / columns[PROMPT])
        members[name] = Member(name, columns, gain)
    if not members:
        raise CastError(path, "has no speakers", 'Each speaker is a table: [ANNA], then voice = "NAME".')
    return Cast(members, path)


def _check_name(path: Path, name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable() or ":" in name:
        hint = f"A name has 1 to {MAX_NAME} printable characters, without a colon."
        raise CastError(path, f"has a speaker {short(name)}", hint)


def _columns(path: Path, name: str, table: Any) -> dict[str, Any]:
    """Return the settings of a speaker. Raises CastError."""
    where = f"has a speaker {short(name)}"
    if not isinstance(table, dict):
        raise CastError(path, f"{where} that is no table", f'Write [{name}], then voice = "NAME" or prompt = "FILE".')
    settings: dict[str, Any] = {}
    for column, value in table.items():
        if column not in SETTINGS:
            raise CastError(path, f"{where} with an unknown setting {short(column)}", suggest(column, SETTINGS))
        if isinstance(value, str) and not value.strip():
            raise CastError(path, f"{where} whose {column} is empty", "Give it a value, or remove it.")
        try:
            settings[column] = _value(column, value)
        except ValueError as error:
            raise CastError(path, f"{where} whose {column} is {short(value)}", str(error)) from error
    if (VOICE in table) == (PROMPT in table):
        problem = "with a voice and a prompt" if VOICE in table else "without a voice"
        raise CastError(path, f"{where} {problem}", 'Give it one of voice = "NAME" and prompt = "FILE".')
    return settings


def _value(column: str, written: Any) -> Any:
    """Return the value of a setting. ValueError describes valid values."""
    if column in CHECKS:
        return setting_of(column, written)
    if not isinstance(written, str):
        raise ValueError("It should be text.")
    if column in CHOICES and written not in CHOICES[column]:
        raise ValueError(suggest(written, CHOICES[column]))
    return written
