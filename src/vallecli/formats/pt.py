"""Published `.pt` files read as data: tensors and plain values, never code."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vallecli.errors import DamagedCheckpoint


class _PathText(str):
    """A pathlib object of the file, as text: its parts joined, never a path on this machine."""

    def __new__(cls, *parts: str) -> _PathText:
        return super().__new__(cls, "/".join(parts))


PATHLIB: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_PathText, f"{module}.{name}")
    for module in ("pathlib", "pathlib._local")  # the second is what Python 3.13 calls it
    for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
]  # trainers leave the folders they ran in beside the weights


def read_pt(path: Path) -> Any:
    """Return what a `.pt` file holds, on the CPU; DamagedCheckpoint refuses truncated files and foreign pickles."""
    try:
        with torch.serialization.safe_globals(PATHLIB):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except FileNotFoundError as error:
        raise DamagedCheckpoint(f"{path} is not there", "Give the file of the checkpoint.") from error
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"its pickle asks for {named[1]}" if named else "its pickle holds more than tensors and plain values"
        raise DamagedCheckpoint(
            f"{path} is refused: {reason}", "Use a checkpoint you trust, saved as tensors."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        reason = (str(error).splitlines() or ["it ends early"])[0]
        raise DamagedCheckpoint(f"{path} is damaged: {reason}", "Download it again.") from error
