"""Servers that lie, wait, flood or redirect: nothing is written outside, nothing hangs, no token goes elsewhere."""

from __future__ import annotations

import gzip
import hashlib
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hub_server import COMMIT, ScriptedServer, respond

from vallecli.checkpoints import download, exchange, hub, local
from vallecli.checkpoints.download import Waits
from vallecli.checkpoints.exchange import Answer, Failed, Pace
from vallecli.checkpoints.spec import CheckpointSpec, File, Source
from vallecli.errors import AccessDenied, CheckpointError, DamagedCheckpoint, SourceGone, Unreachable, UsageError

pytestmark = pytest.mark.loopback

CONTENT = bytes(range(256)) * 256  # 64 KiB
SHA = hashlib.sha256(CONTENT).hexdigest()
SECRET = "hf_sesame"
MIB = 1 << 20

Handler = BaseHTTPRequestHandler


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    from huggingface_hub import close_session

    with ScriptedServer() as server:
        yield server
        close_session()


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    """Another host: another port is another origin."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Do not wait before retries; return the times of waiting."""
    waits: list[float] = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    return waits


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that no download may change."""
    home = tmp_path / "home"
    (home / ".config" / "autostart").mkdir(parents=True)
    (home / "thesis").write_text("work")
    return home


def spec_of(*sources: Source) -> CheckpointSpec:
    return CheckpointSpec(name="tiny", kind="model", family="tiny", quality="It babbles.", sources=sources)


@pytest.fixture
def spec(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> CheckpointSpec:
    """A file of a repository whose size and hash are not known."""
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    return spec_of(Source(repo="someone/tiny", files=(File(path="sub/tiny.pt"),)))


@pytest.fixture
def by_url(server: ScriptedServer) -> CheckpointSpec:
    return spec_of(Source(url=f"{server.url}/tiny.pt", files=(File(path="tiny.pt"),)))


def with_file(spec: CheckpointSpec, **facts: object) -> CheckpointSpec:
    [file] = spec.sources[0].files
    return replace(spec, sources=(replace(spec.sources[0], files=(replace(file, **facts),)),))


def good(handler: Handler, **changed: str | None) -> None:
    """Answer as a hub does with a small file; headers are changed, or left out if they are None."""
    headers = {"ETag": f'"{SHA}"', "X-Repo-Commit": COMMIT, "Content-Length": str(len(CONTENT))}
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    body = CONTENT if handler.command == "GET" else b""
    respond(handler, 200, {name: value for name, value in headers.items() if value is not None}, body)


def start(handler: Handler, *headers: str, status: str = "200 OK") -> None:
    handler.wfile.write("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1"))


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def fails(spec: CheckpointSpec, error: type[CheckpointError] = CheckpointError) -> CheckpointError:
    """Pull what cannot be pulled, and return the error; nothing is installed."""
    with pytest.raises(error) as caught:
        hub.pull(spec, report=lambda message: None)
    assert hub.lookup(spec) is None
    assert caught.value.message.isprintable()
    return caught.value


# Headers that become paths

HOSTILE = [
    *(
        "/{home}/evil",
        "../../../../../../{home}/evil",
        "..",
        ".",
        "",
        "a/b",
        "..\\..\\evil",
        "C:\\evil",
        "nul",
        SHA[:39],
    ),
    *(SHA + "0", SHA.upper(), f"{SHA[:63]}/", f"{SHA}\t", "x" * 5000, "\xe9" * 40, "%2e%2e%2f" * 5, "0x" + SHA[:38]),
]


@pytest.mark.parametrize("header", ["ETag", "X-Linked-Etag", "X-Repo-Commit"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hash_or_commit_that_is_none_is_refused(
    server: ScriptedServer, spec: CheckpointSpec, home: Path, tmp_path: Path, header: str, value: str
) -> None:
    value = value.replace("{home}", str(home / ".config" / "autostart"))
    value = value if header == "X-Repo-Commit" else f'"{value}"'
    server.answer = lambda handler: good(handler, **{header.replace("-", "_"): value})
    before = files_below(tmp_path)
    fails(spec, CheckpointError)
    new = {path for path in files_below(tmp_path) if path not in before}
    assert {path.suffix for path in new} <= {".lock"}
    assert {method for method, _, _ in server.requests} == {"HEAD"}
    assert (home / "thesis").read_text() == "work"


def test_a_server_that_changes_its_mind_is_refused(
    server: ScriptedServer, spec: CheckpointSpec, home: Path, tmp_path: Path
) -> None:
    """The first answer is checked, but so is each other one."""
    evil = str(home / ".config" / "autostart" / "evil")

    def answer(handler: Handler) -> None:
        if len(server.requests) == 1:
            good(handler, ETag=f'"{"0" * 64}"')
        else:
            good(handler, ETag=f'"{evil}"', X_Repo_Commit=evil, X_Linked_Etag=f'"{evil}"')

    server.answer = answer
    assert "its hash is not" in fails(spec, DamagedCheckpoint).message
    assert not Path(evil).exists()
    assert {path.suffix for path in files_below(tmp_path) if home not in path.parents} <= {".lock"}


def test_a_missing_file_with_a_hostile_commit_writes_nothing(
    server: ScriptedServer, spec: CheckpointSpec, home: Path, tmp_path: Path
) -> None:
    headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": str(home / "evil")}
    server.answer = lambda handler: respond(handler, 404, headers, b"")
    fails(spec, SourceGone)
    assert files_below(home) == [home / "thesis"]
    assert {path.suffix for path in files_below(tmp_path) if home not in path.parents} <= {".lock"}


def test_another_commit_than_the_pinned_one_is_refused(server: ScriptedServer, spec: CheckpointSpec) -> None:
    server.answer = good
    pinned = replace(spec, sources=(replace(spec.sources[0], revision="0" * 40),))
    assert "another commit" in fails(pinned, DamagedCheckpoint).message


def test_xet_is_not_used(server: ScriptedServer, other: ScriptedServer, spec: CheckpointSpec, monkeypatch) -> None:
    """Its client would send the token to an address from a header."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    xet = {"X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": f"{other.url}/token"}
    link = f'<{other.url}/auth>; rel="xet-auth"'
    server.answer = lambda handler: good(handler, Link=link, **{k.replace("-", "_"): v for k, v in xet.items()})
    assert hub.pull(spec, report=print)[0].path.read_bytes() == CONTENT
    assert other.requests == []


# Tokens


def hub_with_storage(other: ScriptedServer, location: str) -> Callable[[Handler], None]:
    """Answer as a hub does with a large file: with a redirect to another host."""
    headers = {"X-Linked-Etag": f'"{SHA}"', "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(CONTENT))}
    other.answer = good
    return lambda handler: respond(handler, 302, {**headers, "Location": location.format(other.url)}, b"")


@pytest.mark.parametrize("location", ["{}/file", "{}/file?signature=1"])
def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(
    server: ScriptedServer, other: ScriptedServer, spec: CheckpointSpec, monkeypatch, location: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    server.answer = hub_with_storage(other, location)
    assert hub.pull(spec, report=print)[0].path.read_bytes() == CONTENT
    assert {headers.get("authorization") for _, _, headers in server.requests} == {f"Bearer {SECRET}"}
    assert [headers.get("authorization") for _, _, headers in other.requests] == [None]


def test_the_token_stays_away_after_a_redirect_back(server, other, spec: CheckpointSpec, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    first = hub_with_storage(other, "{}/file")
    server.answer = lambda handler: good(handler) if handler.path == "/back" else first(handler)
    other.answer = lambda handler: respond(handler, 302, {"Location": f"{server.url}/back"}, b"")
    assert hub.pull(spec, report=print)[0].path.read_bytes() == CONTENT
    [headers] = [headers for _, path, headers in server.requests if path == "/back"]
    assert "authorization" not in headers


def test_a_redirect_of_the_metadata_gets_no_token(server, other, spec: CheckpointSpec, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    server.answer = lambda handler: respond(handler, 302, {"Location": other.url + handler.path}, b"")
    other.answer = good
    assert hub.pull(spec, report=print)[0].path.read_bytes() == CONTENT
    assert {headers.get("authorization") for _, _, headers in other.requests} == {None}


def test_a_single_file_gets_no_token_and_its_credentials_go_to_its_host_alone(
    server: ScriptedServer, other: ScriptedServer, by_url: CheckpointSpec, monkeypatch, capfd
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    url = f"{server.url.replace('//', '//user:secret@')}/tiny.pt?token=secret"
    spec = spec_of(replace(by_url.sources[0], url=url))
    server.answer = lambda handler: respond(handler, 302, {"Location": f"{other.url}/file"}, b"")
    other.answer = good
    messages: list[str] = []
    installed, _ = hub.pull(spec, report=messages.append)
    assert installed.path.read_bytes() == CONTENT
    assert server.requests[0][2]["authorization"].startswith("Basic ")
    assert "authorization" not in other.requests[0][2]
    manifest = (installed.root / local.MANIFEST).read_text()
    assert "secret" not in manifest + installed.origin + str(spec.sources[0]) + "".join(messages)
    assert "***@127.0.0.1" in installed.origin


def test_credentials_are_not_shown_by_errors(server: ScriptedServer, by_url: CheckpointSpec) -> None:
    url = f"{server.url.replace('//', '//user:secret@')}/tiny.pt?token=secret"
    spec = spec_of(replace(by_url.sources[0], url=url))
    for answer in (
        lambda handler: respond(handler, 404, {}, b""),
        lambda handler: respond(handler, 302, {"Location": url}, b""),
        lambda handler: respond(handler, 302, {"Location": "http://user:secret@[bad/?secret"}, b""),
        lambda handler: handler.wfile.write(b"\0"),
    ):
        server.answer = answer
        error = fails(spec)
        assert "secret" not in error.message + error.hint
        assert "secret" not in str(error.__cause__)


@pytest.mark.parametrize("token", ["hf_é", "hf_\x01", "hf_\u202e"])
def test_a_token_that_cannot_be_sent_is_an_error_without_the_token(spec, monkeypatch, token: str) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    assert "hf_" not in fails(spec).message


@pytest.mark.parametrize(
    "endpoint", ["junk", "http://[::1", "http://127.0.0.1:99999", "file:///etc", "http://\x1b[2J/"]
)
def test_an_endpoint_that_is_no_web_address_is_a_usage_error(spec, monkeypatch, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(UsageError, match="HF_ENDPOINT") as caught:
        hub.pull(spec, report=print)
    assert caught.value.message.isprintable()


def test_an_invalid_proxy_is_an_error_without_its_credentials(by_url, monkeypatch) -> None:
    from huggingface_hub import close_session

    close_session()
    monkeypatch.setenv("http_proxy", "socks9://user:secret@127.0.0.1")
    assert "secret" not in fails(by_url, Unreachable).message


# Redirects


@pytest.mark.parametrize(
    "location",
    [
        *("file:///etc/passwd", "ftp://127.0.0.1/a", "http://", "http:///a", "http://[::1", "http://127.0.0.1:99999/"),
        *("//", "data:,a", "gopher://a", "http://\x7f/", "http://" + "a" * 5000 + "/"),
    ],
)
def test_a_redirect_to_no_web_address_is_refused(server: ScriptedServer, by_url: CheckpointSpec, location) -> None:
    server.answer = lambda handler: respond(handler, 302, {"Location": location}, b"")
    fails(by_url, Unreachable)
    assert len(server.requests) <= exchange.MAX_REDIRECTS + 1  # an address without a host is one of the same host


def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(Failed, match="not encrypted"):
        exchange._target("https://example.org/a", "http://example.org/b")
    assert exchange._target("https://example.org/a/b", "c") == "https://example.org/a/c"


def test_endless_redirects_end(server: ScriptedServer, by_url: CheckpointSpec) -> None:
    server.answer = lambda handler: respond(handler, 302, {"Location": f"/{len(server.requests)}"}, b"")
    assert "redirects more than" in fails(by_url, Unreachable).message
    assert len(server.requests) == exchange.MAX_REDIRECTS + 1


# Sizes


def endless(server: ScriptedServer, *headers: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        if handler.command == "HEAD":
            return start(handler, f'ETag: "{SHA}"', f"X-Repo-Commit: {COMMIT}")
        start(handler, *headers)
        if "Transfer-Encoding: chunked" in headers:
            return server.flood(handler, b"10000\r\n" + b"\0" * 65536 + b"\r\n", 512 * MIB)
        return server.flood(handler, b"\0" * 65536, 512 * MIB)

    return answer


@pytest.mark.parametrize("headers", [(), ("Transfer-Encoding: chunked",), ("Content-Length: 999999999999999",)])
@pytest.mark.parametrize("kind", ["repository", "url"])
def test_an_endless_body_ends_at_the_known_size(server, spec, by_url, kind: str, headers: tuple[str, ...]) -> None:
    server.answer = endless(server, *headers)
    limited = with_file(spec if kind == "repository" else by_url, size=len(CONTENT))
    message = fails(limited, DamagedCheckpoint).message
    assert f"more than {len(CONTENT)} bytes" in message or f"instead of {len(CONTENT)}" in message
    assert server.sent < 64 * MIB
    assert left() == []


@pytest.mark.parametrize("headers", [(), ("Transfer-Encoding: chunked",)])
def test_an_endless_body_of_unknown_size_ends_at_the_maximum(server, by_url, monkeypatch, headers) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", MIB)
    server.answer = endless(server, *headers)
    assert "needs a size in the list" in fails(by_url, DamagedCheckpoint).message
    assert server.sent < 64 * MIB
    assert left() == []


Usage = namedtuple("Usage", "total used free")


def test_an_endless_body_leaves_a_reserve_of_the_disk(server, by_url, monkeypatch) -> None:
    free = download.disk.RESERVE + MIB
    monkeypatch.setattr(download.disk.shutil, "disk_usage", lambda path: Usage(2 * free, free, free))
    server.answer = endless(server)
    error = fails(by_url)
    assert error.message.startswith(f"cannot write {local.folder()}: ")
    assert "stay free" in error.message
    assert server.sent < 64 * MIB
    assert left() == []


@pytest.mark.parametrize("kind", ["repository", "url"])
def test_a_file_that_does_not_fit_on_the_disk_is_not_downloaded(server, spec, by_url, monkeypatch, kind) -> None:
    monkeypatch.setattr(download.disk.shutil, "disk_usage", lambda path: Usage(2, 1, 1000))
    server.answer = good
    error = fails(spec if kind == "repository" else by_url)
    assert "65536 bytes are needed, and 1000 are free" in error.message
    assert left() == []


def test_an_announced_size_that_is_not_the_known_one_is_refused_before_the_download(server, spec) -> None:
    server.answer = good
    message = fails(with_file(spec, size=1000), DamagedCheckpoint).message
    assert "65536 bytes instead of 1000" in message
    assert {method for method, _, _ in server.requests} == {"HEAD"}


@pytest.mark.parametrize("length", ["-1", "1e9", "0x10", "9" * 30, "abc", "", "1, 2", "65536; x"])
def test_a_size_that_is_none_is_no_crash(server, spec, by_url, length: str) -> None:
    server.answer = lambda handler: good(handler, Content_Length=length, X_Linked_Size=length)
    for one in (spec, by_url):
        fails(with_file(one, sha256=SHA))


def test_compressed_content_is_refused(server, by_url) -> None:
    body = gzip.compress(CONTENT)
    headers = {"Content-Encoding": "gzip", "Content-Length": str(len(body))}
    server.answer = lambda handler: respond(handler, 200, headers, body)
    assert "compressed (gzip)" in fails(by_url, Unreachable).message
    assert server.requests[0][2]["accept-encoding"] == "identity"


# Partial files


def ranged(handler: Handler, headers: dict[str, str], content_range: str, body: bytes) -> None:
    respond(handler, 206, {**headers, "Content-Range": content_range, "Content-Length": str(len(body))}, body)


def cut_after(handler: Handler, count: int, etag: str | None = '"one"') -> None:
    start(handler, *([f"ETag: {etag}"] if etag else []), f"Content-Length: {len(CONTENT)}")
    handler.wfile.write(CONTENT[:count])


@pytest.mark.parametrize(
    "content_range",
    ["", "bytes 0-9/65536", "bytes 2000-65535/65536", "bytes */65536", "lines 1000-2/3", "bytes -1-5/*"],
)
def test_another_part_than_requested_is_not_appended(server, by_url, content_range: str) -> None:
    def answer(handler: Handler) -> None:
        if len(server.requests) == 1:
            cut_after(handler, 1000)
        elif "Range" in handler.headers:
            ranged(handler, {"ETag": '"one"'}, content_range, CONTENT[:10])
        else:
            good(handler, ETag='"one"')

    server.answer = answer
    assert hub.pull(by_url, report=print)[0].path.read_bytes() == CONTENT


@pytest.mark.parametrize("total", ["65536", "*"])
def test_a_part_is_appended_with_the_same_etag(server, by_url, total: str) -> None:
    def answer(handler: Handler) -> None:
        if len(server.requests) == 1:
            cut_after(handler, 1000)
        else:
            ranged(handler, {"ETag": '"one"'}, f"bytes 1000-65535/{total}", CONTENT[1000:])

    server.answer = answer
    assert hub.pull(by_url, report=print)[0].path.read_bytes() == CONTENT
    assert server.requests[1][2]["range"] == "bytes=1000-"
    assert server.requests[1][2]["if-range"] == '"one"'


@pytest.mark.parametrize("etags", [('"one"', '"two"'), ('W/"one"', 'W/"one"'), (None, None), ('"one"', None)])
@pytest.mark.parametrize("when", ["same pull", "next pull"])
def test_a_file_that_may_have_changed_is_never_mixed(server, by_url, etags, when: str) -> None:
    """The server honours Range whatever If-Range says, so that a mixture would go unnoticed."""
    first = [True] if when == "same pull" else [True] * (download.RETRIES + 1)
    other_content = CONTENT[::-1]

    def answer(handler: Handler) -> None:
        if first:
            first.pop()
            return cut_after(handler, 1000, etags[0])
        headers = {"ETag": etags[1]} if etags[1] else {}
        if "Range" in handler.headers:
            return ranged(handler, headers, f"bytes 1000-65535/{len(CONTENT)}", other_content[1000:])
        return respond(handler, 200, {**headers, "Content-Length": str(len(CONTENT))}, other_content)

    server.answer = answer
    if when == "next pull":
        with pytest.raises(Unreachable):
            hub.pull(by_url, report=print)
    assert hub.pull(by_url, report=print)[0].path.read_bytes() == other_content


def test_a_partial_file_of_one_url_is_not_used_for_another(server, by_url) -> None:
    cut = [True] * (download.RETRIES + 1)

    def answer(handler: Handler) -> None:
        if cut:
            cut.pop()
            return cut_after(handler, 1000)
        return good(handler, ETag='"one"')

    server.answer = answer
    with pytest.raises(Unreachable):
        hub.pull(by_url, report=print)
    moved = spec_of(replace(by_url.sources[0], url=f"{server.url}/moved.pt"))
    server.requests.clear()
    assert hub.pull(moved, report=print)[0].path.read_bytes() == CONTENT
    assert [headers.get("range") for _, _, headers in server.requests] == [None]


def test_garbage_of_one_server_does_not_spoil_the_file_of_another(server, other, spec, monkeypatch) -> None:
    def garbage(handler: Handler) -> object:
        if handler.command == "HEAD":
            return good(handler)
        start(handler, f"Content-Length: {len(CONTENT)}")
        return handler.wfile.write(b"\0" * 1000)

    server.answer = garbage
    fails(spec, Unreachable)
    monkeypatch.setenv("HF_ENDPOINT", other.url)
    other.answer = good
    assert hub.pull(spec, report=print)[0].path.read_bytes() == CONTENT


# Time


@pytest.mark.parametrize(
    "sent",
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Wait: 1\r\n"),  # headers
        (b"H", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", b"\0"),  # content
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n\0\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),  # the length of a chunk
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a"),  # an extension of a chunk
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_server_that_trickles_is_given_up(server, by_url, monkeypatch, sent: tuple[bytes, bytes]) -> None:
    monkeypatch.setattr(exchange, "SLOW_SECONDS", 0.3)

    def answer(handler: Handler) -> None:
        handler.wfile.write(sent[0])
        server.drip(handler, sent[1])

    server.answer = answer
    assert "it sends less than 64000 bytes in 0.3 seconds" in fails(by_url, Unreachable).message
    assert len(server.requests) <= 1


def test_a_server_that_cuts_after_each_byte_is_given_up(server, by_url, waits) -> None:
    server.answer = lambda handler: cut_after(handler, 1)
    fails(by_url, Unreachable)
    assert len(server.requests) == download.RETRIES + 1
    assert waits == [1, 2, 4, 8, 8]


def test_the_pace_counts_bytes_and_not_pieces() -> None:
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    for _ in range(59):
        now[0] += 1
        pace.add(1)
    assert pace.left == exchange.SLOW_SECONDS - 59
    pace.add(exchange.SLOW_BYTES)
    assert pace.left == exchange.SLOW_SECONDS
    now[0] += exchange.SLOW_SECONDS + 1
    assert pace.left == 0


@pytest.mark.parametrize("status", [408, 429, 503])
@pytest.mark.parametrize(
    "wanted", ["259200", "61", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT", "soon", "-1", "1e3", "\x1b[2J", ""]
)
@pytest.mark.parametrize("kind", ["repository", "url"])
def test_a_long_wait_is_refused_with_a_message(server, spec, by_url, waits, status, wanted, kind) -> None:
    server.answer = lambda handler: respond(handler, status, {"Retry-After": wanted}, b"")
    error = fails(spec if kind == "repository" else by_url, Unreachable)
    assert f"HTTP {status}, and it asks to wait more than 60 seconds" in error.message
    assert waits == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("wanted", ["30", "Thu, 01 Jan 1970 00:00:00 GMT", None])
@pytest.mark.parametrize("kind", ["repository", "url"])
def test_a_short_wait_is_granted_and_reported(server, spec, by_url, waits, wanted, kind) -> None:
    def answer(handler: Handler) -> None:
        if len(server.requests) < 3:
            return respond(handler, 429, {"Retry-After": wanted} if wanted else {}, b"")
        return good(handler)

    server.answer = answer
    messages: list[str] = []
    installed, _ = hub.pull(spec if kind == "repository" else by_url, report=messages.append)
    assert installed.path.read_bytes() == CONTENT
    assert len(waits) == 2
    assert all(0 <= seconds <= 30 for seconds in waits)
    assert [message for message in messages if "asks to wait" in message] == messages


def test_waits_without_end_are_refused(server, by_url, waits) -> None:
    server.answer = lambda handler: respond(handler, 503, {"Retry-After": "5"}, b"")
    assert "it asks to wait again" in fails(by_url, Unreachable).message
    assert waits == [5] * download.MAX_WAITS


def test_a_server_error_is_not_waited_for() -> None:
    with pytest.raises(Failed, match="HTTP 500"):
        Waits(print).after(Answer(500, {}, ""), Pace())


def test_the_content_of_an_error_is_not_read(server, by_url) -> None:
    def answer(handler: Handler) -> None:
        start(handler, "Content-Length: 999999999999", status="404 Not Found")
        server.flood(handler, b"\x1b[2J" * 10_000, 512 * MIB)

    server.answer = answer
    fails(by_url, SourceGone)
    assert server.sent < 64 * MIB


def test_a_cookie_is_not_sent_back(server, by_url) -> None:
    server.answer = lambda handler: good(handler, Set_Cookie="a=\xe9\xff")
    for _ in range(2):
        assert hub.pull(by_url, report=print)[0].path.read_bytes() == CONTENT
        assert hub.remove(by_url) is True
    assert [headers.get("cookie") for _, _, headers in server.requests] == [None, None]


# What is printed


def test_what_a_server_says_is_printed_without_control_characters(server, spec, by_url, capfd) -> None:
    escape = "\x1b]0;owned\x07\x9b2J"

    def answer(handler: Handler) -> None:
        start(
            handler,
            f"X-Error-Code: {escape}",
            f"X-Error-Message: {escape}",
            f"X-HF-Warning: a; {escape}",
            status=f"418 {escape}",
        )

    server.answer = answer
    for one in (spec, by_url):
        fails(one, Unreachable)
    server.answer = lambda handler: good(handler, Content_Encoding=escape)
    fails(by_url)
    assert "\x1b" not in "".join(capfd.readouterr())


def test_a_private_repository_is_access_denied(server, spec) -> None:
    server.answer = lambda handler: respond(handler, 403, {"X-Error-Code": "GatedRepo"}, b"")
    fails(spec, AccessDenied)


def left() -> list[Path]:
    """Return what a refused download has left, without locks."""
    from huggingface_hub import constants

    places = [local.folder(), Path(constants.HF_HUB_CACHE)]
    return [path for place in places for path in files_below(place) if path.suffix != ".lock"]
