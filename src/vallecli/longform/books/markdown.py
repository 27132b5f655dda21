"""Markdown as a book: CommonMark with tables, footnotes, definition lists and YAML front matter; read as its HTML."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from os import PathLike
from typing import Any

from vallecli.errors import DocumentTooLarge
from vallecli.extras import extra
from vallecli.longform.books.arrange import About
from vallecli.longform.books.model import Document
from vallecli.longform.books.parse import EXTRA, PURPOSE
from vallecli.longform.books.web import read_html

MAX_SIZE = 4_000_000  # characters; the parser needs some hundred times that in memory
MAX_LINES = 100_000
MAX_BRACKETS = 100_000  # "[": the parser looks for the end of each of them several times
MAX_FRONT = 20_000  # characters of front matter
MAX_AUTHORS = 20
ATTRIBUTES = re.compile(r"\{\s*(?:[#.-]|[\w-]+=)[^{}]*\}\s*")
FENCE = re.compile(r" {0,3}:{3,}")
TITLE_BLOCK = re.compile(r"(?:% ?(.*)\n)(?:% ?(.*)\n)?(?:% ?.*\n)?")  # of Pandoc: title, authors, date


def read(text: str, source: str | PathLike[str], keep: Collection[str] = ()) -> Document:
    """Return the document of a text in Markdown. Raises DocumentError and ExtraMissing."""
    if len(text) > MAX_SIZE or text.count("\n") > MAX_LINES:
        raise DocumentTooLarge(source, f"Markdown is read up to {MAX_SIZE:,} characters and {MAX_LINES:,} lines")
    if text.count("[") > MAX_BRACKETS:
        raise DocumentTooLarge(source, f"Markdown is read with up to {MAX_BRACKETS:,} opening brackets")
    with extra(EXTRA, PURPOSE):
        from markdown_it import MarkdownIt
        from mdit_py_plugins.deflist import deflist_plugin
        from mdit_py_plugins.footnote import footnote_plugin
        from mdit_py_plugins.front_matter import front_matter_plugin

    about = About()
    text = _plain(text)
    if block := TITLE_BLOCK.match(text):
        about = About(title=block[1], authors=re.split(r"\s*;\s*", block[2] or ""))
        text = text[block.end() :]
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.use(footnote_plugin).use(front_matter_plugin).use(deflist_plugin)
    env: dict[str, Any] = {}
    tokens = parser.parse(text, env)
    if tokens and tokens[0].type == "front_matter":
        about = _about(tokens[0].content)
    html = f"<body>{parser.renderer.render(tokens, parser.options, env)}</body>"
    return read_html(html, source, keep, web=False, about=about)


def _plain(text: str) -> str:
    """Return Markdown of Pandoc without what CommonMark reads as text: attributes of headings and fences of divisions.

    The lines of a line block ("| line") get hard breaks.
    """
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if line.startswith("#") and line.rstrip().endswith("}"):
            begin = line.rfind("{")
            lines[at] = line[:begin] + ATTRIBUTES.sub("", line[begin:])
        elif FENCE.match(line):
            lines[at] = ""
        elif _is_line(line):
            following = at + 1 < len(lines) and _is_line(lines[at + 1])
            lines[at] = line[2:].strip() + "\\" * following
    return "\n".join(lines)


def _is_line(line: str) -> bool:
    """Return whether a line is one of a line block, rather than a row of a table."""
    return line.startswith("| ") and "|" not in line[1:] and bool(line[1:].strip())


def _about(front: str) -> About:
    """Return title, authors and language of front matter; what is not understood is not used."""
    with extra(EXTRA, PURPOSE):
        import yaml

    if len(front) > MAX_FRONT:
        return About()
    try:
        # All scalars are strings, and nothing is merged or converted: "title: 1984" is no number.
        values: Any = yaml.load(front, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return About()
    if not isinstance(values, dict):
        return About()
    named = {key.lower(): value for key, value in values.items() if isinstance(key, str)}
    authors = [name for key in ("author", "authors", "creator") for name in _names(named.get(key))]
    title = next(_names(named.get("title")), "")
    language = next((name for key in ("lang", "language") for name in _names(named.get(key))), "")
    return About(title=title, authors=authors[:MAX_AUTHORS], language=language)


def _names(value: Any) -> Iterator[str]:
    """Yield the names in a value: a string, a list of them, or objects with a name or a text, as Pandoc reads."""
    for one in value[:MAX_AUTHORS] if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            one = one.get("name") or one.get("text")
        if isinstance(one, str) and one.strip():
            yield one
