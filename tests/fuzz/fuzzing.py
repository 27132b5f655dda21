"""Runs a target: samples of a Hypothesis strategy, each within limits of time, memory and folders.

A target is a module `fuzz_NAME` with `SAMPLES`, a strategy, and `check(sample, folder)`, which calls the library as a
command does and asserts what has to hold for valid samples. `FOUND` are samples that failed once; they come first.
Optional are `warm_up()`, for what packages do once, `max_seconds(sample)`, where less than MAX_SECONDS is promised, and
`FEW`, the number of samples in the plain suite.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings

from vallecli import errors

TESTS = Path(__file__).parents[1]
sys.path += [str(place) for place in (TESTS, TESTS / "families" / "llama") if str(place) not in sys.path]
TARGETS = tuple(sorted(path.stem.removeprefix("fuzz_") for path in Path(__file__).parent.glob("fuzz_*.py")))
MAX_SECONDS = 10.0  # for one sample
MAX_MEMORY = 2**30  # bytes, in addition to what a process has after its first samples
MAX_FILE = 2**28  # bytes of a file that is written
MAX_MESSAGE = 10_000  # characters
BATCH = 500  # samples that are generated from one seed
FEW = 25  # samples of a target in the plain suite
SHOWN = 20_000  # characters of a sample in a report

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = (  # audit events of a changed path
    *("os.remove", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.truncate"),
    *("os.utime", "os.setxattr", "shutil.rmtree"),
)
FORBIDDEN = (  # audit events that no sample may cause
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.kill", "pty.spawn"),
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "pickle.find_class"),
)


class Hang(BaseException):
    """A sample took longer than MAX_SECONDS. No `except Exception` of a library catches it."""


class Broken(AssertionError):
    """A sample for which a promise does not hold."""


@dataclass
class Finding:
    """The smallest sample that failed at a place in the code."""

    sample: Any
    trace: str


@dataclass
class Report:
    """What a run has seen."""

    samples: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, Finding] = field(default_factory=dict)
    slowest: float = 0.0
    """Processor seconds of the slowest sample."""
    slowest_sample: Any = None


class Target:
    """A module `fuzz_NAME` and a folder for its samples."""

    def __init__(self, name: str, base: Path, *, timed: bool = True, current: Path | None = None) -> None:
        """`timed` also checks limits below MAX_SECONDS; the sample at work is written to the file `current`."""
        self.module: Any = importlib.import_module(f"fuzz_{name}")
        self.base, self.inside = base, base / "inside"
        self.report = Report()
        self.timed, self.current = timed, current
        self.max_seconds: Callable[[Any], float] = getattr(self.module, "max_seconds", lambda sample: MAX_SECONDS)
        if hasattr(self.module, "warm_up"):
            self.module.warm_up()
        os.environ["XDG_CACHE_HOME"] = str(self.inside / "cache")  # digests of checkpoints
        (base / "outside").mkdir(parents=True, exist_ok=True)
        (base / "outside" / "thesis.txt").write_text("mine")
        self.before = self.tree()
        self.outside: list[str] = []
        self.stopped = False
        """Set to end a run early: its report is complete, too."""

    def tree(self) -> dict[str, bytes]:
        """Return the files next to the folder that samples may change."""
        outside = self.base / "outside"
        return {str(path): path.read_bytes() if path.is_file() else b"" for path in outside.rglob("*")}

    def try_one(self, sample: Any) -> None:
        """Check a sample. Raises whatever is not a library's error that a user can act on."""
        if self.current is not None:
            self.current.write_bytes(pickle.dumps(sample))
        self.inside.mkdir()
        self.outside.clear()
        self.report.samples += 1
        before = time.process_time()
        try:
            with time_limit(), self.audit(), contextlib.chdir(self.inside):
                outcome = self.outcome(sample)
        finally:
            seconds = time.process_time() - before
            shutil.rmtree(self.inside, ignore_errors=True)
        self.report.outcomes[outcome] += 1
        if seconds > self.report.slowest:
            self.report.slowest, self.report.slowest_sample = seconds, sample
        if self.outside or self.tree() != self.before:
            raise Broken(f"outside the folder: {self.outside or self.tree()}")
        if self.timed and seconds > self.max_seconds(sample):
            raise Broken("slow")

    def outcome(self, sample: Any) -> str:
        """Return "ok" or the name of the error that a command would report."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)  # users would see them
                self.module.check(sample, self.inside)
        except AssertionError:
            raise
        except Exception as error:
            known = errors.explain(error)
            if known is None or known.exit_code == 1:
                raise
            if isinstance(known, errors.DeviceError):
                raise Broken(f"a sample used up the machine: {known.message}") from error
            assert len(known.message) + len(known.hint) < MAX_MESSAGE, "an error message is too long"
            return type(known).__name__
        return "ok"

    @contextlib.contextmanager
    def audit(self) -> Iterator[None]:
        """Note in `outside` what is changed outside the folder, and what no sample may cause."""
        global _watch
        _watch = self.note
        try:
            yield
        finally:
            _watch = None

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note an audit event."""
        if event == "open":
            path, _, flags = arguments
            paths = [path] if isinstance(flags, int) and flags & WRITING else []
        elif event in CHANGES:
            paths = list(arguments[:2] if event in ("os.rename", "os.link") else arguments[:1])
            paths = [arguments[1]] if event == "os.symlink" else paths
        elif event in FORBIDDEN:
            self.outside.append(f"{event} {arguments!r}"[:500])
            return
        else:
            return
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                real = os.path.realpath(os.fsdecode(path))
                if real != os.devnull and not Path(real).is_relative_to(self.inside):
                    self.outside.append(f"{event} {real}")

    def run(self, *, seed: int, seconds: float | None = None, examples: int = BATCH) -> None:
        """Check generated samples: `examples`, or as many as there is processor time for."""
        end = None if seconds is None else time.process_time() + seconds
        for sample in getattr(self.module, "FOUND", ()):
            self.noted(sample)
        while True:
            self.run_batch(seed, examples, end)
            seed += 1
            if self.stopped or end is None or time.process_time() >= end:
                return

    def run_batch(self, seed: int, examples: int, end: float | None) -> None:
        """Check the samples of a seed; the first of each kind of finding is made smaller."""
        known = set(self.report.findings)

        @hypothesis.seed(seed)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            print_blob=False,
            verbosity=hypothesis.Verbosity.quiet,
        )
        @hypothesis.given(self.module.SAMPLES)
        def one(sample: Any) -> None:
            if not self.stopped and (end is None or time.process_time() < end):
                self.noted(sample, known)

        with contextlib.suppress(Exception):  # they are in the report
            one()

    def noted(self, sample: Any, known: set[str] | None = None) -> None:
        """Check a sample, and write its failure into the report; raise it again if it is not known (to be reduced)."""
        try:
            self.try_one(sample)
        except (Exception, Hang) as error:
            key = place_of(error)
            old = self.report.findings.get(key)
            if old is None or len(repr(sample)) < len(repr(old.sample)):
                self.report.findings[key] = Finding(sample, "".join(traceback.format_exception(error))[-4000:])
            if known is None or key in known or isinstance(error, Hang) or str(error) == "slow":
                return  # making slow samples smaller would take the time of all others
            raise


def place_of(error: BaseException) -> str:
    """Return the kind of an error, and the last line of the library or of a check that it passed."""
    here = Path(__file__)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) != here]
    ours = [frame for frame in frames if "vallecli" in frame.filename or Path(frame.filename).parent == here.parent]
    last = ours[-1] if ours else None
    place = "" if last is None else f" at {Path(last.filename).name}:{last.lineno}"
    return f"{type(error).__name__}{place}: {str(error)[:40] if isinstance(error, AssertionError) else ''}"


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Raise Hang if the body takes longer than MAX_SECONDS of processor time."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def limit_memory() -> None:
    """Limit the memory of this process to MAX_MEMORY more than it has."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (has + MAX_MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, resource.RLIM_INFINITY))


def peak_memory() -> int:
    """Return the largest number of bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


_watch: Callable[[str, tuple[Any, ...]], None] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch is not None:
        _watch(event, arguments)


sys.addaudithook(_hook)  # for the rest of the process: hooks cannot be removed
