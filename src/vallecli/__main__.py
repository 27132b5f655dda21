"""The entry point: `valle` and `python -m vallecli`."""

import signal
import sys


def main() -> int:
    """Run the command line and return its exit code. Ctrl-C during the imports ends it like later."""
    try:
        from vallecli.cli.app import main as run
        from vallecli.cli.signals import end_quietly
        from vallecli.cli.streams import secure_standard_streams

        secure_standard_streams()
        try:
            return run()
        finally:
            end_quietly()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # once more: it ends at once
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
