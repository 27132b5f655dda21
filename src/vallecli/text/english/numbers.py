"""Numbers as words, in American English, without "and", commas or hyphens; the words are from inflect."""

from __future__ import annotations

import functools
from typing import Any

MAX_DIGITS = 15  # longer numbers are read digit by digit
FIRST_YEAR, LAST_YEAR = 1100, 2099  # four digits within these are read as a year
# An amount as written, from its first digit: "1,234.5", "12", "3.14"; groups of two digits as in "1,00,000".
DECIMALS = r"(?:\.\d++)?"
WHOLE = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d{1,2}(?:,\d\d){1,6},\d{3}(?!\d)|\d++)"
AMOUNT = rf"{WHOLE}{DECIMALS}"
DASH = r"\s?[-–]\s?"  # between the numbers of a range
SCALES = {
    **{"k": "thousand", "m": "million", "mm": "million", "mn": "million", "mln": "million", "mio": "million"},
    **{"b": "billion", "bn": "billion", "bln": "billion", "t": "trillion", "tn": "trillion", "trn": "trillion"},
    **{word: word for word in ("hundred", "thousand", "million", "billion", "trillion", "lakh", "crore")},
}
SUFFIXES = {1: "st", 2: "nd", 3: "rd"}  # of ordinals, by last digit; else "th"


@functools.cache
def _inflect() -> Any:
    import inflect  # here, as few texts have numbers and the import is slow

    return inflect.engine()


def _plain_words(words: str) -> str:
    return words.replace(",", "").replace("-", " ")


@functools.lru_cache(4096)
def cardinal(number: int) -> str:
    """Return a cardinal: "minus five", "one thousand two hundred thirty four"."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    return _plain_words(_inflect().number_to_words(number, andword=""))


@functools.lru_cache(4096)
def ordinal(number: int) -> str:
    """Return an ordinal: "first", "twenty second"."""
    return _plain_words(_inflect().number_to_words(_inflect().ordinal(number), andword=""))


def suffix(number: int) -> str:
    """Return the suffix of an ordinal in digits: st, nd, rd or th."""
    return "th" if number % 100 in (11, 12, 13) else SUFFIXES.get(number % 10, "th")


def plural(words: str) -> str:
    """Return the plural of number words: "nineteen nineties", "fifths", "sixes"."""
    if words.endswith(("six", "inch")):
        return f"{words}es"
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def digits(text: str, zero: str = "zero") -> str:
    """Return the name of each digit, with a comma between groups of digits."""
    groups = "".join(char if char.isdigit() else " " for char in text).split()
    return ", ".join(" ".join(cardinal(int(char)) if char != "0" else zero for char in group) for group in groups)


def year(number: int) -> str:
    """Return a year as words: "nineteen ninety nine", "nineteen oh five", "two thousand four", "twenty twenty four"."""
    century, rest = divmod(number, 100)
    if number < FIRST_YEAR or number % 1000 < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def short_year(two_digits: str) -> str:
    """Return the last two digits of a year: "ninety eight", "oh five", "two thousand" for 00."""
    value = int(two_digits)
    return "two thousand" if value == 0 else f"{'oh ' if value < 10 else ''}{cardinal(value)}"


def pairs(text: str) -> str:
    """Return up to four digits as the number of a house, a flight or an aircraft: "one oh five", "twelve eleven"."""
    if text[0] == "0" or len(text) > 4:
        return digits(text)
    value = int(text)
    if len(text) < 3 or value % 1000 == 0:
        return cardinal(value)
    front, rest = divmod(value, 100)
    if rest == 0:
        return f"{cardinal(front)} hundred"
    return f"{cardinal(front)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def number(text: str) -> str:
    """Return the words of a number as written: "1,234", "-5", "3.14", ".5", "007", "2.0.1"."""
    if text[0] in "-−+":
        return f"{'plus' if text[0] == '+' else 'minus'} {number(text[1:])}"
    whole, *fractions = text.replace(",", "").split(".")
    if not whole:
        words = ""
    elif len(whole) > MAX_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        words = digits(whole)
    else:
        words = cardinal(int(whole))
    if len(fractions) > 1:  # a version: each part is a number
        return " point ".join([words, *(number(part) for part in fractions)])
    return " point ".join([words, *(digits(part) for part in fractions)]).strip()


def quantity(text: str) -> str:
    """Return the words of a number that can be a year if it has four digits without a comma."""
    is_year = len(text) == 4 and text.isdigit() and FIRST_YEAR <= int(text) <= LAST_YEAR
    return year(int(text)) if is_year else number(text)


def fraction(whole: str | None, top: int, bottom: int) -> str:
    """Return a fraction: "one half", "three quarters", "two and a half", "five over one"."""
    if bottom < 2:
        spoken = f"{cardinal(top)} over {cardinal(bottom)}"
    else:
        name = {2: "half", 4: "quarter"}.get(bottom) or ordinal(bottom)
        many = "halves" if bottom == 2 else plural(name)
        count = "a" if whole and top == 1 and bottom in (2, 4) else cardinal(top)
        spoken = f"{count} {name if top == 1 else many}"
    return f"{number(whole)} and {spoken}" if whole else spoken
