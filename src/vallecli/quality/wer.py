"""Word error rate: the words of a text compared with those that a speech recognizer hears.

Both are normalized as OpenAI does for Whisper (whisper-normalizer): "Mr. Ray's" equals "mister ray's". In Chinese and
Japanese, which are written without spaces, characters count instead of words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

from vallecli.extras import extra
from vallecli.text.base import AUTO

EXTRA = "eval"
ENGLISH = "en"
UNSPACED = ("zh", "ja")  # languages whose characters count
KANA, HAN, HANGUL = re.compile(r"[\u3040-\u30ff]"), re.compile(r"[\u3400-\u9fff]"), re.compile(r"[\uac00-\ud7af]")

EQUAL, SUBSTITUTED, DELETED, INSERTED = "equal", "substituted", "deleted", "inserted"
OPERATIONS = {"equal": EQUAL, "substitute": SUBSTITUTED, "delete": DELETED, "insert": INSERTED}  # jiwer's name -> ours


@dataclass(frozen=True)
class WordErrors:
    """The errors in a row: substituted, deleted and inserted words."""

    heard: str
    """What was heard, as the recognizer writes it; "" if it has no words."""
    errors: int
    words: int
    """Number of words of the text."""
    alignment: tuple[tuple[str, str, str], ...]
    """(operation, words of the text, words that were heard), in order; an operation is EQUAL, SUBSTITUTED, ..."""


def language_of(text: str, language: str = AUTO) -> str:
    """Return the language of a row: the given one, or else that of the script; Latin letters count as English."""
    if language not in (AUTO, "mix"):
        return language
    for script, found in ((KANA, "ja"), (HANGUL, "ko"), (HAN, "zh")):
        if script.search(text):
            return found
    return ENGLISH


def word_errors(text: str, heard: str, language: str) -> WordErrors:
    """Compare a text with what was heard, in a language such as "en". Raises the errors of `normalize`."""
    with extra(EXTRA, "the word error rate"):
        import jiwer

    expected, found = normalize(text, language), normalize(heard, language)
    words, others = expected.split(), found.split()
    if not words:  # jiwer refuses it
        alignment = ((INSERTED, "", found),) if others else ()
        return WordErrors(heard if others else "", len(others), 0, alignment)
    output = jiwer.process_words(expected, found)
    aligned: list[tuple[str, str, str]] = []
    for chunk in output.alignments[0]:
        theirs = others[chunk.hyp_start_idx : chunk.hyp_end_idx]
        ours = words[chunk.ref_start_idx : chunk.ref_end_idx]
        operation = OPERATIONS[chunk.type]
        if operation == SUBSTITUTED:
            aligned += [(operation, one, other) for one, other in zip_longest(ours, theirs, fillvalue="")]
        else:
            aligned.append((operation, " ".join(ours), " ".join(theirs)))
    errors = output.substitutions + output.deletions + output.insertions
    return WordErrors(heard if others else "", errors, len(words), tuple(aligned))


def heard_part(text: str, heard: str, language: str) -> str | None:
    """Return the words at the beginning of a text that were heard, as written; None if the text has only one word.

    These are the words whose characters differ least from what was heard, the fewest of equals: a word that was cut
    belongs to them if about half of it was heard. They are never none, and never all. Raises the errors of
    `normalize`.
    """
    with extra(EXTRA, "the word error rate"):
        import jiwer

    words, found = text.split(), normalize(heard, language)
    most = min(len(words) - 1, 2 * len(found.split()) + 1)  # normalized, two words can be one: 25
    best: tuple[int, str] | None = None
    for count in range(1, most + 1):
        part = " ".join(words[:count])
        if expected := normalize(part, language):
            compared = jiwer.process_characters(expected, found)
            errors = compared.substitutions + compared.deletions + compared.insertions
            if best is None or errors < best[0]:
                best = errors, part
    return None if best is None else best[1]


def normalize(text: str, language: str) -> str:
    """Return the words of a text, normalized and separated by spaces.

    Raises ExtraMissing, and ValueError for a number of thousands of digits.
    """
    try:
        words = _normalizer(language)(text).split()
    except (AssertionError, ValueError) as error:  # the normalizer's, for numbers that int() refuses
        raise ValueError("a number in it has too many digits to be compared") from error
    return " ".join(word for word in words if any(map(str.isalnum, word)))  # an ellipsis leaves a dot


@cache
def _normalizer(language: str) -> Callable[[str], str]:
    with extra(EXTRA, "the word error rate"):
        from whisper_normalizer.basic import BasicTextNormalizer
        from whisper_normalizer.english import EnglishTextNormalizer

    normalizer: Callable[[str], str]
    if language == ENGLISH:
        normalizer = EnglishTextNormalizer()
    else:
        normalizer = BasicTextNormalizer(split_letters=language in UNSPACED)
    return normalizer
