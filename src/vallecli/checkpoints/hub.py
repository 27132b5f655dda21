"""Download, find, check and remove the files of checkpoints: the only module that calls huggingface_hub.

Files of repositories are in the hub's own cache, which other programs share; all others are in `local.folder()`.
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
from vallecli.checkpoints.local import InstalledCheckpoint, LocalFile
from vallecli.checkpoints.spec import CheckpointSpec, File, Source
from vallecli.errors import (
    DISK,
    AccessDenied,
    CheckpointError,
    DamagedCheckpoint,
    MissingCheckpoint,
    SourceGone,
    Unreachable,
)

TIMEOUT = 10  # seconds to wait for the first answer of a source

# What a failing source may raise. The HTTP library of the hub's client depends on the client's version, but the
# client's own error always derives from that library's.
FAILURES: tuple[type[Any], ...] = (OSError, *HfHubHTTPError.__bases__, EntryNotFoundError)


def offline(requested: bool) -> bool:
    """Return whether the network must not be used: because the user says so, or because of HF_HUB_OFFLINE."""
    return requested or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def locate(spec: CheckpointSpec) -> InstalledCheckpoint | None:
    """Return the checkpoint if all its files are on this machine; the network is not used.

    Raises DamagedCheckpoint for files that cannot be the right ones: empty, of another size, links to elsewhere.
    """
    installed = lookup(spec)
    return None if installed is None else local.check(installed)


def lookup(spec: CheckpointSpec) -> InstalledCheckpoint | None:
    """Return the same as `locate`, without checking the files."""
    cached = (installed for source in spec.sources if (installed := _cached(spec, source)) is not None)
    return local.lookup(spec.name) or next(cached, None)


def verify(installed: InstalledCheckpoint) -> Iterator[tuple[LocalFile, str | None]]:
    """Hash each file of a checkpoint; yield it with the reason why it is refused, None if it is right."""
    for item in installed.files:
        yield item, local.problem_with(item, installed.bounds, check_hash=True)


def pull(
    spec: CheckpointSpec, *, offline_requested: bool = False, report: Callable[[str], None]
) -> tuple[InstalledCheckpoint, bool]:
    """Return the checkpoint with its files downloaded and checked, and whether a download was needed.

    The sources are tried in turn; `report` receives the notice on the licence before a download, and a message for
    each source that fails. Raises MissingCheckpoint when offline, and when all sources fail the SourceError or
    DamagedCheckpoint that the user can do most about.
    """
    try:
        installed = lookup(spec)
        for item, reason in verify(installed) if installed is not None else ():
            if reason is not None:
                raise local.damaged(spec.name, item.path, reason)
    except DamagedCheckpoint as error:
        if offline(offline_requested):
            raise
        report(f"{error.message}; downloading it again")
        remove(spec)
        installed = None
    if installed is not None:
        return installed, False
    if offline(offline_requested):
        raise MissingCheckpoint(spec.name, offline=True)
    if spec.licence_notice is not None:
        report(spec.licence_notice)
    return _pull(spec, report), True


def _pull(spec: CheckpointSpec, report: Callable[[str], None]) -> InstalledCheckpoint:
    """Try the sources in turn, but a host that does not answer only once."""
    failures: list[CheckpointError] = []
    unreachable: set[str] = set()
    for source in spec.sources:
        host = urlsplit(source.url or _endpoint()).netloc
        if host in unreachable:
            continue
        if failures:
            report(f"{failures[-1].message}; trying {source}")
        try:
            return _download_url(spec, source) if source.url else _download_repo(spec, source)
        except (SourceGone, AccessDenied, Unreachable, DamagedCheckpoint) as error:
            failures.append(error)
            if isinstance(error, Unreachable) and _status(error) is None:
                unreachable.add(host)
    by_usefulness = [AccessDenied, Unreachable, DamagedCheckpoint, SourceGone]  # first: the user can do most about it
    chosen = min(failures, key=lambda error: by_usefulness.index(type(error)))
    if chosen is not failures[-1]:
        report(failures[-1].message)
    raise chosen


def remove(spec: CheckpointSpec) -> bool:
    """Remove the files of the checkpoint from all places; return whether there were any."""
    own = local.folder() / spec.name
    found = own.exists()
    shutil.rmtree(own, ignore_errors=True)
    _partial(spec).unlink(missing_ok=True)
    for source in spec.sources:
        for snapshot in _snapshots(source):
            for file in source.files:
                found |= _discard(snapshot / file.path)
    return found


# Repositories of the hub


def _endpoint() -> str:
    # The client reads the variable once, when it is imported.
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _cached(spec: CheckpointSpec, source: Source) -> InstalledCheckpoint | None:
    """Return the files of a source if the hub's cache has all of them."""
    if not source.repo:
        return None
    paths = []
    for file in source.files:
        path = try_to_load_from_cache(source.repo, file.path, revision=source.revision, repo_type=source.repo_type)
        if not isinstance(path, str):  # None, or a marker for a file that the repository is known to lack
            return None
        paths.append(Path(path))
    return _installed(spec, source, paths)


def _installed(spec: CheckpointSpec, source: Source, paths: list[Path]) -> InstalledCheckpoint:
    """Return a checkpoint, given the path of each file of a source in the hub's cache."""
    root = paths[0].parents[len(Path(source.files[0].path).parts) - 1]
    files = tuple(LocalFile(file, path, _digest(file, path)) for file, path in zip(source.files, paths, strict=True))
    return InstalledCheckpoint(spec.name, root, files, str(source), bounds=Path(constants.HF_HUB_CACHE))


def _digest(file: File, path: Path) -> str | None:
    """Return the expected hash of a cached file: the registry's, else the one under which the hub stores it."""
    if file.sha256 is not None:
        return file.sha256
    blob = path.readlink().name if path.is_symlink() else ""
    return blob if len(blob) in (40, 64) and set(blob) <= set("0123456789abcdef") else None


def _download_repo(spec: CheckpointSpec, source: Source) -> InstalledCheckpoint:
    """Download the files of a source that the cache lacks; a file that is refused is removed from the cache."""
    paths = []
    for file in source.files:
        place: dict[str, Any] = {"repo_type": source.repo_type, "revision": source.revision, "endpoint": _endpoint()}
        with _translated(spec, source):
            # One quick request first: the client itself retries a dead network for half a minute, and a file that is
            # announced with another hash need not be downloaded.
            published = get_hf_file_metadata(hf_hub_url(source.repo, file.path, **place), timeout=TIMEOUT)
            if file.sha256 is not None and len(published.etag or "") == 64 and published.etag != file.sha256:
                raise _refused(spec, source, file, "it is announced with another hash")
            path = Path(hf_hub_download(source.repo, file.path, **place))
        local_file = LocalFile(file, path, _digest(file, path))
        if reason := local.problem_with(local_file, Path(constants.HF_HUB_CACHE), check_hash=True):
            _discard(path)
            raise _refused(spec, source, file, reason)
        paths.append(path)
    return _installed(spec, source, paths)


def _refused(spec: CheckpointSpec, source: Source, file: File, reason: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(
        f"{source} has a {file.path} that is refused: {reason}",
        f"It was deleted. If you have the right file: valle checkpoints add FILE --as {spec.name}",
    )


def _snapshots(source: Source) -> list[Path]:
    """Return the folders of the cached revision of a source."""
    if not source.repo:
        return []
    repo = Path(constants.HF_HUB_CACHE) / "--".join([f"{source.repo_type}s", *source.repo.split("/")])
    named = repo / "refs" / source.revision
    return [repo / "snapshots" / (named.read_text(encoding="utf-8") if named.is_file() else source.revision)]


def _discard(path: Path) -> bool:
    """Remove a file of the cache and everything inside of the cache that it links to; return whether it existed."""
    cache = Path(constants.HF_HUB_CACHE).resolve()
    found = False
    while path.is_symlink() or path.is_file():
        found = True
        target = path.parent / path.readlink() if path.is_symlink() else None
        path.unlink()
        if target is None or not target.parent.resolve().is_relative_to(cache):
            break
        path = target
    return found


# Single files


def _download_url(spec: CheckpointSpec, source: Source) -> InstalledCheckpoint:
    """Download one file, continuing an interrupted download, and install it."""
    [file] = source.files
    partial = _partial(spec)
    with _translated(spec, source):
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            _download(source.url, partial, file)
        except BaseException:
            if partial.exists() and not partial.stat().st_size:  # nothing to continue from
                partial.unlink()
            raise

    def move_into(stage: Path) -> None:
        (stage / file.path).parent.mkdir(parents=True, exist_ok=True)
        partial.replace(stage / file.path)

    try:
        if reason := local.problem_with(LocalFile(file, partial, file.sha256), partial.parent, check_hash=True):
            raise _refused(spec, source, file, reason)
        return local.install(spec.name, str(source), move_into)
    finally:
        partial.unlink(missing_ok=True)


def _partial(spec: CheckpointSpec) -> Path:
    return local.folder() / f"{spec.name}.incomplete"


def _download(url: str, partial: Path, file: File) -> None:
    """Append the missing part to a partial file; after a failure, what was received stays for the next try."""
    with partial.open("ab") as out:
        resumed = out.tell()
        try:
            http_get(url, out, resume_size=resumed, expected_size=file.size, displayed_filename=file.path)
        except HfHubHTTPError as error:
            if not resumed or _status(error) != 416:
                raise
            out.truncate(0)  # no bytes follow: it is complete already, or part of another file
            http_get(url, out, expected_size=file.size, displayed_filename=file.path)


# Errors


@contextmanager
def _translated(spec: CheckpointSpec, source: Source) -> Iterator[None]:
    """Translate exceptions of the client and the network to SourceErrors; silence the client's own messages."""
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
    """Return the HTTP status of an error or of one of its causes, None if there was no answer."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__
    return None
