"""Requests that nobody should send: each gets a status of 4xx and a message, and the server goes on."""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from serving import Server, httpx

pytestmark = pytest.mark.loopback

JSON = {"Content-Type": "application/json"}
MEMORY = 300 * 2**20  # bytes by which the process may grow, with the buffers that a decoder needs for a minute
SPEECH, VOICES = "/v1/audio/speech", "/v1/voices"


def body(**values: Any) -> bytes:
    return json.dumps({"input": "Red.", "response_format": "wav", "max_seconds": 0.3, **values}).encode()


def flac_of_hours() -> bytes:
    """Return a small FLAC file with a long silence: a hundred million samples."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 48_000, 1, "PCM_16", format="FLAC") as sound:
        block = np.zeros(1_000_000, np.int16)
        for _ in range(100):
            sound.write(block)
    return file.getvalue()


def wav_header_of(frames: int, channels: int, rate: int) -> bytes:
    """Return a WAV file whose header promises samples that are not there."""
    size = min(2**32 - 100, frames * channels * 2)
    fields = (b"fmt ", 16, 1, channels, rate, min(2**32 - 1, rate * channels * 2), min(65_535, channels * 2), 16)
    chunks = struct.pack("<4sIHHIIHH", *fields) + struct.pack("<4sI", b"data", size) + bytes(4000)
    return struct.pack("<4sI4s", b"RIFF", size + 36, b"WAVE") + chunks


FIELDS: tuple[dict[str, Any], ...] = (
    {"input": None},
    {"input": 7},
    {"input": ["Red."]},
    {"input": {"text": "Red."}},
    {"input": ""},
    {"input": "   \n\t"},
    {"input": "... !!! ???"},
    {"input": "\u202e\u200b\u0000"},
    {"input": "x" * 10_000},
    {"input": "x" * 4_097},
    {"input": "\u4f60\u597d"},
    {"model": "gpt-4"},
    {"model": 5},
    {"model": "m" * 300},
    {"voice": 5},
    {"voice": ""},
    {"voice": {}},
    {"voice": {"id": 5}},
    {"voice": {"id": "default", "path": "/etc/passwd"}},
    {"voice": "../../etc/passwd"},
    {"voice": "/etc/passwd"},
    {"voice": "reference.wav"},
    {"voice": "C:\\voice.wav"},
    {"voice": "nano/../../x"},
    {"voice": "~root"},
    {"voice": "a\u0000b"},
    {"voice": "\ud800"},
    {"voice": "v" * 10_000},
    {"voice": "file:///etc/passwd"},
    {"response_format": "exe"},
    {"response_format": None},
    {"response_format": "flac", "stream_format": "sse"},
    {"stream_format": "websocket"},
    {"speed": "fast"},
    {"speed": 0},
    {"speed": 100},
    {"speed": -1},
    {"seed": -1},
    {"seed": 1.5},
    {"seed": "7"},
    {"seed": 10**400},
    {"temperature": 0},
    {"temperature": -1},
    {"temperature": "hot"},
    {"top_p": 2},
    {"top_k": -5},
    {"top_k": 1.5},
    {"repetition_window": 10**9},
    {"max_seconds": 0},
    {"max_seconds": -3},
    {"sample_rate": 1},
    {"sample_rate": 10**9},
    {"language": "tlh"},
    {"language": "l" * 100},
    {"accent": "xx"},
    {"reference_audio": "no base64!"},
    {"reference_audio": ""},
    {"reference_audio": base64.b64encode(b"no audio at all" * 100).decode()},
    {"reference_audio": base64.b64encode(wav_header_of(2**30, 2, 48_000)).decode()},
    {"reference_audio": base64.b64encode(wav_header_of(2**20, 65_535, 4_000_000_000)).decode()},
    {"reference_audio": base64.b64encode(b"RIFF").decode(), "voice": "default"},
    {"reference_text": "Without audio."},
)
BODIES: tuple[bytes, ...] = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"\xff\xfe\x00",
    b'{"input": "Red."',
    b'{"input": "\xff"}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"input": "Red.", "speed": NaN}',
    b'{"input": "Red.", "temperature": Infinity}',
    b'{"input": "Red.", "seed": 1e999}',
)


@pytest.fixture(scope="module")
def flat(server: Server) -> Iterator[None]:
    """Check that the process lives, and that its memory has not grown much."""
    assert server.speak().status_code == 200
    before = server.memory()
    yield
    assert server.process.poll() is None
    assert server.speak().status_code == 200
    assert server.memory() - before < MEMORY


def check(found: Any) -> dict[str, Any]:
    """Check that an answer is an error of the request, with a message."""
    assert 400 <= found.status_code < 500, found.text
    error: dict[str, Any] = found.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert len(error["message"]) > 5
    assert len(found.content) < 4_000
    assert "Traceback" not in error["message"]
    assert "/root" not in error["message"]
    assert "/tmp" not in error["message"]
    return error


@pytest.mark.usefixtures("flat")
def test_fields(server: Server) -> None:
    with server.client() as client:
        for values in FIELDS:
            error = check(client.post(SPEECH, content=body(**values), headers=JSON))
            if len(values) == 1 and error["param"] is not None:
                assert error["param"] in values


@pytest.mark.usefixtures("flat")
def test_bodies(server: Server) -> None:
    with server.client() as client:
        for content in BODIES:
            check(client.post(SPEECH, content=content, headers=JSON))
        check(client.post(SPEECH, content=body()))  # without a type
        check(client.post(SPEECH, content=body(), headers={"Content-Type": "text/plain"}))


@pytest.mark.usefixtures("flat")
def test_forms(server: Server, reference: Path) -> None:
    recording = reference.read_bytes()
    multipart = {"Content-Type": "multipart/form-data; boundary=xyz"}
    part = b'--xyz\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    truncated = part % (b"input", b"Red.") + b'--xyz\r\nContent-Disposition: form-data; name="reference_au'
    with server.client() as client:
        for path in (SPEECH, VOICES):
            for content in (b"", b"no form", truncated, b"--xyz\r\n" * 1000, part % (b"x", b"y" * 2_000_000)):
                check(client.post(path, content=content, headers=multipart))
            check(client.post(path, content=b"x", headers={"Content-Type": "multipart/form-data"}))
            check(client.post(path, data={f"field{number}": "x" for number in range(100)}, files={"file": b"x"}))
        two = [("file", ("a", recording)), ("file", ("b", recording))]
        check(client.post(VOICES, data={"name": "two"}, files=two))
        check(client.post(VOICES, data={"name": "wrong"}, files={"recording": recording}))
        check(client.post(VOICES, data={"name": "noise"}, files={"file": b"no audio" * 1000}))
        check(client.post(VOICES, data={"name": "empty"}, files={"file": b""}))
        check(client.post(VOICES, data={"name": "silent"}, files={"file": flac_of_hours()}))
        check(client.post(VOICES, data={"name": "basis", "declaration": " "}, files={"file": recording}))
        for name in ("../x", "/etc/x", "", ".", "con", "a/b", "x" * 300, "\u202eab", "a\\b"):
            check(client.post(VOICES, data={"name": name}, files={"file": recording}))
        assert {entry["kind"] for entry in client.get(VOICES).json()["data"]} == {"default", "alias of default"}


@pytest.mark.usefixtures("flat")
def test_audio_that_is_larger_than_it_looks(server: Server) -> None:
    bomb = flac_of_hours()
    assert len(bomb) < 2**20
    with server.client() as client:
        for _ in range(3):
            found = client.post(SPEECH, content=body(reference_audio=base64.b64encode(bomb).decode()), headers=JSON)
            assert "silent" in check(found)["message"]


@pytest.mark.usefixtures("flat")
def test_large_bodies_are_refused_before_they_are_read(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for headers in (b"Content-Length: 99999999999", b"Content-Length: 20000000"):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            request = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            connection.sendall(request + headers + b"\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")

    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 2**20

    with server.client() as client:
        refused = None
        with suppress(httpx.TransportError):  # the connection is closed while the body is sent
            refused = client.post(SPEECH, content=endless(), headers=JSON).status_code
        assert refused in (None, 413)
    assert any(event.get("code") == "body_too_large" for event in server.log())


@pytest.mark.usefixtures("flat")
def test_connections_that_end_too_early(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    start = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for content in (b"", b"\x16\x03\x01", b"GET", start, start + b"Content-Length: 100\r\n\r\n{", b"\r\n" * 50_000):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(content)
    with server.client() as client:
        while "valle_requests_accepted 0.0" not in client.get("/metrics").text:
            pass
