"""From the pieces of a book to chapters: where they begin, how they are called, and what is left out by rule."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from vallecli.errors import DocumentTooLarge, EmptyDocument
from vallecli.longform.books.model import Block, Chapter, Collector, Cover, Document, Piece, clean_name
from vallecli.longform.books.titles import (
    BARE_NUMBER,
    CHAPTER,
    FRONT,
    LISTS,
    MAX_TITLE,
    NOTES,
    NUMBERED,
    is_part,
    is_title,
    may_be_front,
    same_number,
    without_number,
)

SHORT_PART = 400  # characters: a part has less text of its own before its first chapter, a chapter usually has more
PAGE_CHARACTERS = 5_000  # of text between numbers on lines of their own: pages have fewer on average, chapters more
LONG_FRONT = 20_000  # characters: title pages, dedications and the like are shorter
CONTENTS_LINKS = 3  # of paragraphs that are links alone, from which they are a table of contents
TITLE_LINES = 4  # before the first chapter of a plain text: its title, its author and the like
FIRST_PIECES = 4  # of a chapter, in which its heading is searched
MAX_CHAPTERS = 10_000

NOTE_NUMBER = re.compile(r"^[\[(]?(?:\d{1,4}|[*†‡§]{1,3})[\])]?[.:]?\s+")
BEGIN_OF_TEXT = re.compile(
    r"\*\*\s{0,9}START\s{0,9}OF\s{0,9}(?:THE|THIS)\s{0,9}PROJECT\s{0,9}GUTENBERG|\*END\*\s{0,9}THE SMALL PRINT", re.I
)
END_OF_TEXT = re.compile(
    r"\*{2,}\s*END\s*OF\s*(?:THE|THIS)\s*PROJECT\s*GUTENBERG|End of (?:the |this )?Project Gutenberg", re.IGNORECASE
)


@dataclass(frozen=True)
class Entry:
    """Where a chapter, a part or a section begins: an entry in a table of contents, or a heading."""

    at: int
    """Index of its first piece."""
    title: str
    level: int


@dataclass(frozen=True, kw_only=True)
class About:
    """What a book says about itself, as it is written there."""

    title: str = ""
    authors: Sequence[str] = ()
    language: str = ""
    cover: Cover | None = None
    notes: Sequence[str] = ()


def arrange(
    read: Collector, about: About, entries: Sequence[Entry] = (), *, otherwise: Sequence[Entry] = ()
) -> Document:
    """Return the document of what was read.

    Chapters begin at the `entries`; without at least two of them, at headings; without these, where a paragraph reads
    like "Chapter 1"; else at the entries `otherwise`. Raises EmptyDocument, and DocumentTooLarge for too many chapters.
    """
    mark_licence(read.pieces)
    _mark_contents(read)
    title = clean_name(about.title) or _only_title(read.pieces)
    if len({entry.at for entry in entries}) < 2:
        found = headings(read.pieces) or by_rule(read.pieces)
        entries = otherwise if len(found) < 2 <= len(otherwise) else found or entries
    title = title or next(
        (clean_name(piece.text) for piece in read.pieces if piece.kind == "heading" and not piece.level), ""
    )
    _mark_headings(read.pieces)
    notes = list(about.notes)
    chapters: list[Chapter] = []
    for first, after in pairwise([*_starts(read.pieces, entries), Entry(len(read.pieces), "", 1)]):
        pieces = read.pieces[first.at : after.at]
        name = clean_name(first.title) or _heading(pieces)
        _mark_by_name(pieces, name, read.new_group())
        blocks = _blocks(pieces, name, read.keep, read.counts)
        if len(chapters) >= MAX_CHAPTERS:
            raise DocumentTooLarge(read.source, f"it has more than {MAX_CHAPTERS:,} chapters")
        if blocks:
            chapters.append(Chapter(name or (not chapters and title) or str(len(chapters) + 1), blocks, first.level))
        elif not pieces:
            notes.append(f"the chapter {name!r} is empty")
    if not chapters:
        raise EmptyDocument(read.source, describe(read.counts))
    return Document(
        title=title,
        authors=tuple(name for name in map(clean_name, about.authors) if name),
        language=_language(about.language),
        cover=about.cover,
        chapters=tuple(chapters),
        left_out=dict(sorted(read.counts.items())),
        notes=tuple(notes),
    )


def describe(left_out: Counter[str] | dict[str, int]) -> str:
    """Return what was left out, for messages: "3 front, 12 notes"."""
    return ", ".join(f"{count} {kind}" for kind, count in left_out.items() if count)


def mark_licence(pieces: Sequence[Piece]) -> None:
    """Mark what is outside of the text in files of Project Gutenberg, which they say themselves."""
    marked = [index for index, piece in enumerate(pieces) if BEGIN_OF_TEXT.search(piece.text)]
    begin = marked[-1] + 1 if marked else 0
    end = next((at for at in range(begin, len(pieces)) if END_OF_TEXT.match(pieces[at].text)), len(pieces))
    for piece in (*pieces[:begin], *pieces[end:]):
        piece.left_out = "licence"


def mark_notes(pieces: Sequence[Piece], targets: Collection[int]) -> None:
    """Mark the pieces at `targets` that have a link back: marks refer to them, so they are notes."""
    for at in targets:
        if at < len(pieces) and pieces[at].returns and not pieces[at].left_out:
            pieces[at].kind, pieces[at].left_out = "note", "notes"
            pieces[at].text = NOTE_NUMBER.sub("", pieces[at].text) or pieces[at].text


def _mark_contents(read: Collector) -> None:
    """Mark paragraphs that are links alone, some in a row: a table of contents."""
    run: list[Piece] = []
    for piece in (*read.pieces, Piece("heading", "")):
        if piece.links and piece.kind != "heading" and not piece.left_out:
            run.append(piece)
        elif not piece.left_out:
            if sum(one.links for one in run) >= CONTENTS_LINKS:
                group = read.new_group()
                for one in run:
                    one.left_out, one.group = "front", group
            run = []


def headings(pieces: Sequence[Piece]) -> list[Entry]:
    """Return the headings; one that follows another of the same level at once continues it."""
    found: list[Entry] = []
    last = -2
    for at, piece in enumerate(pieces):
        if piece.kind != "heading" or piece.left_out == "licence":
            continue
        if found and last == at - 1 and pieces[last].level == piece.level and found[-1].at != at:
            found[-1] = replace(found[-1], title=f"{found[-1].title}: {piece.text}")
        else:
            found.append(Entry(at, piece.text, piece.level))
        last = at
    return found


def by_rule(pieces: Sequence[Piece]) -> list[Entry]:
    """Return where paragraphs read like headings of chapters, and make them headings.

    Numbers alone are those of pages if there are many, else of chapters.
    """
    found = []
    parts = False
    plain = [
        (at, piece) for at, piece in enumerate(pieces) if piece.kind in ("paragraph", "verse") and not piece.left_out
    ]
    numbers = [piece for _, piece in plain if BARE_NUMBER.fullmatch(piece.text)]
    if sum(len(piece.text) for _, piece in plain) < PAGE_CHARACTERS * len(numbers):
        for piece in numbers:
            piece.left_out = "pages"
    for at, piece in plain:
        if not piece.left_out and (is_title(piece.text) or BARE_NUMBER.fullmatch(piece.text)):
            part = is_part(piece.text)
            parts = parts or part
            piece.kind, piece.level = "heading", 1 if part or not parts else 2
            found.append(Entry(at, " ".join(piece.text.split()), piece.level))
    if found and (lines := _title_lines(pieces[: found[0].at])):
        lines[0].kind, lines[0].level = "heading", 0
        found[0] = replace(found[0], at=0)
    return found


def _title_lines(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the title, and the other lines before the first chapter if these are short and no sentences."""
    lines = [piece for piece in pieces if not piece.left_out]
    if len(lines) > TITLE_LINES or any(_is_sentence(piece) or len(piece.text) > MAX_TITLE for piece in lines):
        return []
    return lines


def _is_sentence(piece: Piece) -> bool:
    return piece.text.rstrip("'\"”’»)").endswith((".", "!", "?", "…", "。", "！", "？"))


def _starts(pieces: Sequence[Piece], entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries that begin chapters, with levels from 1, and one for what is before the first."""
    ordered = sorted(entries, key=lambda entry: entry.at)  # stable: a part is before its first chapter
    levels = sorted({entry.level for entry in ordered})
    used = levels[:1]
    for level, deeper in pairwise(levels):
        at_level = [entry for entry in ordered if entry.level in used]
        if len(at_level) > 1 and not _are_parts(pieces, ordered, level, deeper):
            break
        used.append(deeper)
    starts: list[Entry] = []
    for entry in ordered:
        if entry.level not in used:
            continue
        level = used.index(entry.level) + 1
        same = starts and starts[-1].at == entry.at
        if same and (level > starts[-1].level or starts[-1].title == entry.title):
            starts[-1] = replace(starts[-1], title=_joined(starts[-1].title, entry.title))
        else:
            starts.append(replace(entry, level=level))
    if not starts or starts[0].at > 0:
        starts.insert(0, Entry(0, "", 1))
    return starts


def _joined(title: str, inner: str) -> str:
    """Return a title for a part and its first chapter, which begin at the same place."""
    return title if inner.casefold() in title.casefold() else f"{title}: {inner}"


def _are_parts(pieces: Sequence[Piece], entries: Sequence[Entry], level: int, deeper: int) -> bool:
    """Return whether most entries of a level are parts, with chapters below them, rather than chapters with sections.

    A part has its name, or little text of its own; what is called a chapter is one.
    """
    lengths = []
    for entry, after in pairwise(entries):
        if entry.level != level or after.level != deeper:
            continue
        if is_part(entry.title):
            lengths.append(0)
        elif CHAPTER.match(entry.title):
            lengths.append(SHORT_PART)
        else:
            lengths.append(_length(pieces[entry.at : after.at]))
    return bool(lengths) and statistics.median(lengths) < SHORT_PART


def _heading(pieces: Sequence[Piece]) -> str:
    return next((clean_name(piece.text) for piece in pieces if piece.kind == "heading" and not piece.left_out), "")


def _only_title(pieces: Sequence[Piece]) -> str:
    """Return the heading of the highest level, if it is the first and there are others, all of lower levels."""
    found = [piece for piece in pieces if piece.kind == "heading" and not piece.left_out]
    if len(found) > 1 and found[0].level < min(piece.level for piece in found[1:]):
        return clean_name(found[0].text)
    return ""


def _mark_headings(pieces: Sequence[Piece]) -> None:
    """Mark headings of front matter of which nothing is read, such as "Contents" above a table."""
    for piece, after in pairwise(pieces):
        if piece.kind == "heading" and may_be_front(piece.text) and (after.left_out or after.kind == "heading"):
            piece.left_out = piece.left_out or "front"


def _mark_by_name(pieces: Sequence[Piece], name: str, group: int) -> None:
    """Mark a chapter that is front matter, as one, or a list of notes."""
    name = without_number(name)
    if (FRONT.fullmatch(name) and _length(pieces) < LONG_FRONT) or (LISTS.fullmatch(name) and not _is_prose(pieces)):
        for piece in pieces:
            if not piece.left_out:
                piece.left_out, piece.group = "front", group
    elif NOTES.fullmatch(name):
        for piece in pieces:
            piece.left_out = piece.left_out or "notes"


def _is_prose(pieces: Sequence[Piece]) -> bool:
    """Return whether most of a text is sentences without numbers: entries of an index or a bibliography have some."""
    prose = [piece for piece in pieces if _is_sentence(piece) and not any(map(str.isdigit, piece.text))]
    return 2 * _length(prose) > _length([piece for piece in pieces if piece.kind != "heading"])


def _length(pieces: Iterable[Piece]) -> int:
    return sum(len(piece.text) for piece in pieces if not piece.left_out)


def _blocks(pieces: Sequence[Piece], title: str, keep: Collection[str], counts: Counter[str]) -> tuple[Block, ...]:
    """Return the blocks that are read, and count the others: pieces of a group, and the licence, once."""
    found = []
    groups = set()
    for piece in pieces:
        if not piece.left_out or piece.left_out in keep:
            found.append(Block(piece.kind, piece.text))
        elif piece.left_out == "licence":
            counts["licence"] = 1
        elif not piece.group or (piece.left_out, piece.group) not in groups:
            groups.add((piece.left_out, piece.group))
            counts[piece.left_out] += 1
    return _with_heading(tuple(found), title)


def _with_heading(blocks: tuple[Block, ...], title: str) -> tuple[Block, ...]:
    """Return a chapter's blocks with its title as heading: paragraphs that have it become that, else it is added."""
    if not title or not blocks or any(block.kind == "heading" for block in blocks[:FIRST_PIECES]):
        return blocks
    wanted = _letters(title)
    found = [_is_named(block, wanted) or same_number(block.text, title) for block in blocks[:FIRST_PIECES]]
    if not any(found):
        return (Block("heading", title), *blocks)
    begin = tuple(
        replace(block, kind="heading") if is_heading else block
        for block, is_heading in zip(blocks, found, strict=False)
    )
    return begin + blocks[FIRST_PIECES:]


def _is_named(block: Block, title: str) -> bool:
    """Return whether a paragraph is the title of its chapter, or a part of it such as "Chapter 1"."""
    if block.kind not in ("paragraph", "verse") or len(block.text) > MAX_TITLE:
        return False
    words = _letters(block.text)
    if words == title or (len(words) > 2 and (title.startswith(words) or title.endswith(words))):
        return bool(words)
    return bool(title) and words.endswith(title) and NUMBERED.fullmatch(block.text) is not None


def _letters(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _language(tag: str) -> str | None:
    """Return a language tag in its usual form; None if it is not one."""
    tag = tag.strip().replace("_", "-")
    return tag if re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,5}", tag) and tag.lower() != "und" else None
