"""Standard streams that are closed, full or without a reader. Speech must not depend on stderr."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

from vallecli.printable import mask_credentials, printable

STDIN, STDOUT, STDERR = 0, 1, 2


def secure_standard_streams() -> None:
    """Open /dev/null in place of closed standard streams, so that no other file gets their descriptors.

    Without it, the output file would get descriptor 2 of a closed stderr, and messages would become part of the audio.
    """
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            flags = os.O_RDONLY if descriptor == STDIN else os.O_WRONLY
            opened = os.open(os.devnull, flags)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BytesIO())
    sys.stdout = sys.stdout or _Closed("stdout")
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # for the whole run


class _Closed(io.TextIOWrapper):
    """A stdout that was closed by the caller: text is discarded, and whoever needs the stream can see it."""

    def __init__(self, name: str) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.closed_by_caller = name


def stdout_is_closed() -> bool:
    """Return whether the caller has closed stdout."""
    return isinstance(sys.stdout, _Closed)


def write_message(text: str) -> None:
    """Write to stderr if that is possible. A full disk or a reader that has exited ends messages, not the command.

    Messages may contain names and text of files, servers and libraries: control characters are escaped, and credentials
    in URLs are hidden.
    """
    try:
        sys.stderr.write(mask_credentials(printable(text, keep="\n\t")))
        sys.stderr.flush()
    except (OSError, ValueError):
        discard_stderr()


def discard_stderr() -> None:
    """Redirect stderr to /dev/null for the rest of the run."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, STDERR)
        os.close(null)
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # for the rest of the run
