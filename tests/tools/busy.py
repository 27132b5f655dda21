"""Decode steps beside another busy process: how long they take on a quiet machine, and on a busy one.

    python tests/tools/busy.py [--size full] [--dtype int8] [--steps N]

Each case is a process of its own: alone, beside a process that never waits, and beside it at a lower priority, as
background jobs have. Without --size, the checkpoint is nano. The environment decides how long threads spin, as for
`valle`: GOMP_SPINCOUNT, OMP_WAIT_POLICY.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack

from vallecli.__main__ import bound_spinning

CASES = {"alone": (False, 0), "beside a busy process": (True, 0), "beside it, at a lower priority": (True, 5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", help="random weights of a published size, as full")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    given = ["--frames", str(options.steps), "--steps", str(options.steps), "--dtype", options.dtype, "--json"]
    if options.size is not None:
        given += ["--random-weights", options.size, "--phonemes", "50"]
    bound_spinning()
    for name, (busy, nice) in CASES.items():
        with ExitStack() as stack:
            if busy:
                spinner = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
                stack.callback(spinner.kill)
            ran = subprocess.run(
                [sys.executable, "-m", "vallecli", "bench", *given],
                stdout=subprocess.PIPE,
                check=True,
                preexec_fn=lambda nice=nice: os.nice(nice),
            )
        report = json.loads(ran.stdout)
        print(f"{name}: {report['step_ms']} ms a step, {report['nar_ms']} ms for the NAR", flush=True)


if __name__ == "__main__":
    main()
