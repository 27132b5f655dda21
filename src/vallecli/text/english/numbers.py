"""Numbers as words, in American English, without "and", commas or hyphens; the words are from inflect."""

from __future__ import annotations

import functools
from typing import Any

MAX_DIGITS = 15  # longer numbers are read digit by digit
SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "t": "trillion"}
CURRENCIES = {  # sign: unit, units, hundredth, hundredths
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}


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


def ordinal(number: int) -> str:
    """Return an ordinal: "first", "twenty second"."""
    return _plain_words(_inflect().number_to_words(_inflect().ordinal(number), andword=""))


def plural(words: str) -> str:
    """Return the plural of number words: "nineteen nineties", "fifths", "hundreds"."""
    if words.endswith("six"):
        return f"{words}es"
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def digits(text: str) -> str:
    """Return the name of each digit, with a comma between groups of digits."""
    groups = "".join(char if char.isdigit() else " " for char in text).split()
    return ", ".join(" ".join(cardinal(int(char)) for char in group) for group in groups)


def year(number: int) -> str:
    """Return a year as words: "nineteen ninety nine", "nineteen oh five", "two thousand four", "twenty twenty four"."""
    century, rest = divmod(number, 100)
    if number < 1100 or number % 1000 < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


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
    if len(fractions) > 1:  # a version or an IP address: each part is a number
        return " point ".join([words, *(number(part) for part in fractions)])
    return " point ".join([words, *(digits(part) for part in fractions)]).strip()


def fraction(whole: str | None, top: int, bottom: int) -> str:
    """Return a fraction: "one half", "three quarters", "two and a half"; others as "twenty over fifty three"."""
    if bottom < 2 or (bottom > 20 and bottom not in (32, 64, 100, 1000)):
        spoken = f"{cardinal(top)} over {cardinal(bottom)}"
    else:
        name = {2: "half", 4: "quarter"}.get(bottom) or ordinal(bottom)
        many = "halves" if bottom == 2 else plural(name)
        count = "a" if whole and top == 1 and bottom in (2, 4) else cardinal(top)
        spoken = f"{count} {name if top == 1 else many}"
    return f"{number(whole)} and {spoken}" if whole else spoken


def money(sign: str, amount: str, scale: str | None) -> str:
    """Return an amount of a currency: "twelve dollars and fifty cents", "three million euros"."""
    one, many, cent, cents = CURRENCIES[sign]
    if scale:
        return f"{number(amount)} {SCALES.get(scale.lower(), scale.lower())} {many}"
    whole, _, rest = amount.replace(",", "").partition(".")
    if len(rest) not in (0, 2):
        return f"{number(amount)} {many}"
    parts = []
    if whole.strip("0") or not rest.strip("0"):
        parts.append(f"{number(whole or '0')} {one if whole == '1' else many}")
    if rest.strip("0"):
        parts.append(f"{cardinal(int(rest))} {cent if rest == '01' else cents}")
    return " and ".join(parts)
