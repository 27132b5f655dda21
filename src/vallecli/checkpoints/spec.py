"""What the registry knows about a checkpoint: plain data, as in checkpoints.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from vallecli.printable import public_url

SCORER = "scorer"  # a model that only measures speech
KINDS = ("model", "codec", "decoder", "part", SCORER)
REPO_TYPES = ("model", "dataset", "space")
UNSTATED = "unstated"  # licence of weights whose publisher names none
CONDITIONAL = re.compile(r"GPL|\bNC\b|non-?commercial", re.IGNORECASE)  # licences that are reported before a download
MANIFEST = "manifest.json"  # list of the files of an installed checkpoint, beside them
MAX_PATH, MAX_NAME = 1000, 200  # characters
MAX_SIZE = 10**15  # bytes

COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # git's SHA-1 of a small file, or sha256
REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices on Windows


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
        _check_path(self.path)
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} is not 64 hexadecimal digits")
        for size in (self.size, self.about):
            if size is not None and not 0 < size <= MAX_SIZE:
                raise ValueError(f"the size of {self.path} is not above 0, or above {MAX_SIZE}")


def _check_path(path: str) -> None:
    """Raise ValueError for a path that is not below its folder on every system, and TypeError for no path."""
    if not isinstance(path, str):  # in a manifest
        raise TypeError(f"path {path!r} is no text")
    names = path.split("/")
    if not all(names) or not {".", ".."}.isdisjoint(names) or "\\" in path or ":" in path:
        raise ValueError(f"path {path!r} does not stay in its folder")
    if not path.isprintable() or len(path) > MAX_PATH or any(len(name.encode()) > MAX_NAME for name in names):
        raise ValueError(f"path {path[:MAX_NAME]!r} is too long, or has characters that cannot be printed")
    if any(name.endswith((" ", ".")) or set(name) & set('<>"|?*') or RESERVED.fullmatch(name) for name in names):
        raise ValueError(f"path {path!r} is not a file name on all systems")
    if path.lower() == MANIFEST:
        raise ValueError(f"path {path!r} is reserved")


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
        if self.repo and not _is_repo(self.repo):
            raise ValueError(f"repo {self.repo!r} is not of the form owner/name")
        if not REVISION.fullmatch(self.revision) or ".." in self.revision or len(self.revision) > MAX_NAME:
            raise ValueError(f"revision {self.revision!r} is not a commit, a branch or a tag")
        if self.url and not is_url(self.url):
            raise ValueError(f"url {public_url(self.url)!r} is not a web address")
        if self.repo_type not in REPO_TYPES:
            raise ValueError(f"repo_type {self.repo_type!r} is not one of {', '.join(REPO_TYPES)}")
        if not self.files or (self.url and len(self.files) > 1):
            raise ValueError("a source has at least one file, and a url exactly one")
        _check_distinct([file.path for file in self.files])

    @property
    def size(self) -> int | None:
        """Return the bytes of its files, rounded if only that was published, or None if one is unknown."""
        sizes = [file.size or file.about for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def __str__(self) -> str:
        """Return the URL without credentials, or the repository with its type if it is not a model."""
        if self.url:
            return public_url(self.url)
        return self.repo if self.repo_type == "model" else f"{self.repo_type} {self.repo}"


def _is_repo(repo: str) -> bool:
    # "--" separates the parts of a repository in the names of the cache's folders.
    forbidden = "--" in repo or ".." in repo or any(part.endswith(("-", ".", ".git")) for part in repo.split("/"))
    return REPO.fullmatch(repo) is not None and not forbidden and len(repo) <= MAX_NAME


def is_url(url: str) -> bool:
    """Return whether a text is the address of a web server, in ASCII."""
    try:
        parts = urlsplit(url)
        valid_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and valid_port
        and url.isascii()
        and url.isprintable()
        and " " not in url
        and len(url) <= MAX_PATH
    )


def _check_distinct(paths: list[str]) -> None:
    """Raise ValueError if a file would replace another, or a folder of another; some systems ignore the case."""
    folded = [path.lower() for path in paths]
    folders = {"/".join(parts[:end]) for parts in (path.split("/") for path in folded) for end in range(1, len(parts))}
    if len(set(folded)) < len(folded) or folders & set(folded):
        raise ValueError("two of its files have the same path, or one is the folder of another")


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
    smaller: str | None = None
    """An entry that can be used in its place, and takes less space."""
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
        """Return the bytes of its files; see Source.size."""
        return self.sources[0].size

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
