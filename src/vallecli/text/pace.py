"""How long the speech of a text is, by the number of its letters."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_PACE = 100.0  # seconds and factors
DIGIT, SYLLABLE, SPELLED = 4.0, 3.0, 2.0  # letters that a digit or syllable counts, and a spelled letter adds


@dataclass(frozen=True)
class Pace:
    """How long an utterance is: `base` seconds, and `per_letter` more for each letter of its text.

    An utterance is too short below `shortest` times that, and too long above `longest` times that and `slack` seconds.
    """

    base: float = 0.3
    per_letter: float = 0.055
    shortest: float = 0.6
    longest: float = 2.2
    slack: float = 1.5

    def __post_init__(self) -> None:
        """Raise ValueError for values that no pace has; they may come from a file."""
        for name, value in vars(self).items():
            if type(value) not in (int, float) or not 0 <= value <= MAX_PACE:
                raise ValueError(f"{name} cannot be {value!r}")

    def seconds(self, letters: float) -> float:
        """Return the expected duration of a number of letters."""
        return self.base + self.per_letter * letters

    def is_too_short(self, seconds: float, expected: float) -> bool:
        """Return whether a duration is too short, given the expected one."""
        return seconds < self.shortest * expected

    def is_too_long(self, seconds: float, expected: float) -> bool:
        """Return whether a duration is too long, given the expected one."""
        return seconds > self.longest * expected + self.slack


def letters_of(text: str) -> float:
    """Return how many letters of English words are spoken in the time of a text; others count more.

    These are digits, syllables of other scripts, and letters that are spelled.
    """
    spelled = SPELLED * len(re.findall(r"(?<!\w)[B-HJ-Z](?!['\w])", text))
    return spelled + sum(_letters(character) for character in text)


def _letters(character: str) -> float:
    if not character.isalnum():
        return 0.0
    if character.isdigit():
        return DIGIT
    name = unicodedata.name(character, "")
    return SYLLABLE if name.startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL")) else 1.0
