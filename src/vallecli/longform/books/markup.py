"""HTML and XHTML to pieces of a book, by the events of a parser: no tree is built, so memory is bounded.

What is left out is found by what documents say (epub:type, role, class names of the common converters) and by links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from vallecli.errors import DamagedDocument, DocumentTooLarge
from vallecli.longform.books.elements import (
    BACK_TYPES,
    BLOCKS,
    LINES,
    MARK_TYPES,
    PAGE_TYPES,
    XML_LANG,
    Context,
    Types,
    is_hidden,
    left_out,
    types_of,
    with_kind,
)
from vallecli.longform.books.model import Collector, Kind
from vallecli.longform.books.titles import NUMBERED, ROMAN

MAX_DEPTH = 2_000  # nested elements; pages with elements that are not closed have hundreds
MAX_ELEMENTS = 5_000_000  # of a book
MAX_ANCHOR = 300  # characters of an id; longer ones are ignored
MAX_PARAGRAPH = 5_000_000  # characters between two breaks
LAYOUT_CELL = 500  # characters of a cell: a table with more serves the layout of a page
VERSE_LINE = 80  # characters of a line between <br>, in verse
CELLS = ("td", "th")
MAX_INLINE = 8  # elements of a line around a link that are examined


MARK = re.compile(r"[\[({]?\s*(?:\d{1,4}|[a-z]{1,2}|[ivxlc]{1,6}|[A-Z]|[*†‡§¶#⁎※]{1,4})\s*[\])}.:]?")
BACK = re.compile(r"[\[(]?\s*(?:[↩↵⏎⤴⬆↑^←⇑▲][\ufe0e\ufe0f]?|back|return|zurück|retour)\s*[\])]?", re.IGNORECASE)
NOTE_LINK = re.compile(
    r"(?:foot|end|rear)?note|(?:^|[^a-z])_?(?:fn|ftn|edn|en|n)[-_.:]?(?:ref)?\d|^fn|cite_note", re.IGNORECASE
)
BEFORE_MARK = re.compile(r"(?:[a-zà-ÿ]{3}|[.,;:!?'\"”’»)\]])$")
BRACKETS = re.compile(r"[\s\[\](){},]*")
SCHEME = re.compile(r"[A-Za-z][\w+.-]*:")
WORD = re.compile(r"[^\W\d_]{2}")
BULLET = re.compile(r"\A\s*(?:[·•▪§o–]|\d{1,3}[.)])\xa0\s*")  # of lists that Word writes as paragraphs
RAISED = re.compile(r"\s*(?:[\[(]?\d{1,4}[\])]?|[*†‡§]{1,3})\s*")
INITIAL = re.compile(r"['\"“‘«¿¡]?\w['’]?")


@dataclass(slots=True)
class Frame:
    """An open element."""

    tag: str
    context: Context
    start: int
    """Number of parts of the block's text before it."""
    block: int
    """Number of that block."""
    begun: bool
    """Whether the block has words before it."""
    href: str = ""
    mark: str = ""
    """"mark" or "back" for a link that says that it is one."""
    linked: bool = False
    """Whether a link inside was removed as the mark of a note."""
    pieces: int = 0
    """Number of pieces before it."""


@dataclass
class Page:
    """What is known of a file of markup when it has been read."""

    anchors: dict[str, int] = field(default_factory=dict)
    """Index of the piece at each id."""
    marks: list[str] = field(default_factory=list)
    """Targets of the marks of notes, as they are written."""
    title: str = ""
    language: str = ""
    meta: dict[str, str] = field(default_factory=dict)
    """Names of <meta> to their contents."""


class Markup:
    """A target of lxml's parsers that adds pieces to a collector.

    `web` leaves out what surrounds the text of web pages.
    """

    def __init__(self, collector: Collector, *, web: bool, elements: int = 0) -> None:
        self.collector, self.web = collector, web
        self.page = Page()
        self.elements = elements
        self.frames = [Frame("", Context(), 0, 0, False)]
        self.text: list[str] = []
        """Parts of the block's text."""
        self.length = 0
        self.begun = False
        """Whether the text has words."""
        self.blocks = 0
        self.ids: list[tuple[str, int]] = []
        """Names of places in the block, and the lengths of the text before them."""
        self.waiting: list[str] = []
        """Names of places before the block, which are at its begin if it has text."""
        self.returns = False
        self.links = 0
        self.unlinked = False
        """Whether the text has words outside of links."""
        self.in_title = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Enter an element. Raises DocumentTooLarge and DamagedDocument."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise DocumentTooLarge(self.collector.source, f"it has more than {MAX_ELEMENTS:,} elements")
        if len(self.frames) > MAX_DEPTH:
            raise DamagedDocument(self.collector.source, f"elements are nested more than {MAX_DEPTH:,} deep")
        tag = tag.rpartition("}")[2].lower()
        outer = self.frames[-1].context
        if outer.stanza and tag in LINES:
            self._end_line()
        elif tag in BLOCKS or tag in CELLS:
            self._flush(cell=tag in CELLS)
        self._about(tag, attributes)
        for name in (attributes.get("id"), attributes.get("name") if tag == "a" else None):
            if name and len(name) <= MAX_ANCHOR:
                self.ids.append((name, self.length))
        frame = Frame(tag, outer, len(self.text), self.blocks, self.begun, pieces=len(self.collector.pieces))
        if not outer.skip:
            types = types_of(attributes)
            frame.context = self._context(tag, attributes, types, outer)
            self._inline(tag, attributes, types, frame)
        self.frames.append(frame)

    def end(self, tag: str) -> None:
        """Leave an element."""
        tag = tag.rpartition("}")[2].lower()
        frame = self.frames[-1]
        if len(self.frames) == 1 or frame.tag != tag:
            return  # lxml's events are balanced
        if tag == "title":
            self.in_title = False
        if not frame.context.skip:
            if tag == "a" or (frame.mark and not frame.linked):
                self._end_link(frame)
            elif tag == "sup" or frame.mark:
                self._end_raised(frame)
            elif tag == "q":
                self.data("”")
            if self.frames[-2].context.stanza and tag in LINES:
                self._end_line()
            elif tag in BLOCKS:
                self._flush()
            if tag == "table":
                self._end_table(frame)
        self.frames.pop()

    def data(self, text: str) -> None:
        """Add text. Raises DocumentTooLarge."""
        context = self.frames[-1].context
        if self.in_title and len(self.page.title) < MAX_ANCHOR:
            self.page.title += text
        if context.skip:
            return
        if not context.pre:
            text = re.sub(r"[ \t\r\n\f]+", " ", text)
        self._raw(text)
        self.unlinked = self.unlinked or (not context.link and WORD.search(text) is not None)
        self.begun = self.begun or not BRACKETS.fullmatch(text)
        if self.length > MAX_PARAGRAPH:
            raise DocumentTooLarge(self.collector.source, f"a paragraph has more than {MAX_PARAGRAPH:,} characters")

    def close(self) -> Page:
        """End the file."""
        self._flush()
        for name in self.waiting:
            self.page.anchors.setdefault(name, len(self.collector.pieces))
        return self.page

    def _about(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "title" and not self.page.title:
            self.in_title = self.frames[-1].tag == "head"
        elif tag in ("html", "body"):
            self.page.language = attributes.get("lang") or attributes.get(XML_LANG) or self.page.language
        elif tag == "meta" and len(self.page.meta) < 100:
            name = attributes.get("name") or attributes.get("property")
            if name:
                self.page.meta.setdefault(name.lower()[:MAX_ANCHOR], attributes.get("content", ""))

    def _context(self, tag: str, attributes: Mapping[str, str], types: Types, outer: Context) -> Context:
        """Return what is inside of an element."""
        if is_hidden(tag, attributes, types):
            return replace(outer, skip=True)
        context = outer
        kind = left_out(tag, types, outer, web=self.web)
        if kind and (not outer.left_out or kind == "captions"):
            context = replace(outer, left_out=kind, group=self.collector.new_group())
        elif outer.left_out == "notes" and (tag == "li" or (kind == "notes" and tag in BLOCKS)):
            context = replace(outer, group=self.collector.new_group())
        if tag in BLOCKS or tag in (*CELLS, "sup"):
            context = with_kind(tag, types, context)
        return context

    def _inline(self, tag: str, attributes: Mapping[str, str], types: Types, frame: Frame) -> None:
        """Handle what is inside of a line: breaks, images, links, page numbers, formulas and ruby."""
        collector = self.collector
        if tag == "br":
            self._raw("\n")
        elif tag == "q":
            self.data("“")
        elif tag == "img":
            self._image(attributes.get("alt", "").strip()[:5000], frame.context)
        elif tag == "rt":
            frame.context = replace(frame.context, skip=collector.leaves_out("ruby"))
            self.data("" if frame.context.skip else " ")
        elif tag == "math" or (tag == "span" and "math" in types.all):
            if collector.leaves_out("math"):
                frame.context = replace(frame.context, skip=True)
            elif alternative := attributes.get("alttext"):
                self.data(f" {alternative} ")
                frame.context = replace(frame.context, skip=True)
        elif types.all & PAGE_TYPES and tag not in ("p", "li", "section"):
            self._page_number(attributes, frame)
        elif types.all & BACK_TYPES:
            frame.mark = "back"
        elif types.all & MARK_TYPES:
            frame.mark = "mark"
        if tag == "a":
            frame.href = attributes.get("href", "")[:1000]
            if frame.href.startswith("#") or not (self.web or SCHEME.match(frame.href) or not frame.href):
                frame.context = replace(frame.context, link=True)
                self.links += 1

    def _raw(self, text: str) -> None:
        """Add text as it is."""
        self.text.append(text)
        self.length += len(text)

    def _page_number(self, attributes: Mapping[str, str], frame: Frame) -> None:
        label = attributes.get("title") or attributes.get("aria-label") or ""
        if self.collector.leaves_out("pages"):
            frame.context = replace(frame.context, skip=True)
        elif label:
            self.data(f" {label[:100]} ")
            frame.context = replace(frame.context, skip=True)

    def _image(self, description: str, context: Context) -> None:
        """Read the description of an image that is a heading or an initial; others are left out."""
        if not description:
            return
        if context.kind == "heading" or (len(description) <= 3 and INITIAL.fullmatch(description)):
            self.data(description)
        elif not context.left_out and not self.collector.leaves_out("images"):
            self.data(f" {description} ")

    def _inner(self, frame: Frame) -> tuple[int, str]:
        """Return where an element begins in the parts of the text, and its text."""
        start = frame.start if frame.block == self.blocks else 0
        return start, "".join(self.text[start:])

    def _remove(self, start: int, frame: Frame) -> None:
        """Remove the text of an element."""
        self.length -= sum(map(len, self.text[start:]))
        del self.text[start:]
        self.begun = frame.begun and frame.block == self.blocks

    def _end_link(self, frame: Frame) -> None:
        """Remove the mark of a note, and the link from a note back to its mark."""
        start, inner = self._inner(frame)
        label = inner.strip()
        back = frame.mark == "back" or (frame.href and BACK.fullmatch(label))
        local = "#" in frame.href and MARK.fullmatch(label)
        raised = frame.context.raised or frame.linked
        mark = frame.mark == "mark" or (
            local and (raised or "[" in label or label in "*†‡§" or NOTE_LINK.search(frame.href.rpartition("#")[2]))
        )
        begins = not frame.begun or frame.block != self.blocks
        if not back and not mark:
            self.returns = self.returns or bool(begins and local)  # which mark_notes may remove
            return
        if back or begins:
            self.returns = True
            remove = "marks" not in self.collector.keep
        else:
            self.page.marks.append(frame.href)
            remove = self.collector.leaves_out("marks")
        if remove:
            self._remove(start, frame)
        for outer in self._outer():
            outer.linked = True

    def _outer(self) -> Iterator[Frame]:
        """Yield some elements around the last one, inside of its block."""
        for frame in self.frames[-2 : -2 - MAX_INLINE : -1]:
            if frame.tag in BLOCKS:
                return
            yield frame

    def _end_raised(self, frame: Frame) -> None:
        """Remove raised brackets whose mark was removed, and a raised number behind a word, which is a mark."""
        start, inner = self._inner(frame)
        link = next((outer for outer in self._outer() if outer.tag == "a" and outer.href), None)
        if frame.linked:
            remove = BRACKETS.fullmatch(inner) is not None
        elif link is not None:
            link.linked, remove = True, False  # the link around it is examined when it ends
        else:
            before = self.text[start - 1][-4:] if start else ""
            remove = bool(RAISED.fullmatch(inner) and BEFORE_MARK.search(before)) and self.collector.leaves_out("marks")
        if remove:
            self._remove(start, frame)

    def _end_table(self, frame: Frame) -> None:
        """Read a table that only serves the layout: with long cells or headings."""
        if frame.context.left_out != "tables" or self.frames[-2].context.left_out:
            return
        pieces = self.collector.pieces[frame.pieces :]
        if any(piece.kind == "heading" or len(piece.text) > LAYOUT_CELL for piece in pieces):
            for piece in pieces:
                if piece.left_out == "tables":
                    piece.left_out, piece.group = "", 0
                    piece.kind = "paragraph" if piece.kind == "table" else piece.kind

    def _end_line(self) -> None:
        """End a line of a stanza, if it has begun."""
        while self.text and self.text[-1] != "\n" and not self.text[-1].strip():
            self.text.pop()
        if self.text and self.text[-1] != "\n":
            self._raw("\n")

    def _flush(self, *, cell: bool = False) -> None:
        """End a block. A cell of a table only separates its text from that of the cell before."""
        context = self.frames[-1].context
        if cell and context.kind == "table":
            while self.text and not self.text[-1].strip():
                self.text.pop()
            if self.text and not self.text[-1].endswith(", "):
                self.text[-1] = f"{self.text[-1].rstrip()}, "
            return
        text = "".join(self.text)
        self.text.clear()
        first = len(self.collector.pieces)
        for kind, part in _split(text, context):
            self.collector.add(
                kind,
                part,
                left_out=context.left_out,
                level=context.level,
                group=context.group,
                returns=self.returns,
                links=0 if self.unlinked else self.links,
            )
        if len(self.collector.pieces) > first:
            end = len(text.rstrip())
            later = [name for name, at in self.ids if at >= end and at > 0 and context.kind != "heading"]
            kept = set(later)
            for name in (*self.waiting, *(name for name, _ in self.ids)):
                if name not in kept:
                    self.page.anchors.setdefault(name, first)
            self.waiting = later
            self.returns = False
        else:
            self.waiting += [name for name, _ in self.ids]
        self.ids.clear()
        self.length = self.links = 0
        self.unlinked = False
        self.blocks += 1
        self.begun = False


def _split(text: str, context: Context) -> Iterator[tuple[Kind, str]]:
    """Yield the blocks of a text with line breaks: two of them separate paragraphs, and verse keeps single ones."""
    if context.pre:
        yield context.kind, text
        return
    text = re.sub(r" *\n *", "\n", text)
    if context.kind == "heading":
        first, _, rest = text.strip().partition("\n")
        numbered = rest and (NUMBERED.fullmatch(first) or ROMAN.fullmatch(first) or first.isdigit())
        yield context.kind, f"{first.rstrip(' .:')}: {rest}".replace("\n", " ") if numbered else text.replace("\n", " ")
        return
    if context.kind == "item":
        text = BULLET.sub("", text, count=1)
    for part in re.split(r"\n{2,}", text.strip("\n")):
        lines = part.split("\n")
        short = len(lines) > 2 and all(len(line) <= VERSE_LINE for line in lines)
        if len(lines) > 1 and (context.verse or short):
            yield ("verse" if context.kind in ("paragraph", "quote") else context.kind), part
        else:
            verse = context.verse and context.kind in ("paragraph", "quote")
            yield ("verse" if verse else context.kind), " ".join(lines)
