"""Plain text as a book: paragraphs, chapters, verse, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from vallecli.errors import DocumentError, EmptyDocument, TextEncodingError, UsageError
from vallecli.longform.books.model import MAX_BLOCK
from vallecli.longform.documents import Document, read_document

ALICE = """\
The Project Gutenberg eBook of Alice

Title: Alice’s Adventures in Wonderland

Author: Lewis Carroll

Language: English

*** START OF THE PROJECT GUTENBERG EBOOK ALICE ***

[Illustration]

Alice’s Adventures in Wonderland

by Lewis Carroll

Contents

 CHAPTER I.     Down the Rabbit-Hole
 CHAPTER II.    The Pool of Tears



CHAPTER I.
Down the Rabbit-Hole


Alice was beginning to get very tired of sitting by her sister on the
bank, and of having _nothing_ to do: once or twice she had peeped into the
book her sister was reading, but it had no pictures or conver-
sations in it, “and what is the use of a book,” thought Alice “without
well-
known pictures or conversations?”[1]

      *      *      *      *

 “How doth the little crocodile
  Improve his shining tail,
 And pour the waters of the Nile
  On every golden scale!

[Pg 12]

[Footnote 1: a very _long_ note
on two lines]

CHAPTER II.
The Pool of Tears

“Curiouser and curiouser!” cried Alice (she was so much surprised, that
for the moment she quite forgot how to speak good English); conversations.

*** END OF THE PROJECT GUTENBERG EBOOK ALICE ***

Section 1. General Terms of Use
"""


def read(text: str | bytes, *, keep: tuple[str, ...] = (), name: str = "book.txt") -> Document:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(name, keep)


def all_text(document: Document) -> str:
    return "\n".join(block.text for chapter in document.chapters for block in chapter.blocks)


def kinds(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for chapter in document.chapters for block in chapter.blocks]


def test_a_book_of_project_gutenberg() -> None:
    book = read(ALICE)
    assert (book.title, book.authors, book.language) == ("Alice’s Adventures in Wonderland", ("Lewis Carroll",), "en")
    first, second = book.chapters
    assert (first.title, second.title) == ("CHAPTER I. Down the Rabbit-Hole", "CHAPTER II. The Pool of Tears")
    assert [(block.kind, block.text) for block in first.blocks[:3]] == [
        ("heading", "Alice’s Adventures in Wonderland"),
        ("paragraph", "by Lewis Carroll"),
        ("heading", "CHAPTER I. Down the Rabbit-Hole"),
    ]
    prose, verse = first.blocks[3:]
    assert (prose.kind, verse.kind) == ("paragraph", "verse")
    assert "having nothing to do: once or twice she had peeped into the book her" in prose.text
    assert "no pictures or conversations in it" in prose.text  # the word is elsewhere without a hyphen
    assert prose.text.endswith("well-known pictures or conversations?”")
    assert verse.text.split("\n")[1] == "Improve his shining tail,"
    assert dict(book.left_out) == {"front": 1, "images": 1, "licence": 1, "marks": 1, "notes": 1, "pages": 1}


def test_what_is_kept_is_read() -> None:
    text = all_text(read(ALICE, keep=("licence", "notes", "marks", "pages", "front")))
    assert all(
        part in text for part in ("General Terms", "a very long note on two lines", "?”[1]", "[Pg 12]", "Contents")
    )


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="footnotes"):
        read(ALICE, keep=("footnotes",))


def test_lines_that_are_not_wrapped_are_paragraphs() -> None:
    long = "This is a long line of words that an editor shows on several lines, because it has no line end. " * 2
    assert [text for _, text in kinds(read(f"{long}\n{long}\n\nA short one.\nAnother one.\n"))] == [
        *(long.strip(), long.strip()),
        *("A short one.", "Another one."),
    ]


def test_indented_paragraphs_without_blank_lines() -> None:
    lines = ["the river ran beside the road for several miles and then turned to the", "west, where the hills were."]
    text = "\n".join(f"    {number} {lines[0]}\n{lines[1]}" for number in ("First", "Second", "Third"))
    assert [text[:12] for _, text in kinds(read(text))] == ["First the ri", "Second the r", "Third the ri"]


@pytest.mark.parametrize(
    "heading",
    [
        "Chapter 1",
        "CHAPTER THE FIRST",
        "Chapter Twenty-One",
        "IV.",
        "Prologue",
        "第一章 夜",
        "Kapitel 3: Der Hof",
        "BOOK TWO",
    ],
)
def test_headings_of_chapters(heading: str) -> None:
    book = read(f"Before.\n\n{heading}\n\nIt was night.\n\nChapter 99. The End\n\nIt was day.\n")
    assert [chapter.title for chapter in book.chapters] == ["1", heading, "Chapter 99. The End"]


@pytest.mark.parametrize("line", ["Chapter 4 describes the hall.", "I", "Part of it was lost.", "Act on it."])
def test_sentences_that_are_no_headings(line: str) -> None:
    book = read(f"Some words.\n\n{line}\n\nOther words.\n") if line != "I" else read("I said so.\n\nI went.\n")
    assert len(book.chapters) == 1


def test_numbers_of_pages_and_of_chapters() -> None:
    page, chapter = "Some words of a page. " * 60, "Some words of a chapter. " * 300
    pages = read("\n\n".join(f"{page}\n\n{number}" for number in range(1, 6)))
    assert pages.left_out["pages"] == 5
    chapters = read("\n\n".join(f"{number}\n\n{chapter}" for number in range(1, 6)))
    assert [one.title for one in chapters.chapters] == ["1", "2", "3", "4", "5"]


def test_a_paragraph_of_any_length_is_divided_at_sentences() -> None:
    sentence = "The same sentence comes again. "
    book = read(sentence * 5_000)
    texts = [text for _, text in kinds(book)]
    assert all(len(text) <= MAX_BLOCK and text.endswith("again.") for text in texts)
    assert " ".join(texts) == (sentence * 5_000).strip()


def test_control_characters_are_dropped() -> None:
    assert all_text(read("A\x1b[31m re\u00add \u202ebook\u200b.\x07")) == "A[31m red book."


def test_utf_16_is_read_and_other_encodings_are_named() -> None:
    assert all_text(read("Ein Märchen.".encode("utf-16"))) == "Ein Märchen."
    with pytest.raises(TextEncodingError, match="windows-1252"):
        read("Ein Märchen.".encode("cp1252"))


@pytest.mark.parametrize("text", ["", "\n \n", "* * *\n", "\x1b\x07"])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(EmptyDocument):
        read(text)


def test_errors_name_what_was_left_out() -> None:
    with pytest.raises(DocumentError, match="1 pages"):
        read("[Pg 1]\n")
