"""Words of a text aligned with what was heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vallecli.quality.alignment import CHANGED, EQUAL, EXTRA, MISSING, align, plain_words

NUMBERS = {"25": ["twenty", "five"]}


def spoken(written: str) -> list[str]:
    return NUMBERS.get(written, plain_words(written))


@pytest.mark.parametrize(
    ("text", "heard", "segments"),
    [
        ("Hello, world!", "hello world", [(EQUAL, "Hello, world!", "hello world")]),
        ("One two three.", "one three", [(EQUAL, "One", "one"), (MISSING, "two", ""), (EQUAL, "three.", "three")]),
        ("One three.", "one two three", [(EQUAL, "One", "one"), (EXTRA, "", "two"), (EQUAL, "three.", "three")]),
        ("To be", "two be", [(CHANGED, "To", "two"), (EQUAL, "be", "be")]),
        ("Hello.", "", [(MISSING, "Hello.", "")]),
        ("", "uh", [(EXTRA, "", "uh")]),
        ("A – b", "a b", [(EQUAL, "A – b", "a b")]),
        ("It’s well-known", "it's well known", [(EQUAL, "It’s well-known", "it's well known")]),
        ("25 cows", "twenty five cows", [(EQUAL, "25 cows", "twenty five cows")]),
        ("25 cows", "twenty cows", [(CHANGED, "25", "twenty"), (EQUAL, "cows", "cows")]),
        ("你好世界", "你好是界", [(EQUAL, "你好", "你好"), (CHANGED, "世", "是"), (EQUAL, "界", "界")]),
        ("…", "", []),
    ],
)
def test_segments(text: str, heard: str, segments: list[tuple[str, str, str]]) -> None:
    assert [(found.kind, found.text, found.heard) for found in align(text, heard, spoken)] == segments


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_each_word_is_in_one_segment(text: list[str], heard: list[str]) -> None:
    found = align(" ".join(text), " ".join(heard))
    assert " ".join(part.text for part in found if part.text).split() == text
    assert " ".join(part.heard for part in found if part.heard).split() == heard
    assert all((part.kind == EQUAL) == (part.text == part.heard) for part in found)


def test_a_text_is_equal_to_itself() -> None:
    text = "Dr. Who's 3 cats – 'quoted' – left at 5 p.m."
    assert [(found.kind, found.text) for found in align(text, text)] == [(EQUAL, text)]


def test_texts_that_are_too_long_are_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        align("a " * 3000, "b " * 3000)
