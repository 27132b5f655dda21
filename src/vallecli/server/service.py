"""What all requests share: who is accepted, what is refused, voices, and metrics. A speaker makes the audio."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from prometheus_client.registry import Collector

from vallecli.server.logs import Log
from vallecli.server.metrics import Metrics
from vallecli.server.problems import Problem
from vallecli.server.schemas import SpeechRequest
from vallecli.server.voices import ServerVoices
from vallecli.settings import MAX_SPEED, MIN_SPEED

Result = TypeVar("Result")

OTHER_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")  # names that programs send which know only one server
LONGEST_RETRY = 60  # seconds of Retry-After


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one server does at most."""

    max_queue: int
    """Requests that are accepted at the same time."""
    max_chars: int
    """Characters of a text."""
    timeout: float
    """Seconds of a request."""
    uploads: bool
    """Whether clients may send recordings."""


class Speech(Protocol):
    """One text that is being spoken. Iterate over it once, then close it."""

    seed: int
    sample_rate: int
    """Hz."""
    sentences: int
    frames: int
    """Codec frames of the audio so far."""
    seconds: float
    """Duration of the audio so far."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the audio as it is made. Raises the error of a sentence."""

    def close(self) -> None:
        """Stop speaking, if it is not done."""


class Speaker(Protocol):
    """Speaks texts: with a synthesizer in this process, or with workers of a cluster."""

    name: str
    """Of the checkpoint."""
    collector: Collector
    """Its metrics."""
    fatal: Exception | None
    """An error after which nothing can be spoken."""

    @property
    def slots(self) -> int:
        """Return how many sentences are decoded at the same time."""

    @property
    def alive(self) -> bool:
        """Return whether it can speak."""

    def start(self) -> None:
        """Start, before the first request."""

    def stop(self) -> None:
        """Stop, after the last request."""

    async def speak(self, request: SpeechRequest, voice: Any, client: str) -> Speech:
        """Begin to speak. Clients have equal shares. Raises the errors of the text and of its options."""


class Service:
    """The speaker of a server and everything around it. Its coroutines run in one event loop."""

    def __init__(self, speaker: Speaker, voices: ServerVoices, checkpoint: str, bounds: Bounds, log: Log) -> None:
        """`checkpoint` is another name of the model, as given in the settings."""
        self.speaker, self.voices, self.checkpoint, self.bounds, self.log = speaker, voices, checkpoint, bounds, log
        self.metrics = Metrics(speaker.collector)
        self.accepted = 0
        self.draining = False
        self._mean_seconds = 1.0  # of a request
        self._voice_thread = ThreadPoolExecutor(1, "voices")  # codecs are not made for several

    def start(self) -> None:
        """Start the speaker."""
        self.speaker.start()

    def stop(self) -> None:
        """Stop the speaker, after the last request."""
        self.speaker.stop()
        self._voice_thread.shutdown(wait=False, cancel_futures=True)

    # Admission

    @property
    def ready(self) -> bool:
        """Return whether another request would be accepted."""
        return self.alive and not self.draining and self.accepted < self.bounds.max_queue

    @property
    def alive(self) -> bool:
        """Return whether the speaker can speak."""
        return self.speaker.alive

    def admit(self) -> Admission:
        """Return a place for a request. Raises Problem if there is none."""
        if self.draining or not self.alive:
            code = "shutting_down" if self.draining else "unavailable"
            message = "The server is shutting down." if self.draining else "No model is running at the moment."
            raise Problem(503, message, code=code, headers={"Retry-After": "5", "Connection": "close"})
        if self.accepted >= self.bounds.max_queue:
            wait = math.ceil(self._mean_seconds * self.accepted / self.speaker.slots)
            raise Problem(
                429,
                f"{self.accepted} requests are being answered, which is the limit. Try again later.",
                code="queue_full",
                headers={"Retry-After": str(min(LONGEST_RETRY, max(1, wait)))},
            )
        return Admission(self)

    def count(self, seconds: float) -> None:
        """Count a request that was answered, after some seconds."""
        self._mean_seconds += 0.1 * (seconds - self._mean_seconds)
        self.metrics.duration.observe(seconds)

    # Requests

    def check(self, request: SpeechRequest) -> None:
        """Refuse what can be refused without the model. Raises Problem and TextError."""
        if request.model not in (None, self.speaker.name, self.checkpoint, *OTHER_MODELS):
            raise Problem(
                404,
                f"There is no model {request.model!r}; this server has {self.speaker.name}.",
                code="model_not_found",
                param="model",
            )
        if len(request.input) > self.bounds.max_chars:
            raise Problem(
                400,
                f"The input has {len(request.input)} characters, and at most {self.bounds.max_chars} are accepted.",
                code="input_too_long",
                param="input",
            )
        if not MIN_SPEED <= request.speed <= MAX_SPEED:
            raise Problem(
                400, f"The speed should be {MIN_SPEED:g} to {MAX_SPEED:g}.", code="invalid_value", param="speed"
            )
        if request.stream_format == "sse" and request.response_format not in ("pcm", "mp3", "wav", "aac", "opus"):
            raise Problem(400, "stream_format sse has no FLAC.", code="invalid_value", param="response_format")

    async def voice(self, request: SpeechRequest, recording: bytes | None) -> Any:
        """Return the voice of a request. Raises the errors of ServerVoices."""
        run = asyncio.get_running_loop().run_in_executor
        if recording is not None:
            return await run(self._voice_thread, self.voices.uploaded, recording, request.reference_text)
        return await run(self._voice_thread, self.voices.named, request.voice_name)

    async def in_voice_thread(self, work: Callable[[], Result]) -> Result:
        """Return the result of work on voices."""
        return await asyncio.get_running_loop().run_in_executor(self._voice_thread, work)


class Admission:
    """A place among the requests that are accepted, until it is given back."""

    def __init__(self, service: Service) -> None:
        self._service, self._held, self._started = service, True, time.perf_counter()
        service.accepted += 1
        service.metrics.accepted.set(service.accepted)

    def release(self) -> None:
        """Give the place back; more than once does no harm."""
        if self._held:
            self._held = False
            self._service.accepted -= 1
            self._service.metrics.accepted.set(self._service.accepted)
