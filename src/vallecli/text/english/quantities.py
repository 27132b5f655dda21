"""Normalizer rules for digits: dates, times, telephone numbers, money, measures, ranges, fractions, years."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from vallecli.text.english.numbers import CURRENCIES, cardinal, digits, fraction, money, number, ordinal, plural, year

Match = re.Match[str]
Rule = tuple[re.Pattern[str], Callable[[Match], str]]

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
UNITS = {  # as written: (singular, plural)
    **{"km": ("kilometer", "kilometers"), "cm": ("centimeter", "centimeters"), "mm": ("millimeter", "millimeters")},
    **{"m": ("meter", "meters"), "mi": ("mile", "miles"), "ft": ("foot", "feet"), "yd": ("yard", "yards")},
    **{"kg": ("kilogram", "kilograms"), "g": ("gram", "grams"), "mg": ("milligram", "milligrams")},
    **{"lb": ("pound", "pounds"), "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces")},
    **{"ml": ("milliliter", "milliliters"), "mL": ("milliliter", "milliliters"), "L": ("liter", "liters")},
    **{"mph": ("mile per hour", "miles per hour"), "kph": ("kilometer per hour", "kilometers per hour")},
    **{"rpm": ("revolution per minute", "revolutions per minute"), "fps": ("frame per second", "frames per second")},
    **{"Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz")},
    **{"GHz": ("gigahertz", "gigahertz"), "dB": ("decibel", "decibels"), "px": ("pixel", "pixels")},
    **{"KB": ("kilobyte", "kilobytes"), "kB": ("kilobyte", "kilobytes"), "MB": ("megabyte", "megabytes")},
    **{"GB": ("gigabyte", "gigabytes"), "TB": ("terabyte", "terabytes"), "MiB": ("mebibyte", "mebibytes")},
    **{"GiB": ("gibibyte", "gibibytes"), "Mbps": ("megabit per second", "megabits per second")},
    **{"Gbps": ("gigabit per second", "gigabits per second"), "V": ("volt", "volts"), "W": ("watt", "watts")},
    **{"kW": ("kilowatt", "kilowatts"), "MW": ("megawatt", "megawatts"), "kWh": ("kilowatt hour", "kilowatt hours")},
    **{"mAh": ("milliamp hour", "milliamp hours"), "kcal": ("kilocalorie", "kilocalories")},
    **{"ms": ("millisecond", "milliseconds"), "µs": ("microsecond", "microseconds")},
    **{"ns": ("nanosecond", "nanoseconds"), "sec": ("second", "seconds"), "min": ("minute", "minutes")},
    **{"hr": ("hour", "hours"), "hrs": ("hour", "hours"), "s": ("second", "seconds"), "h": ("hour", "hours")},
    **{"°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit")},
    **{"°": ("degree", "degrees"), "%": ("percent", "percent"), "¢": ("cent", "cents")},
}
UNITS_AFTER_PER = {
    **{"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "day": "day", "week": "week"},
    **{"month": "month", "year": "year", "kg": "kilogram", "m": "meter", "L": "liter", "l": "liter"},
    **{"ml": "milliliter"},
}
ORDINAL_SUFFIX = r"(?:st|nd|rd|th)"
CURRENCY_SIGNS = "".join(CURRENCIES)
NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?![\d])(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
NUMBER_START = r"(?<![\w.,$£€¥₹])"  # not within a longer number or word
RANGE_DASH = r"(?:[-–]|\s[-–]\s)"
SIGNED_NUMBER = rf"{NUMBER_START}(?P<number>(?:(?<![\w)])[-−+])?{NUMBER})"
AM_PM = r"[ap]\.m\.|[ap]m\b|[AP]\.M\.|[AP]M\b"
MONTH = rf"(?P<month>{'|'.join(MONTHS)}|(?:{'|'.join(name[:3] for name in MONTHS)}|Sept)\b\.?)"
DAY = rf"(?P<day>0?[1-9]|[12]\d|3[01]){ORDINAL_SUFFIX}?(?!\d|[:/,.]\d)"
YEAR = r"(?P<year>[12]\d{3})(?!\d)"


def rule(pattern: str, replacement: Callable[[Match], str] | str) -> Rule:
    """Return a rule: a compiled pattern, and its replacement as a function of the match; str is a template."""
    if callable(replacement):
        return re.compile(pattern), replacement
    return re.compile(pattern), lambda match: match.expand(replacement)


def month(name: str) -> str:
    """Return the full name of a month."""
    return next(full for full in MONTHS if full.startswith(name[:3]))


def _date(match: Match) -> str:
    """Return how a date is read; an impossible date is returned unchanged."""
    found = match.groupdict()
    name = found["month"]
    day = int(found["day"])
    if name.isdigit():
        first = int(name)
        if first > 12 >= day:  # 31/12/2024 starts with the day
            first, day = day, first
        if not (1 <= first <= 12 and 1 <= day <= 31):
            return match[0]
        name = MONTHS[first - 1]
    spoken = f"{month(name)} {ordinal(day)}"
    if found.get("last"):
        spoken += f" to {ordinal(int(found['last']))}"
    if not found["year"]:
        return spoken
    written = int(found["year"])
    if len(found["year"]) == 2:
        written += 1900 if written > 68 else 2000  # the POSIX rule for two digits
    return f"{spoken}, {year(written)}"


def _time(match: Match) -> str:
    """Return how a time is read: "three thirty p m", "nine oh five", "five o'clock"; else the text unchanged."""
    found = match.groupdict()
    hour, minute, half = int(found["hour"]), found.get("minute"), found["half"]
    if hour > 24 or (half and not 0 < hour <= 12):
        return match[0]
    spoken = cardinal(hour)
    if minute and int(minute):
        spoken += f" {'oh ' if minute[0] == '0' else ''}{cardinal(int(minute))}"
    elif minute and not half:
        spoken += " o'clock" if 0 < hour <= 12 else " hundred"
    if found.get("second"):
        spoken += f" and {cardinal(int(found['second']))} second{'' if int(found['second']) == 1 else 's'}"
    if half:
        spoken += " ay m" if half[0] in "aA" else " p m"
        # the dot of "p.m." can also end the sentence
        spoken += "." if half.endswith(".") and re.match(r"\s*$|\s+[A-Z]", match.string[match.end() :][:20]) else ""
    return spoken


def _money(match: Match) -> str:
    minus = "minus " if match["minus"] else ""
    if match["low"]:
        return f"{minus}{number(match['low'])} to {money(match['sign'], match['amount'], match['scale'])}"
    return minus + money(match["sign"], match["amount"], match["scale"])


def _measure(match: Match) -> str:
    singular, plural_name = UNITS[match["unit"]]
    is_singular = match["number"] in ("1", "-1", "+1") or match["between"] == "-"  # "a 5-km run"
    name = singular if is_singular else plural_name
    power = {"²": "square ", "³": "cubic ", None: ""}[match["power"]]
    per = f" per {UNITS_AFTER_PER[match['per']]}" if match["per"] else ""
    return f"{number(match['number'])} {power}{name}{per}"


def _fraction(match: Match) -> str:
    return fraction(match["whole"], int(match["top"]), int(match["bottom"]))


def _four_digits(match: Match) -> str:
    return year(int(match[0])) if 1100 <= int(match[0]) <= 2099 else cardinal(int(match[0]))


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


RULES: tuple[Rule, ...] = (
    # dates
    rule(r"(?<![\w-])(?P<year>[12]\d{3})-(?P<month>\d\d)-(?P<day>\d\d)(?![\d-])T?", lambda match: f"{_date(match)} "),
    rule(r"(?<![\w/])(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>[12]\d{3}|\d\d)(?![\w/])", _date),
    rule(rf"\b{MONTH}\s+(?P<day>\d{{1,2}})\s?[-–]\s?(?P<last>\d{{1,2}})(?!\d)(?:,?\s+{YEAR})?", _date),
    rule(rf"\b{MONTH}\s+{DAY}(?:,?\s+{YEAR})?", _date),
    rule(rf"(?<![\w.,:]){DAY}\s+{MONTH}(?![a-z])(?:,?\s+{YEAR})?", _date),
    # times
    rule(
        rf"(?<![\w:.])(\d{{1,2}}(?::[0-5]\d)?)(?:\s?({AM_PM}))?\s?[-–]\s?(?=\d{{1,2}}(?::[0-5]\d)?\s?(?:{AM_PM}))",
        r"\1 \2 to ",
    ),
    rule(
        rf"(?<![\w:.])(?P<hour>\d{{1,2}}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:])(?:\s?(?P<half>{AM_PM}))?",
        _time,
    ),
    rule(rf"(?<![\w:.])(?P<hour>\d{{1,2}})\s?(?P<half>{AM_PM})", _time),
    rule(r"\b24/7\b", "twenty four seven"),
    rule(r"\b9/11\b", "nine eleven"),
    # telephone numbers
    rule(
        r"(?<![\w.-])(?:\+?\d{1,3}[-. ])?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-.]\d{4}\b|(?<![\w-])\d{3}-\d{4}\b(?!-)",
        lambda match: f"{'plus ' if match[0][0] == '+' else ''}{digits(match[0])}",
    ),
    rule(r"(?<![\w.-])\+\d[\d ()-]{6,18}\d\b", lambda match: f"plus {digits(match[0])}"),
    # money
    rule(r"\b(?:US|CA|AU)(?=\$)", ""),
    rule(
        rf"(?P<minus>(?<!\w)[-−])?(?<!\d)(?P<sign>[{CURRENCY_SIGNS}])\s?(?:(?P<low>{NUMBER}){RANGE_DASH}[{CURRENCY_SIGNS}]?)?(?P<amount>{NUMBER})"
        r"(?:\s?(?P<scale>thousand|million|billion|trillion|[kKmMbBT]|mn|bn)(?![A-Za-z]))?",
        _money,
    ),
    rule(rf"{NUMBER_START}(?P<minus>)(?P<low>)(?P<amount>{NUMBER})(?P<scale>)\s?(?P<sign>[€£₹])", _money),
    # decades; two digits are a decade only after some words, else seconds ("in 90s")
    rule(r"(?<![\w.,])(?P<decade>[12]\d\d0)'?s\b", lambda match: plural(year(int(match["decade"])))),
    rule(r"(?<!\w)'(?P<tens>[2-9]0)s\b", lambda match: plural(cardinal(int(match["tens"])))),
    rule(
        r"\b(?P<before>(?:[Tt]he|[Hh]is|[Hh]er|[Oo]ur|[Mm]y|[Tt]heir|[Ee]arly|[Ll]ate|[Mm]id)[ -])(?P<tens>[2-9]0)s\b",
        lambda match: match["before"] + plural(cardinal(int(match["tens"]))),
    ),
    # measures
    rule(
        r"(?<![\w.])(?P<feet>\d{1,2})['′]\s?(?P<inches>\d{1,2})(?:[\"″]|''|(?![\w']))",
        lambda match: f"{number(match['feet'])} foot {number(match['inches'])}",
    ),
    rule(rf"{NUMBER_START}({NUMBER}%?){RANGE_DASH}(?={NUMBER}(?!\s?=))(?!\d+-\d)", r"\1 to "),
    rule(
        rf"{SIGNED_NUMBER}(?P<between>[\s-]?)(?P<unit>{_any_of(UNITS)})(?P<power>[²³])?(?:/(?P<per>{_any_of(UNITS_AFTER_PER)}))?(?![\w/'])",
        _measure,
    ),
    # fractions, ordinals
    rule(rf"{NUMBER_START}(?:(?P<whole>\d{{1,4}})\s)?(?P<top>\d{{1,3}})/(?P<bottom>\d{{1,4}})(?![\w/])", _fraction),
    rule(
        rf"\b(?P<number>\d{{1,3}}(?:,\d{{3}})+|\d{{1,15}}){ORDINAL_SUFFIX}\b",
        lambda match: ordinal(int(match["number"].replace(",", ""))),
    ),
    # arithmetic and proportions
    rule(r"(?<=\d)x(?=\d)", " by "),
    rule(r"(?<=\d)\s?[×*]\s?(?=\d)", " times "),
    rule(r"(?<=\d)\s-\s(?=\d)", " minus "),
    rule(r"(?<=\d)\s?\^\s?(?=\d)", " to the power of "),
    rule(r"(?<=\d):(?=\d)", " to "),
    # all other numbers
    rule(r"\d{1,15}s\b", lambda match: f" {plural(number(match[0][:-1]))}"),
    rule(r"(?<![\w.,])[12]\d{3}(?!\w|[.,]\d)", _four_digits),
    rule(rf"(?<![\w.,]){NUMBER}(?:\.\d+)+", lambda match: number(match[0])),
    rule(rf"(?:(?<![\w)])[-−+])?{NUMBER}", lambda match: f" {number(match[0])} "),
)
