"""Batches on a Ray cluster: an engine whose jobs are spoken by workers, each with its own copy of the model.

Results, audio and resuming stay in the process that was started: only this process needs the prompts and the output
folder. Workers need vallecli and the checkpoint. Ray restarts a worker that is lost, and repeats its jobs.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from vallecli import errors
from vallecli.audio.prompt import PreparedPrompt
from vallecli.errors import DeviceError, VallecliError, WorkerLost
from vallecli.extras import extra
from vallecli.failures import Failure
from vallecli.families.base import Preset
from vallecli.jobs.engine import Engine, Job, JobResult
from vallecli.voices.library import StoredVoice

CONNECT_SECONDS = 10.0
TOKEN_BYTES = 32  # of the secret of a cluster that is started here
RETRIES = 3  # of jobs whose worker died; a job that ends every worker is then recorded as failed


@dataclass(frozen=True)
class _Prompt:
    """The arguments of Synthesizer.voice."""

    source: PreparedPrompt | Preset | StoredVoice
    transcript: str | None
    name: str
    transcribe: bool


@dataclass(frozen=True)
class _EngineInfo:
    """The attributes of a worker's engine."""

    description: str
    sampling: Any
    choice: Any
    sample_rate: int
    frame_rate: float


class _Worker:
    """An engine in a process of the cluster; it is loaded at the first call, also after a restart."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self.load = load
        self.voices: dict[Any, Any] = {}  # reference to a _Prompt -> voice

    @cached_property
    def engine(self) -> Engine:
        return self.load()

    def prepare(self) -> _EngineInfo | Failure:
        """Load the engine and return its attributes, or the error."""
        try:
            engine = self.engine
            description = f"{engine.description}, worker {os.getpid()} on {socket.gethostname()}"
            return _EngineInfo(description, engine.sampling, engine.choice, engine.sample_rate, engine.frame_rate)
        except Exception as error:  # as a Failure, because our exceptions cannot be pickled
            return Failure.of(error)

    def speak(self, jobs: list[Job], slots: int) -> list[JobResult]:
        """Return the results of the jobs."""
        failed, ready = [], []
        for job in jobs:
            try:
                ready.append(replace(job, voice=self._voice(job.voice)))
            except Exception as error:
                failed.append(JobResult(job.key, (), Failure.of(error)))
        return [*failed, *self.engine.speak_many(ready, slots=slots)]

    def _voice(self, reference: Any) -> Any:
        import ray

        if reference not in self.voices:
            prompt = ray.get(reference)
            self.voices[reference] = self.engine.voice(
                prompt.source, prompt.transcript, name=prompt.name, transcribe=prompt.transcribe
            )
        return self.voices[reference]


class RayEngine:
    """An engine that distributes jobs to workers; each worker gets as many jobs at a time as it has slots."""

    def __init__(self, workers: list[Any], *, report: Callable[[str], None]) -> None:
        """Wait until all workers have loaded. Raises an error with the exit code of the worker's error."""
        import ray

        self.workers = workers
        for info in ray.get([worker.prepare.remote() for worker in workers]):
            if isinstance(info, Failure):
                raise as_error(info)
            self.description, self.sampling, self.choice = info.description, info.sampling, info.choice
            self.sample_rate, self.frame_rate = info.sample_rate, info.frame_rate
            report(info.description)

    def voice(
        self, source: PreparedPrompt | Preset | StoredVoice, transcript: str | None, *, name: str, transcribe: bool
    ) -> Any:
        """Store a prompt in the cluster and return its reference; each worker makes the voice when it needs it."""
        import ray

        return ray.put(_Prompt(source, transcript, name, transcribe))

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[JobResult]:
        """Yield the results of a worker's jobs when all of them are done."""
        import ray
        from ray.exceptions import RayError

        remaining = iter(jobs)
        retries: deque[list[Job]] = deque()  # jobs of workers that died, one by one: any of them may be the cause
        idle = deque(self.workers)
        running: dict[Any, tuple[Any, list[Job]]] = {}  # call -> worker, its jobs
        while True:
            while idle and (assigned := retries.popleft() if retries else list(islice(remaining, slots))):
                worker = idle.popleft()
                running[worker.speak.remote(assigned, slots)] = worker, assigned
            if not running:
                return
            [call], _ = ray.wait(list(running), num_returns=1)
            worker, assigned = running.pop(call)
            idle.append(worker)
            try:
                yield from ray.get(call)
            except RayError as error:
                if len(assigned) > 1:
                    retries.extend([job] for job in assigned)
                else:
                    reason = str(error).strip().partition("\n")[0]
                    yield JobResult(assigned[0].key, (), Failure.of(WorkerLost(reason)))


def import_ray(address: str, *, serve: bool = False) -> None:
    """Import Ray, and Ray Serve, with the environment for a cluster at an address. Raises ExtraMissing."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # by default, Ray reports each run to its developers
    if address == "local" and "ray" not in sys.modules:  # Ray reads these when it is imported
        # Ray listens on all interfaces, and executes what it receives: only with a token that this process has.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(TOKEN_BYTES))
    with extra("ray", "a Ray cluster"):
        import ray

        if serve:
            import ray.serve  # noqa: F401


@contextmanager
def session(address: str) -> Iterator[None]:
    """Connect to a cluster, or start one at the address "local", until the end of the body.

    Raises ExtraMissing without Ray, and DeviceError for an unreachable cluster.
    """
    import_ray(address)
    import ray

    on_terminate = signal.getsignal(signal.SIGTERM)
    dashboard = False if address == "local" else None  # None: another cluster decides
    try:
        _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=dashboard)
    except Exception as error:  # a plain Exception if a node starts too slowly
        reason = str(error).strip().partition("\n")[0]
        raise DeviceError(
            f"no Ray cluster at {address}: {reason}", "The address local starts a cluster on this machine."
        ) from error
    signal.signal(signal.SIGTERM, on_terminate)  # Ray's handler would exit with 1
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Connect to host:port and hang up: Ray itself tries for minutes. Raises OSError and ValueError."""
    place = urlsplit(address if "://" in address else f"ray://{address}")
    if place.hostname and place.port:  # not "auto" or "local"
        socket.create_connection((place.hostname, place.port), timeout=CONNECT_SECONDS).close()


@contextmanager
def connect(
    address: str, *, workers: int, gpus: float, report: Callable[[str], None]
) -> Iterator[Callable[[Callable[[], Engine]], RayEngine]]:
    """Connect to a cluster, see `session`, and yield a function that makes a RayEngine from a loader.

    A new engine replaces the previous one.
    """
    options = {"num_cpus": 1, "num_gpus": gpus, "max_restarts": -1, "max_task_retries": RETRIES}
    current: list[Any] = []  # workers

    def new_engine(load: Callable[[], Engine]) -> RayEngine:
        import ray

        for worker in current:
            ray.kill(worker)
        warn_if_small(workers, gpus, report)
        current[:] = [ray.remote(**options)(_Worker).remote(load) for _ in range(workers)]
        return RayEngine(current, report=report)

    with session(address), redirect_stdout(sys.stderr):  # Ray prints messages to stdout, which is for data
        yield new_engine


def warn_if_small(workers: int, gpus: float, report: Callable[[str], None]) -> None:
    """Report that a cluster has too little for some workers with a number of GPUs each; it may grow."""
    import ray

    resources = {"CPU": 0.0, "GPU": 0.0, **ray.cluster_resources()}
    if workers > resources["CPU"] or workers * gpus > resources["GPU"]:
        available = f"{resources['CPU']:g} CPUs and {resources['GPU']:g} GPUs"
        report(f"waiting for the cluster to grow: it has {available}, too few for {workers} workers")


def as_error(failure: Failure) -> VallecliError:
    """Return an error with the exit code of a worker's error."""
    known = getattr(errors, failure.code, VallecliError)
    kinds = (
        *(errors.UsageError, errors.InputError, errors.CheckpointError),
        *(DeviceError, errors.DependencyMissing),
    )
    kind = next((kind for kind in kinds if issubclass(known, kind)), VallecliError)
    return kind(failure.message, failure.hint)
