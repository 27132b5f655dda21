"""Many requests at once, and the end of the process: every request that was accepted is answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from serving import TIMEOUT, Server, Start, httpx

pytestmark = pytest.mark.loopback

BODY = {"input": "Red.", "response_format": "wav", "max_seconds": 0.3}


async def ask_all(server: Server, number: int, on_first: Any = None) -> list[httpx.Response | Exception]:
    """Return the responses of many requests at once, or their errors."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=None, trust_env=False, limits=limits) as client:

        async def ask(seed: int) -> httpx.Response | Exception:
            try:
                response = await client.post("/v1/audio/speech", json={**BODY, "seed": seed % 5})
            except httpx.HTTPError as error:
                return error
            if on_first is not None and response.status_code == 200:
                on_first()
            return response

        return await asyncio.gather(*(ask(seed) for seed in range(number)))


def test_no_request_is_lost(start: Start) -> None:
    server = start("--max-queue", "150", "--timeout", "3600")
    alone = {seed: server.speak(**BODY, seed=seed).content for seed in range(5)}
    found = asyncio.run(ask_all(server, 200))
    assert not [each for each in found if isinstance(each, Exception)]
    statuses = Counter(each.status_code for each in found)
    assert set(statuses) <= {200, 429}
    assert statuses[200] >= 150
    for seed, each in enumerate(found):
        if each.status_code == 200:
            assert each.content == alone[seed % 5]
        else:
            assert int(each.headers["retry-after"]) >= 1
            assert each.json()["error"]["type"] == "rate_limit_error"


def test_a_full_queue_refuses(start: Start) -> None:
    server = start("--max-queue", "2", "--slots", "1")
    found = asyncio.run(ask_all(server, 20))
    statuses = Counter(each.status_code for each in found)
    assert statuses[429] > 0
    assert statuses[200] + statuses[429] == 20


def test_sigterm_answers_what_was_accepted(start: Start) -> None:
    server = start("--max-queue", "40", "--timeout", "3600")
    ended: list[bool] = []

    def end() -> None:
        if not ended:
            ended.append(True)
            server.process.terminate()

    found = asyncio.run(ask_all(server, 60, on_first=end))
    assert server.process.wait(TIMEOUT) == 0
    refused = (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)  # connections that were never accepted
    assert all(isinstance(each, (httpx.Response, *refused)) for each in found)
    answered = [each for each in found if not isinstance(each, Exception)]
    complete = [each for each in answered if each.status_code == 200]
    assert {each.status_code for each in answered} <= {200, 429, 503}
    assert len(complete) > 1
    assert all(each.content[:4] == b"RIFF" for each in complete)
    log = [event for event in server.log() if event.get("path") == "/v1/audio/speech"]
    assert Counter(event["status"] for event in log) == Counter(each.status_code for each in answered)


def test_a_second_signal_ends_at_once(start: Start) -> None:
    server = start()
    server.process.terminate()
    server.process.terminate()
    assert server.process.wait(TIMEOUT) in (0, 143)


def test_a_request_that_takes_too_long_is_answered(start: Start) -> None:
    server = start("--timeout", "1", "--slots", "1")
    text = "Red green blue and many more words until it takes long. " * 60
    try:
        found = server.speak(input=text, max_seconds=20, response_format="flac")
    except httpx.RemoteProtocolError:  # the response has no end: its first sentences had been sent
        pass
    else:
        assert (found.status_code, found.json()["error"]["code"]) == (504, "timeout")
    with server.client() as client:
        assert client.get("/ready").status_code == 200
