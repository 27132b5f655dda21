"""Sentences without words are left out with a note, and never all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vallecli.errors import EmptyText
from vallecli.text.base import Sentence, Tokens
from vallecli.text.reader import TextReader
from vallecli.text.vallex import VallexFrontEnd


class Words:
    """A front end that has no words for sentences in capitals."""

    name, languages, normalizes = "words", ("en",), False

    def sentences(self, text: str, max_chars: int, *, language: str = "auto") -> list[Sentence]:
        return [Sentence(sentence, "en") for sentence in text.split()]

    def encode(self, text: str, **_: Mapping[str, Any]) -> Tokens:
        if not text.islower():
            raise EmptyText
        return Tokens(ids=[1], notes=(text,))

    def spoken(self, text: str, *, language: str = "auto") -> str:
        return text


def notes(text: str) -> list[tuple[str, ...]]:
    return [reading.tokens.notes for reading in TextReader(Words(), 100).read(text)]  # type: ignore[arg-type]


def test_sentences_that_are_left_out_are_named() -> None:
    left = "left out of the text, as it has no words for this checkpoint:"
    assert notes("a b") == [("a",), ("b",)]
    assert notes("A b C D e F") == [(f"{left} A", "b"), (f"{left} C", f"{left} D", "e", f"{left} F")]
    assert notes("... a !!") == [("a",)]  # nothing to say
    with pytest.raises(EmptyText):
        notes("A B")


def test_vallex_names_letters_without_a_symbol() -> None:
    pytest.importorskip("jieba")
    pytest.importorskip("pypinyin")
    front_end = VallexFrontEnd()
    assert front_end.encode("你好。", language="zh").notes == ()
    [note] = front_end.encode("你好 мир。", language="zh").notes
    assert note == "this checkpoint has no symbols for: и м р"
    with pytest.raises(EmptyText):
        front_end.encode("мир。", language="zh")
