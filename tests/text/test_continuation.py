"""Texts that go on from the words of a prompt: case, punctuation and apostrophes may differ, the words may not."""

from __future__ import annotations

import pytest

from vallecli.errors import NoContinuation
from vallecli.text.continuation import rest_of


@pytest.mark.parametrize(
    ("text", "transcript", "rest"),
    [
        ("I am here. You are there.", "I am here.", "You are there."),
        ("I am here and you are there", "I am here.", "and you are there"),
        ("“I’m here,” he said.", "I'm HERE", "he said."),
        ("One two\nthree", "one, two", "three"),
        ("Ça va bien", "ça va", "bien"),
        ("He said [laughs] no", "He said", "[laughs] no"),
        ("All of it", "", "All of it"),
    ],
)
def test_the_rest_is_what_follows(text: str, transcript: str, rest: str) -> None:
    assert rest_of(text, transcript) == rest


@pytest.mark.parametrize(
    ("text", "transcript", "message"),
    [
        ("I was here. Yes.", "I am here.", "the text has 'was' where the prompt has 'am'"),
        ("I am", "I am here.", "the text ends before the word 'here' of the prompt"),
        ("I am here!", "I am here.", "the text has no words behind those of the prompt"),
    ],
)
def test_other_texts_are_refused(text: str, transcript: str, message: str) -> None:
    with pytest.raises(NoContinuation, match=message):
        rest_of(text, transcript)
