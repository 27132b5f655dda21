"""A worker of `valle serve --ray`: a speaker in a process of the cluster, as a deployment of Ray Serve.

It answers each request with a stream of messages: Begun, Audio for each chunk, or Refused in the place of either.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from vallecli.audio.prompt import PreparedPrompt
from vallecli.failures import Failure
from vallecli.families.base import Preset, Voice
from vallecli.server.local import LocalSpeaker
from vallecli.server.logs import Log, described
from vallecli.server.problems import Problem, problem_of
from vallecli.server.schemas import SpeechRequest
from vallecli.server.voices import CACHED
from vallecli.settings import Settings
from vallecli.synthesizer import Synthesizer
from vallecli.voices.library import StoredVoice


@dataclass(frozen=True)
class Prompt:
    """The arguments of Synthesizer.voice, with which each worker makes the voice once."""

    key: str
    """Prompts with the same key give the same voice."""
    source: PreparedPrompt | Preset | StoredVoice
    transcript: str | None
    name: str


@dataclass(frozen=True)
class ModelInfo:
    """The attributes of a synthesizer that the server needs before its workers run."""

    name: str
    description: str
    sample_rate: int
    """Hz."""
    needs_transcript: bool


@dataclass(frozen=True)
class WorkerState:
    """What the engine of a worker has done since it started, and what it does now; see metrics.EngineCollector."""

    worker: str
    """Name of the worker; after a restart, it has another one."""
    waiting: int
    decoding: int
    busy_seconds: float
    audio_seconds: float
    sentences: int


@dataclass(frozen=True)
class Begun:
    """The first message of a request; see service.Speech."""

    state: WorkerState
    seed: int
    sample_rate: int
    sentences: int


@dataclass(frozen=True)
class Audio:
    """Bytes of a speech, and how much of it there is up to them."""

    state: WorkerState
    data: bytes
    frames: int
    seconds: float


@dataclass(frozen=True)
class Refused:
    """The last message of a request that failed: the arguments of problems.Problem."""

    state: WorkerState
    status: int
    message: str
    code: str
    param: str | None
    headers: dict[str, str]
    described: str | None
    """Where it was raised, for the log, if it is an error of the server."""

    @property
    def problem(self) -> Problem:
        """Return the answer to the request."""
        return Problem(self.status, self.message, code=self.code, param=self.param, headers=self.headers)


Message = Begun | Audio | Refused


def probe(load: Callable[[], Synthesizer], describe: Callable[[Synthesizer], str]) -> ModelInfo | Failure:
    """Return what the checkpoint is on a machine of the cluster, or why it cannot be loaded there."""
    try:
        synthesizer = load()
        description = describe(synthesizer)
        return ModelInfo(synthesizer.name, description, synthesizer.sample_rate, synthesizer.needs_transcript)
    except Exception as error:  # as a Failure, because our exceptions cannot be pickled
        return Failure.of(error)


def worker_name() -> str:
    """Return the name of the worker in whose process it is called."""
    from ray import serve

    return str(serve.get_replica_context().replica_tag)


class Replica:
    """The worker. Ray Serve calls its methods in one event loop."""

    def __init__(
        self,
        name: Callable[[], str],
        load: Callable[[], Synthesizer],
        settings: Settings,
        *,
        slots: int,
        texts: bool,
        disclose: str | None,
    ) -> None:
        """`name` returns the name of the worker, `load` its synthesizer; for the others, see LocalSpeaker and Log."""
        self.name = name()
        self.speaker = LocalSpeaker(load(), settings, Log(texts=texts), slots=slots, disclose=disclose)
        self._voices: OrderedDict[str, Voice] = OrderedDict()
        self._voice_thread = ThreadPoolExecutor(1, "voices")  # codecs are not made for several
        self.speaker.start()

    def check_health(self) -> None:
        """Raise an error if nothing can be spoken; Ray Serve then replaces the worker."""
        if not self.speaker.alive:
            raise RuntimeError("the engine has stopped")

    async def speak(self, request: SpeechRequest, prompt: Prompt, client: str) -> AsyncIterator[Message]:
        """Yield the messages of a request, until the end or until it is cancelled."""
        speech = None
        try:
            voice = await asyncio.get_running_loop().run_in_executor(self._voice_thread, self._voice, prompt)
            speech = await self.speaker.speak(request, voice, client)
            yield Begun(self._state(), speech.seed, speech.sample_rate, speech.sentences)
            async for data in speech:
                yield Audio(self._state(), data, speech.frames, speech.seconds)
        except Exception as error:
            yield self._refused(error)
        finally:
            if speech is not None:
                speech.close()

    def _voice(self, prompt: Prompt) -> Voice:
        """Return a voice, made once. Raises the errors of Synthesizer.voice."""
        if prompt.key not in self._voices:
            made = self.speaker.synthesizer.voice(prompt.source, prompt.transcript, name=prompt.name)
            self._voices[prompt.key] = made
            if len(self._voices) > CACHED:
                self._voices.popitem(last=False)
        self._voices.move_to_end(prompt.key)
        return self._voices[prompt.key]

    def _state(self) -> WorkerState:
        scheduler = self.speaker.scheduler
        work: dict[str, Any] = asdict(self.speaker.engine.work)
        return WorkerState(self.name, scheduler.waiting, scheduler.decoding, **work)

    def _refused(self, error: Exception) -> Refused:
        problem = problem_of(error)
        where = described(error) if problem.status >= 500 else None
        body = problem.body
        return Refused(self._state(), problem.status, body.message, problem.code, body.param, problem.headers, where)
