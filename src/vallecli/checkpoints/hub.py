"""Fetch, find, check and remove the files of checkpoints: the one place that calls huggingface_hub.

Files of repositories lie in the hub's own cache, which other programs share; the others in `local.folder()`.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import logging as hub_logging

from vallecli.checkpoints import local
from vallecli.errors import (
    DISK,
    AccessDenied,
    CheckpointError,
    DamagedCheckpoint,
    MissingCheckpoint,
    SourceGone,
    Unreachable,
)
from vallecli.checkpoints.spec import CheckpointSpec, File, Source
from vallecli.checkpoints.local import Held, Present

TIMEOUT = 10  # seconds to wait for a source's first answer

# What a failing source may raise. Which HTTP library the hub's client stands on depends on its version, but its
# own error always derives from that library's.
FAILURES: tuple[type[Any], ...] = (OSError, *HfHubHTTPError.__bases__, EntryNotFoundError)


def offline(wanted: bool) -> bool:
    """Return whether the network is out of bounds: by the user's wish, or by HF_HUB_OFFLINE."""
    return wanted or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def locate(spec: CheckpointSpec) -> Present | None:
    """Return the checkpoint if all its files are on this machine; the network is not asked.

    Raises DamagedCheckpoint for files that cannot be the right ones: empty, of another size, links to elsewhere.
    """
    present = lookup(spec)
    return None if present is None else local.check(present)


def lookup(spec: CheckpointSpec) -> Present | None:
    """Do what `locate` does, without a look at the files."""
    cached = (present for source in spec.sources if (present := _cached(spec, source)) is not None)
    return local.lookup(spec.name) or next(cached, None)


def verify(present: Present) -> Iterator[tuple[Held, str | None]]:
    """Hash each file of a checkpoint; yield it with what is wrong with it, if anything is."""
    for held in present.files:
        yield held, local.wrong(held, present.bounds, deep=True)


def pull(spec: CheckpointSpec, *, offline_wanted: bool = False, note: Callable[[str], None]) -> tuple[Present, bool]:
    """Return the checkpoint with its files fetched and checked, and whether anything had to be fetched.

    The sources are tried in turn; `note` is told of each that fails. Raises MissingCheckpoint when offline, and
    otherwise the most telling SourceError or DamagedCheckpoint when no source is left.
    """
    try:
        present = lookup(spec)
        for held, reason in verify(present) if present is not None else ():
            if reason is not None:
                raise local.damaged(spec.name, held.path, reason)
    except DamagedCheckpoint as error:
        if offline(offline_wanted):
            raise
        note(f"{error.message}; fetching it again")
        remove(spec)
        present = None
    if present is not None:
        return present, False
    if offline(offline_wanted):
        raise MissingCheckpoint(spec.name, offline=True)
    return _pull(spec, note), True


def _pull(spec: CheckpointSpec, note: Callable[[str], None]) -> Present:
    """Try the sources in turn, but not a second time a host that does not answer."""
    failures: list[CheckpointError] = []
    silent: set[str] = set()
    for source in spec.sources:
        host = urlsplit(source.url or _endpoint()).netloc
        if host in silent:
            continue
        if failures:
            note(f"{failures[-1].message}; trying {source}")
        try:
            return _fetch_url(spec, source) if source.url else _fetch_repo(spec, source)
        except (SourceGone, AccessDenied, Unreachable, DamagedCheckpoint) as error:
            failures.append(error)
            if isinstance(error, Unreachable) and _status(error) is None:
                silent.add(host)
    hopeful = [AccessDenied, Unreachable, DamagedCheckpoint, SourceGone]  # most first: what the user can do about
    chosen = min(failures, key=lambda error: hopeful.index(type(error)))
    if chosen is not failures[-1]:
        note(failures[-1].message)
    raise chosen


def remove(spec: CheckpointSpec) -> bool:
    """Remove the checkpoint's files, wherever they lie; return whether there were any."""
    own = local.folder() / spec.name
    there = own.exists()
    shutil.rmtree(own, ignore_errors=True)
    _partial(spec).unlink(missing_ok=True)
    for source in spec.sources:
        for snapshot in _snapshots(source):
            for file in source.files:
                there |= _discard(snapshot / file.path)
    return there


# Repositories of the hub


def _endpoint() -> str:
    # The client reads the variable once, when it is imported.
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _cached(spec: CheckpointSpec, source: Source) -> Present | None:
    if not source.repo:
        return None
    paths = []
    for file in source.files:
        path = try_to_load_from_cache(source.repo, file.path, revision=source.revision, repo_type=source.repo_type)
        if not isinstance(path, str):  # None, or a marker for a file that the repository is known to lack
            return None
        paths.append(Path(path))
    return _present(spec, source, paths)


def _present(spec: CheckpointSpec, source: Source, paths: list[Path]) -> Present:
    """Return what the cache holds of a source."""
    root = paths[0].parents[len(Path(source.files[0].path).parts) - 1]
    held = tuple(Held(file, path, _digest(file, path)) for file, path in zip(source.files, paths, strict=True))
    return Present(spec.name, root, held, str(source), bounds=Path(constants.HF_HUB_CACHE))


def _digest(file: File, path: Path) -> str | None:
    """Return the hash a cached file must have: the registry's, or else the one under which the hub published it."""
    if file.sha256 is not None:
        return file.sha256
    blob = path.readlink().name if path.is_symlink() else ""
    return blob if len(blob) in (40, 64) and set(blob) <= set("0123456789abcdef") else None


def _fetch_repo(spec: CheckpointSpec, source: Source) -> Present:
    """Download what the cache lacks of a source; a file that is not the right one is removed from the cache."""
    paths = []
    for file in source.files:
        place: dict[str, Any] = {"repo_type": source.repo_type, "revision": source.revision, "endpoint": _endpoint()}
        with _told(spec, source):
            # One quick question first: the client itself would go on asking a dead network for half a minute, and
            # a file that says it is another one need not be downloaded to be refused.
            published = get_hf_file_metadata(hf_hub_url(source.repo, file.path, **place), timeout=TIMEOUT)
            if file.sha256 is not None and len(published.etag or "") == 64 and published.etag != file.sha256:
                raise _other_file(spec, source, file, "it is announced with another hash")
            path = Path(hf_hub_download(source.repo, file.path, **place))
        if reason := local.wrong(Held(file, path, _digest(file, path)), Path(constants.HF_HUB_CACHE), deep=True):
            _discard(path)
            raise _other_file(spec, source, file, reason)
        paths.append(path)
    return _present(spec, source, paths)


def _other_file(spec: CheckpointSpec, source: Source, file: File, reason: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(
        f"{source} gives a {file.path} that is refused: {reason}",
        f"Nothing of it was kept. If you have the right file: valle checkpoints add FILE --as {spec.name}",
    )


def _snapshots(source: Source) -> list[Path]:
    """Return the folders of the cached revision of a source."""
    if not source.repo:
        return []
    repo = Path(constants.HF_HUB_CACHE) / "--".join([f"{source.repo_type}s", *source.repo.split("/")])
    named = repo / "refs" / source.revision
    return [repo / "snapshots" / (named.read_text(encoding="utf-8") if named.is_file() else source.revision)]


def _discard(path: Path) -> bool:
    """Remove a file of the cache and all that it links to inside of the cache; return whether it was there."""
    cache = Path(constants.HF_HUB_CACHE).resolve()
    there = False
    while path.is_symlink() or path.is_file():
        there = True
        target = path.parent / path.readlink() if path.is_symlink() else None
        path.unlink()
        if target is None or not target.parent.resolve().is_relative_to(cache):
            break
        path = target
    return there


# Single files


def _fetch_url(spec: CheckpointSpec, source: Source) -> Present:
    """Download one file, going on where an earlier try broke off, and install it."""
    [file] = source.files
    partial = _partial(spec)
    with _told(spec, source):
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            _download(source.url, partial, file)
        except BaseException:
            if partial.exists() and not partial.stat().st_size:  # nothing to go on from
                partial.unlink()
            raise

    def move_into(stage: Path) -> None:
        (stage / file.path).parent.mkdir(parents=True, exist_ok=True)
        partial.replace(stage / file.path)

    try:
        if reason := local.wrong(Held(file, partial, file.sha256), partial.parent, deep=True):
            raise _other_file(spec, source, file, reason)
        return local.install(spec.name, str(source), move_into)
    finally:
        partial.unlink(missing_ok=True)


def _partial(spec: CheckpointSpec) -> Path:
    return local.folder() / f"{spec.name}.incomplete"


def _download(url: str, partial: Path, file: File) -> None:
    """Add to the partial file what it lacks; if that fails, what came stays for the next try."""
    with partial.open("ab") as out:
        resumed = out.tell()
        try:
            http_get(url, out, resume_size=resumed, expected_size=file.size, displayed_filename=file.path)
        except HfHubHTTPError as error:
            if not resumed or _status(error) != 416:
                raise
            out.truncate(0)  # there is nothing behind it: it is whole already, or of another file
            http_get(url, out, expected_size=file.size, displayed_filename=file.path)


# Errors


@contextmanager
def _told(spec: CheckpointSpec, source: Source) -> Iterator[None]:
    """Turn what the client and the network raise in the body into errors of ours; keep the client's own talk back."""
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.ERROR)
    try:
        yield
    except CheckpointError:
        raise
    except FAILURES as error:
        raise _explained(error, spec, source) from error
    finally:
        hub_logging.set_verbosity(verbosity)


def _explained(error: Exception, spec: CheckpointSpec, source: Source) -> CheckpointError:
    name, place, status = spec.name, str(source), _status(error)
    if isinstance(error, GatedRepoError):
        return AccessDenied(name, place, status or 403)
    if isinstance(error, RevisionNotFoundError):
        return SourceGone(name, place, f"there is no revision {source.revision}")
    if status in (404, 410):
        what = "repository" if isinstance(error, RepositoryNotFoundError) else "file"
        return SourceGone(name, place, f"the {what} is gone (HTTP {status})")
    if status in (401, 403):
        return AccessDenied(name, place, status)
    if isinstance(error, OSError) and (error.errno in DISK or error.filename is not None):
        return local.not_writable(Path(error.filename or constants.HF_HUB_CACHE), error)
    reason = f"HTTP {status}" if status else (str(error).splitlines() or [type(error).__name__])[0]
    return Unreachable(name, place, reason)


def _status(error: BaseException | None) -> int | None:
    """Return the HTTP status that an error, or one behind it, tells of."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__
    return None
