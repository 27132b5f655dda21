"""Downloads of single files: never more bytes than expected, and resumed only with the same file of the same source."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from vallecli import atomic
from vallecli.checkpoints import disk
from vallecli.checkpoints.exchange import CONTENT, Answer, Exchange, Failed, Pace, Refused, request
from vallecli.checkpoints.spec import COMMIT, DIGEST
from vallecli.errors import DISK
from vallecli.printable import printable

MAX_BYTES = 20_000_000_000  # of a file whose size is neither in the registry nor announced
RETRIES = 5  # in a row, of a connection that breaks
RETRY_WAIT, MAX_RETRY_WAIT = 1.0, 8.0  # seconds
MAX_WAITS, MAX_WAIT = 5, 60  # how often, and for how many seconds, a server may make its caller wait
PROGRESS = 1_000_000  # bytes after which a broken connection counts as the first one again
BUSY = (408, 429, 503)
IDENTITY = {"Accept-Encoding": "identity"}  # compressed content has another size and hash

SIZE = re.compile(r"\d{1,15}")
RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)")

Report = Callable[[str], object]


@dataclass(frozen=True)
class Published:
    """What a hub says about a file."""

    digest: str
    """sha256, or git's SHA-1 of a small file, in hexadecimal."""
    commit: str
    size: int | None


def published(url: str, *, token: str | None, report: Report) -> Published:
    """Return what a hub says about a file. Raises Failed, and Refused for what can only be wrong."""
    waits = Waits(report)
    while True:
        pace = Pace()
        exchange = request("HEAD", url, IDENTITY, token=token, pace=pace, enough=_has_metadata)
        exchange.stop()
        answer = exchange.answer
        if answer.status < 400:
            break
        waits.after(answer, pace)
    headers = answer.headers
    digest = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
    if not DIGEST.fullmatch(digest):
        raise Refused("its ETag is not a hash, so the server is no Hugging Face hub", final=True)
    commit = headers.get("X-Repo-Commit", "")
    if not COMMIT.fullmatch(commit):
        raise Refused("it has no valid commit, so the server is no Hugging Face hub", final=True)
    length = None if "Location" in headers else headers.get("Content-Length")
    return Published(digest, commit, _size(headers.get("X-Linked-Size") or length))


def _has_metadata(answer: Answer) -> bool:
    return "X-Linked-Etag" in answer.headers and "X-Repo-Commit" in answer.headers


def fetch(
    url: str,
    place: Callable[[str], Path],
    *,
    name: str,
    size: int | None,
    hashed: bool,
    token: str | None,
    report: Report,
) -> Path:
    """Download a file and return its path.

    This is `place` of the server's validator, a strong ETag, or of "" if there is none or the file is `hashed`: the
    caller knows its hash, so bytes of two files cannot be mixed without notice. What is at that path already is not
    downloaded again, and after a failure, what was received stays there for the next call. `name` is for the progress
    bar. Raises Failed, Refused if the file has not `size` bytes, and OSError.
    """
    transfer = _Transfer(url, place, name=name, size=size, hashed=hashed, token=token, report=report)
    try:
        while not transfer.advance():
            continue
    except BaseException as error:
        wrong = isinstance(error, Refused) or (isinstance(error, OSError) and error.errno in DISK)
        if transfer.partial is not None:
            transfer.partial.close(keep=not wrong)
        raise
    if transfer.partial is None:
        raise Failed("it sends nothing")
    transfer.partial.file.close()
    return transfer.partial.path


class _Partial:
    """The file that a download is written to."""

    def __init__(self, path: Path, validator: str) -> None:
        self.path, self.validator = path, validator
        self.file = open_partial(path)

    @property
    def size(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def truncate(self) -> None:
        self.file.seek(0)
        self.file.truncate()

    def close(self, *, keep: bool) -> None:
        """Close the file. It is deleted if it is empty, or not to be kept."""
        empty = not self.size
        self.file.close()
        if empty or not keep:
            self.path.unlink(missing_ok=True)


class _Transfer:
    """A download in progress."""

    def __init__(
        self,
        url: str,
        place: Callable[[str], Path],
        *,
        name: str,
        size: int | None,
        hashed: bool,
        token: str | None,
        report: Report,
    ) -> None:
        self.url, self.place, self.name, self.size, self.hashed, self.token = url, place, name, size, hashed, token
        self.pace, self.waits = Pace(), Waits(report)
        self.partial = _Partial(place(""), "") if hashed else None
        self.answered = False
        self.failures = 0
        self.reached = 0  # bytes at a failure

    def advance(self) -> bool:
        """Make one request, and wait if it fails; return whether the file is complete."""
        if self.partial is not None and self.partial.size == self.size:
            return True
        try:
            exchange = request("GET", self.url, self._headers(), token=self.token, pace=self.pace)
            try:
                self.answered = True
                return self._handle(exchange)
            finally:
                exchange.stop()
        except Failed as failure:
            if not self.answered or failure.final:  # there is no such server, or another try is no use
                raise
            have = 0 if self.partial is None else self.partial.size
            if have >= self.reached + PROGRESS:
                self.failures, self.reached = 0, have
            self.failures += 1
            if self.failures > RETRIES:
                raise
            time.sleep(min(RETRY_WAIT * 2 ** (self.failures - 1), MAX_RETRY_WAIT))
            return False

    def _headers(self) -> Mapping[str, str]:
        """Return the headers of a request for what is missing."""
        if self.partial is None:
            return IDENTITY
        too_long = self.size is not None and self.partial.size > self.size
        if too_long or not (self.hashed or self.partial.validator):
            self.partial.truncate()
        if not (have := self.partial.size):
            return IDENTITY
        condition = {"If-Range": self.partial.validator} if self.partial.validator else {}
        return {**IDENTITY, "Range": f"bytes={have}-", **condition}

    def _handle(self, exchange: Exchange) -> bool:
        """Use an answer; return whether the file is complete. Raises Failed."""
        answer, partial = exchange.answer, self.partial
        if answer.status == 416 and partial is not None and partial.size:
            partial.truncate()  # no bytes follow: it is complete already, or part of another file
            return False
        if answer.status not in CONTENT:
            self.waits.after(answer, self.pace)
            return False
        validator = "" if self.hashed else _validator(answer)
        if partial is None:
            partial = self.partial = _Partial(self.place(validator), validator)
            if partial.size and validator:
                return partial.size == _size(answer.headers.get("Content-Length"))  # else the next request resumes
        if validator != partial.validator:
            partial.close(keep=False)
            self.partial = _Partial(self.place(validator), validator)
            raise Failed("the file changes while it is downloaded")
        start, total = self._measured(answer, partial)
        self._receive(exchange, partial, start, total)
        return True

    def _measured(self, answer: Answer, partial: _Partial) -> tuple[int, int | None]:
        """Return the position of the first byte that follows, and the size of the file if it is announced."""
        encoding = answer.headers.get("Content-Encoding", "identity")
        if encoding not in ("identity", ""):
            raise Failed(f"it is sent compressed ({printable(encoding)[:20]})", final=True)
        start, length = 0, answer.headers.get("Content-Length")
        if answer.status == 206:
            match = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != partial.size:
                partial.truncate()
                raise Failed("it sends another part of the file than requested")
            start, length = partial.size, match[2]
        total = _size(length)
        if self.size is not None and total is not None and total != self.size:
            raise Refused(f"it has {total} bytes instead of {self.size}", final=True)
        return start, total

    def _receive(self, exchange: Exchange, partial: _Partial, start: int, total: int | None) -> None:
        """Write the content to the file from a position on. Raises Failed if the connection breaks."""
        if start == 0:
            partial.truncate()
        expected = self.size if self.size is not None else total
        limit = _limit(partial.path, start, expected)
        have = start
        with _progress(self.name, expected, start) as advance:
            for piece in exchange:
                have += len(piece)
                if have > limit:
                    raise _too_long(partial.path, limit, known=expected is not None)
                partial.file.write(piece)
                advance(len(piece))
        if total is not None and have < total:
            raise Failed("the connection broke")
        partial.file.flush()
        os.fsync(partial.file.fileno())


def _limit(path: Path, have: int, expected: int | None) -> int:
    """Return the number of bytes that a file may have. Raises OSError if the disk has no space for them."""
    free = disk.free_space(path.parent)
    if expected is None:
        return min(MAX_BYTES, have + max(free - disk.RESERVE, 0))
    if expected - have > free:
        message = f"{expected - have} bytes are needed, and {free} are free"
        raise OSError(errno.ENOSPC, message, str(path.parent))
    return expected


class Waits:
    """The times that servers ask to wait: a few short ones are granted."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.count = 0

    def after(self, answer: Answer, pace: Pace) -> None:
        """Wait as long as an answer asks for. Raises Failed for an answer that does not, or for too long."""
        status, code = answer.status, printable(answer.headers.get("X-Error-Code", ""))
        wanted = answer.headers.get("Retry-After")
        if status not in BUSY or (wanted is None and status == 503):
            raise Failed(f"HTTP {status}", status, code, final=True)
        seconds = RETRY_WAIT * 2**self.count if wanted is None else _seconds(wanted)
        self.count += 1
        if seconds > MAX_WAIT or self.count > MAX_WAITS:
            asks = f"it asks to wait more than {MAX_WAIT} seconds" if seconds > MAX_WAIT else "it asks to wait again"
            raise Failed(f"HTTP {status}, and {asks}", status, code, final=True)
        self.report(f"the server asks to wait {seconds:g} seconds (HTTP {status})")
        time.sleep(seconds)
        pace.restart()


def _seconds(wanted: str) -> float:
    """Return the seconds of a Retry-After header: a number or a date. One that is neither is too long."""
    if SIZE.fullmatch(wanted.strip()):
        return float(wanted)
    try:
        return max(parsedate_to_datetime(wanted).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError, OSError):
        return float("inf")


def _validator(answer: Answer) -> str:
    """Return the strong ETag, which is another one whenever a byte of the file is; "" if there is none."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') and etag.isascii() and etag.isprintable() else ""


def _size(text: str | None) -> int | None:
    return int(text) if text is not None and SIZE.fullmatch(text) else None


def _too_long(path: Path, limit: int, *, known: bool) -> Exception:
    if known or limit == MAX_BYTES:
        hint = "" if known else "; a larger one needs a size in the list of checkpoints"
        return Refused(f"it has more than {limit} bytes{hint}", final=True)
    return OSError(errno.ENOSPC, f"the size of the file is not known, and {disk.RESERVE} bytes stay free", str(path))


def open_partial(path: Path) -> BinaryIO:
    """Open a partial file for reading and writing. A link, or anything that is no file of ours, is replaced.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path) and not _is_single(path.lstat()):
        path.unlink()  # not what it leads to
    flags = os.O_RDWR | os.O_CREAT
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    file = os.fdopen(os.open(path, flags, 0o666), "r+b")
    if not _is_single(os.fstat(file.fileno())):
        file.close()
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    atomic.lock(file.fileno())
    return file


def _is_single(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


@contextmanager
def _progress(name: str, total: int | None, start: int) -> Iterator[Callable[[int], object]]:
    """Yield a function that advances a progress bar; there is none if stderr is no terminal."""
    from huggingface_hub.utils.tqdm import tqdm

    options = {"total": total, "initial": start, "unit": "B", "unit_scale": True}
    with tqdm(desc=printable(name)[-40:], disable=None, **options) as bar:  # type: ignore[no-untyped-call]
        yield bar.update
