"""Plain text: paragraphs of wrapped lines, verse, chapters by rule, notes and page numbers as in Project Gutenberg."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from os import PathLike

from vallecli.longform.books.arrange import About, arrange
from vallecli.longform.books.model import Collector, Document
from vallecli.longform.books.titles import is_title

MAX_WIDTH = 110  # columns to which lines are wrapped
RAGGED = 0.8  # lines of verse are shorter than this part of the width
WHOLE_LINES = 0.8  # if more than this part of the lines end with a sentence, each is a paragraph
SENTENCE_ENDS = tuple(end + mark for end in ".!?…。！？" for mark in ("", '"', "'", "”", "’", "»", "」", ")"))
MAX_VERSE = 60  # lines of a stanza
INDENT = re.compile(r"(?: {2,}|\t)\S")
SCENE_BREAK = re.compile(r"[\s*·•~_=—–#+.-]+")
ILLUSTRATION = re.compile(
    r"\[\s{0,9}(?:Illustrations?|Image|Figure|Map)\b\s{0,9}:?((?:[^\[\]]|\[[^\[\]]{0,200}\]){0,2000})\]", re.IGNORECASE
)
# Notes and page numbers as in Project Gutenberg's files.
FOOTNOTE = re.compile(r"\[\s*Footnotes?\s*([\w*†]{1,5})?\s*:|\[([A-Z\d]{1,4})\]\s+\S", re.IGNORECASE)
MARK = re.compile(r"(?<=[\w.,;:!?'\"”’)])\s?\[(?:\d{1,4}|[A-Za-z]|\*{1,3}|†)\]")
PAGE = re.compile(
    r"[\[{(]\s*(?:p(?:g|age|\.)\s*)?\d{1,4}\s*[\]})]|[-–—]+\s*\d{1,4}\s*[-–—]+|Page\s+\d{1,4}", re.IGNORECASE
)
PAGE_MARK = re.compile(r"[\[{]\s*p(?:g|age|\.)\s*(?:\d{1,4}|[ivxlc]{1,7})\s*[\]}]", re.IGNORECASE)
EMPHASIS = re.compile(r"(?<!\w)_(?=\S)([^_]{1,1000})(?<=\S)_(?!\w)")
CONTENTS = re.compile(
    r"(?:table of )?contents\.?|inhalt(?:sverzeichnis)?|table des matières|índice|indice", re.IGNORECASE
)
ENTRY = re.compile(r"(?:\d{1,3}|[IVXLC]{1,7})[.)]?\s+\S")  # of contents: how it begins
PAGE_OF_ENTRY = re.compile(r"(?:(?:\.\s?){3}\s{0,9}|\s{2})\d{1,4}$")  # or how it ends, in its last characters
ENTRY_END = 30  # characters
FIELD = re.compile(r"(Title|Author|Language):\s*(\S.*)", re.IGNORECASE)
HEADER = 60  # lines in which the fields of a header are searched
LANGUAGES = {  # names in Project Gutenberg's headers -> tags
    **{"english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt"},
    **{"dutch": "nl", "finnish": "fi", "swedish": "sv", "danish": "da", "chinese": "zh", "japanese": "ja"},
    **{"russian": "ru", "polish": "pl", "latin": "la", "greek": "el", "hungarian": "hu", "czech": "cs"},
}
BEGIN = re.compile(r"\*{2,}\s*START OF", re.IGNORECASE)


def read(text: str, source: str | PathLike[str], keep: Collection[str] = ()) -> Document:
    """Return the document of a plain text. Raises EmptyDocument and DocumentTooLarge."""
    collector = Collector(source, keep)
    lines = [line.expandtabs(4).rstrip() for line in re.split(r"\r\n?|[\n\x0b\x85\u2028\u2029]", text)]
    add_text(collector, lines)
    return arrange(collector, _about(lines))


def add_text(collector: Collector, lines: Sequence[str]) -> None:
    """Add the paragraphs of lines of text. Raises DocumentTooLarge."""
    width = wrapped_width(lines)
    groups = [paragraph for group in _groups(lines) for paragraph in _paragraphs(group, width)]
    words = frozenset(re.findall(r"\w+", " ".join(lines).casefold())) if width else frozenset()
    contents = 0  # number of the table of contents that the lines are from
    for group in groups:
        text = "\n".join(group)
        alone = text.strip()
        if CONTENTS.fullmatch(alone):
            contents = collector.new_group()
            collector.add("paragraph", alone, left_out="front", group=contents)
        elif contents and _lists(group):
            collector.add("paragraph", text, left_out="front", group=contents)
        elif PAGE.fullmatch(alone):
            collector.add("paragraph", alone, left_out="pages")
        elif illustration := ILLUSTRATION.fullmatch(alone):
            collector.add(
                "caption",
                illustration[1].strip() or "Illustration",
                left_out="captions" if illustration[1].strip() else "images",
            )
        elif not SCENE_BREAK.fullmatch(alone):
            contents = 0
            _add_paragraph(collector, group, width, words)


def _add_paragraph(collector: Collector, group: Sequence[str], width: int, words: Collection[str]) -> None:
    alone = "\n".join(group).strip()
    if FOOTNOTE.match(alone):
        collector.add("note", _inline(_join(group, words), collector), left_out="notes")
    elif is_title(alone) or len(group) == 1 or not _is_verse(group, width):
        collector.add("paragraph", _inline(_join(group, words), collector))
    else:
        collector.add("verse", _inline("\n".join(group), collector))


def wrapped_width(lines: Sequence[str]) -> int:
    """Return the columns to which the lines of a text are wrapped; 0 if each line is a paragraph."""
    lengths = sorted(len(line) for line in lines if line.strip())
    width = lengths[int(0.95 * (len(lengths) - 1))] if lengths else 0
    return width if width <= MAX_WIDTH else 0


def _groups(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield the lines between blank ones; a form feed is one."""
    group: list[str] = []
    for line in lines:
        for index, part in enumerate(line.split("\f")):
            if (index or not part.strip()) and group:
                yield group
                group = []
            if part.strip():
                group.append(part)
    if group:
        yield group


def _paragraphs(group: list[str], width: int) -> Iterator[list[str]]:
    """Yield the paragraphs of a group: its lines if these are not wrapped, else parts that begin with an indented line.

    A group that is indented as a whole is one, and so is a stanza.
    """
    sentences = sum(line.endswith(SENTENCE_ENDS) for line in group)
    if len(group) > 1 and (not width or sentences > WHOLE_LINES * len(group)):
        yield from ([line] for line in group)
        return
    indented = [INDENT.match(line) is not None for line in group]
    if len(group) <= MAX_VERSE and (sum(indented) > len(group) / 2 or _is_verse(group, width)):
        yield group
        return
    start = 0
    for at in range(1, len(group)):
        if indented[at]:
            yield group[start:at]
            start = at
    yield group[start:]


def _is_verse(group: Sequence[str], width: int) -> bool:
    """Return whether the breaks of lines have a meaning: lines are short, and most begin with a capital or a space."""
    limit = RAGGED * width
    first = [line.lstrip(" “‘\"'([_")[:1] for line in group]
    capitals = sum(line[0] == " " or char.isupper() for line, char in zip(group, first, strict=True))
    return all(len(line.strip()) < limit for line in group) and capitals > 0.7 * len(group)


def _join(group: Sequence[str], words: Collection[str]) -> str:
    """Return wrapped lines as one, without the hyphens of words that are divided between two lines.

    A hyphen stays if the word without it is nowhere else in the text.
    """
    joined = group[0].strip()
    for line in map(str.strip, group[1:]):
        before = re.search(r"(\w+)[-‐\xad]$", joined[-60:])
        after = re.match(r"\w+", line)
        if joined.endswith(("--", "—")):
            joined += line
        elif before and after:
            whole = (before[1] + after[0]).casefold() in words or joined.endswith("\xad")
            joined = (joined[:-1] if whole else joined) + line
        else:
            joined += f" {line}"
    return joined


def _inline(text: str, collector: Collector) -> str:
    """Return a paragraph without marks of notes, of pages and of emphasis."""
    text = PAGE_MARK.sub(lambda match: " " if collector.leaves_out("pages") else match[0], text)
    text = ILLUSTRATION.sub(lambda match: " " if collector.leaves_out("captions") else match[1], text)
    text = MARK.sub(lambda match: "" if collector.leaves_out("marks") else match[0], text)
    return EMPHASIS.sub(r"\1", text)


def _lists(group: Sequence[str]) -> bool:
    """Return whether most lines of a group are entries of a table of contents."""
    entries = sum(_is_entry(line.strip()) for line in group)
    return entries >= 0.6 * len(group) and (len(group) > 1 or not is_title(group[0].strip()))


def _is_entry(line: str) -> bool:
    return bool(ENTRY.match(line) or PAGE_OF_ENTRY.search(line[-ENTRY_END:])) or is_title(line)


def _about(lines: Sequence[str]) -> About:
    """Return title, author and language of a header; no title is guessed."""
    fields: dict[str, str] = {}
    for line in lines[:HEADER]:
        if match := FIELD.fullmatch(line.strip()):
            fields.setdefault(match[1].lower(), match[2])
        if BEGIN.match(line.strip()):
            break
    language = LANGUAGES.get(fields.get("language", "").strip().lower(), "")
    authors = [fields["author"]] if "author" in fields else []
    return About(title=fields.get("title", ""), authors=authors, language=language)
