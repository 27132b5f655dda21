"""Markdown as a book: front matter, headings, footnotes, tables and code."""

from __future__ import annotations

from pathlib import Path

import pytest

from vallecli.errors import DocumentTooLarge
from vallecli.longform.documents import Document, read_document

STORY = """\
---
title: 1984
author:
  - Ann Bee
  - name: Cy Dee
lang: en-GB
tags: [x, y]
---

# Part One

## The *Hall*

It was `dark`[^1] in [the hall](http://example.org/hall),
and ![a candle](candle.png) burned.

> Who is there?

- One
- Two

| Day | mm |
|-----|----|
| Mon | 3  |

```python
print("x")
```

## The Yard

It was light.[^note]

Roses are red,\\
violets are blue,\\
sugar is sweet.

<div class="footnote">Not this.</div>

# Part Two

## The Lake

The end.

[^1]: Very dark.
[^note]: Not very.

    Second paragraph.
"""


def read(text: str, *, keep: tuple[str, ...] = (), name: str = "book.md") -> Document:
    Path(name).write_text(text)
    return read_document(name, keep)


def test_a_story() -> None:
    book = read(STORY)
    assert (book.title, book.authors, book.language) == ("1984", ("Ann Bee", "Cy Dee"), "en-GB")
    assert [(chapter.title, chapter.level) for chapter in book.chapters] == [
        *(("Part One", 1), ("The Hall", 2), ("The Yard", 2), ("Part Two", 1), ("The Lake", 2)),
    ]
    assert [(block.kind, block.text) for block in book.chapters[1].blocks] == [
        ("heading", "The Hall"),
        ("paragraph", "It was dark in the hall, and burned."),
        ("quote", "Who is there?"),
        ("item", "One"),
        ("item", "Two"),
    ]
    assert book.chapters[2].blocks[2].text == "Roses are red,\nviolets are blue,\nsugar is sweet."
    assert book.left_out == {"code": 1, "images": 1, "marks": 2, "notes": 3, "tables": 1}


def test_what_is_kept() -> None:
    book = read(STORY, keep=("notes", "code", "tables", "images"))
    texts = [block.text for chapter in book.chapters for block in chapter.blocks]
    assert "It was dark in the hall, and a candle burned." in texts
    assert {"Mon, 3", 'print("x")', "Very dark.", "Not very.", "Second paragraph."} <= set(texts)


def test_the_first_heading_alone_is_the_title() -> None:
    book = read("# The Book\n\nBy Ann.\n\n## One\n\nText.\n\n## Two\n\nText.\n")
    assert book.title == "The Book"
    assert [chapter.title for chapter in book.chapters] == ["The Book", "One", "Two"]


def test_sections_are_no_chapters() -> None:
    text = "Words of a chapter. " * 40
    book = read("".join(f"# Title {at}\n\n{text}\n\n## Section\n\n{text}\n\n" for at in range(3)))
    assert [chapter.title for chapter in book.chapters] == ["Title 0", "Title 1", "Title 2"]


def test_the_title_block_of_pandoc() -> None:
    book = read("% The Book\n% Ann Bee; Cy Dee\n% 2020\n\n# One\n\nText.\n\n# Two\n\nText.\n")
    assert (book.title, book.authors) == ("The Book", ("Ann Bee", "Cy Dee"))
    assert [len(chapter.blocks) for chapter in book.chapters] == [2, 2]


def test_markdown_without_headings_has_chapters_by_rule() -> None:
    book = read("CHAPTER I\n\nText.\n\nCHAPTER II\n\nText.\n")
    assert [chapter.title for chapter in book.chapters] == ["CHAPTER I", "CHAPTER II"]


@pytest.mark.parametrize(
    "front",
    [
        "title: [a, {b: c}]",
        "- a\n- b",
        "title: &x [*x]",
        "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\ntitle: [*c,*c,*c,*c,*c,*c]",
        "title: " + "[" * 5000,
        "title: !!python/object/apply:os.system [false]",
        "title: x\n  y: :",
        "<<: &m {<<: [*m, *m]}\ntitle: T",
        "x: " + "a" * 30_000,
    ],
)
def test_odd_front_matter_is_not_read_aloud(front: str) -> None:
    book = read(f"---\n{front}\n---\n\n# One\n\nText.\n")
    assert [block.text for block in book.chapters[0].blocks] == ["One", "Text."]


def test_too_large_markdown() -> None:
    with pytest.raises(DocumentTooLarge, match="lines"):
        read("a\n" * 100_001)
    with pytest.raises(DocumentTooLarge, match="brackets"):
        read("![a" * 100_001)
    assert len(read("a\n" * 100_001, name="book.txt").chapters) == 1


def test_what_pandoc_adds_to_markdown() -> None:
    text = (
        "# Preface {#preface .unnumbered}\n\n| The sea is calm.\n| The tide is full,\n| the moon is fair.\n\n"
        "::: {.note}\nMind {this}.\n:::\n\n# Sets {a, b}\n\n| Day | Rain |\n|---|---|\n| Mon | 3 |\n\nThe end.\n"
    )
    book = read(text)
    assert [(one.title, [block.text for block in one.blocks[1:]]) for one in book.chapters] == [
        ("Preface", ["The sea is calm.\nThe tide is full,\nthe moon is fair.", "Mind {this}."]),
        ("Sets {a, b}", ["The end."]),
    ]
