"""Fuzzing by hand: `python tests/fuzz TARGET [--seconds N] [--seed S]`; without a target, their names are printed.

Each target is a file `fuzz_TARGET.py`. A run generates samples for N seconds of processor time in a child process and
reports the number of samples, what became of them, the slowest one, the peak memory and, with a traceback and as small
as Hypothesis made it, a sample for each failure. A child that crashes, or that hangs outside Python, is a failure, too;
the next child continues with other samples. Ctrl-C ends a run with its report. The exit code is 1 if anything failed.
Add what was found to `FOUND` of the target, which every run checks first. Linux only.

`pytest -m extended tests/fuzz` runs each target for 60 s, and plain `pytest` a few dozen samples of each.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from math import inf
from pathlib import Path
from types import FrameType

import fuzzing

MAX_COMPUTED, MAX_WAITED = 60, 600  # seconds without a new sample, of processor time and in all: then a child hangs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", choices=fuzzing.TARGETS)
    parser.add_argument("--seconds", type=float, default=60, help="processor time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.target is None:
        print("\n".join(fuzzing.TARGETS))
        return 0
    if arguments.child is not None:
        work(arguments.target, arguments.seconds, arguments.seed, arguments.child)
        return 0
    return supervise(arguments.target, arguments.seconds, arguments.seed)


def supervise(target: str, seconds: float, seed: int) -> int:
    """Run children until the time is used up, print what they found, and return the exit code."""
    failed = False
    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve()
        while seconds > 1:
            used, found = run_child(target, seconds, seed, base)
            failed |= found
            seconds -= used
            seed += 1_000_000
    return int(failed)


def run_child(target: str, seconds: float, seed: int, base: Path) -> tuple[float, bool]:
    """Return the processor seconds that a child used, infinity if it was stopped, and whether it failed."""
    command = [sys.executable, "-X", "faulthandler", str(Path(__file__).parent), target, "--child", str(base)]
    homes = {name: str(base / "outside") for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VALLE_", "HF_"))}
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the child has it, too
    child = subprocess.Popen(
        [*command, "--seconds", str(seconds), "--seed", str(seed)],
        env={**kept, **homes, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    signal.signal(signal.SIGTERM, lambda number, frame: child.terminate())
    current = base / "current"
    last, since, used, used_before = 0.0, time.monotonic(), 0.0, 0.0
    while child.poll() is None:
        time.sleep(0.5)
        used = processor_seconds(child.pid) or used
        changed = current.stat().st_mtime if current.exists() else 0.0
        if changed != last:
            last, since, used_before = changed, time.monotonic(), used
        if used - used_before > MAX_COMPUTED or time.monotonic() - since > MAX_WAITED:
            child.kill()
    if child.returncode in (-signal.SIGINT, -signal.SIGTERM):  # before it has begun
        return inf, False
    if child.returncode != 0 and not current.exists():
        return inf, True  # its traceback says why
    if child.returncode != 0:
        sample = pickle.loads(current.read_bytes())
        print(f"{target}: the child ended with {child.returncode} during {sample!r}"[: fuzzing.SHOWN])
        return max(used, 5.0), True
    report = json.loads((base / "report").read_text())
    return (inf if report["stopped"] else seconds), report["failed"]


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process, 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def work(name: str, seconds: float, seed: int, base: Path) -> None:
    """Check samples in this process, and print a report."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    target = fuzzing.Target(name, base, current=base / "current")
    target.run(seed=seed, examples=20)  # imports what the target needs
    before = fuzzing.peak_memory()
    fuzzing.limit_memory()

    def stop(number: int, frame: FrameType | None) -> None:
        target.stopped = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    target.run(seed=seed + 1, seconds=seconds)
    report = target.report
    for key, finding in report.findings.items():
        print(f"\n{name}: {key}\n{finding.trace}\nsample: {finding.sample!r}"[: fuzzing.SHOWN])
    print(
        f"{name}: {report.samples} samples in {time.process_time():.0f} s of processor time, seed {seed}, "
        f"{len(report.findings)} findings; slowest {report.slowest:.2f} s: {report.slowest_sample!r:.200}; "
        f"memory {before / 1e6:.0f} MB, at most {fuzzing.peak_memory() / 1e6:.0f} MB"
    )
    print(f"{name}: {', '.join(f'{count} {outcome}' for outcome, count in report.outcomes.most_common())}")
    (base / "report").write_text(json.dumps({"failed": bool(report.findings), "stopped": target.stopped}))


if __name__ == "__main__":
    sys.exit(main())
