"""The registry of checkpoints: checkpoints.toml as CheckpointSpecs by name.

An invalid entry is an error of that entry alone: commands on others work.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from vallecli.checkpoints import disk
from vallecli.checkpoints.spec import CheckpointSpec, File, Source
from vallecli.errors import RegistryError, UnknownCheckpoint
from vallecli.printable import mask_credentials, printable
from vallecli.settings import config_folder, suggest

BUILT_IN = {"nano": Path(__file__).parents[1] / "data" / "nano"}  # name -> its folder in the package
FILE_NAME = "checkpoints.toml"
PACKAGED = Path(__file__).parents[1] / "data" / FILE_NAME  # in a wheel; otherwise it is at the root of the repository
MAX_BYTES = 250_000  # of a file; the packaged one has 14 kB
MAX_DOTS = 200  # in a line: the time for a dotted key grows with the square of its parts
MAX_SHOWN = 300  # characters of a problem
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Registry:
    """The entries of registry files by name, and the errors of those that are invalid."""

    specs: dict[str, CheckpointSpec] = field(default_factory=dict)
    invalid: dict[str, RegistryError] = field(default_factory=dict)

    def get(self, name: str) -> CheckpointSpec | None:
        """Return an entry, None if there is none of that name. Raises RegistryError if it is invalid."""
        if name in self.invalid:
            raise self.invalid[name]
        return self.specs.get(name)

    def check(self) -> None:
        """Raise the RegistryError of the first invalid entry, if there is one."""
        for error in self.invalid.values():
            raise error


def get(name: str) -> CheckpointSpec:
    """Return the entry of a checkpoint. UnknownCheckpoint suggests a similar name. Raises RegistryError."""
    if name in BUILT_IN:
        raise UnknownCheckpoint(f"{name} is built in", "It is neither downloaded nor removed, and always available.")
    registry = load()
    spec = registry.get(name)
    if spec is None:
        raise UnknownCheckpoint(f"there is no checkpoint called {name!r}", suggest(name, list(registry.specs)))
    return spec


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


def load(files: Sequence[Path] | None = None) -> Registry:
    """Return the entries of registry files; an entry replaces those of the same name in earlier files.

    By default these are the file that comes with valle and the user's file, if it exists. Raises RegistryError for a
    file that cannot be read as a whole.
    """
    registry = Registry()
    for path in [_packaged(), config_folder() / FILE_NAME] if files is None else files:
        for name, entry in _read(path, optional=files is None).items():
            registry.specs.pop(name, None)
            registry.invalid.pop(name, None)
            try:
                registry.specs[name] = _spec(name, entry)
            except (ValueError, TypeError) as error:
                registry.invalid[name] = _error(path, name, str(error))
        for spec in list(registry.specs.values()):
            for need in spec.needs:
                if need not in registry.specs and need not in registry.invalid:
                    registry.invalid[spec.name] = _error(path, spec.name, f"it needs {need!r}, which has no entry")
                    registry.specs.pop(spec.name, None)
    return registry


def _packaged() -> Path:
    return PACKAGED if PACKAGED.exists() else Path(__file__).parents[3] / FILE_NAME


def _read(path: Path, *, optional: bool) -> dict[str, Any]:
    try:
        text = disk.read_small(path, MAX_BYTES).decode("utf-8")
        if any(line.count(".") > MAX_DOTS for line in text.splitlines()):
            raise ValueError(f"a line has more than {MAX_DOTS} dots")
        return tomllib.loads(text)
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError | NotADirectoryError):
            return {}
        problem = disk.reason(error)
    except ValueError as error:
        problem = str(error)
    except RecursionError:
        problem = "it is nested too deeply"
    raise _error(path, "", f"it cannot be read: {problem}")


def _error(path: Path, name: str, problem: str) -> RegistryError:
    shown = printable(mask_credentials(problem))
    shown = shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."
    return RegistryError(printable(str(path)), printable(name)[:MAX_SHOWN], shown)


def _spec(name: str, entry: Any) -> CheckpointSpec:
    if name in BUILT_IN or not NAME.fullmatch(name):
        raise ValueError("this name cannot be used: it is built in, or not of a-z, 0-9, . _ and -, or too long")
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
        fits = type(value) is shape
        if fits and (shape is dict or "str, ..." in str(known[name].type)):
            fits = all(isinstance(string, str) for string in (value.values() if shape is dict else value))
        if not fits:
            raise TypeError(f"{name} is {value!r}, which should be {known[name].type}")
    needed = [name for name, entry in known.items() if entry.default is entry.default_factory is MISSING]
    if missing := [name for name in needed if name not in table]:
        raise ValueError(f"it has no {', '.join(missing)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
