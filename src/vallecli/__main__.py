"""The entry point: `valle` and `python -m vallecli`."""

import gc
import os
import signal
import sys

SPINS = "2000"


def bound_spinning() -> None:
    """Let the threads of GCC's OpenMP, which torch uses, wait for each other actively for a short time only.

    By default, a thread spins for long at the end of each product. Beside another busy process, the thread that it
    waits for does not even run: a decode step takes 4 times as long, and 30 times at a lower priority. OpenMP reads the
    environment when torch is imported. See docs/speed.md.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def main() -> int:
    """Run the command line and return its exit code. Ctrl-C during the imports ends it like later."""
    try:
        bound_spinning()
        from vallecli.cli.app import main as run
        from vallecli.cli.signals import end_quietly
        from vallecli.cli.streams import secure_standard_streams

        secure_standard_streams()
        try:
            return run()
        finally:
            end_quietly()
            gc.freeze()  # the process ends: searching all modules for garbage once more would delay that
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # once more: it ends at once
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
