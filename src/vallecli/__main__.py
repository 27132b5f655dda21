"""The entry point: `valle` and `python -m vallecli`."""

import sys


def main() -> int:
    """Run the command line and return its exit code. Ctrl-C during the imports ends it like later."""
    try:
        from vallecli.cli.app import main as run
        from vallecli.cli.streams import secure_standard_streams

        secure_standard_streams()
        return run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
