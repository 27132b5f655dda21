"""Written English: words come out, with speakable characters alone, in bounded time and length."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import strategies as st
from mutations import CHARACTERS, repeated, texts, words

from vallecli.text.english import markup
from vallecli.text.english.normalize import TABLES
from vallecli.text.normalize import normalize

EXAMPLES = [written for table in TABLES.values() for rule in table for written in rule.examples]
EXAMPLES += [
    written for table in (markup.BEFORE_SIMPLIFY, markup.INLINE) for *_, examples in table for written in examples
]
TOKENS = (
    *words(
        "0 1 9 12 1,000 3.14 1/2 ½ ٣ Ⅳ ² ① 10:30 - – — $ € % ° www. http:// https://a.b/c?d=e#f @ a@b.co .com / _ * #"
    ),
    *words(
        "` ``` [ ]( ) <b> </b> &amp; &#60; ' ’ “ … ... Dr. St. U.S. e.g. A AB ABC iPhone XIV mm km/h GB May 1999 '90s"
    ),
    *words("B.C. Straße naïve Ω 中 ア 😀 ﬁ İ ŉ \\ \u200b \u202e \u0301 \ufeff \x00 \x1b[31m"),
    '"',
    *("\t", "\r\n", "\n\n", "| a | b |", "- ", "> "),
)
SHORT = st.one_of(
    st.sampled_from(TOKENS),
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=3).map("".join),
    st.sampled_from(EXAMPLES),
    st.text(CHARACTERS, min_size=1, max_size=4),
    st.text(st.sampled_from("0123456789.,:;-/'\"()[]{}<>$%&*#@_ \n\tabcXVI"), min_size=1, max_size=5),
)
LONG = 5_000  # characters, for which a second has to be enough
SAMPLES = st.one_of(texts(EXAMPLES, TOKENS), repeated(SHORT, LONG))
SPEAKABLE = re.compile(r"[A-Za-z' ,.?!;:]+")
FOUND: tuple[str, ...] = ()


def max_seconds(text: str) -> float:
    return 1.0


def check(text: str, folder: Path) -> None:
    spoken = normalize(text)
    assert SPEAKABLE.fullmatch(spoken), "a character that is not speakable"
    assert any(character.isalpha() for character in spoken), "no words"
    assert len(spoken) <= 60 * len(text) + 200, "longer than any reading"
    assert not re.search(r"[,.?!;:]\S", spoken), "punctuation inside a word, as in an address"
