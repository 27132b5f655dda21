"""A book as it is read aloud: chapters of blocks of text, and what was left out."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Literal

from vallecli.errors import DocumentTooLarge, UsageError

Kind = Literal["heading", "paragraph", "item", "quote", "verse", "table", "code", "note", "caption", "image", "math"]

# What is left out unless it is kept -> what that is.
KINDS: Mapping[str, str] = {
    "front": "cover, title page, copyright, dedication, contents, index and bibliography",
    "notes": "footnotes and endnotes",
    "marks": "marks that refer to notes",
    "tables": "tables",
    "code": "listings",
    "captions": "captions of figures and tables",
    "images": "descriptions of images",
    "math": "formulas",
    "pages": "page numbers",
    "ruby": "readings beside characters",
    "navigation": "menus, headers and footers of web pages",
    "licence": "header and licence of Project Gutenberg",
}
MAX_CHARACTERS = 20_000_000  # of a book: five times the Bible
MAX_BLOCKS = 1_000_000  # of a book
MAX_BLOCK = 20_000  # characters: 20 minutes of speech
MAX_NAME = 500  # characters of a title or a name

_SENTENCE_END = re.compile(r"[.!?…]['\"”’)\]]*\s|[。！？]|\n")
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?(?:\n ?)+")


@dataclass(frozen=True)
class Block:
    """A paragraph, or another part of a chapter between two pauses. The lines of a verse are separated by newlines."""

    kind: Kind
    text: str
    """Not empty, without control characters; white space is one space."""


@dataclass(frozen=True)
class Chapter:
    """A chapter: its blocks, of which the first usually is its heading."""

    title: str
    """Not empty: the entry in the table of contents, the heading, or a number."""
    blocks: tuple[Block, ...]
    """At least one."""
    level: int = 1
    """1 for a chapter or a part, 2 for a chapter of a part, and so on."""


@dataclass(frozen=True)
class Cover:
    """The image of a cover."""

    data: bytes
    type: str
    """image/jpeg or image/png."""


@dataclass(frozen=True)
class Document:
    """A book. Texts come from a file: print them with `printable`."""

    title: str
    """Empty if the file has none."""
    authors: tuple[str, ...]
    language: str | None
    """A BCP 47 tag, such as "en-GB"; None if the file has none."""
    cover: Cover | None
    chapters: tuple[Chapter, ...]
    """At least one."""
    left_out: Mapping[str, int]
    """How many of each of KINDS were left out."""
    notes: tuple[str, ...] = ()
    """What a reader of the result should know, such as an empty chapter."""


@dataclass(slots=True)
class Piece:
    """A block on its way into a chapter."""

    kind: Kind
    text: str
    left_out: str = ""
    """One of KINDS, or "" for what is always read."""
    level: int = 0
    """Of a heading: 1 is the highest."""
    group: int = 0
    """Number of the table, note or section that it is from, which is counted once; 0 for none."""
    returns: bool = False
    """Whether it begins or ends with a link back to the text, as notes do."""
    links: int = 0
    """Number of links to other places in the book, if it has no words outside of them."""


@dataclass
class Collector:
    """The pieces of a book in order, within limits. `source` names the file in errors."""

    source: str | PathLike[str]
    keep: Collection[str] = ()
    pieces: list[Piece] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """What was left out inside of blocks."""
    characters: int = 0
    groups: int = 0

    def add(
        self,
        kind: Kind,
        text: str,
        *,
        left_out: str = "",
        level: int = 0,
        group: int = 0,
        returns: bool = False,
        links: int = 0,
    ) -> bool:
        """Add a text as one piece, or as several if it is long; return whether it has any characters.

        Raises DocumentTooLarge.
        """
        text = clean(text)
        self.characters += len(text)
        if self.characters > MAX_CHARACTERS:
            raise DocumentTooLarge(self.source, f"it has more than {MAX_CHARACTERS:,} characters")
        for part in _parts(text):
            if len(self.pieces) >= MAX_BLOCKS:
                raise DocumentTooLarge(self.source, f"it has more than {MAX_BLOCKS:,} paragraphs")
            self.pieces.append(Piece(kind, part, left_out, level, group, returns, links))
        return bool(text)

    def new_group(self) -> int:
        """Return a number for the pieces of a table, a note or a section."""
        self.groups += 1
        return self.groups

    def leaves_out(self, kind: str) -> bool:
        """Count something inside of a block, and return whether it is left out."""
        if kind in self.keep:
            return False
        self.counts[kind] += 1
        return True


def check_kept(keep: Collection[str]) -> None:
    """Raise UsageError for a name that is not one of KINDS."""
    if unknown := sorted(set(keep) - KINDS.keys()):
        raise UsageError(f"unknown part of a book: {', '.join(unknown)}", f"There are: {', '.join(KINDS)}.")


def clean(text: str) -> str:
    """Return a text with single spaces, and without control characters, soft hyphens and marks of direction.

    Newlines are kept: they separate the lines of a verse. Joiners (U+200C and U+200D), which some scripts need, too.
    """
    if not text.isprintable():
        text = "".join(_visible(text))
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return _LINES.sub("\n", _SPACES.sub(" ", text)).strip()


def _visible(text: str) -> Iterator[str]:
    for char in text:
        if char in "\n\u200c\u200d":
            yield char
        elif char.isspace():
            yield "\n" if char in "\r\x85\u2028\u2029" else " "
        elif unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn"):
            yield char


def clean_name(text: str) -> str:
    """Return a title or a name on one line, shortened."""
    name = " ".join(clean(text[: 4 * MAX_NAME]).split())
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1].rstrip()}…"


def _parts(text: str) -> Iterator[str]:
    """Yield a text in parts of at most MAX_BLOCK characters that end with a sentence, else with a word."""
    start = 0
    while len(text) - start > MAX_BLOCK:
        window = text[start : start + MAX_BLOCK]
        ends = [match.end() for match in _SENTENCE_END.finditer(window)]
        space = window.rfind(" ") + 1
        length = ends[-1] if ends else (space or MAX_BLOCK)
        if part := window[:length].strip():
            yield part
        start += length
    if part := text[start:].strip():
        yield part
