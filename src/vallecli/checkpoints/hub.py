"""Download, find, check and remove the files of checkpoints.

Files of repositories are in the hub's own cache, which other programs share; all others are in `local.folder()`.
What a server sends is checked before it is used: sizes and waits are bounded, digests and commits are hexadecimal
digits, and each path is inside its folder. huggingface_hub's own download follows what a server says; it is used for
its settings alone: cache, token, proxies.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from huggingface_hub import constants, get_token
from rich.filesize import decimal

from vallecli.checkpoints import cache, disk, download, exchange, local
from vallecli.checkpoints.exchange import Failed, Refused
from vallecli.checkpoints.local import InstalledCheckpoint, LocalFile
from vallecli.checkpoints.spec import COMMIT, CheckpointSpec, File, Source, is_url
from vallecli.errors import (
    AccessDenied,
    CheckpointError,
    DamagedCheckpoint,
    MissingCheckpoint,
    SourceGone,
    Unreachable,
    UsageError,
)
from vallecli.printable import public_url

LARGE = 10**9  # bytes of a download whose size is printed first
DEFAULT_ENDPOINT = "https://huggingface.co"
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}  # of repositories in URLs of the hub

Report = Callable[[str], object]


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


def pull(spec: CheckpointSpec, *, offline_requested: bool = False, report: Report) -> tuple[InstalledCheckpoint, bool]:
    """Return the checkpoint with its files downloaded and checked, and whether a download was needed.

    The sources are tried in turn; `report` receives the notice on the licence before a download, and a message for
    each source that fails, and for each time of waiting. Raises MissingCheckpoint when offline, and when all sources
    fail the SourceError or DamagedCheckpoint that the user can do most about.
    """
    may_download = not offline(offline_requested)
    try:
        installed = _intact(spec)
    except DamagedCheckpoint:
        if not may_download:
            raise
        installed = None
    if installed is not None:
        return installed, False
    if not may_download:
        raise MissingCheckpoint(spec.name, offline=True)
    with local.locked(spec.name, report):
        try:
            installed = _intact(spec)  # another process may have downloaded it meanwhile
        except DamagedCheckpoint as error:
            report(f"{error.message}; downloading it again")
            _remove(spec)
            installed = None
        if installed is not None:
            return installed, False
        if spec.licence_notice is not None:
            report(spec.licence_notice)
        return _pull(spec, report), True


def _intact(spec: CheckpointSpec) -> InstalledCheckpoint | None:
    """Return the checkpoint if it is on this machine. Raises DamagedCheckpoint if a hash is wrong."""
    installed = lookup(spec)
    for item, reason in verify(installed) if installed is not None else ():
        if reason is not None:
            raise local.damaged(spec.name, item.path, reason)
    return installed


def _pull(spec: CheckpointSpec, report: Report) -> InstalledCheckpoint:
    """Try the sources in turn, but a host that does not answer only once."""
    failures: list[CheckpointError] = []
    unreachable: set[str] = set()
    for source in spec.sources:
        host = urlsplit(source.url or _endpoint()).netloc
        if host in unreachable:
            continue
        if failures:
            report(f"{failures[-1].message}; trying {source}")
        if source.size is not None and source.size >= LARGE:
            smaller = "" if spec.smaller is None else f"; {spec.smaller} is smaller"
            report(f"{spec.name}: {decimal(source.size)} from {source}, licence {spec.licence or 'unknown'}{smaller}")
        try:
            return (_download_url if source.url else _download_repo)(spec, source, report)
        except (SourceGone, AccessDenied, Unreachable, DamagedCheckpoint) as error:
            failures.append(error)
            if isinstance(error, Unreachable) and isinstance(error.__cause__, Failed) and not error.__cause__.status:
                unreachable.add(host)
    by_usefulness = [AccessDenied, Unreachable, DamagedCheckpoint, SourceGone]  # first: the user can do most about it
    chosen = min(failures, key=lambda error: by_usefulness.index(type(error)))
    if chosen is not failures[-1]:
        report(failures[-1].message)
    raise chosen


def remove(spec: CheckpointSpec, report: Report = lambda message: None) -> bool:
    """Remove the files of the checkpoint from all places; return whether there were any.

    `report` receives a message if another process is working on it. Raises CheckpointError if a file stays: it cannot
    be removed, or a link leads out of the folder of its repository.
    """
    with local.locked(spec.name, report):
        return _remove(spec)


def _remove(spec: CheckpointSpec) -> bool:
    return any([local.remove(spec.name), *(cache.remove(source) for source in spec.sources if source.repo)])


# Repositories of the hub


def _endpoint() -> str:
    """Return the address of the hub. Raises UsageError if it cannot be one."""
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    if not is_url(endpoint):
        raise UsageError(f"HF_ENDPOINT is {public_url(endpoint)!r}, which is no web address", "Correct or unset it.")
    return endpoint


def _url(source: Source, file: File, revision: str) -> str:
    repo = PREFIXES[source.repo_type] + source.repo
    return f"{_endpoint()}/{repo}/resolve/{quote(revision, safe='')}/{quote(file.path)}"


def _token() -> str | None:
    """Return the user's token of the hub. Raises CheckpointError for one that cannot be sent."""
    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        return None
    try:
        token = get_token()
    except Exception as error:  # it may ask servers, of several kinds
        raise CheckpointError(
            f"the token of the hub cannot be read: {exchange.reason(error)}", "Set HF_TOKEN, or log in again."
        ) from error
    if token is not None and not (token.isascii() and token.isprintable()):
        raise CheckpointError(
            "the token of the hub has characters that no token has", "Set HF_TOKEN to a token, or log in again."
        )
    return token


def _cached(spec: CheckpointSpec, source: Source) -> InstalledCheckpoint | None:
    """Return the files of a source if the hub's cache has all of them."""
    paths = cache.find(source) if source.repo else None
    return None if paths is None else _installed(spec, source, paths)


def _installed(spec: CheckpointSpec, source: Source, paths: list[Path]) -> InstalledCheckpoint:
    """Return a checkpoint, given the path of each file of a source in the hub's cache."""
    root = paths[0].parents[len(Path(source.files[0].path).parts) - 1]
    pairs = zip(source.files, paths, strict=True)
    files = tuple(LocalFile(file, path, cache.digest(file, path)) for file, path in pairs)
    return InstalledCheckpoint(spec.name, root, files, str(source), bounds=cache.folder())


def _download_repo(spec: CheckpointSpec, source: Source, report: Report) -> InstalledCheckpoint:
    """Download the files of a source that the cache lacks. A file enters the cache when its hash is right."""
    paths = []
    for file in source.files:
        with _translated(spec, source, file, cache.repo_folder(source)):
            token = _token()
            published = download.published(_url(source, file, source.revision), token=token, report=report)
            _compare(published, source, file)
            with cache.locked(source, published.digest, report):
                paths.append(_fetch_blob(source, file, published, token, report))
    return _installed(spec, source, paths)


def _compare(published: download.Published, source: Source, file: File) -> None:
    """Raise Refused if a hub announces another file than the registry's: it need not be downloaded."""
    if file.sha256 is not None and len(published.digest) == 64 and published.digest != file.sha256:
        raise Refused("it is announced with another hash")
    if file.size is not None and published.size is not None and published.size != file.size:
        raise Refused(f"it has {published.size} bytes instead of {file.size}")
    if COMMIT.fullmatch(source.revision) and published.commit != source.revision:
        raise Refused("it is announced with another commit")


def _fetch_blob(source: Source, file: File, published: download.Published, token: str | None, report: Report) -> Path:
    """Download a file, check it and move it into the cache. Raises Failed, Refused, OSError and CheckpointError."""
    blob = cache.blob(source, published.digest)
    if not _problem(file, blob, published.digest):
        return cache.store(source, file, blob, published.digest, published.commit)
    url = _url(source, file, published.commit)
    downloaded = download.fetch(
        url,
        lambda validator: cache.partial(source, published.digest, url),
        name=file.path,
        size=published.size if file.size is None else file.size,
        hashed=True,
        token=token,
        report=report,
    )
    if reason := _problem(file, downloaded, published.digest):
        downloaded.unlink(missing_ok=True)
        raise Refused(reason)
    return cache.store(source, file, downloaded, published.digest, published.commit)


def _problem(file: File, path: Path, digest: str | None) -> str | None:
    """Return why a file is not that of the registry, or not that which the hub has announced."""
    hashes = {file.sha256, digest} - {None} or {None}
    reasons = (
        local.problem_with(LocalFile(file, path, known), path.parent, check_hash=True)
        for known in sorted(hashes, key=str)
    )
    return next((reason for reason in reasons if reason is not None), None)


# Single files


def _download_url(spec: CheckpointSpec, source: Source, report: Report) -> InstalledCheckpoint:
    """Download one file, continuing an interrupted download, and install it."""
    [file] = source.files

    def place(validator: str) -> Path:
        of = hashlib.sha256(f"{source.url}\n{file.sha256 or validator}".encode()).hexdigest()[:32]
        return local.folder() / f"{spec.name}.{of}{local.PARTIAL}"

    def move_into(stage: Path) -> None:
        (stage / file.path).parent.mkdir(parents=True, exist_ok=True)
        downloaded.replace(stage / file.path)

    hashed = file.sha256 is not None
    with _translated(spec, source, file, local.folder()):
        downloaded = download.fetch(
            source.url, place, name=file.path, size=file.size, hashed=hashed, token=None, report=report
        )
        try:
            if reason := _problem(file, downloaded, None):
                raise Refused(reason)
            return local.install(spec.name, str(source), move_into)
        finally:
            downloaded.unlink(missing_ok=True)


# Errors


@contextmanager
def _translated(spec: CheckpointSpec, source: Source, file: File, folder: Path) -> Iterator[None]:
    """Translate failures of a download into `folder` to CheckpointErrors."""
    try:
        yield
    except Refused as error:
        raise DamagedCheckpoint(
            f"{source} has a {file.path} that is refused: {error.reason}",
            f"Nothing of it was kept. If you have the right file: valle checkpoints add FILE --as {spec.name}",
        ) from error
    except Failed as error:
        raise _explained(error, spec, source) from error
    except OSError as error:
        raise disk.not_writable(folder, error) from error


def _explained(error: Failed, spec: CheckpointSpec, source: Source) -> CheckpointError:
    name, place, status = spec.name, str(source), error.status
    if error.code == "GatedRepo":
        return AccessDenied(name, place, status or 403)
    if error.code == "RevisionNotFound":
        return SourceGone(name, place, f"there is no revision {source.revision}")
    if status in (404, 410):
        what = "repository" if error.code == "RepoNotFound" else "file"
        return SourceGone(name, place, f"the {what} is gone (HTTP {status})")
    if status in (401, 403):
        return AccessDenied(name, place, status)
    return Unreachable(name, place, error.reason)
