"""Signals that end a command: by an exception, so that no partial file stays."""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

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


def _receive(number: int, _: Any) -> None:
    _received.append(number)
    _leave(number)


def _leave(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(EXIT_CODES[signal.Signals(number).name])
