"""Small files beside the weights, such as configurations: bounded in size, and read without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vallecli import errors, inputs
from vallecli.checkpoints import strict_json
from vallecli.errors import DamagedCheckpoint, VallecliError

AGAIN = "Copy or download it again."
MAX_JSON_BYTES = 2**20  # of a configuration beside the weights
MAX_REASON = 200  # characters of a message that another library wrote, or a file


def head_of(path: Path, length: int) -> bytes:
    """Return the first bytes of a file. DamagedCheckpoint for what is no file: a pipe would never end."""
    try:
        with inputs.open_regular(path) as file:
            return file.read(length)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> VallecliError:
    """Return what an error means that occurred while a file of a checkpoint was read."""
    if isinstance(error, FileNotFoundError):
        return DamagedCheckpoint(f"{path} does not exist", "Give the file of the checkpoint.")
    if (shortage := errors.shortage(error)) is not None:
        return shortage
    if isinstance(error, OSError):
        return DamagedCheckpoint(f"cannot read {path}: {(error.strerror or str(error)).lower()}")
    reason = (str(error).splitlines() or ["it ends early"])[0]
    return DamagedCheckpoint(f"{path} is damaged: {reason[:MAX_REASON]}", AGAIN)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a small JSON file; see strict_json. Raises DamagedCheckpoint."""
    return parse_json(path, read_text(path, "a configuration", MAX_JSON_BYTES), "a configuration")


def parse_json(path: Path, text: str, what: str, parser: Callable[[str], Any] = strict_json.loads) -> dict[str, Any]:
    """Return the object in the text of a file. DamagedCheckpoint says that the file is not `what`, or damaged."""
    try:
        value = parser(text)
    except ValueError as error:
        raise unreadable(path, error) from error
    if not isinstance(value, dict):
        raise DamagedCheckpoint(f"{path} is not {what}: it is no JSON object")
    return value


def read_text(path: Path, what: str, max_bytes: int) -> str:
    """Return the text of a small file. DamagedCheckpoint if it is too long for `what`, or cannot be read."""
    content = head_of(path, max_bytes + 1)
    if len(content) > max_bytes:
        raise DamagedCheckpoint(f"{path} is too long for {what}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DamagedCheckpoint(f"{path} is damaged: it is not UTF-8 text", AGAIN) from error
