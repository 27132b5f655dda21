"""Bytes of HTML, XHTML and XML to events or small trees: encodings, entities and what pages in the wild do wrong.

Nothing outside of a file is read, no entity is defined by a file, and documents that define any are refused.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from html.entities import html5
from os import PathLike
from typing import TYPE_CHECKING, Any

from vallecli.encoding import MARKS, decode
from vallecli.errors import DamagedDocument, TextEncodingError
from vallecli.extras import extra
from vallecli.longform.books.elements import VOID
from vallecli.longform.books.markup import Markup, Page
from vallecli.longform.books.model import Collector

if TYPE_CHECKING:
    from lxml.etree import _Element

EXTRA, PURPOSE = "books", "reading this book"
CHUNK = 2**16  # characters that a parser is given at a time
HEAD = 4096  # bytes in which an encoding is declared
MAX_NODES = 500_000  # elements of a tree
MAX_DEPTH = 200  # nested elements of a tree

DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})|<meta[^>]{1,500}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""",
    re.I,
)
DECLARATION = re.compile(r"\s*<\?xml\b[^>]*\?>")
DOCTYPE = re.compile(r"<!DOCTYPE\b[^>\[]*(\[[^\]]*\]\s*)?>?", re.IGNORECASE)
DEFINITION = re.compile(r"<!ENTITY\b", re.IGNORECASE)
ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
OF_XML = frozenset(("amp", "lt", "gt", "quot", "apos"))
CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)])
CLOSED = re.compile(r"<([A-Za-z][\w:.-]*)((?:\s[^<>]*)?)/>")
WEB_NAMES = {  # as browsers read these names
    **dict.fromkeys(("ascii", "latin-1", "iso8859-1", "iso8859_1", "us-ascii"), "cp1252"),
    **{"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "iso8859-9": "cp1254"},
}
ENCODINGS = re.compile(
    r"utf-8|cp\d{3,4}|iso8859-\d{1,2}|koi8-[ru]|mac-\w+|gb18030|big5|big5hkscs|"
    r"euc_jp|iso2022_jp|johab|tis-620|utf-16(-[lb]e)?"
)


def declared_encoding(data: bytes) -> str | None:
    """Return the name of the encoding that a document declares, if it is one that Python and browsers read."""
    match = DECLARED.search(data[:HEAD])
    if match is None:
        return None
    try:
        name = codecs.lookup((match[1] or match[2]).decode("ascii")).name
    except (LookupError, UnicodeError):
        return None
    name = WEB_NAMES.get(name, name)
    if name.startswith("utf-16"):
        return "utf-8"  # a declaration that can be read is not written in UTF-16
    return name if ENCODINGS.fullmatch(name) else None


def decode_markup(data: bytes, source: str | PathLike[str], *, fallback: str = "") -> str:
    """Return a document as text, in the encoding that it declares, else as `encoding.decode` does.

    Raises TextEncodingError without a `fallback`, the encoding of what is not UTF-8.
    """
    name = None if data.startswith(tuple(mark for mark, _ in MARKS)) else declared_encoding(data)
    if name is None or (name == "utf-8" and b"\0" in data[:HEAD]):
        try:
            return decode(data, source)
        except TextEncodingError:
            if not fallback:
                raise
            name = fallback
    return data.decode(name, errors="replace")


def prepare(text: str, source: str | PathLike[str]) -> str:
    """Return a document without its declarations, with characters for names of HTML such as "&nbsp;".

    Raises DamagedDocument for one that defines entities: expanding them may take any memory, or read files.
    """
    text = text.translate(CONTROLS) if not text.isprintable() else text
    text = text.lstrip("\ufeff")
    if declaration := DECLARATION.match(text):
        text = text[declaration.end() :]
    if DEFINITION.search(text[: text.find("<html")] if "<html" in text else text[:CHUNK]):
        raise DamagedDocument(
            source, "it defines entities, which books do not need", "Convert it with another program."
        )
    text = DOCTYPE.sub("", text, count=1)
    return ENTITY.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    if match[1] in OF_XML:
        return match[0]
    return html5.get(f"{match[1]};", f"&amp;{match[1]};")


def read_page(text: str, collector: Collector, *, web: bool, elements: int = 0) -> tuple[Page, int]:
    """Add the pieces of a document of HTML or XHTML; return what is known of it, and the number of its elements.

    XHTML that is not well-formed is read as HTML. Raises DamagedDocument, DocumentTooLarge and ExtraMissing.
    """
    with extra(EXTRA, PURPOSE):
        from lxml import etree

    text = prepare(text, collector.source)
    if is_xml(text):
        before = len(collector.pieces), collector.counts.copy(), collector.characters, collector.groups
        markup = Markup(collector, web=web, elements=elements)
        try:
            return _feed(etree.XMLParser(target=markup, **_safe()), text), markup.elements
        except etree.XMLSyntaxError:
            del collector.pieces[before[0] :]
            collector.counts, collector.characters, collector.groups = before[1:]
        text = CLOSED.sub(_closed, text)
    markup = Markup(collector, web=web, elements=elements)
    # lxml refuses a document that is empty: " " is one without text.
    return _feed(etree.HTMLParser(target=markup, no_network=True), text or " "), markup.elements


def is_xml(text: str) -> bool:
    """Return whether a document says that it is XHTML."""
    return re.search(r"<html\b[^>]*\sxmlns\s*=", text[:CHUNK]) is not None


def feed_xml(data: bytes, source: str | PathLike[str], name: str, target: Any) -> Any:
    """Return what a target of lxml's parser makes of an XML file of a book, which errors call `name`.

    Raises DamagedDocument, ExtraMissing, and what the target does.
    """
    with extra(EXTRA, PURPOSE):
        from lxml import etree

    try:
        return _feed(
            etree.XMLParser(target=target, **_safe()), prepare(decode_markup(data, name, fallback="cp1252"), source)
        )
    except (etree.XMLSyntaxError, ValueError) as error:  # the second for names that lxml accepts in no tree
        raise DamagedDocument(source, f"{name}: {_reason(error)}") from error


def read_tree(data: bytes, source: str | PathLike[str], name: str) -> _Element:
    """Return the root of a small XML file of a book. Raises DamagedDocument, which has its name, and ExtraMissing."""
    with extra(EXTRA, PURPOSE):
        from lxml import etree

    try:
        root: Any = feed_xml(data, source, name, _Bounded(etree.TreeBuilder()))
    except OverflowError as error:
        raise DamagedDocument(source, f"{name} has {error}") from error
    if root is None:
        raise DamagedDocument(source, f"{name} is empty")
    return root


def children(element: _Element, *path: str) -> Iterator[_Element]:
    """Yield the elements below one at a path of local names, in any namespace."""
    if not path:
        yield element
        return
    for child in element:
        if isinstance(child.tag, str) and local(child) == path[0]:
            yield from children(child, *path[1:])


def local(element: _Element) -> str:
    """Return the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def text_of(element: _Element) -> str:
    """Return all text inside of an element."""
    return "".join(element.itertext())


class _Bounded:
    """A target that builds a tree of limited size. Raises OverflowError."""

    def __init__(self, builder: Any) -> None:
        self.builder, self.nodes, self.depth = builder, 0, 0
        self.data = builder.data

    def start(self, tag: str, attributes: dict[str, str], nsmap: dict[str, str] | None = None) -> None:
        self.nodes += 1
        self.depth += 1
        if self.nodes > MAX_NODES:
            raise OverflowError(f"more than {MAX_NODES:,} elements")
        if self.depth > MAX_DEPTH:
            raise OverflowError(f"elements nested more than {MAX_DEPTH} deep")
        self.builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        self.builder.end(tag)

    def close(self) -> Any:
        # lxml also calls this after an error, which another one would replace.
        return None if self.depth else self.builder.close()


def _safe() -> dict[str, Any]:
    return {"resolve_entities": False, "no_network": True, "load_dtd": False, "dtd_validation": False}


def _feed(parser: Any, text: str) -> Any:
    for at in range(0, len(text), CHUNK):
        parser.feed(text[at : at + CHUNK])
    return parser.close()


def _closed(match: re.Match[str]) -> str:
    name = match[1]
    return match[0] if name.lower() in VOID else f"<{name}{match[2]}></{name}>"


def _reason(error: Exception) -> str:
    return str(error).partition(" (<string>")[0][:200]
