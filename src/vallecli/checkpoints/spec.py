"""What the registry knows about a checkpoint: plain data, as in checkpoints.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

KINDS = ("model", "codec", "decoder")
REPO_TYPES = ("model", "dataset", "space")
UNSTATED = "unstated"  # licence of weights whose publisher names none
CONDITIONAL = re.compile(r"GPL|\bNC\b|non-?commercial", re.IGNORECASE)  # licences that are reported before a download


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a checkpoint; unknown facts are None."""

    path: str
    """Relative to the repository, or to the folder of the checkpoint."""
    size: int | None = None
    """Bytes."""
    about: int | None = None
    """Bytes, as published in rounded form: shown, but never compared."""
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for values that no file has."""
        parts = PurePosixPath(self.path).parts
        if not parts or self.path.startswith("/") or "\\" in self.path or ".." in parts:
            raise ValueError(f"path {self.path!r} does not stay in its folder")
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} is not 64 hexadecimal digits")
        if (self.size is not None and self.size <= 0) or (self.about is not None and self.about <= 0):
            raise ValueError(f"the size of {self.path} is not above 0")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A place that has the files of a checkpoint: a repository of the hub, or the URL of a single file."""

    files: tuple[File, ...]
    repo: str = ""
    repo_type: str = "model"
    revision: str = "main"
    url: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for values that no source has."""
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
        """Return the URL, or the repository with its type if it is not a model."""
        return self.url or f"{'' if self.repo_type == 'model' else self.repo_type + ' '}{self.repo}"


@dataclass(frozen=True, kw_only=True)
class CheckpointSpec:
    """An entry of the registry; unknown facts are None or empty."""

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
    """Origin of each fact."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that no entry has."""
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if not self.sources:
            raise ValueError("it has no sources")

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the names of the entries that it cannot speak without."""
        return tuple(name for name in (self.codec, self.decoder) if name is not None)

    @property
    def size(self) -> int | None:
        """Return the bytes of its files, rounded if only that was published, or None if one is unknown."""
        sizes = [file.size or file.about for file in self.sources[0].files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def licence_notice(self) -> str | None:
        """Return what a user should know of the licence before a download, None if it has no unusual conditions."""
        if self.licence == UNSTATED:
            return f"{self.name}: the publisher states no licence for these weights"
        if self.licence is not None and CONDITIONAL.search(self.licence):
            return f"{self.name}: the licence is {self.licence}, with conditions on use and distribution"
        return None

    def has_hash(self, sha256: str) -> bool:
        """Return whether a file of one of the sources has this hash."""
        return any(file.sha256 == sha256 for source in self.sources for file in source.files)
