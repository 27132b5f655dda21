"""All families that this version knows. A new family adds its folder to FAMILIES. This module does not import torch."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from vallecli.errors import PresetError
from vallecli.families import bark, llama, valle
from vallecli.families.base import Family, Option, Preset

FAMILIES: tuple[Family, ...] = (*valle.FAMILIES, *llama.FAMILIES, *bark.FAMILIES)
"""In the order in which they are asked whether they recognise a checkpoint."""


def known_options() -> dict[str, Option]:
    """Return the loader options of all families by name; a name means the same in each."""
    return {name: option for family in FAMILIES for name, option in family.options.items()}


def known_languages() -> tuple[str, ...]:
    """Return the languages of all families."""
    return tuple(dict.fromkeys(language for family in FAMILIES for language in family.languages))


def known_accents() -> tuple[str, ...]:
    """Return the accents of all families."""
    return tuple(dict.fromkeys(accent for family in FAMILIES for accent in family.accents))


def family_of(name: str) -> Family | None:
    """Return the family of that name."""
    return next((family for family in FAMILIES if family.name == name), None)


def sizes() -> dict[str, Family]:
    """Return the family of each published size; see Family.random."""
    return {size: family for family in FAMILIES for size in family.sizes}


def is_preset(path: str | PathLike[str]) -> bool:
    """Return whether a prompt is a preset and not a recording, by its ending."""
    return Path(path).suffix.lower() in (".npz", ".npy")


def read_preset(path: str | PathLike[str]) -> Preset:
    """Return the preset in a file, of whatever family. Raises PresetError."""
    for family in FAMILIES:
        if (preset := family.read_preset(Path(path))) is not None:
            return preset
    raise PresetError(path, "it has none of the arrays of a published preset")
