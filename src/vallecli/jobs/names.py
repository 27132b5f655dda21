"""Names of outputs: inside the output folder, unique, and valid on every operating system."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PurePosixPath

from pathvalidate import ErrorReason, Platform, ValidationError, validate_filename

from vallecli.audio.formats import format_of
from vallecli.errors import DuplicateRow, RowError, UnsafeName

REASONS = {
    ErrorReason.RESERVED_NAME: "Windows reserves this name",
    ErrorReason.INVALID_LENGTH: "it is longer than 255 bytes",
}
OTHER_REASON = 'it contains one of \\ : * ? " < > |, or ends in a space or a dot'


class UsedNames:
    """The ids and outputs that rows have claimed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resolved_folder = Path(os.path.realpath(folder))
        self.ids: dict[str, int] = {}  # id -> row
        self.outputs: dict[str, int] = {}  # folded path of an output -> row
        self.subfolders: dict[str, int] = {}  # folded path of a folder -> first row with an output in it

    def claim_id(self, name: str, row: int) -> None:
        """Reserve an id for a row. Raises DuplicateRow, and RowError for an id that is not printable."""
        if not name.isprintable():
            raise RowError(f"id {name!r} contains characters that are not printable", "Use letters and digits.")
        if (first := self.ids.setdefault(name, row)) != row:
            raise DuplicateRow("id", name, first)

    def claim_output(self, output: str, row: int) -> str:
        """Reserve an output for a row and return its path. Raises UnsafeName, DuplicateRow and UsageError."""
        path = PurePosixPath(output)
        if path.is_absolute() or ".." in path.parts:
            raise UnsafeName(output, "it is outside the output folder")
        for part in path.parts:
            _check_part(output, part)
        format_of(Path(path))
        folded, *parents = (_fold(location) for location in (path, *path.parents[:-1]))
        for location in (folded, *parents):
            if (first := self.outputs.get(location, row)) != row:
                raise DuplicateRow("output", output, first)
        if (first := self.subfolders.get(folded, row)) != row:
            raise UnsafeName(output, f"row {first} uses a folder of that name")
        self.outputs[folded] = row
        for location in parents:
            self.subfolders.setdefault(location, row)
        if not Path(os.path.realpath(self.folder / path)).is_relative_to(self.resolved_folder):
            raise UnsafeName(output, "a link in it points outside the output folder")
        if (self.folder / path).is_dir():
            raise UnsafeName(output, "a folder of that name exists")
        return str(path)


def _check_part(output: str, part: str) -> None:
    if not part.isprintable():
        raise UnsafeName(output, "it contains characters that are not printable")
    try:
        validate_filename(part, platform=Platform.UNIVERSAL)
    except ValidationError as error:
        raise UnsafeName(output, REASONS.get(error.reason, OTHER_REASON)) from error


def _fold(path: PurePosixPath) -> str:
    """Return the same string for names that macOS or Windows treat as one file."""
    return unicodedata.normalize("NFC", str(path)).casefold()
