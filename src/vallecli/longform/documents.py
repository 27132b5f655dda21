"""Books in any format that is read: found by content, not by name, and bounded in size before memory is used."""

from __future__ import annotations

from collections.abc import Collection
from os import PathLike
from pathlib import Path

from vallecli import inputs
from vallecli.encoding import decode
from vallecli.errors import DocumentNotFound
from vallecli.longform.books import text
from vallecli.longform.books.model import KINDS, Block, Chapter, Cover, Document, check_kept

__all__ = ["KINDS", "Block", "Chapter", "Cover", "Document", "read_document"]

MAX_TEXT_BYTES = 2**26  # of a file of text, Markdown or HTML


def read_document(path: str | PathLike[str], keep: Collection[str] = ()) -> Document:
    """Return a book. `keep` names what of KINDS is read, although it is left out by default.

    Raises DocumentError, TextEncodingError, ExtraMissing, and UsageError for a name that is not of KINDS.
    """
    check_kept(keep)
    try:
        data = inputs.read_input(Path(path), MAX_TEXT_BYTES)
    except OSError as error:
        raise DocumentNotFound(path, (error.strerror or str(error)).lower()) from error
    return text.read(decode(data, path), path, keep)
