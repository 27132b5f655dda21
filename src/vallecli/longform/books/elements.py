"""What an element of HTML or XHTML is: a kind of block, or something that is left out.

That is found by what documents say: epub:type, role, and the class names of the common converters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from vallecli.longform.books.model import Kind


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BLOCKS = _words(
    "html body address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol p pre section summary table caption "
    "thead tbody tfoot tr ul optgroup option"
)
SKIPPED = _words(
    "head script style template svg canvas audio video object iframe embed noscript select button textarea datalist "
    "input del s strike rp applet map"
)
LINES = _words("div p")  # of a stanza
VOID = _words("area base br col embed hr img input link meta param source track wbr")
# Words of epub:type and role, without prefixes.
FRONT_TYPES = _words(
    "cover titlepage halftitlepage halftitle fulltitle copyright-page imprint imprimatur dedication toc toc-brief "
    "landmarks loi lot lof loa lov index bibliography colophon other-credits contributors errata seriespage"
)
NAVIGATION_TYPES = _words("navigation banner contentinfo search complementary page-list")
# Words of these, and of class and id.
FRONT_NAMES = _words(
    "msotitle msosubtitle msotocheading msoindexheading transnote tnote transcribernote transcriber-note "
    "titlepage title-page halftitle halftitlepage copyright copyright-page copyrightpage dedication toc colophon "
    "title-block-header tableofcontents table-of-contents"
)
BYLINES = _words("author date")  # below the title, as headings
NOTE_TYPES = _words(
    "footnote footnotes endnote endnotes rearnote rearnotes note-group msofootnotetext msoendnotetext footnotetext "
    "endnotetext footnote-text footnotes-list"
)
MARK_TYPES = _words("noteref footnote-ref footnote-reference footnoteref fnanchor fnref msofootnotereference")
BACK_TYPES = _words("backlink referrer footnote-back footnote-backref footnote-return footnote-backlink")
PAGE_TYPES = _words("pagebreak page-break pagenum pageno page-number pagenumber page_number")
CAPTION_TYPES = _words("msocaption caption figcaption figure-caption wp-caption-text table-caption")
VERSE_TYPES = _words("verse poem poetry stanza lyrics song hymn")
QUOTE_TYPES = _words("msoquote msointensequote")
COMMENT_TYPES = _words("msocomtxt msocommenttext msocommentreference msocomanchor")  # of reviewers, in Word
LICENCE_TYPES = _words("pg-boilerplate pgheader pg-header pg-footer pgfooter")

HEADING = re.compile("h[1-6]")
WORD_CONTENTS = re.compile(r"mso(?:toc|index)\d|msotableoffigures")
HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
TOKEN_PREFIX = re.compile(r"^(?:doc-|z3998:|se:)")


@dataclass(frozen=True, slots=True)
class Context:
    """What an element inherits."""

    kind: Kind = "paragraph"
    level: int = 0
    left_out: str = ""
    group: int = 0
    skip: bool = False
    """Nothing inside is read, not even with `keep`."""
    pre: bool = False
    """White space is kept."""
    verse: bool = False
    raised: bool = False
    """Inside of <sup>."""
    inside: bool = False
    """Inside of <main> or <article>, whose <header> belongs to the text."""
    figure: bool = False
    """Inside of a figure, whose heading is its caption."""
    link: bool = False
    """Inside of a link to another place in the book."""
    stanza: bool = False
    """Inside of a stanza, whose blocks are lines."""


class Types(NamedTuple):
    """What an element says that it is."""

    said: frozenset[str]
    """Words of epub:type and role."""
    all: frozenset[str]
    """Those, and words of class and id, which only have a meaning by habit."""


def types_of(attributes: Mapping[str, str]) -> Types:
    """Return the words of an element's attributes, without the prefixes of vocabularies."""
    said, named = [], []
    for name, value in attributes.items():
        if name in ("class", "id"):
            named += value[:1000].lower().split()
        elif name in ("epub:type", "role", "data-type", EPUB_TYPE):
            said += [TOKEN_PREFIX.sub("", word) for word in value[:1000].lower().split()]
    return Types(frozenset(said), frozenset((*said, *named)))


def is_hidden(tag: str, attributes: Mapping[str, str], types: Types) -> bool:
    """Return whether an element has no text that is read, not even with `keep`."""
    return (
        tag in SKIPPED
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(types.all & COMMENT_TYPES)
        or HIDDEN_STYLE.search(attributes.get("style", "")[:1000]) is not None
    )


def left_out(tag: str, types: Types, outer: Context, *, web: bool) -> str:
    """Return which of KINDS an element is, "" for none. `web` is for pages, in which menus surround the text."""
    if tag not in BLOCKS:
        return ""
    if types.all & LICENCE_TYPES:
        return "licence"
    if tag == "table" and not types.said & {"presentation", "drama"}:
        return "tables"
    if tag == "pre":
        return "code"
    if tag in ("caption", "figcaption") or types.all & CAPTION_TYPES or (outer.figure and HEADING.fullmatch(tag)):
        return "captions"
    if types.all & NOTE_TYPES:
        return "notes"
    if types.said & FRONT_TYPES or types.all & FRONT_NAMES or any(map(WORD_CONTENTS.fullmatch, types.all)):
        return "front"
    if HEADING.fullmatch(tag) and types.all & BYLINES:
        return "front"
    if tag == "nav":
        return "navigation" if web else "front"
    if types.said & NAVIGATION_TYPES:
        return "navigation"
    if web and (tag == "aside" or (tag in ("header", "footer") and not outer.inside)):
        return "navigation"
    return ""


def with_kind(tag: str, types: Types, context: Context) -> Context:
    """Return the context with the kind of block that an element has."""
    kind: Kind = context.kind
    if HEADING.fullmatch(tag) and context.left_out != "captions":
        return replace(context, kind="heading", level=int(tag[1]))
    if tag == "sup":
        return replace(context, raised=True)
    if context.left_out == "notes":
        kind = "note"
    elif context.left_out == "captions":
        kind = "caption"
    elif tag == "table":
        kind = "table"
    elif tag == "pre":
        return replace(context, kind="code", pre=True)
    elif tag in ("li", "dt", "dd") or any(word.startswith("msolist") for word in types.all):
        kind = "item"
    elif tag == "blockquote" or types.all & QUOTE_TYPES:
        kind = "quote"
    elif kind == "heading":
        kind = "paragraph"
    return replace(
        context,
        kind=kind,
        level=0,
        verse=context.verse or bool(types.all & VERSE_TYPES),
        inside=context.inside or tag in ("main", "article", "section"),
        figure=context.figure or tag == "figure" or "figure" in types.all,
        stanza=context.stanza or "stanza" in types.all,
    )
