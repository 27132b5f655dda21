"""The part of the Hugging Face hub's protocol that its client uses, on 127.0.0.1, with the faults a network has.

A small file is sent by the host that is asked, with git's hash of it as ETag. A large one is sent like a file in LFS:
after a redirect to another host, with its sha256 and size in headers. No header mentions Xet, so the client does not
use it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

COMMIT = "1234567890" * 4  # of every repository


@dataclass
class Served:
    """A file of the server. Faults: other bytes than announced, broken connections, ignored ranges."""

    content: bytes
    large: bool = False
    gives: bytes | None = None
    cuts: list[int] = field(default_factory=list)  # bytes after which the connection breaks, one for each next GET
    ranges: bool = True

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        git = hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()
        return f'"{self.sha256 if self.large else git}"'


class HubServer:
    """Files by path, as the URLs have them: `owner/name/file`, `datasets/owner/name/file` or any other."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.tokens: dict[str, str] = {}  # repository -> the token that opens it
        self.broken: set[str] = set()  # repositories that answer 500
        self.requests: list[tuple[str, str, str | None]] = []  # (method, path, Range)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                server.answer(self, body=False)

            def do_GET(self) -> None:
                server.answer(self, body=True)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering; the list of requests stays."""
        if self.thread.is_alive():
            self.http.shutdown()
            self.thread.join()
            self.http.server_close()

    @property
    def gets(self) -> list[str | None]:
        """The Range of each request for content."""
        return [wanted for method, _, wanted in self.requests if method == "GET"]

    def ranges(self, wanted: str) -> list[str | None]:
        """The Range of each request for the content at a path."""
        return [wanted_range for method, path, wanted_range in self.requests if (method, path) == ("GET", wanted)]

    def answer(self, handler: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = handler.path.lstrip("/")
        wanted = handler.headers.get("Range")
        self.requests.append((handler.command, path, wanted))
        repo, resolve, rest = path.partition("/resolve/")
        if not resolve:
            found = self.files.get(path.removeprefix("cdn/"))
            if found is None:
                return refuse(handler, 404, "")
            return self.send(handler, found, {"ETag": found.etag}, body=body)
        revision, _, file = rest.partition("/")
        token = self.tokens.get(repo)
        if repo in self.broken:
            return refuse(handler, 500, "")
        if token is not None and handler.headers.get("Authorization") != f"Bearer {token}":
            return refuse(handler, 401, "")
        if not any(name.startswith(f"{repo}/") for name in self.files):
            return refuse(handler, 404, "RepoNotFound")
        if revision not in ("main", COMMIT):
            return refuse(handler, 404, "RevisionNotFound")
        served = self.files.get(f"{repo}/{file}")
        if served is None:
            return refuse(handler, 404, "EntryNotFound")
        headers = {"X-Repo-Commit": COMMIT, "ETag": served.etag}
        if not served.large:
            return self.send(handler, served, headers, body=body)
        linked = {"X-Linked-Etag": served.etag, "X-Linked-Size": str(len(served.content))}
        location = f"http://localhost:{self.port}/cdn/{repo}/{file}"  # another name, so another host to the client
        return respond(handler, 302, {**headers, **linked, "Location": location}, b"")

    def send(self, handler: BaseHTTPRequestHandler, served: Served, headers: Mapping[str, str], *, body: bool) -> None:
        content = served.content if served.gives is None else served.gives
        status, first = 200, 0
        wanted = handler.headers.get("Range")
        if wanted is not None and served.ranges:
            status, first = 206, int(wanted.removeprefix("bytes=").partition("-")[0])
            if first >= len(content):
                return refuse(handler, 416, "")
            headers = {**headers, "Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
        cut = served.cuts.pop(0) if body and served.cuts else None
        length = str(len(content) - first)
        return respond(handler, status, {**headers, "Content-Length": length}, content[first:][:cut] if body else b"")


class ScriptedServer:
    """A server on 127.0.0.1 whose answers are written by a function, byte by byte if need be."""

    def __init__(self) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler], object] = lambda handler: None
        self.requests: list[tuple[str, str, dict[str, str]]] = []  # (method, path, headers in lower case)
        self.released = threading.Event()  # set at the end, for answers that wait
        self.sent = 0  # bytes of endless bodies
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.requests.append((self.command, self.path, headers))
                with suppress(ConnectionError):
                    server.answer(self)
                self.close_connection = True

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def drip(self, handler: BaseHTTPRequestHandler, piece: bytes) -> None:
        """Send a piece again and again, slowly, until the client gives up."""
        while not self.released.wait(0.01):
            handler.wfile.write(piece)

    def flood(self, handler: BaseHTTPRequestHandler, piece: bytes, limit: int) -> None:
        """Send a piece again and again until the client gives up, or `limit` bytes are sent."""
        while self.sent < limit:
            handler.wfile.write(piece)
            self.sent += len(piece)


def refuse(handler: BaseHTTPRequestHandler, status: int, code: str) -> None:
    respond(handler, status, {"X-Error-Code": code} if code else {}, b"")


def respond(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    if "Content-Length" not in headers:
        handler.send_header("Content-Length", "0")
    handler.end_headers()
    handler.wfile.write(body)


def write_registry(path: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a checkpoints.toml; required values that entries lack are invented."""
    path.parent.mkdir(parents=True, exist_ok=True)
    common = {"kind": "model", "family": "tiny", "quality": "It babbles."}
    lines = []
    for name, entry in entries.items():
        lines += [f"[{name}]", *(f"{key} = {toml(value)}" for key, value in {**common, **entry}.items()), ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)
