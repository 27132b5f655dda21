"""Word errors: counts and alignments after normalization, in several languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vallecli.quality.wer import heard_part, language_of, normalize, word_errors


@pytest.mark.parametrize(
    ("text", "heard", "errors", "words"),
    [
        ("Hello, this is my voice.", "hello this is my voice", 0, 5),
        ("Mr. Ray won't go.", "Mister Ray will not go!", 0, 5),
        ("I owe you twenty dollars.", "I owe you $20.", 0, 4),
        ("The cat sat on the mat.", "The cat on a mat, again.", 3, 6),
        ("Nothing is heard.", "", 3, 3),
        ("Nothing is heard.", " ... ", 3, 3),
        ("Wait… what?", "Wait, what?", 0, 2),
        ("One.", "1 2 3 4", 3, 1),
        ("...", "well", 1, 0),
        ("", "", 0, 0),
    ],
)
def test_errors_of_english(text: str, heard: str, errors: int, words: int) -> None:
    found = word_errors(text, heard, "en")
    assert (found.errors, found.words) == (errors, words)
    assert found.heard == (heard if normalize(heard, "en") else "")


def test_the_alignment_names_each_difference() -> None:
    found = word_errors("The cat sat on the mat.", "The cat on a mat, again.", "en")
    assert found.alignment == (
        ("equal", "the cat", "the cat"),
        ("deleted", "sat", ""),
        ("equal", "on", "on"),
        ("substituted", "the", "a"),
        ("equal", "mat", "mat"),
        ("inserted", "", "again"),
    )


WORDS = st.lists(st.sampled_from(["red", "green", "blue", "one"]), max_size=8).map(" ".join)


@given(WORDS, WORDS)
def test_an_alignment_has_all_words_of_both_in_order(text: str, heard: str) -> None:
    found = word_errors(text, heard, "en")
    assert " ".join(one for _, one, _ in found.alignment if one) == normalize(text, "en")
    assert " ".join(other for _, _, other in found.alignment if other) == normalize(heard, "en")
    wrong = [max(len(one.split()), len(other.split())) for kind, one, other in found.alignment if kind != "equal"]
    assert found.errors == sum(wrong)
    assert (found.errors == 0) == (normalize(text, "en") == normalize(heard, "en"))


def test_characters_count_in_chinese_and_japanese_and_words_elsewhere() -> None:
    assert (found := word_errors("今天天气很好。", "今天天氣好", "zh")).words == 6
    assert found.errors == 2
    assert word_errors("こんにちは", "こんばんは", "ja").words == 5
    assert word_errors("Das Wetter ist schön.", "das wetter ist schon", "de").errors == 1


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Hello.", "auto", "en"),
        ("今天很好", "auto", "zh"),
        ("今日はいい", "auto", "ja"),
        ("안녕하세요", "auto", "ko"),
        ("[EN]Hello.[EN][ZH]今天[ZH]", "mix", "zh"),
        ("Guten Tag.", "de", "de"),
    ],
)
def test_the_language_is_the_given_one_or_that_of_the_script(text: str, language: str, expected: str) -> None:
    assert language_of(text, language) == expected


def test_a_number_of_thousands_of_digits_is_an_error() -> None:
    with pytest.raises(ValueError, match="too many digits"):
        word_errors("9" * 5_000, "nine", "en")


@pytest.mark.parametrize(
    ("heard", "part"),
    [
        ("I won't go", "I won't go"),
        ("I will not go.", "I won't go"),
        ("I won't go with twen", "I won't go with twenty"),
        ("I won't go with 20", "I won't go with twenty"),
        ("I won't go with 25 h", "I won't go with twenty five"),
        ("I won't go with 25 horse", "I won't go with twenty five horses"),
        ("I won't go with twenty five horses, he said.", "I won't go with twenty five horses he"),  # never all
        ("", "I"),
    ],
)
def test_the_part_of_a_text_that_was_heard(heard: str, part: str) -> None:
    assert heard_part("I won't go with twenty five horses he said.", heard, "en") == part


def test_a_single_word_has_no_part() -> None:
    assert heard_part("Hello.", "hello", "en") is None
