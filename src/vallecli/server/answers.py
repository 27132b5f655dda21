"""The HTTP response of speech: chunks of audio or server-sent events, until the end, the timeout or a disconnection."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vallecli.audio.chunks import MEDIA_TYPES
from vallecli.server.problems import Problem, problem_of
from vallecli.server.schemas import SpeechRequest
from vallecli.server.service import Admission, Service, Speech

EVENT_BYTES = 24_000  # of audio in one event


class SpeechResponse(Response):
    """Sends a speech. Its status is known with the first audio: errors before that have their own."""

    def __init__(self, service: Service, request: SpeechRequest, speech: Speech, admission: Admission) -> None:
        super().__init__()
        self._service, self._request, self._speech, self._admission = service, request, speech, admission
        self._begun = False  # whether headers were sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; without its end if it fails after it has begun."""
        started = scope["valle"]["started"]
        left = self._service.bounds.timeout - (time.perf_counter() - started)
        sending = asyncio.ensure_future(self._send(scope, receive, send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({sending, leaving}, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await sending
                return
            scope["valle"]["code"] = "disconnected" if leaving.done() else "timeout"
            sending.cancel()
            await asyncio.wait({sending})
            if not leaving.done() and not self._begun:
                await self._timeout().response()(scope, receive, send)
        finally:
            for task in (sending, leaving):
                task.cancel()
            self._speech.close()
            self._admission.release()
            self._service.count(time.perf_counter() - started)
            scope["valle"] |= self._facts()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers with the first audio, and then the rest."""
        sse = self._request.stream_format == "sse"
        try:
            async for data in self._events() if sse else self._audio():
                if not self._begun:
                    self._begun = True
                    first = time.perf_counter() - scope["valle"]["started"]
                    self._service.metrics.first_byte.observe(first)
                    scope["valle"]["first_byte"] = round(first, 3)
                    await send({"type": "http.response.start", "status": 200, "headers": self._raw_headers(sse)})
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except Exception as error:
            problem = problem_of(error)
            scope["valle"]["code"] = problem.code
            if problem.status >= 500:
                self._service.log.error("speech", error)
            if not self._begun:
                await problem.response()(scope, receive, send)
            elif sse:
                await send({"type": "http.response.body", "body": _event({"type": "error", **_body(problem)})})
            # Else the response has no end: the client sees that it is incomplete.

    async def _audio(self) -> AsyncIterator[bytes]:
        async for data in self._speech:
            if data:
                yield data

    async def _events(self) -> AsyncIterator[bytes]:
        async for data in self._audio():
            for begin in range(0, len(data), EVENT_BYTES):
                audio = base64.b64encode(data[begin : begin + EVENT_BYTES]).decode("ascii")
                yield _event({"type": "speech.audio.delta", "audio": audio})
        characters = len(self._request.input)
        usage = {"input_tokens": characters, "output_tokens": self._speech.frames}
        total = {"total_tokens": sum(usage.values())}
        yield _event({"type": "speech.audio.done", "usage": {**usage, **total}})

    def _raw_headers(self, sse: bool) -> list[tuple[bytes, bytes]]:
        headers = {
            "content-type": "text/event-stream" if sse else MEDIA_TYPES[self._request.format],
            "x-seed": str(self._speech.seed),
            "x-sample-rate": str(self._speech.sample_rate),
            "x-accel-buffering": "no",  # for nginx
        }
        if ignored := self._request.ignored:
            headers["x-ignored"] = ", ".join(ignored)
        return [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers.items()]

    def _timeout(self) -> Problem:
        seconds = self._service.bounds.timeout
        return Problem(504, f"No audio was ready after {seconds:g} s.", code="timeout")

    def _facts(self) -> dict[str, object]:
        """Return what the log says of the request."""
        request, speech = self._request, self._speech
        return {
            "characters": len(request.input),
            "sentences": speech.sentences,
            "audio_seconds": round(speech.seconds, 3),
            "voice": request.voice_name,
            "format": request.response_format,
            "text": request.input if self._service.log.texts else None,
        }


async def _disconnected(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(value: dict[str, object]) -> bytes:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def _body(problem: Problem) -> dict[str, object]:
    return {"error": problem.body.model_dump()}
