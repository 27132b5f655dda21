"""The registry of checkpoints: checkpoints.toml as CheckpointSpecs by name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from vallecli.checkpoints.spec import CheckpointSpec, File, Source
from vallecli.errors import RegistryError, UnknownCheckpoint
from vallecli.settings import config_folder, suggest

BUILT_IN = {"nano": Path(__file__).parents[1] / "data" / "nano"}  # name -> its folder in the package
FILE_NAME = "checkpoints.toml"
PACKAGED = Path(__file__).parents[1] / "data" / FILE_NAME  # in a wheel; otherwise it is at the root of the repository


def get(name: str) -> CheckpointSpec:
    """Return the entry of a checkpoint. UnknownCheckpoint suggests a similar name."""
    if name in BUILT_IN:
        raise UnknownCheckpoint(f"{name} is built in", "It is neither downloaded nor removed, and always available.")
    specs = load()
    if name not in specs:
        raise UnknownCheckpoint(f"there is no checkpoint called {name!r}", suggest(name, list(specs)))
    return specs[name]


def with_needs(names: Sequence[str]) -> list[CheckpointSpec]:
    """Return the entries of these names and of all that they need, each once. Raises UnknownCheckpoint."""
    found: dict[str, CheckpointSpec] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = get(name)
            waiting += found[name].needs
    return list(found.values())


def load(files: Sequence[Path] | None = None) -> dict[str, CheckpointSpec]:
    """Return the entries of registry files by name; an entry replaces those of the same name in earlier files.

    By default these are the file that comes with valle and the user's file, if it exists. Raises RegistryError.
    """
    own = config_folder() / FILE_NAME
    specs: dict[str, CheckpointSpec] = {}
    for path in [_packaged(), *([own] if own.exists() else [])] if files is None else files:
        specs |= {spec.name: spec for spec in _read(path)}
        for spec in specs.values():
            for need in spec.needs:
                if need not in specs:
                    raise RegistryError(path, spec.name, f"it needs {need!r}, which has no entry")
    return specs


def _packaged() -> Path:
    return PACKAGED if PACKAGED.exists() else Path(__file__).parents[3] / FILE_NAME


def _read(path: Path) -> Iterator[CheckpointSpec]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RegistryError(path, "", f"it cannot be read: {error}") from error
    for name, entry in table.items():
        if name in BUILT_IN or not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
            raise RegistryError(path, name, "this name cannot be used: it is built in, or not of a-z, 0-9, . _ and -")
        try:
            yield _spec(name, entry)
        except (ValueError, TypeError) as error:
            raise RegistryError(path, name, str(error)) from error


def _spec(name: str, entry: Any) -> CheckpointSpec:
    values = _checked(CheckpointSpec, {"name": name, **_table(entry, "an entry")})
    sources = []
    for source in values.get("sources", ()):
        place = _checked(Source, _table(source, "a source"))
        place["files"] = tuple(File(**_checked(File, _table(file, "a file"))) for file in place["files"])
        sources.append(Source(**place))
    return CheckpointSpec(**{**values, "sources": tuple(sources)})


def _table(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{what} is a table, not {value!r}")
    return value


SHAPES = {  # annotation of a field -> type of its value in TOML
    "str": str,
    "str | None": str,
    "int | None": int,
    "tuple[str, ...]": list,
    "tuple[File, ...]": list,
    "tuple[Source, ...]": list,
    "Mapping[str, str]": dict,
}


def _checked(kind: type[Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with lists as tuples. ValueError and TypeError if its keys do not fit the dataclass."""
    known = {entry.name: entry for entry in fields(kind)}
    for name, value in table.items():
        if name not in known:
            raise ValueError(f"unknown key {name!r}. {suggest(name, list(known))}")
        shape = SHAPES[str(known[name].type)]
        strings = value if "str, ..." in str(known[name].type) else value.values() if shape is dict else ()
        if type(value) is not shape or not all(isinstance(string, str) for string in strings):
            raise TypeError(f"{name} is {value!r}, which should be {known[name].type}")
    needed = [name for name, entry in known.items() if entry.default is entry.default_factory is MISSING]
    if missing := [name for name in needed if name not in table]:
        raise ValueError(f"it has no {', '.join(missing)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
