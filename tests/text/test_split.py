"""All pieces fit and no text is lost; sentences are only divided if they are too long."""

from __future__ import annotations

import random

import pytest

from vallecli.text.split import split, split_written


@pytest.mark.parametrize(
    ("text", "max_chars", "pieces"),
    [
        ("One. Two! Three?", 100, ["One.", "Two!", "Three?"]),
        ("Dr. Smith paid $3.50 in the U.S. last year, e.g. for tea.", 100, None),
        ("He met Mr. Jones. They talked.", 100, ["He met Mr. Jones.", "They talked."]),
        (
            "When the rain came down, we ran for the house.",
            30,
            ["When the rain came down,", "we ran for the house."],
        ),
        ("one two three four", 10, ["one two", "three four"]),
        ("abcdefghij", 4, ["ab", "cde", "fg", "hij"]),
        ("  white \n\n space  ", 100, ["white space"]),
        ("1. Mix. 2. Bake.", 100, ["1. Mix.", "2. Bake."]),
        ("It was 3. He left.", 100, ["It was 3.", "He left."]),
        ("3.", 100, ["3."]),
        ("", 100, []),
    ],
)
def test_pieces(text: str, max_chars: int, pieces: list[str] | None) -> None:
    assert split(text, max_chars) == ([text] if pieces is None else pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("1. Mix.\n2. Bake.\n3. Eat.", ["1. Mix.", "2. Bake.", "3. Eat."]),
        ("1) Mix\n2) Bake", ["1) Mix", "2) Bake"]),
        ("- Mix\n- Bake it\nfor long", ["- Mix", "- Bake it for long"]),
        ("A title\n\nA text\nof 5\n5.5 lines", ["A title", "A text of 5 5.5 lines"]),
    ],
)
def test_items_of_a_list_are_sentences_with_their_numbers(text: str, pieces: list[str]) -> None:
    assert split_written(text, 100) == pieces


def test_pieces_fit_and_contain_the_whole_text() -> None:
    rng = random.Random(0)
    parts = ["word", "a", "Dr.", "extraordinarily", "3.5", "e.g.", "end.", "so,", "why?", "it's;", "well-known", "U.S."]
    for _ in range(300):
        text = " ".join(rng.choices(parts, k=rng.randrange(1, 80)))
        max_chars = rng.randrange(15, 120)
        pieces = split(text, max_chars)
        assert " ".join(pieces) == text
        assert all(0 < len(piece) <= max_chars for piece in pieces)


def test_a_long_sentence_is_divided_evenly() -> None:
    text = " ".join(["syllables"] * 23) + " end."
    pieces = split(text, 110)
    assert min(map(len, pieces)) > 40


def test_a_very_long_word_is_divided() -> None:
    pieces = split("x" * 100_000 + " end.", 50)
    assert "".join(pieces) == "x" * 100_000 + "end."
    assert max(map(len, pieces)) <= 50
