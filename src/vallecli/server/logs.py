"""The log of a server: a JSON object a line on stderr. Texts are in it only if that is wanted."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

from vallecli.printable import mask_credentials


class JsonFormatter(logging.Formatter):
    """Records of other libraries, such as uvicorn, as JSON: errors without their values, which may be texts."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        entry = {"level": record.levelname.lower(), "event": "log", "message": mask_credentials(record.getMessage())}
        if record.exc_info and record.exc_info[1] is not None:
            entry["error"] = described(record.exc_info[1])
        return line(entry)


class Log:
    """Writes events."""

    def __init__(self, *, texts: bool) -> None:
        """`texts` is whether the texts of requests, and errors that may quote them, are logged."""
        self.texts = texts

    def write(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """Write an event with its fields; those that are None are left out."""
        values = {name: value for name, value in fields.items() if value is not None}
        sys.stderr.write(line({"level": level, "event": event, **values}) + "\n")
        sys.stderr.flush()

    def error(self, event: str, error: BaseException, **fields: Any) -> None:
        """Write an error and where it was raised."""
        message = mask_credentials(str(error)) if self.texts else None
        self.write(event, level="error", error=described(error), message=message, **fields)


def line(entry: dict[str, Any]) -> str:
    """Return an event as JSON, with its time first."""
    return json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}, ensure_ascii=True)


def described(error: BaseException) -> str:
    """Return the class of an error and the functions in which it was raised, without its message."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} in {places}" if places else type(error).__name__
