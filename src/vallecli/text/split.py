"""Splits long text into pieces that fit a model: at sentence ends (by sentencex), clauses, or between words."""

from __future__ import annotations

import re

import sentencex

CLAUSE = re.compile(r"(?<=[,;:])\s|(?<=[，；：、])")
BLANK_LINE = re.compile(r"\n\s*\n")
SPACE = re.compile(r"\s")
MIN_CLAUSE_CHARS = 12  # shorter clauses are not separated when a sentence is divided


def split(text: str, max_chars: int, *, language: str = "en") -> list[str]:
    """Return pieces of at most `max_chars` characters; joined by spaces they are the text, except for white space.

    A word is divided only if it is longer than `max_chars`; so is a clause in a language without spaces.
    """
    sentences = sentencex.segment(language, " ".join(text.split()))
    return [piece for sentence in sentences for piece in _fit(sentence.strip(), max_chars)]


def split_written(text: str, max_chars: int, *, language: str = "en") -> list[str]:
    """Split text that is not normalized, where a blank line also ends a sentence; see `split`."""
    return [piece for part in BLANK_LINE.split(text) for piece in split(part, max_chars, language=language)]


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
