"""ZIP archives of books: entries are read into memory one by one, and only as many bytes as a book has."""

from __future__ import annotations

import io
import posixpath
import struct
import zipfile
import zlib
from os import PathLike
from typing import BinaryIO
from urllib.parse import unquote

from vallecli.errors import DamagedDocument, DocumentTooLarge, EncryptedDocument

MAX_DIRECTORY = 2**22  # bytes of the list of entries: 40,000 of them
MAX_UNPACKED = 2**28  # bytes that are read from one archive
MAX_PART = 2**25  # bytes of a text in it
ENCRYPTED = 0x1
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, IndexError)


class _SmallReads(io.BufferedReader):
    """A file that refuses the one large read of an archive's directory."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to that many bytes; by default, the rest. Raises OverflowError for too many."""
        content = super().read(min(MAX_DIRECTORY + 1, size if size is not None and size >= 0 else MAX_DIRECTORY + 1))
        if len(content) > MAX_DIRECTORY:
            raise OverflowError
        return content


class Archive:
    """An open archive. Names are found without regard to case, if there is no better match."""

    def __init__(self, file: BinaryIO, source: str | PathLike[str]) -> None:
        """Read the directory. Raises DamagedDocument and DocumentTooLarge. The archive ends with the file."""
        self.source = source
        self.unpacked = 0
        try:
            raw = io.FileIO(file.fileno(), closefd=False)
            self._zip = zipfile.ZipFile(_SmallReads(raw))
        except OverflowError as error:
            raise DocumentTooLarge(source, "the list of its parts is longer than that of any book") from error
        except DAMAGED as error:
            raise DamagedDocument(source, f"its ZIP archive is incomplete ({error})") from error
        self._entries = {entry.filename: entry for entry in self._zip.infolist()}
        self._folded = {name.replace("\\", "/").casefold(): entry for name, entry in self._entries.items()}

    def names(self) -> list[str]:
        """Return the names of all entries."""
        return list(self._entries)

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def read(self, name: str, limit: int = MAX_PART) -> bytes:
        """Return the content of an entry.

        Raises DamagedDocument for one that is missing or damaged, DocumentTooLarge, and EncryptedDocument for one with
        a password.
        """
        entry = self._find(name)
        if entry is None:
            raise DamagedDocument(self.source, f"{name} is missing")
        if entry.flag_bits & ENCRYPTED:
            raise EncryptedDocument(self.source, "a ZIP archive with a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DamagedDocument(self.source, f"{name} is compressed in a way that books do not use")
        if entry.file_size > limit:
            raise DocumentTooLarge(self.source, f"{name} would unpack to {entry.file_size:,} bytes")
        try:
            with self._zip.open(entry) as file:
                content = file.read(entry.file_size + 1)
        except (*DAMAGED, OSError, OverflowError) as error:
            raise DamagedDocument(self.source, f"{name} is incomplete ({error})") from error
        self.unpacked += len(content)
        if self.unpacked > MAX_UNPACKED:
            raise DocumentTooLarge(self.source, f"all parts together unpack to more than {MAX_UNPACKED:,} bytes")
        return content

    def _find(self, name: str) -> zipfile.ZipInfo | None:
        return self._entries.get(name) or self._folded.get(name.casefold())


def resolve(base: str, href: str) -> tuple[str, str]:
    """Return the name of an entry and the fragment that a link in the entry `base` refers to.

    The name is empty for links to the web and out of the archive.
    """
    path, _, fragment = href.strip().partition("#")
    if ":" in path.partition("/")[0]:
        return "", ""
    if not path:
        return base, unquote(fragment)
    name = posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(path.partition("?")[0])))
    name = name.lstrip("/")
    return ("", "") if name.startswith("..") or name == "." else (name, unquote(fragment))
