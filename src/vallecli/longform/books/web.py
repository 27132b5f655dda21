"""A file of HTML as a book."""

from __future__ import annotations

import re
from collections.abc import Collection
from html import unescape
from os import PathLike
from urllib.parse import unquote

from vallecli.longform.books import text
from vallecli.longform.books.arrange import About, arrange, mark_notes
from vallecli.longform.books.markup import Page
from vallecli.longform.books.model import Collector, Document
from vallecli.longform.books.parse import decode_markup, read_page

PREFORMATTED = 0.8  # part of the text in <pre> from which it is plain text inside of HTML
GUTENBERG = re.compile(r"The Project Gutenberg e(?:Book|text) of (.*?)(?:,? by (.*))?", re.IGNORECASE)
TAG = re.compile(r"<[^<>]*>")


def read(data: bytes, source: str | PathLike[str], keep: Collection[str] = ()) -> Document:
    """Return the document of a page. Raises DocumentError, TextEncodingError and ExtraMissing."""
    html = decode_markup(data, source)
    if len(listing := _preformatted(html)) > PREFORMATTED * len(html):
        return text.read(listing, source, keep)
    return read_html(html, source, keep, web=True)


def _preformatted(html: str) -> str:
    """Return the text inside of <pre>."""
    parts, folded, end = [], html.lower(), 0
    while (start := folded.find("<pre", end)) >= 0 and (end := folded.find("</pre", start)) >= 0:
        parts.append(html[html.find(">", start) + 1 : end])
    return unescape(TAG.sub("", "\n\n".join(parts)))


def read_html(
    html: str, source: str | PathLike[str], keep: Collection[str], *, web: bool, about: About | None = None
) -> Document:
    """Return the document of HTML, with what `about` says about it. Raises DocumentError and ExtraMissing."""
    collector = Collector(source, keep)
    page, _ = read_page(html, collector, web=web)
    mark_local_notes(collector, page)
    return arrange(collector, about or _about(page))


def mark_local_notes(collector: Collector, page: Page) -> None:
    """Mark the notes that marks of the same page refer to."""
    names = (unquote(href.partition("#")[2]) for href in page.marks)
    mark_notes(collector.pieces, {page.anchors[name] for name in names if name in page.anchors})


def _about(page: Page) -> About:
    meta = page.meta
    authors = [meta[name] for name in ("author", "dc.creator", "dcterms.creator") if meta.get(name)]
    title = meta.get("dc.title") or meta.get("dcterms.title") or page.title
    if match := GUTENBERG.fullmatch(" ".join(title.split())):
        title, authors = match[1], authors or [match[2] or ""]
    return About(title=title, authors=authors[:1], language=page.language or meta.get("dc.language", ""))
