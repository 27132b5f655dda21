"""How many letters a text counts, and which durations do not fit them."""

from __future__ import annotations

import pytest

from vallecli.text.pace import Pace, letters_of


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Hello, world!", 10),
        ("U S A", 3 + 2 * 2),  # A is a word, too
        ("I am a B", 5 + 2),
        ("42", 8),
        ("日本", 6),
        ("한국", 6),
        ("ひらがな", 12),
        ("Ünïcödé", 7),
        ("… !", 0),
        ("I'd", 2),
    ],
)
def test_letters_of_a_text(text: str, letters: float) -> None:
    assert letters_of(text) == letters


def test_lengths_that_do_not_fit() -> None:
    pace = Pace(base=1, per_letter=0.1, shortest=0.5, longest=2, slack=1)
    assert pace.seconds(10) == 2
    assert [pace.is_too_short(seconds, 2) for seconds in (0.9, 1.1, 9)] == [True, False, False]
    assert [pace.is_too_long(seconds, 2) for seconds in (0.1, 4.9, 5.1)] == [False, False, True]
    with pytest.raises(ValueError, match="per_letter cannot be -1"):
        Pace(per_letter=-1)
