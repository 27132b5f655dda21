"""Files for encoders in C, which lose the errors of Python files or print them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO


class Guard:
    """An open file that keeps its first error, and then does nothing more until `check` raises the error."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def check(self) -> None:
        """Raise the error, if there was one."""
        if self.error is not None:
            raise self.error

    @property
    def closed(self) -> bool:
        """Return whether the file is closed: PyAV then does not write to it when a container is discarded."""
        return self.file.closed

    def write(self, data: bytes) -> int:
        """Return the number of bytes written, 0 after an error."""
        return self._try(self.file.write, data) or 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none after an error."""
        return self._try(self.file.read, size) or b""

    def seek(self, offset: int, whence: int) -> int:
        """Return the new position, 0 after an error: seeking writes what is buffered."""
        return self._try(self.file.seek, offset, whence) or 0

    def tell(self) -> int:
        """Return the position, 0 after an error."""
        return self._try(self.file.tell) or 0

    def flush(self) -> None:
        """Write what is buffered."""
        self._try(self.file.flush)

    def _try(self, method: Callable[..., Any], *arguments: Any) -> Any:
        if self.error is None:
            try:
                return method(*arguments)
            except OSError as error:
                self.error = error
        return None
