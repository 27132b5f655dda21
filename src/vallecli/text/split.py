"""Splits long text into pieces that fit a model: at sentence ends (by sentencex), clauses, or between words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import sentencex

CLAUSE = re.compile(r"(?<=[,;:])\s|(?<=[，；：、])")
# A blank line, or a line end before an item of a list.
PARAGRAPH = re.compile(r"\n\s*\n|\n(?=[^\S\n]{0,20}(?:\(?\d{1,3}[.)]|[-*•])\s)")
LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z])[.)]")
SPACE = re.compile(r"\s")
MIN_CLAUSE_CHARS = 12  # shorter clauses are not separated when a sentence is divided


def split(text: str, max_chars: int, *, language: str = "en") -> list[str]:
    """Return pieces of at most `max_chars` characters; joined by spaces they are the text, except for white space.

    A word is divided only if it is longer than `max_chars`; so is a clause in a language without spaces.
    """
    sentences = sentencex.segment(language, " ".join(text.split()))
    return [piece for sentence in _with_numbers(sentences) for piece in _fit(sentence, max_chars)]


def split_written(text: str, max_chars: int, *, language: str = "en") -> list[str]:
    """Split text that is not normalized, where blank lines and items of a list also end a sentence; see `split`."""
    return [piece for part in PARAGRAPH.split(text) for piece in split(part, max_chars, language=language)]


def _with_numbers(sentences: Iterable[str]) -> Iterator[str]:
    """Yield the sentences; the number of a list item ("1."), which is segmented as one, stays with its item."""
    number = ""
    for sentence in map(str.strip, sentences):
        if LIST_NUMBER.fullmatch(sentence):
            number = f"{number} {sentence}".strip()
        elif sentence:
            yield f"{number} {sentence}".strip()
            number = ""
    if number:
        yield number


def _fit(sentence: str, max_chars: int) -> list[str]:
    """Divide a sentence near its middle until the parts fit, so that no part is very short."""
    if len(sentence) <= max_chars:
        return [sentence] if sentence else []
    middle = len(sentence) // 2
    for boundary, shortest in ((CLAUSE, MIN_CLAUSE_CHARS), (SPACE, 1)):
        cuts = [match.start() for match in boundary.finditer(sentence)]
        cuts = [cut for cut in cuts if min(cut, len(sentence) - cut) >= shortest]
        if cuts:
            middle = min(cuts, key=lambda cut: abs(cut - len(sentence) // 2))
            break
    return _fit(sentence[:middle].strip(), max_chars) + _fit(sentence[middle:].strip(), max_chars)
