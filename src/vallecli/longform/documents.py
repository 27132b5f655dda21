"""Books in any format that is read: found by content, not by name, and bounded in size before memory is used."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection
from os import PathLike
from pathlib import Path

from vallecli import inputs
from vallecli.encoding import MARKS, decode
from vallecli.errors import DamagedDocument, DocumentNotFound, DocumentTooLarge, EncryptedDocument, UnknownDocument
from vallecli.longform.books import docx, epub, markdown, text, web
from vallecli.longform.books.archive import Archive
from vallecli.longform.books.model import KINDS, Block, Chapter, Cover, Document, check_kept

__all__ = ["KINDS", "Block", "Chapter", "Cover", "Document", "read_document"]

MAX_TEXT_BYTES = 2**26  # of a file of text, Markdown or HTML
HEAD = 4096  # bytes by which a format is recognised
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED_OLE = "EncryptedPackage".encode("utf-16-le")
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
CONVERT = "Convert it to EPUB, for example with Calibre."
SIGNATURES = (  # where, bytes, what such a file is, what to do
    (0, b"%PDF-", "a PDF document", "Use another format of the book; or extract its text (pdftotext) and check it."),
    (0, b"{\\rtf", "an RTF document", "Save it as a Word document (DOCX)."),
    (60, b"BOOKMOBI", "a Kindle book", f"{CONVERT} This is possible without copy protection only."),
    (60, b"TEXtREAd", "a Palm book", CONVERT),
    (0, b"TPZ", "a Kindle book (Topaz)", CONVERT),
    (0, b"\xeaDRMION\xee", "a Kindle book with copy protection", "Use an edition without copy protection."),
    (0, b"ITOLITLS", "a Microsoft Reader book", CONVERT),
    (0, b"ITSF", "a Windows help file (CHM)", CONVERT),
    (0, b"AT&TFORM", "a DjVu document", "Extract its text (djvutxt) and check it."),
    (0, b"Rar!", "a RAR archive", "Unpack it first."),
    (0, b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it first."),
    (0, b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (0, b"BZh", "a bzip2 archive", "Unpack it first."),
    (0, b"\xfd7zXZ", "an XZ archive", "Unpack it first."),
    (0, b"%!PS", "a PostScript document", CONVERT),
    (0, b"\xff\xd8\xff", "an image", "Convert its page to text first (OCR)."),
    (0, b"\x89PNG", "an image", "Convert its page to text first (OCR)."),
    (4, b"ftyp", "a recording or a film", "Give a book."),
    (0, b"ID3", "a recording", "Give a book."),
    (0, b"SQLite format 3\0", "a database", "Give a book."),
    (0, b"\x7fELF", "a program", "Give a book."),
)
HTML = re.compile(
    r"(?:<\?xml[^>]*>|<!--(?:(?!-->).)*-->|\s)*+<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
XML = re.compile(r"(?:<\?xml[^>]*>|<!--(?:(?!-->).)*-->|<!DOCTYPE[^>]*>|\s)*+<([A-Za-z][\w:.-]*)", re.DOTALL)
TAGS = re.compile(r"<(?:p|div|h[1-6]|br|span|a|table)\b[^>]*>", re.IGNORECASE)
HTML_NAMES = (".html", ".htm", ".xhtml", ".xhtm")
MARKDOWN_NAMES = (".md", ".markdown", ".mdown", ".mkd", ".mkdn", ".qmd", ".rmd")
MARKDOWN = re.compile(r"^#{1,6} +\S.*$", re.MULTILINE)
FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(?:(?:\w[\w-]*:.*|[ \t-].*)?\r?\n){1,40}?(?:---|\.\.\.)[ \t]*\r?\n")
MARKED = 200_000  # characters in which headings of Markdown are searched
MAX_OLE = 2**22  # bytes in which the name of the encrypted part is searched
CONTROLS = bytes([*range(1, 9), *range(14, 27), *range(28, 32)])
FEW_CONTROLS = 8  # control characters of a short text
BINARY = 0.03  # part of more of them from which a file is not text


def read_document(path: str | PathLike[str], keep: Collection[str] = ()) -> Document:
    """Return a book. `keep` names what of KINDS is read, although it is left out by default.

    Raises DocumentError, TextEncodingError, ExtraMissing, and UsageError for a name that is not of KINDS.
    """
    check_kept(keep)
    try:
        with inputs.open_regular(Path(path)) as file:
            head = file.peek(HEAD)[:HEAD]
            if head.startswith(ZIP):
                return _read_archive(Archive(file, path), keep)
            _refuse_binary(head, path)
            if head.startswith(OLE):
                _refuse_ole(file.read(MAX_OLE), path)
            data = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise DocumentNotFound(path, (error.strerror or str(error)).lower()) from error
    if len(data) > MAX_TEXT_BYTES:
        raise DocumentTooLarge(path, f"text is read up to {MAX_TEXT_BYTES:,} bytes")
    return _read_text(data, path, keep)


def _read_archive(archive: Archive, keep: Collection[str]) -> Document:
    """Return the book in a ZIP archive. Raises DocumentError and ExtraMissing."""
    mimetype = archive.read("mimetype", HEAD).strip() if "mimetype" in archive else b""
    if epub.CONTAINER in archive or mimetype == b"application/epub+zip":
        return epub.read(archive, keep)
    kind, hint = "a ZIP archive", "Unpack it first."
    if mimetype.startswith(b"application/vnd.oasis.opendocument"):
        kind, hint = "an OpenDocument file", "Save it as a Word document (DOCX), or as EPUB."
    elif "[Content_Types].xml" in archive:
        parts = {name.partition("/")[0] for name in archive.names()}
        if "word" in parts or not parts & {"xl", "ppt", "visio"}:
            return docx.read(archive, keep)
        kind, hint = "a spreadsheet or a presentation", "Save its text as a Word document (DOCX) or as plain text."
    elif any(name.endswith(".opf") for name in archive.names()):
        raise DamagedDocument(archive.source, f"{epub.CONTAINER} is missing, which every EPUB has")
    elif any(name.startswith("Index/") and name.endswith(".iwa") for name in archive.names()):
        kind, hint = "a Pages document", "Export it as EPUB or as a Word document (DOCX)."
    raise UnknownDocument(archive.source, kind, hint)


def _refuse_binary(head: bytes, path: str | PathLike[str]) -> None:
    """Raise UnknownDocument for a file of a format that is known, and not read."""
    for at, signature, kind, hint in SIGNATURES:
        if head[at:].startswith(signature):
            raise UnknownDocument(path, kind, hint)


def _refuse_ole(data: bytes, path: str | PathLike[str]) -> None:
    """Raise the error for a file of the container that Word used before DOCX, and uses for passwords."""
    if ENCRYPTED_OLE in data:
        raise EncryptedDocument(path, "a Word document with a password")
    raise UnknownDocument(path, "an old Word document (DOC)", "Save it as a Word document (DOCX).")


def _read_text(data: bytes, path: str | PathLike[str], keep: Collection[str]) -> Document:
    """Return the book in a file of text: HTML, Markdown or plain."""
    suffix = Path(path).suffix.lower()
    start = data[:HEAD]
    if _is_binary(start):
        raise UnknownDocument(path, "a binary file", "Give a book as EPUB, DOCX, HTML, Markdown or plain text.")
    utf_16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    head = start.decode("utf-16" if utf_16 else "utf-8-sig", errors="replace")
    if HTML.match(head) or (suffix in HTML_NAMES and TAGS.search(head)):
        return web.read(data, path, keep)
    if (xml := XML.match(head)) and head.lstrip().startswith("<?xml"):
        kind = (
            "a FictionBook file" if xml[1].lower() == "fictionbook" else f"an XML file of another kind ({xml[1][:40]})"
        )
        raise UnknownDocument(path, kind, CONVERT)
    content = decode(data, path)
    marked = len(MARKDOWN.findall(content[:MARKED])) > 1 or FRONT_MATTER.match(content) is not None
    if suffix in MARKDOWN_NAMES or marked:
        return markdown.read(content, path, keep)
    return text.read(content, path, keep)


def _is_binary(start: bytes) -> bool:
    """Return whether a file that begins like this is no text, in whichever encoding."""
    if start.startswith(tuple(mark for mark, _ in MARKS)):
        return False
    controls = sum(byte in CONTROLS for byte in start)
    zeros = 2 * min(start[::2].count(0), start[1::2].count(0))  # UTF-16 has them in every other place
    return controls + zeros > FEW_CONTROLS + BINARY * len(start)
