"""English G2P of VALL-E X: a normalizer for numbers and abbreviations, then IPA from CMUdict by eng_to_ipa.

The published model was trained with its defects, so they are kept: words that are not in CMUdict, and hyphenated
numbers such as "ninety-nine", stay spelled, followed by "*".
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from vallecli.extras import extra

MAX_DIGITS = 36  # of a number that inflect has words for; longer ones are read digit by digit
ABBREVIATIONS = {
    **{"mrs": "misess", "mr": "mister", "dr": "doctor", "st": "saint", "co": "company", "jr": "junior"},
    **{"maj": "major", "gen": "general", "drs": "doctors", "rev": "reverend", "lt": "lieutenant"},
    **{"hon": "honorable", "sgt": "sergeant", "capt": "captain", "esq": "esquire", "ltd": "limited"},
    **{"col": "colonel", "ft": "fort"},
}
ABBREVIATION = re.compile(rf"\b({'|'.join(ABBREVIATIONS)})\.")
THOUSANDS = re.compile(r"[0-9][0-9,]+[0-9]")
DOLLARS = re.compile(r"\$([0-9.,]*[0-9])")
DECIMAL = re.compile(r"([0-9]+)\.([0-9]+)")
ORDINAL = re.compile(r"[0-9]+(?:st|nd|rd|th)")
NUMBER = re.compile(r"[0-9]+")
DARK_L = re.compile(r"l(?=[^aeiouæɑɔəɛɪʊ ]*(?: |$))")  # an l without a vowel after it in its word
IPA = str.maketrans({"r": "ɹ", "ʤ": "dʒ", "ʧ": "tʃ"})


def to_ipa(text: str) -> str:
    """Return the IPA of English text, with a space between words; "" without words. Raises ExtraMissing."""
    phonemes = re.sub(r"\s+", " ", _convert(normalize(text)))
    return DARK_L.sub("ɫ", phonemes).translate(IPA).replace("...", "…")


def normalize(text: str) -> str:
    """Return the text in lower-case ASCII, with abbreviations and numbers as words."""
    with extra("vallex", "English for VALL-E X"):
        from unidecode import unidecode

    text = ABBREVIATION.sub(lambda match: ABBREVIATIONS[match[1]], unidecode(text).lower())
    text = THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
    text = DOLLARS.sub(lambda amount: _dollars(amount[1].replace(",", "")), text)
    text = DECIMAL.sub(r"\1 point \2", text)
    text = ORDINAL.sub(lambda ordinal: _words(ordinal[0]), text)
    return NUMBER.sub(lambda number: _number(number[0]), text)


def _convert(text: str) -> str:
    with extra("vallex", "English for VALL-E X"):
        import eng_to_ipa

        return str(eng_to_ipa.convert(text))  # in `extra`: it leaves its database open, a ResourceWarning


@cache
def _inflect() -> Any:
    import inflect

    return inflect.engine()


def _words(number: str, **options: Any) -> str:
    """Return a number or an ordinal in words, digit by digit if it is longer than MAX_DIGITS."""
    if len(number) > MAX_DIGITS:
        return " ".join(_inflect().number_to_words(digit) for digit in number if digit.isdigit())
    return str(_inflect().number_to_words(number, **options))


def _number(digits: str) -> str:
    """Return a number in words; most from 1001 to 2999 are read as years, in pairs of digits."""
    digits = digits.lstrip("0") or "0"
    if len(digits) != 4 or not 1000 < int(digits) < 3000 or int(digits) == 2000:
        return _words(digits, andword="")
    number = int(digits)
    if 2000 < number < 2010:
        return f"two thousand {_words(str(number % 100))}"
    if number % 100 == 0:
        return f"{_words(str(number // 100))} hundred"
    return _words(str(number), andword="", zero="oh", group=2).replace(", ", " ")


def _dollars(amount: str) -> str:
    """Return "3 dollars, 50 cents" for 3.50."""
    whole, *fractions = amount.split(".")
    if len(fractions) > 1:
        return f"{amount} dollars"
    parts = [(whole, "dollar"), (fractions[0] if fractions else "", "cent")]
    words = [
        f"{digits.lstrip('0')} {unit}{'' if digits.lstrip('0') == '1' else 's'}"
        for digits, unit in parts
        if digits.strip("0")
    ]
    return ", ".join(words) or "zero dollars"
