"""The protocol over loopback: formats, streaming, voices, errors, and the same bytes as `valle speak`."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import TIMEOUT, Server, Start, environment

from vallecli.audio.decode import decode

pytestmark = pytest.mark.loopback

SHORT = {"input": "Red green.", "max_seconds": 0.4}
MEDIA = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
}


def spoken(folder: Path, checkpoint: Path, reference: Path, *arguments: str) -> bytes:
    """Return what `valle speak -o -` writes."""
    command = [sys.executable, "-m", "vallecli", "speak", "--checkpoint", checkpoint, "--prompt", reference]
    variables = environment(folder)
    done = subprocess.run([*command, *arguments, "-o", "-"], env=variables, capture_output=True, check=True)
    return done.stdout


@pytest.mark.parametrize("seed", [3, 11])
def test_a_seed_gives_the_bytes_of_the_command(
    server: Server, tiny_checkpoint: Path, reference: Path, tmp_path: Path, seed: int
) -> None:
    text = "Red green blue. The second sentence is longer."
    options = ("--text", text, "--seed", str(seed), "--max-seconds", "1", "--temperature", "0.8")
    expected = spoken(tmp_path, tiny_checkpoint, reference, *options)
    found = server.speak(input=text, seed=seed, max_seconds=1, temperature=0.8)
    assert found.status_code == 200
    assert found.content == expected
    assert found.headers["x-seed"] == str(seed)


@pytest.mark.parametrize("name", MEDIA)
def test_formats(server: Server, name: str) -> None:
    found = server.speak(response_format=name)
    assert (found.status_code, found.headers["content-type"]) == (200, MEDIA[name])
    plain = np.frombuffer(server.speak(response_format="pcm").content, "<i2") / 32_767
    if name == "pcm":
        assert len(found.content) == 2 * len(plain)
        return
    decoded = decode(io.BytesIO(found.content))
    seconds = len(decoded.wav_N) / decoded.sample_rate
    assert seconds == pytest.approx(len(plain) / 24_000, abs=0.12)  # codecs have blocks
    assert not decoded.damaged
    if name in ("wav", "flac"):
        assert np.abs(decoded.wav_N - plain).max() < 1e-4


def test_the_default_format_and_voice_are_those_of_the_protocol(server: Server) -> None:
    with server.client() as client:
        found = client.post("/v1/audio/speech", json={**SHORT, "model": "tts-1", "voice": "alloy"})
        assert found.headers["content-type"] == "audio/mpeg"
        named = client.post("/v1/audio/speech", json={**SHORT, "voice": {"id": "default"}})
        assert named.status_code == 200


def test_ignored_fields_are_reported(server: Server) -> None:
    found = server.speak(instructions="Whisper.", user="me", seed=4)
    assert found.headers["x-ignored"] == "instructions, user"
    assert found.content == server.speak(seed=4).content
    assert "x-ignored" not in server.speak(seed=4).headers


def test_server_sent_events(server: Server) -> None:
    plain = server.speak(response_format="pcm").content
    found = server.speak(response_format="pcm", stream_format="sse")
    assert found.headers["content-type"] == "text/event-stream"
    events = [json.loads(line.removeprefix("data: ")) for line in found.text.split("\n\n") if line]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == plain
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert events[-1]["type"] == "speech.audio.done"
    usage = events[-1]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > usage["input_tokens"] == 10


def test_sentences_are_sent_as_they_are_done(server: Server) -> None:
    """The headers and the first sentence arrive while later ones are decoded: more of them than may be ahead."""
    text = "Red is one. " * 12
    values = {"input": text, "response_format": "pcm", "max_seconds": 1}
    sizes = []
    with server.client() as client, client.stream("POST", "/v1/audio/speech", json=values) as found:
        chunks = found.iter_raw()
        sizes.append(len(next(chunks)))
        with server.client() as other:
            metrics = other.get("/metrics").text
        assert "valle_requests_accepted 1.0" in metrics  # it is not done yet
        sizes += [len(chunk) for chunk in chunks]
    assert len(sizes) >= 3


def test_a_client_that_leaves_frees_its_place(server: Server) -> None:
    values = {"input": "Red is one. " * 30, "response_format": "pcm", "max_seconds": 2}
    with server.client() as client, client.stream("POST", "/v1/audio/speech", json=values) as found:
        next(found.iter_raw())
    with server.client() as client:
        while "valle_requests_accepted 0.0" not in (text := client.get("/metrics").text):
            assert "valle_requests_accepted 1.0" in text
        while "valle_batch_sentences 0.0" not in client.get("/metrics").text:
            pass
    assert any(event.get("code") == "disconnected" for event in server.log())


def test_speed(server: Server) -> None:
    slow, fast = (len(server.speak(response_format="pcm", speed=speed).content) for speed in (0.5, 2.0))
    assert slow == pytest.approx(4 * fast, rel=0.1)
    assert server.speak(speed=3.5).status_code == 400


def test_pcm_has_the_rate_of_the_protocol_unless_another_is_given(server: Server) -> None:
    assert server.speak(response_format="pcm").headers["x-sample-rate"] == "24000"
    found = server.speak(sample_rate=16_000)
    with wave.open(io.BytesIO(found.content)) as file:
        assert file.getframerate() == 16_000
    refused = server.speak(response_format="opus", sample_rate=44_100)
    assert refused.status_code == 400
    assert "48000" in refused.json()["error"]["message"]


# Recordings


def test_reference_audio_in_json_and_in_a_form(server: Server, reference: Path) -> None:
    recording = reference.read_bytes()
    expected = server.speak().content
    encoded = base64.b64encode(recording).decode()
    assert server.speak(reference_audio=encoded).content == expected
    assert server.speak(reference_audio=f"data:audio/wav;base64,{encoded}").content == expected
    fields = {"input": "Red green.", "response_format": "wav", "seed": "3", "max_seconds": "0.4"}
    with server.client() as client:
        found = client.post("/v1/audio/speech", data=fields, files={"reference_audio": ("../../x.wav", recording)})
    assert found.content == expected


def test_voices_are_uploaded_listed_and_spoken(server: Server, reference: Path) -> None:
    with server.client() as client:
        fields = {"name": "anna", "notes": "a test", "declaration": "Anna has agreed by letter."}
        files = {"file": ("any.wav", reference.read_bytes())}
        added = client.post("/v1/voices", data=fields, files=files)
        assert added.status_code == 201, added.text
        assert added.json()["consent"] == "declared"
        again = client.post("/v1/voices", data=fields, files=files)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "voice_exists")
        names = {entry["id"]: entry["kind"] for entry in client.get("/v1/voices").json()["data"]}
        assert names == {"default": "default", "anna": "library", "alloy": "alias of default"}
    assert server.speak(voice="ANNA").status_code == 200
    unknown = server.speak(voice="anne")
    assert unknown.status_code == 404
    assert "anna" in unknown.json()["error"]["message"]


def test_uploads_are_off_by_default(start: Start, reference: Path) -> None:
    server = start()
    refused = server.speak(reference_audio=base64.b64encode(reference.read_bytes()[:3000]).decode())
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "uploads_disabled")
    with server.client() as client:
        refused = client.post("/v1/voices", data={"name": "x"}, files={"file": b"RIFF"})
        assert refused.status_code == 403


# Other paths


def test_models_health_and_metrics(server: Server) -> None:
    with server.client() as client:
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["tiny"]
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"status": "ready"}
        assert server.speak().status_code == 200
        metrics = client.get("/metrics").text
        for name in (
            "valle_queue_requests",
            "valle_batch_sentences",
            "valle_real_time_factor",
            "valle_busy_seconds_total",
        ):
            assert f"\n{name} " in metrics
        assert 'valle_requests_total{path="/v1/audio/speech",status="200"}' in metrics
        missing = client.get("/v1/nothing")
        assert (missing.status_code, missing.json()["error"]["type"]) == (404, "invalid_request_error")
        assert client.get("/v1/audio/speech").status_code == 405
        assert "SpeechRequest" in client.get("/openapi.json").text


def test_the_log_is_json_without_texts(server: Server) -> None:
    assert server.speak(input="Violet octopus.", voice="nobody").status_code == 404
    assert server.speak(input="Violet octopus.").status_code == 200
    events = [event for event in server.log() if event["event"] == "request"]
    assert {"time", "level", "id", "method", "path", "status", "seconds", "client"} <= events[-1].keys()
    assert events[-1]["characters"] == 15
    assert "ctopus" not in (server.folder / "err.txt").read_text(encoding="utf-8")


def test_the_official_client_streams_to_a_file_that_plays(server: Server, tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=TIMEOUT)
    path = tmp_path / "speech.mp3"
    options: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "extra_body": {"seed": 1, "max_seconds": 0.5}}
    with client.audio.speech.with_streaming_response.create(input="Red green. Blue.", **options) as response:
        response.stream_to_file(path)
    with path.open("rb") as file:
        decoded = decode(file)
    assert len(decoded.wav_N) / decoded.sample_rate > 0.5
    assert not decoded.damaged
    assert [model.id for model in client.models.list()] == ["tiny"]
    with pytest.raises(openai.NotFoundError, match="no voice nobody"):
        client.audio.speech.create(model="tts-1", voice="nobody", input="Red.")
    client.close()


# Keys and sites


def test_keys(start: Start) -> None:
    server = start(key="a-key-of-twenty-four-chars")
    with server.client() as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "a-key-of-twenty-four-chars"}):
            refused = client.post("/v1/audio/speech", json=SHORT, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
            assert client.get("/metrics", headers=headers).status_code == 401
        assert client.get("/health").status_code == client.get("/").status_code == 200
        right = {"Authorization": "Bearer a-key-of-twenty-four-chars"}
        assert client.post("/v1/audio/speech", json=SHORT, headers=right).status_code == 200
    assert "a-key" not in (server.folder / "err.txt").read_text(encoding="utf-8")


def test_pages_of_other_sites_cannot_use_the_server(server: Server) -> None:
    with server.client() as client:
        own = client.post("/v1/audio/speech", json=SHORT, headers={"Origin": server.url})
        assert own.status_code == 200
        assert "access-control-allow-origin" not in own.headers
        other = client.post("/v1/audio/speech", json=SHORT, headers={"Origin": "https://example.org"})
        assert (other.status_code, other.json()["error"]["code"]) == (403, "wrong_origin")
        renamed = client.get("/v1/voices", headers={"Host": "example.org"})
        assert (renamed.status_code, renamed.json()["error"]["code"]) == (403, "wrong_host")


def test_sites_can_be_allowed(start: Start) -> None:
    server = start("--cors-origin", "https://example.org")
    with server.client() as client:
        asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
        assert (
            client.options("/v1/audio/speech", headers=asked).headers["access-control-allow-origin"] == asked["Origin"]
        )
        assert client.post("/v1/audio/speech", json=SHORT, headers={"Origin": asked["Origin"]}).status_code == 200
        other = {**asked, "Origin": "https://example.com"}
        assert "access-control-allow-origin" not in client.options("/v1/audio/speech", headers=other).headers
