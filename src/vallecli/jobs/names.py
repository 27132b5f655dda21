"""Names of outputs: below the folder, each its own, and good on every system, so that a folder can be moved."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

from pathvalidate import ErrorReason, Platform, ValidationError, validate_filename

from vallecli.audio.files import format_of
from vallecli.errors import DuplicateRow, RowError, UnsafeName

REASONS = {
    ErrorReason.RESERVED_NAME: "Windows keeps this name for itself",
    ErrorReason.INVALID_LENGTH: "it is longer than 255 bytes",
}
OTHERWISE = 'it holds one of \\ : * ? " < > |, or a space or dot at its end'


class Names:
    """The ids and outputs that are taken, and by which row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.real = folder.resolve()
        self.ids: dict[str, int] = {}
        self.outputs: dict[str, int] = {}
        self.folders: dict[str, int] = {}

    def take_id(self, name: str, row: int) -> None:
        """Give an id to a row. Raises DuplicateRow, or RowError for one that cannot be printed."""
        if not name.isprintable():
            raise RowError(f"id {name!r} holds what cannot be printed", "Give letters and digits.")
        if (first := self.ids.setdefault(name, row)) != row:
            raise DuplicateRow("id", name, first)

    def take_output(self, output: str, row: int) -> str:
        """Give an output to a row and return it as it is written. Raises UnsafeName, DuplicateRow and UsageError."""
        path = PurePosixPath(output)
        if path.is_absolute() or ".." in path.parts:
            raise UnsafeName(output, "it leaves the output folder")
        for part in path.parts:
            _check_part(output, part)
        format_of(Path(path))
        folded, *parents = (_folded(place) for place in (path, *path.parents[:-1]))
        for place in (folded, *parents):
            if (first := self.outputs.get(place, row)) != row:
                raise DuplicateRow("output", output, first)
        if (first := self.folders.get(folded, row)) != row:
            raise UnsafeName(output, f"row {first} makes a folder of that name")
        self.outputs[folded] = row
        for place in parents:
            self.folders.setdefault(place, row)
        if not (self.folder / path).resolve().is_relative_to(self.real):
            raise UnsafeName(output, "a link leads it out of the output folder")
        if (self.folder / path).is_dir():
            raise UnsafeName(output, "there is a folder of that name")
        return str(path)


def _check_part(output: str, part: str) -> None:
    if not part.isprintable():
        raise UnsafeName(output, "it holds what cannot be printed")
    try:
        validate_filename(part, platform=Platform.UNIVERSAL)
    except ValidationError as error:
        raise UnsafeName(output, REASONS.get(error.reason, OTHERWISE)) from error


def _folded(path: PurePosixPath) -> str:
    """Return what two names have in common that macOS or Windows would take for one."""
    return unicodedata.normalize("NFC", str(path)).casefold()
