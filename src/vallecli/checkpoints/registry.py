"""The registry of checkpoints: checkpoints.toml in, frozen CheckpointSpecs out; `find` turns a name into its files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from vallecli.errors import MissingCheckpoint, RegistryError, UnknownCheckpoint
from vallecli.settings import config_folder, suggest

BUILT_IN = {"nano": Path(__file__).parents[1] / "data" / "nano"}  # name -> its folder in the package
CODECS = {"encodec": "encodec-24khz", "vocos": "vocos-encodec-24khz"}  # kind, as checkpoints call it -> the entry
FILE_NAME = "checkpoints.toml"
PACKAGED = Path(__file__).parents[1] / "data" / FILE_NAME  # in a wheel; else at the repository's root
KINDS = ("model", "codec", "decoder")
REPO_TYPES = ("model", "dataset", "space")


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a checkpoint; what is not known of it is None."""

    path: str  # below the repository, or below the checkpoint's own folder
    size: int | None = None  # bytes
    about: int | None = None  # bytes, as published, rounded: never compared
    sha256: str | None = None

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or self.path.startswith("/") or "\\" in self.path or ".." in parts:
            raise ValueError(f"path {self.path!r} does not stay in its folder")
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} is not 64 hexadecimal digits")
        if (self.size is not None and self.size <= 0) or (self.about is not None and self.about <= 0):
            raise ValueError(f"the size of {self.path} is not above 0")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One place of a checkpoint's files: a repository of the hub, or the URL of a single file."""

    files: tuple[File, ...]
    repo: str = ""
    repo_type: str = "model"
    revision: str = "main"
    url: str = ""

    def __post_init__(self) -> None:
        if bool(self.repo) == bool(self.url):
            raise ValueError("a source has either a repo or a url")
        if self.repo and not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repo):
            raise ValueError(f"repo {self.repo!r} is not of the form owner/name")
        if self.url and not re.match(r"https?://[^/]", self.url):
            raise ValueError(f"url {self.url!r} is not a web address")
        if self.repo_type not in REPO_TYPES:
            raise ValueError(f"repo_type {self.repo_type!r} is not one of {', '.join(REPO_TYPES)}")
        if not self.files or (self.url and len(self.files) > 1):
            raise ValueError("a source has at least one file, and a url exactly one")

    def __str__(self) -> str:
        return self.url or f"{'' if self.repo_type == 'model' else self.repo_type + ' '}{self.repo}"


@dataclass(frozen=True, kw_only=True)
class CheckpointSpec:
    """What the registry tells of a checkpoint; what is not known is None or empty."""

    name: str
    kind: str
    family: str
    sources: tuple[Source, ...]
    quality: str
    licence: str | None = None
    languages: tuple[str, ...] = ()
    codec: str | None = None
    decoder: str | None = None
    front_end: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if not self.sources:
            raise ValueError("it has no sources")

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the names of the entries it cannot speak without."""
        return tuple(name for name in (self.codec, self.decoder) if name is not None)

    @property
    def size(self) -> int | None:
        """Return the bytes of its files, rounded where only that was published, or None if one is not known."""
        sizes = [file.size or file.about for file in self.sources[0].files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def find(name: str, *, offline: bool = False) -> Path:
    """Return the file or the folder of a checkpoint given by name or path.

    UnknownCheckpoint suggests a near name, MissingCheckpoint the command that fetches a known one, and
    DamagedCheckpoint tells what is wrong with files that were fetched. The network is never asked.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    specs = load()
    if name not in specs:
        if Path(name).exists():
            return Path(name)
        raise UnknownCheckpoint(
            f"there is no checkpoint called {name!r}, and no file or folder of that name",
            suggest(name, [*BUILT_IN, *specs]),
        )
    from vallecli.checkpoints import hub  # a tenth of a second, which nano and paths do not wait for

    present = hub.locate(specs[name])
    if present is None:
        raise MissingCheckpoint(name, offline=offline)
    return present.path


def codec_weights(kind: str) -> Path:
    """Return the weights of a codec or decoder that does not come with its checkpoints. Raises CheckpointError."""
    return find(CODECS[kind])


def get(name: str) -> CheckpointSpec:
    """Return what is known of a checkpoint that can be fetched; UnknownCheckpoint suggests a near name."""
    if name in BUILT_IN:
        raise UnknownCheckpoint(f"{name} is built in: it is neither fetched nor removed", f"--checkpoint {name}")
    specs = load()
    if name not in specs:
        raise UnknownCheckpoint(f"there is no checkpoint called {name!r}", suggest(name, list(specs)))
    return specs[name]


def with_needs(names: Sequence[str]) -> list[CheckpointSpec]:
    """Return the named checkpoints and all they need, each once. Raises UnknownCheckpoint."""
    found: dict[str, CheckpointSpec] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = get(name)
            waiting += found[name].needs
    return list(found.values())


def load(files: Sequence[Path] | None = None) -> dict[str, CheckpointSpec]:
    """Return the entries of the registry files by name, a later file's before an earlier one's. Raises RegistryError.

    By default these are the file that comes with valle and, if there is one, the user's own.
    """
    own = config_folder() / FILE_NAME
    specs: dict[str, CheckpointSpec] = {}
    for path in [_shipped(), *([own] if own.exists() else [])] if files is None else files:
        specs |= {spec.name: spec for spec in _read(path)}
        for spec in specs.values():
            for need in spec.needs:
                if need not in specs:
                    raise RegistryError(path, spec.name, f"it needs {need!r}, which is no entry")
    return specs


def _shipped() -> Path:
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


SHAPES = {  # the annotation of a field -> what TOML gives for it
    "str": str,
    "str | None": str,
    "int | None": int,
    "tuple[str, ...]": list,
    "tuple[File, ...]": list,
    "tuple[Source, ...]": list,
    "Mapping[str, str]": dict,
}


def _checked(kind: type[Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table with lists as tuples, if its keys and their types are those of the dataclass."""
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
