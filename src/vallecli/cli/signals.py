"""Signals that end a command: by an exception, so that no partial file stays."""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

EXIT_INTERRUPTED = 130
EXIT_CODES = {"SIGHUP": 129, "SIGTERM": 143}

_received: list[int] = []


def exit_on_signals() -> None:
    """Exit by SystemExit on SIGTERM and SIGHUP, by KeyboardInterrupt on SIGINT. Ignored signals stay ignored."""
    _received.clear()
    for name in (*EXIT_CODES, "SIGINT"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _receive)


def check() -> None:
    """Raise the exception of a received signal again: a library may have caught it, for example at import."""
    if _received:
        _leave(_received[-1])


def received() -> int | None:
    """Return the exit code of the last signal that was received, None without one."""
    if not _received:
        return None
    name = signal.Signals(_received[-1]).name
    return EXIT_CODES.get(name, EXIT_INTERRUPTED)


def end_quietly() -> None:
    """Let signals end the process at once from now on: its work is done, and no exception may be raised at exit."""
    for name in (*EXIT_CODES, "SIGINT"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _receive(number: int, _: Any) -> None:
    _received.append(number)
    _leave(number)


def _leave(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(EXIT_CODES[signal.Signals(number).name])
