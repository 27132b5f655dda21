"""English sentences of a text for front ends that normalize, and a message about letters that cannot be read."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from vallecli.errors import EmptyText, ForeignText
from vallecli.text.base import Sentence
from vallecli.text.english.normalize import simplify
from vallecli.text.normalize import normalize
from vallecli.text.split import split

WORD = re.compile(r"[^\W\d_]+")
END = ",.?!:;"  # marks, one of which ends every spoken text that a model was trained on
MAX_NAMED = 5  # words in a note
MAX_NAMED_CHARS = 20  # of each
LANGUAGES = {"HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CJK": "zh"}  # by the first word of a letter's name


def english_sentences(text: str, max_chars: int, *, end: str = "") -> list[Sentence]:
    """Return the normalized sentences of a text; `end` is added to the last one if it has no mark at its end.

    A note at the first sentence names words in other scripts, which are left out. Raises EmptyText, and ForeignText
    for a text without any other words.
    """
    foreign = foreign_words(text)
    try:
        spoken = normalize(text)
    except EmptyText as error:
        if not foreign:
            raise
        raise ForeignText(script_of(foreign), language_of(foreign)) from error
    pieces = split(spoken if spoken[-1] in END else spoken + end, max_chars)
    notes = (f"left out of the text, as this checkpoint speaks English: {_some(foreign)}",) if foreign else ()
    return [Sentence(piece, "en", () if index else notes) for index, piece in enumerate(pieces)]


def foreign_words(text: str) -> list[str]:
    """Return the different words of letters that have no equivalent in the Latin alphabet."""
    if text.isascii():
        return []
    known: dict[str, bool] = {}

    def foreign(char: str) -> bool:
        if char not in known:
            known[char] = not char.isascii() and char.isalpha() and not simplify(char).strip()
        return known[char]

    return list(dict.fromkeys(word for word in WORD.findall(text) if any(map(foreign, word))))


def script_of(words: list[str]) -> str:
    """Return the name of the script of most letters: "Cyrillic", "CJK", ..."""
    scripts = Counter(unicodedata.name(char, "unknown").split()[0] for word in words for char in word)
    if scripts["HIRAGANA"] or scripts["KATAKANA"]:
        return "Japanese"
    name = max(scripts, key=lambda script: scripts[script])
    return {"CJK": "Chinese", "HANGUL": "Korean"}.get(name, name.capitalize())


def language_of(words: list[str]) -> str | None:
    """Return the language of a script that only one language has, else None."""
    scripts = {unicodedata.name(char, "unknown").split()[0] for word in words for char in word}
    return next((language for script, language in LANGUAGES.items() if script in scripts), None)


def _some(words: list[str]) -> str:
    """Return the first few words, and the number of the others."""
    named = ", ".join(word if len(word) <= MAX_NAMED_CHARS else f"{word[:MAX_NAMED_CHARS]}…" for word in words[:5])
    return named if len(words) <= MAX_NAMED else f"{named} and {len(words) - MAX_NAMED} more"
