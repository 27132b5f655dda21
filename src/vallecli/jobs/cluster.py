"""The same run on a Ray cluster: an engine whose jobs are spoken by workers, each with a model of its own.

Results, audio and resuming stay where they are: in the process that was started, which alone needs the prompts and the
output folder. Workers need vallecli and the checkpoint. A worker that is lost is started again by Ray, and so are its
jobs.
"""

from __future__ import annotations

import os
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

from vallecli import errors
from vallecli.audio.prompt import PreparedPrompt
from vallecli.errors import DeviceError, VallecliError, WorkerLost
from vallecli.extras import extra
from vallecli.families.base import Preset
from vallecli.jobs.engine import Engine, Job, Spoken
from vallecli.jobs.results import Failure

RETRIES = 3  # of a job whose worker dies; one that kills each of them is to blame itself


@dataclass(frozen=True)
class _Recording:
    """What a worker makes a voice of."""

    source: PreparedPrompt | Preset
    transcript: str | None
    name: str
    transcribe: bool


class _Worker:
    """One engine in a process of the cluster, loaded when it is first asked for anything, and again after a loss."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self.load = load
        self.voices: dict[Any, Any] = {}

    @cached_property
    def engine(self) -> Engine:
        return self.load()

    def prepare(self) -> tuple[str, Any, int, float] | Failure:
        """Return a description, the default sampling, sample rate and frame rate, or why loading failed."""
        try:
            engine = self.engine
            description = f"{engine.description}, worker {os.getpid()} on {socket.gethostname()}"
            return description, engine.sampling, engine.sample_rate, engine.frame_rate
        except Exception as error:  # as a Failure: errors of ours do not survive pickling
            return Failure.of(error)

    def speak(self, jobs: list[Job], slots: int) -> list[Spoken]:
        """Return what became of the jobs."""
        mute, ready = [], []
        for job in jobs:
            try:
                ready.append(replace(job, voice=self._voice(job.voice)))
            except Exception as error:
                mute.append(Spoken(job.key, (), Failure.of(error)))
        return [*mute, *self.engine.speak_many(ready, slots=slots)]

    def _voice(self, stored: Any) -> Any:
        import ray

        if stored not in self.voices:
            it = ray.get(stored)
            self.voices[stored] = self.engine.voice(it.source, it.transcript, name=it.name, transcribe=it.transcribe)
        return self.voices[stored]


class RayEngine:
    """An engine of all workers of one checkpoint; each gets as many jobs at once as it has slots."""

    def __init__(self, workers: list[Any], *, say: Callable[[str], None]) -> None:
        """Wait until all workers are loaded. Raises what loading raises, by its exit code."""
        import ray

        self.workers = workers
        for told in ray.get([worker.prepare.remote() for worker in workers]):
            if isinstance(told, Failure):
                raise _as_error(told)
            self.description, self.sampling, self.sample_rate, self.frame_rate = told
            say(self.description)

    def voice(self, source: PreparedPrompt | Preset, transcript: str | None, *, name: str, transcribe: bool) -> Any:
        """Return where the cluster finds the recording: each worker makes the voice when it first needs it."""
        import ray

        return ray.put(_Recording(source, transcript, name, transcribe))

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[Spoken]:
        """Yield the jobs of each worker when all of those are done."""
        import ray
        from ray.exceptions import RayError

        left = iter(jobs)
        again: deque[list[Job]] = deque()  # one by one, those of a worker that died: one of them may be the cause
        idle = deque(self.workers)
        running: dict[Any, tuple[Any, list[Job]]] = {}
        while True:
            while idle and (some := again.popleft() if again else list(islice(left, slots))):
                worker = idle.popleft()
                running[worker.speak.remote(some, slots)] = worker, some
            if not running:
                return
            [done], _ = ray.wait(list(running), num_returns=1)
            worker, some = running.pop(done)
            idle.append(worker)
            try:
                yield from ray.get(done)
            except RayError as error:
                if len(some) > 1:
                    again.extend([job] for job in some)
                else:
                    reason = str(error).strip().partition("\n")[0]
                    yield Spoken(some[0].key, (), Failure.of(WorkerLost(reason)))


@contextmanager
def connect(
    address: str, *, workers: int, gpus: float, say: Callable[[str], None]
) -> Iterator[Callable[[Callable[[], Engine]], RayEngine]]:
    """Connect to a cluster ("local" starts one) and give what makes an engine of a way to load one.

    A new engine takes the place of the one before. Raises ExtraMissing without Ray, and DeviceError for a cluster that
    cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers of each run
    with extra("ray", "a Ray cluster"):
        import ray
    ended = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=_none_if(address))
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise DeviceError(
            f"no Ray cluster at {address}: {reason}", "The address local starts a cluster on this machine."
        ) from error
    signal.signal(signal.SIGTERM, ended)  # Ray's own would leave with 1
    options = {"num_cpus": 1, "num_gpus": gpus, "max_restarts": -1, "max_task_retries": RETRIES}
    held: list[Any] = []

    def engine(load: Callable[[], Engine]) -> RayEngine:
        for worker in held:
            ray.kill(worker)
        there = {"CPU": 0.0, "GPU": 0.0, **ray.cluster_resources()}
        if workers > there["CPU"] or workers * gpus > there["GPU"]:
            room = f"{there['CPU']:g} CPUs and {there['GPU']:g} GPUs"
            say(f"waiting for the cluster to grow: it has {room}, too few for {workers} workers")
        held[:] = [ray.remote(**options)(_Worker).remote(load) for _ in range(workers)]
        return RayEngine(held, say=say)

    try:
        with redirect_stdout(sys.stderr):  # where Ray tells of lost workers; ours is for data
            yield engine
    finally:
        ray.shutdown()


def _none_if(address: str) -> bool | None:
    """Return whether to start a dashboard: not in a cluster of our own, and another has its own."""
    return False if address == "local" else None


def _as_error(failure: Failure) -> VallecliError:
    """Return an error of the exit code of the one that a worker had."""
    known = getattr(errors, failure.code, VallecliError)
    kinds = (
        *(errors.UsageError, errors.InputError, errors.CheckpointError),
        *(DeviceError, errors.DependencyMissing),
    )
    kind = next((kind for kind in kinds if issubclass(known, kind)), VallecliError)
    return kind(failure.message, failure.hint)
