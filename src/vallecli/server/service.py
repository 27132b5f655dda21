"""From a request to its audio: admission, the voice, the sentences, and the pieces as bytes."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from vallecli.audio import effects
from vallecli.audio.chunks import ChunkEncoder
from vallecli.audio.formats import SIGNAL, SPOKEN_NOTICE, output_rate
from vallecli.audio.notice import signal
from vallecli.audio.provenance import Provenance
from vallecli.errors import UsageError
from vallecli.families.base import Request, Voice
from vallecli.quality.candidates import Choice
from vallecli.server.engine import Engine
from vallecli.server.logs import Log
from vallecli.server.metrics import Metrics
from vallecli.server.problems import Problem
from vallecli.server.scheduler import Scheduler, Utterance
from vallecli.server.schemas import PCM_RATE, SpeechRequest
from vallecli.server.voices import ServerVoices
from vallecli.settings import MAX_SPEED, MIN_SPEED, Settings
from vallecli.synthesizer import Job, Piece, Synthesizer
from vallecli.text.markup import read_markup
from vallecli.text.normalize import check_words
from vallecli.text.notice import notice_for

Result = TypeVar("Result")

SEEDS = 2**31  # seeds that are chosen from at random, as in `valle speak`
OTHER_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")  # names that programs send which know only one server
ENCODERS = 2  # threads
LONGEST_RETRY = 60  # seconds of Retry-After


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one server does at most."""

    slots: int
    """Sentences that are decoded at the same time."""
    max_queue: int
    """Requests that are accepted at the same time."""
    max_chars: int
    """Characters of a text."""
    timeout: float
    """Seconds of a request."""
    uploads: bool
    """Whether clients may send recordings."""


class Service:
    """The synthesizer of a server and everything around it. Its coroutines run in one event loop."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        voices: ServerVoices,
        settings: Settings,
        bounds: Bounds,
        log: Log,
        *,
        disclose: str | None = None,
    ) -> None:
        self.synthesizer, self.voices, self.settings, self.bounds, self.log = synthesizer, voices, settings, bounds, log
        self.disclose = disclose
        self.scheduler = Scheduler(interleave=synthesizer.backend.independent)
        self.engine = Engine(synthesizer, self.scheduler, slots=bounds.slots, on_fatal=self._fatal)
        self.metrics = Metrics(self.engine, self.scheduler)
        self.accepted = 0
        self.draining = False
        self.fatal: Exception | None = None
        self._mean_seconds = 1.0  # of a request
        # One thread each: neither front ends nor codecs are made for several.
        self._voice_thread = ThreadPoolExecutor(1, "voices")
        self._text_thread = ThreadPoolExecutor(1, "texts")
        self._encoders = ThreadPoolExecutor(ENCODERS, "encoder")

    def start(self) -> None:
        """Start the engine."""
        self.engine.start()

    def stop(self) -> None:
        """Stop the engine, after the last request."""
        self.scheduler.close()
        self.engine.join(10)
        for pool in (self._voice_thread, self._text_thread, self._encoders):
            pool.shutdown(wait=False, cancel_futures=True)

    def _fatal(self, error: Exception) -> None:
        self.fatal = error
        self.log.error("engine", error)

    # Admission

    @property
    def ready(self) -> bool:
        """Return whether another request would be accepted."""
        return self.alive and not self.draining and self.accepted < self.bounds.max_queue

    @property
    def alive(self) -> bool:
        """Return whether the engine can speak."""
        return self.fatal is None and self.engine.alive

    def admit(self) -> Admission:
        """Return a place for a request. Raises Problem if there is none."""
        if self.draining or not self.alive:
            raise Problem(
                503,
                "The server is shutting down.",
                code="shutting_down",
                headers={"Retry-After": "5", "Connection": "close"},
            )
        if self.accepted >= self.bounds.max_queue:
            wait = math.ceil(self._mean_seconds * self.accepted / self.bounds.slots)
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
        if request.model not in (None, self.synthesizer.name, self.settings.checkpoint, *OTHER_MODELS):
            raise Problem(
                404,
                f"There is no model {request.model!r}; this server has {self.synthesizer.name}.",
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

    async def voice(self, request: SpeechRequest, recording: bytes | None) -> Voice:
        """Return the voice of a request. Raises the errors of ServerVoices."""
        run = asyncio.get_running_loop().run_in_executor
        if recording is not None:
            return await run(self._voice_thread, self.voices.uploaded, recording, request.reference_text)
        return await run(self._voice_thread, self.voices.named, request.voice_name)

    async def in_voice_thread(self, work: Callable[[], Result]) -> Result:
        """Return the result of work on voices."""
        return await asyncio.get_running_loop().run_in_executor(self._voice_thread, work)

    async def speak(self, request: SpeechRequest, voice: Voice, client: str) -> Speech:
        """Begin to speak. Raises the errors of the text and of its options."""
        seed = request.seed if request.seed is not None else self.settings.seed
        seed = secrets.randbelow(SEEDS) if seed is None else seed
        loop = asyncio.get_running_loop()
        job = await loop.run_in_executor(self._text_thread, self._job, request, voice, seed)
        sentences = await loop.run_in_executor(self._text_thread, self._sentences, job)
        return Speech(self, request, sentences, client, seed)

    def _job(self, request: SpeechRequest, voice: Voice, seed: int) -> Job:
        settings = replace(self.settings, **request.settings)
        words = read_markup(request.input, language=request.language).words
        check_words(words)
        synthesizer = self.synthesizer
        return Job(
            key=None,
            text=request.input,
            voice=voice,
            sampling=settings.sampling(synthesizer.sampling, seed=seed, frame_rate=synthesizer.frame_rate),
            language=request.language,
            accent=request.accent,
            notice=notice_for(words, request.language) if self.disclose == SPOKEN_NOTICE else None,
            speed=request.speed,
            pause=settings.pause,
            paragraph_pause=settings.paragraph_pause,
        )

    def _sentences(self, job: Job) -> list[tuple[Request, Choice]]:
        return list(self.synthesizer.requests(job))


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


class Speech:
    """One text that is being spoken. Iterate over it once, then close it."""

    def __init__(
        self,
        service: Service,
        request: SpeechRequest,
        sentences: list[tuple[Request, Choice]],
        client: str,
        seed: int,
    ) -> None:
        """Submit the sentences. Raises UsageError for a sample rate that the format does not have."""
        self._service, self.seed = service, seed
        self.frames = 0
        self.seconds = 0.0
        synthesizer = service.synthesizer
        given = request.sample_rate or (PCM_RATE if request.response_format == "pcm" else service.settings.sample_rate)
        self.sample_rate = output_rate(request.format, given, synthesizer.sample_rate)
        self._format = request.format
        loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()

        def put(event: Piece | Exception | None) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._events.put_nowait, event)

        if not sentences:
            raise UsageError("the text has no sentences", "Give a text with letters or numbers.")
        self._utterance = Utterance(client, sentences, on_piece=put, on_error=put)
        self.sentences = len(sentences)
        service.scheduler.submit(self._utterance)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the audio as it is made. Raises the error of a sentence."""
        run, pool = asyncio.get_running_loop().run_in_executor, self._service._encoders
        provenance = Provenance.of(self._service.settings.checkpoint)
        encoder = ChunkEncoder(self._format, sample_rate=self.sample_rate, provenance=provenance)
        if self._service.disclose == SIGNAL:
            yield encoder.encode(signal(self.sample_rate))
        while (event := await self._events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            self._service.scheduler.fetched(self._utterance)
            self.frames += event.frames
            self.seconds += event.seconds
            yield await run(pool, self._encode, encoder, event)
        yield await run(pool, encoder.finish)

    def _encode(self, encoder: ChunkEncoder, piece: Piece) -> bytes:
        return encoder.encode(effects.resample(piece.audio, piece.sample_rate, self.sample_rate))

    def close(self) -> None:
        """Stop speaking, if it is not done."""
        self._service.scheduler.cancel(self._utterance)
