"""How long a cold `valle speak` takes until the first audio is on its stdout. Linux only.

    python tests/tools/first_audio.py [--runs N] [--text TEXT]

Runs of `valle speak` alternate with runs that only import torch, which is the least that any run takes. The result is
the minimum of each over all runs: seconds since the start, and seconds of processor time by then.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from math import inf
from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "examples" / "reference.wav"


def measure(arguments: list[str]) -> tuple[float, float]:
    """Run Python with arguments; return the seconds and the processor seconds until it writes its first byte."""
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1), "no output"
        seconds = time.perf_counter() - started
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        process.stdout.read()
    user, system = int(fields[11]), int(fields[12])  # utime and stime of proc(5), in clock ticks
    return seconds, (user + system) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--text", default="Hello, this is my voice.")
    options = parser.parse_args()
    given = ["--prompt", str(REFERENCE), "--text", options.text, "--seed", "1", "-q"]
    cases = {
        "import torch": ["-c", "import torch; print(flush=True)"],
        "valle speak": ["-m", "vallecli", "speak", *given, "-o", "-", "--format", "raw"],  # raw: without a header
    }
    least = dict.fromkeys(cases, (inf, inf))
    for _ in range(options.runs):
        for name, arguments in cases.items():
            wall, processor = measure(arguments)
            least[name] = (min(least[name][0], wall), min(least[name][1], processor))
    for name, (wall, processor) in least.items():
        print(f"{name}: {wall:.2f} s, {processor:.2f} s of processor time")


if __name__ == "__main__":
    main()
