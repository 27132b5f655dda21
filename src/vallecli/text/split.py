"""Long text to pieces that fit a model: at sentence ends (by sentencex), else at clauses, else between words."""

from __future__ import annotations

import re

import sentencex

CLAUSE = re.compile(r"(?<=[,;:])\s|(?<=[，；：、])")
BLANK_LINE = re.compile(r"\n\s*\n")
SPACE = re.compile(r"\s")
SHORTEST = 12  # characters that are worth a piece of their own when a sentence is cut


def split(text: str, max_chars: int, *, language: str = "en") -> list[str]:
    """Return pieces of at most `max_chars` characters; joined by spaces they give the text back, white space aside.

    Only a single word longer than `max_chars` is cut inside, or a clause of a language that puts no spaces between
    words.
    """
    sentences = sentencex.segment(language, " ".join(text.split()))
    return [piece for sentence in sentences for piece in _fit(sentence.strip(), max_chars)]


def split_written(text: str, max_chars: int, *, language: str = "en") -> list[str]:
    """Do what `split` does, with text that nobody has normalized: there a blank line ends a sentence, too."""
    return [piece for part in BLANK_LINE.split(text) for piece in split(part, max_chars, language=language)]


def _fit(sentence: str, max_chars: int) -> list[str]:
    """Cut a sentence near its middle until the parts fit: halves are more even than a full piece and a last word."""
    if len(sentence) <= max_chars:
        return [sentence] if sentence else []
    middle = len(sentence) // 2
    for boundary, shortest in ((CLAUSE, SHORTEST), (SPACE, 1)):
        cuts = [match.start() for match in boundary.finditer(sentence)]
        cuts = [cut for cut in cuts if min(cut, len(sentence) - cut) >= shortest]
        if cuts:
            middle = min(cuts, key=lambda cut: abs(cut - len(sentence) // 2))
            break
    return _fit(sentence[:middle].strip(), max_chars) + _fit(sentence[middle:].strip(), max_chars)
