"""The speaker of `valle serve --ray`: Ray Serve runs the workers, this process listens.

Ray's own HTTP proxy is not started. It would listen without keys and limits on further paths, and would end responses
that are being sent when Ray Serve stops. Here one process has the listening socket, the keys, the limits, the library
of voices and the log, as without a cluster, and only speech goes to the workers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import pickle
import secrets
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vallecli.audio.prompt import PreparedPrompt
from vallecli.errors import DeviceError, TranscriptMissing
from vallecli.failures import Failure
from vallecli.families.base import Preset
from vallecli.jobs.cluster import as_error, warn_if_small
from vallecli.server.logs import Log
from vallecli.server.problems import Problem
from vallecli.server.replica import Begun, Message, ModelInfo, Prompt, Refused, Replica, WorkerState, probe, worker_name
from vallecli.server.schemas import SpeechRequest
from vallecli.settings import Settings
from vallecli.synthesizer import Synthesizer
from vallecli.voices.library import StoredVoice

DEPLOYMENT = "valle"  # in the application of one server
POLL_SECONDS = 2.0  # between two looks at which workers run
GRACE = 5.0  # seconds beyond the timeout of requests, for a worker that is stopped
WAIT_SECONDS = 0.5  # between two looks of such a worker at its requests


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How many workers there are, and what each one takes."""

    least: int
    most: int
    """Ray Serve starts workers beyond `least` while the requests of each one exceed its slots."""
    gpus: float
    """Of each worker."""
    slots: int
    """Sentences that a worker decodes at the same time."""


@dataclass
class _Worker:
    """A worker as the server knows it."""

    state: WorkerState
    """As of its last message."""
    requests: int = 0
    """Requests that it answers."""


class ClusterSpeaker:
    """Speaks with the workers of a cluster; see service.Speaker and voices.VoiceMaker. Ray has to be connected."""

    def __init__(
        self,
        load: Callable[[], Synthesizer],
        describe: Callable[[Synthesizer], str],
        settings: Settings,
        workers: Workers,
        *,
        requests: int,
        timeout: float,
        texts: bool,
        disclose: str | None,
        report: Callable[[str], None],
    ) -> None:
        """Load the checkpoint on one machine of the cluster, to see that it can be.

        `load` and `describe` are called in the cluster. `requests` is how many are accepted at the same time, and
        `timeout` how many seconds each of them may take. Raises an error with the exit code of that of loading.
        """
        self.workers, self.timeout, self._requests = workers, timeout, requests
        self.fatal: Exception | None = None
        self.running = 0  # workers
        self.known: dict[str, _Worker] = {}
        self.collector: Collector = WorkerCollector(self)
        self.log = Log(texts=texts)
        self._make = (load, settings), {"slots": workers.slots, "texts": texts, "disclose": disclose}
        self._application = f"{DEPLOYMENT}-{secrets.token_hex(4)}"
        self._handle: Any = None
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="workers", daemon=True)
        warn_if_small(workers.least, workers.gpus, report)
        self.info = self._probe(load, describe)
        self.name, self.sample_rate = self.info.name, self.info.sample_rate
        self.needs_transcript = self.info.needs_transcript

    def _probe(self, load: Callable[[], Synthesizer], describe: Callable[[Synthesizer], str]) -> ModelInfo:
        import ray

        with redirect_stdout(sys.stderr):  # Ray prints messages to stdout, which is for data
            task = ray.remote(num_cpus=1, num_gpus=self.workers.gpus, max_calls=1)(probe)  # its process then ends
            found: ModelInfo | Failure = ray.get(task.remote(load, describe))
        if isinstance(found, Failure):
            raise as_error(found)
        return found

    # Workers

    def start(self) -> None:
        """Start the workers, and wait until they are ready. Raises DeviceError."""
        from ray import serve

        arguments, options = self._make
        workers = self.workers
        bounds: dict[str, Any] = {"num_replicas": workers.least}
        if workers.most > workers.least:
            few_many = {"min_replicas": workers.least, "max_replicas": workers.most}
            bounds = {"autoscaling_config": {**few_many, "target_ongoing_requests": workers.slots}}
        deployment = serve.deployment(
            name=DEPLOYMENT,
            max_ongoing_requests=self._requests,
            ray_actor_options={"num_cpus": 1, "num_gpus": workers.gpus},
            graceful_shutdown_timeout_s=self.timeout + GRACE,
            graceful_shutdown_wait_loop_s=WAIT_SECONDS,
            logging_config={"log_level": "ERROR", "enable_access_log": False},
            **bounds,
        )(Replica)
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        with redirect_stdout(sys.stderr):
            serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR"})
            try:
                application = deployment.bind(worker_name, *arguments, **options)
                self._handle = serve.run(application, name=self._application, route_prefix=None)
            except RuntimeError as error:
                self.stop()
                raise DeviceError(
                    "the workers of the cluster did not start", "See the log files of Ray Serve on their machines."
                ) from error
        self._look()
        self._poller.start()

    def stop(self) -> None:
        """Stop the workers. Ray Serve lets those finish that still have requests."""
        from ray import serve

        self._stopping.set()
        with redirect_stdout(sys.stderr):
            serve.delete(self._application, _blocking=False)

    @property
    def slots(self) -> int:
        """Return how many sentences all workers decode at the same time."""
        return self.workers.slots * max(1, self.running)

    @property
    def alive(self) -> bool:
        """Return whether any worker runs."""
        return self.running > 0

    def _poll(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            try:
                self._look()
            except Exception as error:  # of the cluster
                if self.running:
                    self.log.error("cluster", error)
                self.running = 0

    def _look(self) -> None:
        """Count the workers that run."""
        from ray import serve

        application = serve.status().applications[self._application]
        self.running = application.deployments[DEPLOYMENT].replica_states.get("RUNNING", 0)

    # Speech

    def voice(
        self, source: PreparedPrompt | Preset | StoredVoice, transcript: str | None = None, *, name: str = ""
    ) -> Prompt:
        """Return what workers make a voice of. Raises TranscriptMissing."""
        own = source.transcript if isinstance(source, StoredVoice) else None
        if self.needs_transcript and not isinstance(source, Preset) and transcript is None and own is None:
            raise TranscriptMissing(name, None)
        key = hashlib.sha256(pickle.dumps((source, transcript))).hexdigest()
        return Prompt(key, source, transcript, name)

    async def speak(self, request: SpeechRequest, voice: Prompt, client: str) -> ClusterSpeech:
        """Begin to speak on the worker with the fewest requests of two. Raises Problem."""
        sent = request.model_copy(update={"reference_audio": None})  # which the voice has
        speech = ClusterSpeech(self, self._handle.options(stream=True).speak.remote(sent, voice, client))
        try:
            async with asyncio.timeout(self.timeout):
                await speech.begin()
        except BaseException as error:
            speech.close()
            if isinstance(error, TimeoutError):
                raise Problem(504, f"No worker has answered after {self.timeout:g} s.", code="timeout") from error
            raise
        return speech


class ClusterSpeech:
    """One text that a worker speaks; see service.Speech."""

    def __init__(self, speaker: ClusterSpeaker, stream: Any) -> None:
        self._speaker, self._stream = speaker, stream
        self._worker: _Worker | None = None
        self.seed = self.sample_rate = self.sentences = self.frames = 0
        self.seconds = 0.0

    async def begin(self) -> None:
        """Wait until the worker has begun. Raises Problem."""
        begun = await self._receive()
        assert isinstance(begun, Begun)
        self.seed, self.sample_rate, self.sentences = begun.seed, begun.sample_rate, begun.sentences

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the audio as it arrives. Raises Problem."""
        while (message := await self._receive()) is not None:
            assert not isinstance(message, Begun | Refused)
            self.frames, self.seconds = message.frames, message.seconds
            yield message.data

    async def _receive(self) -> Message | None:
        """Return the next message, None after the last one. Raises Problem."""
        try:
            message: Message = await anext(self._stream)
        except StopAsyncIteration:
            return None
        except Exception as error:  # of Ray: the worker, or its machine, is gone
            self._speaker.log.error("worker", error)
            headers = {"Retry-After": "5"}
            raise Problem(503, "The worker of this request was lost.", code="worker_lost", headers=headers) from error
        self._note(message.state)
        if isinstance(message, Refused):
            if message.described is not None:
                self._speaker.log.write("worker", level="error", worker=message.state.worker, error=message.described)
            raise message.problem
        return message

    def _note(self, state: WorkerState) -> None:
        """Keep the state of the worker, for the metrics."""
        worker = self._speaker.known.setdefault(state.worker, _Worker(state))
        worker.state = state
        if self._worker is None:
            self._worker = worker
            worker.requests += 1

    def close(self) -> None:
        """Cancel the request, if it is not done; that frees its slots."""
        self._stream.cancel()
        if self._worker is not None:
            self._worker.requests -= 1
            self._worker = None


class WorkerCollector(Collector):
    """The metrics of the workers: those of metrics.EngineCollector with a label."""

    def __init__(self, speaker: ClusterSpeaker) -> None:
        self._speaker = speaker

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its value of every worker that has answered a request."""
        yield GaugeMetricFamily("valle_workers", "Workers that run", self._speaker.running)
        workers = list(self._speaker.known.values())
        for name, text, values in (
            ("valle_worker_requests", "Requests that a worker answers", [each.requests for each in workers]),
            (
                "valle_queue_requests",
                "Requests of which no sentence was begun, as of the worker's last chunk",
                [each.state.waiting if each.requests else 0 for each in workers],
            ),
            (
                "valle_batch_sentences",
                "Sentences in the engine, as of the worker's last chunk",
                [each.state.decoding if each.requests else 0 for each in workers],
            ),
        ):
            yield _labelled(GaugeMetricFamily(name, text, labels=["worker"]), workers, values)
        for name, text, sums in (
            ("valle_audio_seconds", "Seconds of audio that were made", [each.state.audio_seconds for each in workers]),
            (
                "valle_busy_seconds",
                "Seconds in which the engine was busy",
                [each.state.busy_seconds for each in workers],
            ),
            ("valle_sentences", "Sentences that were spoken", [each.state.sentences for each in workers]),
        ):
            yield _labelled(CounterMetricFamily(name, text, labels=["worker"]), workers, sums)


def _labelled(family: Any, workers: list[_Worker], values: list[Any]) -> Metric:
    for worker, value in zip(workers, values, strict=True):
        family.add_metric([worker.state.worker], value)
    metric: Metric = family
    return metric
