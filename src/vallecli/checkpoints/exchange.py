"""One HTTP request to a server that is not trusted: it cannot make its caller wait, and gets no token of another host.

A thread talks to the server, so that the caller can give up at any byte: of the headers, of a chunk's length, of the
content. The client is that of huggingface_hub, with its settings of proxies and certificates; redirects are followed
here, because that client keeps the token for hosts that a server names.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from vallecli import __version__
from vallecli.printable import mask_credentials, printable

READ_TIMEOUT = 10  # seconds to wait for a connection, and for each read
SLOW_SECONDS, SLOW_BYTES = 60, 64_000  # a server that sends less than so much in that time is given up
MAX_REDIRECTS = 10
MAX_REASON = 200  # characters of an error
QUEUED = 16  # pieces of content that wait for the disk
USER_AGENT = f"vallecli/{__version__}"
REDIRECTS = (301, 302, 303, 307, 308)
CONTENT = (200, 206)

_END = object()


class Failed(Exception):
    """A request that failed: the reason, and if the server has answered, the HTTP status and the hub's error code."""

    def __init__(self, reason: str, status: int | None = None, code: str = "", *, final: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.status, self.code = reason, status, code
        self.final = final
        """Whether another try is no use."""


class Refused(Failed):
    """An answer that is not what was published."""


@dataclass(frozen=True)
class Answer:
    """What a server answers, without the content."""

    status: int
    headers: Mapping[str, str]  # of any case
    url: str


class Pace:
    """The minimum rate: SLOW_BYTES in each SLOW_SECONDS."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since, self._bytes = clock(), 0

    @property
    def left(self) -> float:
        """Return the seconds until the server is too slow."""
        return max(self._since + SLOW_SECONDS - self._clock(), 0.0)

    def add(self, count: int) -> None:
        """Count bytes."""
        self._bytes += count
        if self._bytes >= SLOW_BYTES:
            self.restart()

    def restart(self) -> None:
        """Start from now."""
        self._since, self._bytes = self._clock(), 0


class Exchange:
    """A request and its answer. `stop` must be called in the end."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], pace: Pace) -> None:
        self._pace = pace
        self._items: queue.Queue[Any] = queue.Queue(QUEUED)
        self._stopped = threading.Event()
        arguments = (_client(), method, url, dict(headers))
        threading.Thread(target=self._run, args=arguments, daemon=True).start()
        status, answered = self._next()
        self.answer = Answer(status, answered, url)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content as it arrives. Raises Failed."""
        while (item := self._next()) is not _END:
            self._pace.add(len(item))
            yield item

    def stop(self) -> None:
        """Close the connection, even if there is more to come."""
        self._stopped.set()

    def _next(self) -> Any:
        try:
            item = self._items.get(timeout=self._pace.left)
        except queue.Empty:
            self.stop()
            raise Failed(f"it sends less than {SLOW_BYTES} bytes in {SLOW_SECONDS} seconds", final=True) from None
        if isinstance(item, Exception):
            raise Failed(reason(item)) from item
        return item

    def _run(self, client: Any, method: str, url: str, headers: dict[str, str]) -> None:
        try:
            client.cookies.clear()  # a cookie of an earlier answer may be one that cannot be sent
            answer = client.stream(method, url, headers=headers, follow_redirects=False, timeout=READ_TIMEOUT)
            with answer as response:
                self._put((response.status_code, response.headers))
                if method == "GET" and response.status_code in CONTENT:
                    for piece in response.iter_raw():
                        if not self._put(piece):
                            return
            self._put(_END)
        except Exception as error:  # whatever the client raises: an invalid URL or answer, a network that is down
            self._put(error)

    def _put(self, item: Any) -> bool:
        while not self._stopped.is_set():
            try:
                self._items.put(item, timeout=1)
                return True
            except queue.Full:
                continue
        return False


def _client() -> Any:
    """Return the client of huggingface_hub. Raises Failed if its settings, such as a proxy, are invalid."""
    from huggingface_hub import get_session

    try:
        return get_session()
    except Exception as error:  # of several libraries
        raise Failed(f"the network settings are invalid: {reason(error)}", final=True) from error


def request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    token: str | None,
    pace: Pace,
    enough: Callable[[Answer], bool] = lambda answer: False,
) -> Exchange:
    """Return the answer after redirects, or the first one that is `enough`. Raises Failed.

    The token is sent to the host of the URL alone: after a redirect to another host, it is not sent any more.
    """
    for _ in range(MAX_REDIRECTS + 1):
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        exchange = Exchange(method, url, {"User-Agent": USER_AGENT, **headers, **authorization}, pace)
        location = exchange.answer.headers.get("Location")
        if exchange.answer.status not in REDIRECTS or location is None or enough(exchange.answer):
            return exchange
        exchange.stop()
        target = _target(url, location)
        if token and _origin(target) != _origin(url):
            token = None
        url = target
    raise Failed(f"it redirects more than {MAX_REDIRECTS} times", final=True)


def _target(url: str, location: str) -> str:
    """Return the address of a redirect. Raises Failed for one that is no web address, or is not encrypted any more."""
    try:
        target = urljoin(url, location)
        scheme, host, _ = _origin(target)
    except ValueError:
        raise Failed("it redirects to an invalid address", final=True) from None
    if scheme not in ("http", "https") or not host or (scheme == "http" and urlsplit(url).scheme == "https"):
        raise Failed("it redirects to an address that is not encrypted, or that is none of the web", final=True)
    return target


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


def reason(error: Exception) -> str:
    """Return the first line of an error's message, printable and without credentials."""
    lines = str(error).splitlines() or [type(error).__name__]
    return mask_credentials(printable(lines[0]))[:MAX_REASON]
