"""Speech of a synthesizer in this process: the text as sentences, and their audio as bytes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from prometheus_client.registry import Collector

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
from vallecli.server.metrics import EngineCollector
from vallecli.server.scheduler import Scheduler, Utterance
from vallecli.server.schemas import PCM_RATE, SpeechRequest
from vallecli.settings import Settings
from vallecli.synthesizer import Job, Piece, Synthesizer
from vallecli.text.markup import read_markup
from vallecli.text.normalize import check_words
from vallecli.text.notice import notice_for

SEEDS = 2**31  # seeds that are chosen from at random, as in `valle speak`
ENCODERS = 2  # threads


class LocalSpeaker:
    """A synthesizer, the thread that decodes with it, and what is around both; see `service.Speaker`."""

    def __init__(
        self, synthesizer: Synthesizer, settings: Settings, log: Log, *, slots: int, disclose: str | None = None
    ) -> None:
        self.synthesizer, self.settings, self.log, self.slots = synthesizer, settings, log, slots
        self.disclose = disclose
        self.name = synthesizer.name
        self.scheduler = Scheduler(interleave=synthesizer.backend.independent)
        self.engine = Engine(synthesizer, self.scheduler, slots=slots, on_fatal=self._fatal)
        self.collector: Collector = EngineCollector(self.engine, self.scheduler)
        self.fatal: Exception | None = None
        self._text_thread = ThreadPoolExecutor(1, "texts")  # front ends are not made for several
        self.encoders = ThreadPoolExecutor(ENCODERS, "encoder")

    def start(self) -> None:
        """Start the engine."""
        self.engine.start()

    def stop(self) -> None:
        """Stop the engine, after the last request."""
        self.scheduler.close()
        self.engine.join(10)
        for pool in (self._text_thread, self.encoders):
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def alive(self) -> bool:
        """Return whether the engine can speak."""
        return self.fatal is None and self.engine.alive

    def _fatal(self, error: Exception) -> None:
        self.fatal = error
        self.log.error("engine", error)

    async def speak(self, request: SpeechRequest, voice: Voice, client: str) -> LocalSpeech:
        """Begin to speak. Raises the errors of the text and of its options."""
        seed = request.seed if request.seed is not None else self.settings.seed
        seed = secrets.randbelow(SEEDS) if seed is None else seed
        loop = asyncio.get_running_loop()
        job = await loop.run_in_executor(self._text_thread, self._job, request, voice, seed)
        sentences = await loop.run_in_executor(self._text_thread, self._sentences, job)
        return LocalSpeech(self, request, sentences, client, seed)

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


class LocalSpeech:
    """One text that is being spoken. Iterate over it once, then close it."""

    def __init__(
        self,
        speaker: LocalSpeaker,
        request: SpeechRequest,
        sentences: list[tuple[Request, Choice]],
        client: str,
        seed: int,
    ) -> None:
        """Submit the sentences. Raises UsageError for a sample rate that the format does not have."""
        self._speaker, self.seed = speaker, seed
        self.frames = 0
        self.seconds = 0.0
        synthesizer = speaker.synthesizer
        given = request.sample_rate or (PCM_RATE if request.response_format == "pcm" else speaker.settings.sample_rate)
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
        speaker.scheduler.submit(self._utterance)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the audio as it is made. Raises the error of a sentence."""
        run, pool = asyncio.get_running_loop().run_in_executor, self._speaker.encoders
        provenance = Provenance.of(self._speaker.settings.checkpoint)
        encoder = ChunkEncoder(self._format, sample_rate=self.sample_rate, provenance=provenance)
        if self._speaker.disclose == SIGNAL:
            yield encoder.encode(signal(self.sample_rate))
        while (event := await self._events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            self._speaker.scheduler.fetched(self._utterance)
            self.frames += event.frames
            self.seconds += event.seconds
            yield await run(pool, self._encode, encoder, event)
        yield await run(pool, encoder.finish)

    def _encode(self, encoder: ChunkEncoder, piece: Piece) -> bytes:
        return encoder.encode(effects.resample(piece.audio, piece.sample_rate, self.sample_rate))

    def close(self) -> None:
        """Stop speaking, if it is not done."""
        self._speaker.scheduler.cancel(self._utterance)
