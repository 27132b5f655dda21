"""Reading takes time in proportion to the size of a file, also for files that are made to be slow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import epubs
import pytest

from vallecli.errors import DocumentError
from vallecli.longform.documents import read_document

SMALL = 10_000  # characters
LARGER = 8  # times as large: eight times the time if it is linear, 64 times if it is quadratic
MARGIN = 3
FEW = 0.02  # seconds of processor time, below which nothing can be said

HTML = "<!DOCTYPE html><html><body>"
FILES: dict[str, tuple[str, Callable[[int], str]]] = {
    "stars": ("txt", lambda size: "*" * size + "a"),
    "illustrations": ("txt", lambda size: "[Illustration" * (size // 13)),
    "dots": ("txt", lambda size: "Contents\n\n" + ". " * (size // 2)),
    "front matter": ("txt", lambda size: "---\ntitle: a\n" + "-a: - b: - " * (size // 11)),
    "front matter lines": ("txt", lambda size: "---\n" + "-a: b\n" * (size // 6)),
    "spaces": ("html", lambda size: f"{HTML}<p>a{' ' * size}b"),
    "comments": ("html", lambda size: "<!---->" * (size // 7) + "<html><body>a"),
    "anchors": ("html", lambda size: f"{HTML}<p>x{'<i id=a></i>' * (size // 24)}{'<p>' * (size // 6)}"),
    "cells": ("html", lambda size: f"{HTML}<table><tr><td>a{'<td>' * (size // 4)}"),
    "nested": ("html", lambda size: f"{HTML}{'<div class=stanza>' * 1000}{'<div>a</div>' * (size // 12)}"),
    "tabs": ("md", lambda size: "\t" * size + "a"),
    "emphasis": ("md", lambda size: "*a **a " * (size // 7)),
    "backticks": ("md", lambda size: "".join("a" + "`" * length for length in range(1, int((2 * size) ** 0.5)))),
    "rows": ("md", lambda size: "a|b\n-|-\n" + "a|b\n" * (size // 4)),
    "definitions": ("md", lambda size: "a\n: b\n" * (size // 6)),
}


def seconds(path: Path) -> float:
    """Return the processor time for a file, of which an error may be a part."""
    begin = time.process_time()
    with contextlib.suppress(DocumentError):
        read_document(path)
    return time.process_time() - begin


@pytest.mark.parametrize("name", FILES)
def test_time_is_in_proportion_to_the_size(name: str) -> None:
    ending, make = FILES[name]
    path = Path(f"book.{ending}")
    measured = []
    for size in (SMALL, LARGER * SMALL):
        path.write_text(make(size))
        measured.append(min(seconds(path) for _ in range(2)))
    small, large = measured
    assert large < MARGIN * LARGER * max(small, FEW)


def test_covers_in_a_large_manifest() -> None:
    """A book that names thousands of covers, among thousands of files."""

    def book(count: int) -> Path:
        items = "".join(f'<item id="q{at}" href="q{at}" media-type="image/png"/>' for at in range(count))
        metadata = "<dc:title>A</dc:title>" + '<meta name="cover" content="z"/>' * count
        return epubs.book(Path("book.epub"), {"a.xhtml": epubs.page("<p>a</p>")}, manifest=items, metadata=metadata)

    small, large = (min(seconds(book(count)) for _ in range(2)) for count in (500, 4_000))
    assert large < MARGIN * 8 * max(small, FEW)
