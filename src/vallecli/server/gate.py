"""What every request has to pass before its body is read: hosts and origins, keys, and limits of size and time.

An ASGI middleware, outside of everything else, which also counts and logs the requests.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vallecli.server.logs import Log
from vallecli.server.metrics import Metrics
from vallecli.server.problems import Problem

SMALL_BODY = 2**20  # bytes; of larger ones, only LARGE_BODIES are read at the same time
LARGE_BODIES = 4
BODY_SECONDS = 30.0  # in which a body has to arrive
PUBLIC = ("/", "/page.js", "/page.css", "/health", "/ready")  # need no key
LOOPBACK = ("localhost", "127.0.0.1", "::1")
POLLED = ("/health", "/ready", "/metrics")  # by other programs, all the time: not logged
MODIFYING = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server accepts."""

    max_body: int
    """Bytes."""
    keys: tuple[str, ...] = ()
    """API keys; () if none is needed."""
    loopback: bool = True
    """Whether the server listens on this machine only: then pages of other hosts must not reach it by another name."""
    origins: tuple[str, ...] = ()
    """Other sites whose pages may use the server (CORS)."""


class Gate:
    """The middleware."""

    def __init__(self, app: ASGIApp, *, limits: Limits, log: Log, metrics: Metrics) -> None:
        self.app, self.limits, self.log, self.metrics = app, limits, log, metrics
        self._digests = [_digest(key) for key in limits.keys]
        self._large = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, and pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = _Record(scope, send)
        try:
            await self._pass(scope, receive, record)
        except Problem as problem:
            if not record.status:
                problem.headers.setdefault("Connection", "close")
                scope["valle"]["code"] = problem.code
                await problem.response()(scope, receive, record.send)
        finally:
            self._report(scope, record)

    async def _pass(self, scope: Scope, receive: Receive, record: _Record) -> None:
        headers = Headers(scope=scope)
        scope["valle"] = {"id": record.id, "client": _peer(scope), "started": record.started}
        self._check_site(scope, headers)
        self._check_key(scope, headers)
        length = _length(headers)
        if length is not None and length > self.limits.max_body:
            raise _too_large(self.limits.max_body)
        if scope["method"] not in MODIFYING:
            await self.app(scope, receive, record.send)
            return
        large = length is None or length > SMALL_BODY
        if large and self._large >= LARGE_BODIES:
            raise Problem(429, "Too many large bodies at the same time.", code="busy", headers={"Retry-After": "2"})
        body = _Body(receive, self.limits.max_body, self._read if large else None)
        self._large += large
        try:
            await self.app(scope, body.receive, record.send)
        finally:
            body.close()

    def _read(self) -> None:
        self._large -= 1

    def _check_site(self, scope: Scope, headers: Headers) -> None:
        """Refuse requests that a page of another site makes."""
        host = _host(f"//{headers.get('host', '')}")
        if self.limits.loopback and host not in LOOPBACK:
            raise Problem(403, f"This server is for the hosts {', '.join(LOOPBACK)}.", code="wrong_host")
        origin = headers.get("origin")
        if origin is None or origin in self.limits.origins:
            return
        if scope["method"] in MODIFYING and urlsplit(origin).netloc != headers.get("host"):
            raise Problem(403, "Pages of other sites may not use this server.", code="wrong_origin")

    def _check_key(self, scope: Scope, headers: Headers) -> None:
        if not self._digests or scope["path"] in PUBLIC or scope["method"] == "OPTIONS":
            return
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = _digest(key.strip() if scheme.lower() == "bearer" else "")
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]  # all of them: equal times
        if not any(matches):
            raise Problem(
                401,
                "The API key is missing or wrong. Send it as Authorization: Bearer KEY.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        scope["valle"]["client"] = f"key {matches.index(True) + 1}"

    def _report(self, scope: Scope, record: _Record) -> None:
        """Count and log a request."""
        facts = scope.get("valle", {})
        route = scope.get("route")
        path = getattr(route, "path", None) or ("other" if scope["path"] not in PUBLIC else scope["path"])
        status = record.status or 499  # the client has closed the connection
        self.metrics.requests.labels(path=path, status=str(status)).inc()
        code = facts.pop("code", None)
        if code is not None:
            self.metrics.errors.labels(code=code).inc()
        for name in ("id", "started"):
            facts.pop(name, None)
        if path in POLLED and status < 500:
            return
        level = "error" if status >= 500 else "info"
        self.log.write(
            "request",
            level=level,
            id=record.id,
            method=scope["method"],
            path=path,
            status=status,
            seconds=round(time.perf_counter() - record.started, 3),
            code=code,
            **facts,
        )


class _Record:
    """One request: sends its response with the headers that all have, and keeps its status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.id = secrets.token_hex(8)
        self.started = time.perf_counter()
        self.status = 0
        self._send = send
        scope["valle"] = {}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


class _Body:
    """A body that raises Problem once it is too large or too slow; `on_end` is called once it is read, or given up."""

    def __init__(self, receive: Receive, most: int, on_end: Callable[[], None] | None) -> None:
        self._on_end = on_end
        self._receive, self._most, self._left = receive, most, most
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            raise Problem(408, f"The body did not arrive in {BODY_SECONDS:g} s.", code="timeout") from error
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise _too_large(self._most)
            self._complete = not message.get("more_body", False)
        if self._complete:
            self.close()
        return message

    def close(self) -> None:
        if self._on_end is not None:
            self._on_end()
            self._on_end = None


def _too_large(most: int) -> Problem:
    return Problem(413, f"The body is larger than {most} bytes.", code="body_too_large")


def _length(headers: Headers) -> int | None:
    """Return the length of a body in bytes, None if it is not known."""
    written = headers.get("content-length", "")
    return int(written) if written.isascii() and written.isdigit() and len(written) < 20 else None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _peer(scope: Scope) -> str:
    client: Sequence[object] | None = scope.get("client")
    return str(client[0]) if client else "local"


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
