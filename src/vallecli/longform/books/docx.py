"""Word documents (DOCX) as books, by the events of a parser: no tree is built, and only the parts with text are read.

Headings are paragraphs with an outline level, of their own or of their style. Deleted and moved text, hidden text,
comments, headers and footers are not read. Source: ECMA-376, part 1.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vallecli.errors import DamagedDocument, DocumentTooLarge
from vallecli.longform.books.archive import Archive, resolve
from vallecli.longform.books.arrange import About, arrange
from vallecli.longform.books.markup import LAYOUT_CELL, MAX_DEPTH, MAX_ELEMENTS, MAX_PARAGRAPH
from vallecli.longform.books.model import Collector, Document, Kind, Piece
from vallecli.longform.books.parse import children, feed_xml, local, read_tree, text_of

RELATIONS = "_rels/.rels"
MAX_DOCUMENT = 2**27  # bytes of the main part
MAX_FIELDS = 20  # inside of each other
MAX_INITIAL = 5  # characters of a drop cap, with a quotation mark
MAX_STYLES = 20  # that are based on each other
SKIPPED = frozenset(("moveFrom", "Fallback", "del", "rt", "delText"))
HIDDEN = ("vanish", "strike", "dstrike")  # properties of runs that are not read
FRONT_FIELDS = re.compile(r"\s*(?:TOC|INDEX|TOA|BIBLIOGRAPHY)\b", re.IGNORECASE)
FRONT_GALLERIES = ("table of contents", "bibliographies")
FRONT_STYLES = re.compile(r"toc\b.*|table of (?:figures|authorities).*|index\b.*|bibliography|contents.*")
QUOTES = re.compile(r"(?:intense )?quote|block ?text|quotations?|epigraph")
CODE = re.compile(r"html preformatted|(?:source )?code(?: block)?|verbatim|macro text|preformatted text")
ITEMS = re.compile(r"list\b.*")
TITLES = ("title", "subtitle", "author", "date")


@dataclass(frozen=True)
class Style:
    """A paragraph style."""

    name: str
    based_on: str
    level: int | None
    """Outline level from 1; None if it has none itself."""


@dataclass(slots=True)
class Paragraph:
    """A paragraph that is open."""

    text: list[str] = field(default_factory=list)
    length: int = 0
    style: str = ""
    level: int | None = None
    numbered: bool = False
    listed: bool = False
    """Whether it has text of a table of contents or an index that Word has made."""
    initial: bool = False
    """Whether it is a drop cap: the first letter of the next paragraph."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """Kind and id of the notes that it refers to."""


def read(archive: Archive, keep: Collection[str] = ()) -> Document:
    """Return the document of a DOCX file. Raises DocumentError and ExtraMissing."""
    main = _main_part(archive)
    folder = posixpath.dirname(main)
    styles, language = _styles(archive, posixpath.join(folder, "styles.xml"))
    collector = Collector(archive.source, keep)
    notes: dict[tuple[str, str], str] = {}
    for kind in ("footnote", "endnote"):
        name = posixpath.join(folder, f"{kind}s.xml")
        if "notes" in keep and name in archive:
            root = read_tree(archive.read(name), archive.source, name)
            for note in children(root, kind):
                notes[kind, _value(note.attrib, "id")] = " ".join(_note_text(note))
    body = Body(collector, styles, notes)
    feed_xml(archive.read(main, MAX_DOCUMENT), archive.source, main, body)
    about = _about(archive)
    title = body.titles[0].text if len(body.titles) == 1 else about.title
    return arrange(collector, replace(about, title=title, language=about.language or language))


def _main_part(archive: Archive) -> str:
    root = read_tree(archive.read(RELATIONS), archive.source, RELATIONS)
    for relation in children(root, "Relationship"):
        if relation.get("Type", "").endswith("/officeDocument"):
            return resolve("", relation.get("Target", "").lstrip("/"))[0]
    raise DamagedDocument(archive.source, f"{RELATIONS} names no document")


def _styles(archive: Archive, name: str) -> tuple[dict[str, Style], str]:
    """Return the paragraph styles by their ids, and the language of the text."""
    if name not in archive:
        return {}, ""
    root = read_tree(archive.read(name), archive.source, name)
    styles = {}
    for style in children(root, "style"):
        level = next((_value(one.attrib, "val") for one in children(style, "pPr", "outlineLvl")), "")
        styles[_value(style.attrib, "styleId")] = Style(
            next((_value(one.attrib, "val") for one in children(style, "name")), "").lower(),
            next((_value(one.attrib, "val") for one in children(style, "basedOn")), ""),
            _outline(level),
        )
    languages = children(root, "docDefaults", "rPrDefault", "rPr", "lang")
    return styles, next((_value(one.attrib, "val") for one in languages), "")


def _about(archive: Archive) -> About:
    name = "docProps/core.xml"
    if name not in archive:
        return About()
    root = read_tree(archive.read(name), archive.source, name)
    said = {local(one): text_of(one) for one in root if isinstance(one.tag, str)}
    return About(
        title=said.get("title", ""),
        authors=[name.strip() for name in said.get("creator", "").split(";")][:20],
        language=said.get("language", ""),
    )


def _note_text(note: Any) -> Iterator[str]:
    for element in note.iter("{*}t"):
        yield element.text or ""


class Body:
    """A target of lxml's parser for the main part of a document."""

    def __init__(self, collector: Collector, styles: Mapping[str, Style], notes: Mapping[tuple[str, str], str]) -> None:
        self.collector, self.styles, self.notes = collector, styles, notes
        self.titles: list[Piece] = []
        self.open: list[str] = []
        """Names of the open elements."""
        self.skipped = 0
        """Depth from which nothing is read; 0 for none."""
        self.hidden = False
        """Whether the run is hidden."""
        self.paragraphs: list[Paragraph] = []
        """Those that are open: one, and more inside of a text box."""
        self.tables: list[int] = []
        """Groups of the open tables."""
        self.table_start = 0
        self.fields: list[bool] = []
        """For each open field, whether its result is a table of contents or an index."""
        self.galleries: list[int] = []
        """Depths of the open controls that have one of these."""
        self.initial = ""
        """A drop cap whose paragraph comes next."""
        self.front = 0
        """Group of a run of paragraphs of a table of contents."""
        self.elements = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Enter an element. Raises DocumentTooLarge and DamagedDocument."""
        name = tag.rpartition("}")[2]
        self.open.append(name)
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise DocumentTooLarge(self.collector.source, f"it has more than {MAX_ELEMENTS:,} elements")
        if len(self.open) > MAX_DEPTH:
            raise DamagedDocument(self.collector.source, f"elements are nested more than {MAX_DEPTH:,} deep")
        if self.skipped:
            return
        deleted_mark = name == "del" and self.open[-2] == "rPr"  # only the end of a paragraph
        if name in SKIPPED and not deleted_mark:
            self.skipped = len(self.open)
        elif name == "oMath":
            self.skipped = len(self.open) if self.collector.leaves_out("math") else 0
        elif name == "tbl":
            if not self.tables:
                self.table_start = len(self.collector.pieces)
            self.tables.append(self.collector.new_group())
        elif name == "docPartGallery" and _value(attributes, "val").lower() in FRONT_GALLERIES:
            controls = [depth for depth, one in enumerate(self.open, 1) if one == "sdt"]
            self.galleries += controls[-1:]
        elif name == "p":
            self.paragraphs.append(Paragraph())
        elif self.paragraphs:
            self._inside(name, attributes, self.paragraphs[-1])

    def _inside(self, name: str, attributes: Mapping[str, str], paragraph: Paragraph) -> None:
        """Enter an element of a paragraph."""
        parent = self.open[-2]
        if name == "r":
            self.hidden = False
        elif name in HIDDEN and parent == "rPr" and self.open[-3] == "r":
            self.hidden = self.hidden or _is_on(attributes)
        elif name == "fldChar":
            self._field(_value(attributes, "fldCharType"))
        elif name == "framePr":
            paragraph.initial = _value(attributes, "dropCap") in ("drop", "margin")
        elif name == "pStyle":
            paragraph.style = _value(attributes, "val")
        elif name == "outlineLvl":
            paragraph.level = _outline(_value(attributes, "val"))
        elif name == "numPr":
            paragraph.numbered = True
        elif name == "tab" and parent == "r":
            self._add(" ")
        elif name == "cr" or (name == "br" and _value(attributes, "type") not in ("page", "column")):
            self._add("\n")
        elif name == "noBreakHyphen":
            self._add("-")
        elif name in ("footnoteReference", "endnoteReference"):
            paragraph.notes.append((name.removesuffix("Reference"), _value(attributes, "id")))
        elif name == "docPr":
            description = attributes.get("descr", "").strip()[:5000]
            if description and not self.collector.leaves_out("images"):
                self._add(f" {description} ")

    def _field(self, place: str) -> None:
        """Begin or end a field."""
        if place == "begin" and len(self.fields) < MAX_FIELDS:
            self.fields.append(False)
        elif place == "end" and self.fields:
            self.fields.pop()

    def end(self, tag: str) -> None:
        """Leave an element."""
        name = self.open.pop()
        while self.galleries and len(self.open) < self.galleries[-1]:
            self.galleries.pop()
        if self.skipped:
            self.skipped = self.skipped if len(self.open) >= self.skipped else 0
        elif name == "p":
            self._end_paragraph(self.paragraphs.pop())
        elif name == "tbl" and self.tables:
            self.tables.pop()
            if not self.tables:
                self._end_table()

    def data(self, text: str) -> None:
        """Add text of the document."""
        if self.skipped or not self.open:
            return
        if self.open[-1] == "t" and not self.hidden:
            self._add(text)
        elif self.open[-1] == "instrText" and self.fields:
            self.fields[-1] = self.fields[-1] or FRONT_FIELDS.match(text) is not None

    def close(self) -> None:
        """End the document: several titles are those of its chapters."""
        if len(self.titles) > 1:
            for piece in self.titles:
                piece.kind, piece.left_out = "heading", ""

    def _add(self, text: str) -> None:
        if self.paragraphs:
            paragraph = self.paragraphs[-1]
            paragraph.text.append(text)
            paragraph.listed = paragraph.listed or any(self.fields) or bool(self.galleries)
            paragraph.length += len(text)
            if paragraph.length > MAX_PARAGRAPH:
                raise DocumentTooLarge(self.collector.source, f"a paragraph has more than {MAX_PARAGRAPH:,} characters")

    def _end_paragraph(self, paragraph: Paragraph) -> None:
        text = "".join(paragraph.text)
        if paragraph.initial and len(text) <= MAX_INITIAL:
            self.initial = text.strip()
            return
        text, self.initial = self.initial + text, ""
        names, level = self._style(paragraph)
        kind, left_out = _kind(names, paragraph.numbered, level)
        if paragraph.listed:
            kind, left_out = "paragraph", "front"
        group = 0
        if self.tables:
            kind, left_out, group = ("heading" if kind == "heading" else "table"), "tables", self.tables[0]
        elif left_out == "front":
            group = self.front = self.front or self.collector.new_group()
        elif text.strip():
            self.front = 0
        if kind not in ("verse", "code"):
            lines = text.split("\n")
            short = len(lines) > 2 and all(len(line) < 80 for line in lines)
            kind, text = ("verse", text) if short and kind in ("paragraph", "quote") else (kind, " ".join(lines))
        added = self.collector.add(kind, text, left_out=left_out, level=level or 0, group=group)
        own = self.styles[paragraph.style].name if paragraph.style in self.styles else paragraph.style.lower()
        if added and own == "title" and not self.tables:
            self.titles.append(self.collector.pieces[-1])
        for note in paragraph.notes:
            self.collector.leaves_out("marks")
            if not self.collector.leaves_out("notes"):
                self.collector.add("note", self.notes.get(note, ""), left_out="notes")

    def _end_table(self) -> None:
        """Read a table that only serves the layout: with long cells or headings."""
        pieces = self.collector.pieces[self.table_start :]
        if any(piece.kind == "heading" or len(piece.text) > LAYOUT_CELL for piece in pieces):
            for piece in pieces:
                if piece.left_out == "tables":
                    piece.left_out, piece.group = "", 0
                    piece.kind = "paragraph" if piece.kind == "table" else piece.kind

    def _style(self, paragraph: Paragraph) -> tuple[set[str], int | None]:
        """Return the names of a paragraph's styles, and its outline level."""
        names, level = set(), paragraph.level
        key = paragraph.style
        for _ in range(MAX_STYLES):
            style = self.styles.get(key, Style(key.lower(), "", None) if key == paragraph.style else None)
            if style is None:
                break
            names.add(style.name)
            match = re.fullmatch(r"heading ?([1-9])", style.name)
            level = level or style.level or (int(match[1]) if match else None)
            key = style.based_on
        return names, level


def _kind(names: Collection[str], numbered: bool, level: int | None) -> tuple[Kind, str]:
    """Return the kind of a paragraph, and which of KINDS it is."""
    if any(FRONT_STYLES.fullmatch(name) for name in names) or any(name in TITLES for name in names):
        return "paragraph", "front"
    if level:
        return "heading", ""
    if "caption" in names:
        return "caption", "captions"
    if any(CODE.fullmatch(name) for name in names):
        return "code", "code"
    if numbered or any(ITEMS.fullmatch(name) for name in names):
        return "item", ""
    return ("quote" if any(QUOTES.fullmatch(name) for name in names) else "paragraph"), ""


def _value(attributes: Mapping[str, Any], name: str) -> str:
    """Return an attribute, in any namespace."""
    return next((str(value) for key, value in attributes.items() if str(key).rpartition("}")[2] == name), "")


def _is_on(attributes: Mapping[str, str]) -> bool:
    return _value(attributes, "val") not in ("0", "false", "off")


def _outline(value: str) -> int | None:
    """Return an outline level from 1 to 9, None for body text."""
    return int(value) + 1 if re.fullmatch("[0-8]", value) else None
