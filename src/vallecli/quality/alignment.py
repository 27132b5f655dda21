"""Words of a text aligned with the words that a speech recognizer heard, for display."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vallecli import extras

Normalize = Callable[[str], Sequence[str]]
"""Given a word as written, return the words to compare, such as twenty and five for 25; none for punctuation."""

EQUAL, MISSING, EXTRA, CHANGED = "equal", "missing", "extra", "changed"
MAX_PAIRS = 4_000_000  # words of the text times words heard: more would take seconds

# A word as written: between spaces, or one character of a script that is written without spaces.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WRITTEN = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)")
_SPOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class Segment:
    """Neighbouring words with the same result; `text` or `heard` is empty where there are none."""

    kind: str
    text: str
    heard: str


def plain_words(written: str) -> list[str]:
    """Return the words in a text without case and punctuation; an apostrophe inside a word is kept."""
    return _SPOKEN.findall(unicodedata.normalize("NFKC", written).casefold().replace("’", "'"))


def align(text: str, heard: str, normalize: Normalize = plain_words) -> list[Segment]:
    """Return the words of both in order, as segments that are equal, missing from or extra in `heard`, or changed.

    The number of words that differ is the least possible (Levenshtein). Raises ExtraMissing, and ValueError for texts
    that are too long.
    """
    with extras.extra("eval", "comparing texts with what was heard"):
        from rapidfuzz.distance import Levenshtein

    left, right = _Words(text, normalize), _Words(heard, normalize)
    if len(left.words) * len(right.words) > MAX_PAIRS:
        raise ValueError("the texts are too long to be compared")
    pairs = [
        (left.place[a], right.place[b])
        for part in Levenshtein.opcodes(left.words, right.words)
        if part.tag == "equal"
        for a, b in zip(range(part.src_start, part.src_end), range(part.dest_start, part.dest_end), strict=True)
    ]
    return list(_segments(left, right, _whole_pairs(pairs, left, right)))


class _Words:
    """A text as written words, and the normalized words to compare with the number of the written word of each."""

    def __init__(self, text: str, normalize: Normalize) -> None:
        self.written = _WRITTEN.findall(text.strip())
        found = [(word, number) for number, part in enumerate(self.written) for word in normalize(part.strip())]
        self.words = [word for word, _ in found]
        self.place = [number for _, number in found]

    def join(self, start: int, end: int) -> str:
        return "".join(self.written[start:end]).strip()


def _whole_pairs(pairs: list[tuple[int, int]], left: _Words, right: _Words) -> list[tuple[int, int]]:
    """Return those pairs of written words of which all normalized words are paired."""
    while True:
        counts = [_counts(number for number, _ in pairs), _counts(number for _, number in pairs)]
        totals = [_counts(left.place), _counts(right.place)]
        whole = [(a, b) for a, b in pairs if counts[0][a] == totals[0][a] and counts[1][b] == totals[1][b]]
        if len(whole) == len(pairs):
            return whole
        pairs = whole


def _counts(numbers: Iterator[int] | Sequence[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for number in numbers:
        counts[number] = counts.get(number, 0) + 1
    return counts


def _segments(left: _Words, right: _Words, pairs: list[tuple[int, int]]) -> Iterator[Segment]:
    """Yield the segments, given pairs of equal written words in order."""
    done_left = done_right = 0  # written words before these are in segments
    run: list[tuple[int, int]] = []  # first and last word of the equal ones that are not in a segment yet
    for a, b in [*pairs, (len(left.written), len(right.written))]:
        gap_left, gap_right = _gap(left, done_left, a), _gap(right, done_right, b)
        if (gap_left or gap_right) and run:
            yield Segment(EQUAL, left.join(run[0][0], run[-1][0] + 1), right.join(run[0][1], run[-1][1] + 1))
            run = []
        if gap_left or gap_right:
            kind = CHANGED if gap_left and gap_right else MISSING if gap_left else EXTRA
            yield Segment(kind, gap_left, gap_right)
        run.append((a, b))
        done_left, done_right = a + 1, b + 1
    if len(run) > 1:
        yield Segment(EQUAL, left.join(run[0][0], run[-1][0]), right.join(run[0][1], run[-1][1]))


def _gap(words: _Words, start: int, end: int) -> str:
    """Return the written words from `start` to `end`, "" if they are only punctuation."""
    spoken = set(words.place)
    return words.join(start, end) if any(number in spoken for number in range(start, end)) else ""
