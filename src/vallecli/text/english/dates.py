"""Rules for dates, years, decades, months and weekdays."""

from __future__ import annotations

import re

from vallecli.text.english.numbers import (
    DASH,
    cardinal,
    ordinal,
    short_year,
    year,
)
from vallecli.text.english.rules import Match, Rule, any_of, number_then, stop

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
MONTH_KEYS = (*(name.lower() for name in MONTHS), *(name[:3].lower() for name in MONTHS if name != "May"), "sept")
LONGEST_FIRST = "|".join(sorted(MONTH_KEYS, key=len, reverse=True))
# "may", "march" and "mar" in lower case are words, unless a full date follows.
MONTH = rf"(?:(?!may\b|march\b|mar\b)(?i:{LONGEST_FIRST})\b\.?)"
ANY_MONTH = rf"(?:(?i:{LONGEST_FIRST})\b\.?)"
DAY = r"(?:0?[1-9]|[12]\d|3[01])"
TH = r"(?:st|nd|rd|th|ST|ND|RD|TH)"
YEAR = r"[12]\d{3}(?![\d%]|,\d|\.\d)"
IN_YEAR = rf"(?:,?\s+(?P<year>{YEAR}|'\d\d(?!\d)))"
WEEKDAYS = {
    **{"mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "weds": "Wednesday"},
    **{name.lower(): name for name in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")},
    **{"thu": "Thursday", "thur": "Thursday", "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday"},
}
WEEKDAY = rf"(?:{any_of(name.title() for name in WEEKDAYS)}|{any_of(name.upper() for name in WEEKDAYS)})\b\.?"
WEEKDAY_FOLLOWS = rf"(?=,?\s(?:\d|{ANY_MONTH}|(?:and|or|&|to|through|thru)\s{WEEKDAY})|:|,\s?{WEEKDAY}|/{WEEKDAY})"
DATE_BEFORE = r"(?:^|\b(?i:on|by|from|until|till|since|to|of|before|after|and|through|the)\s)"


def month(written: str) -> str:
    """Return the full name of a month, in any case and shortened to at least three letters."""
    return next(name for name in MONTHS if name.lower().startswith(written.lower().rstrip(".")[:3]))


def _year(written: str) -> str:
    return short_year(written[-2:]) if len(written) < 4 else year(int(written))


def _with_year(day: str, written: str | None) -> str:
    return f"{day}, {_year(written)}" if written else day


def _month_first(match: Match) -> str:
    spoken = f"{month(match['month'])} {ordinal(int(match['day']))}"
    if match["last"]:
        spoken += f" to {ordinal(int(match['last']))}"
    return _with_year(spoken, match["year"])


def _two_months(match: Match) -> str:
    first = f"{month(match['month'])} {ordinal(int(match['day']))}"
    return _with_year(f"{first} to {month(match['month2'])} {ordinal(int(match['day2']))}", match["year"])


def _the(match: Match) -> str:
    return "" if re.search(r"\b[Tt]he $", match.string[max(0, match.start() - 4) : match.start()]) else "the "


def _day_first(match: Match) -> str | None:
    written, in_year = match["month"], match["year"] or match["year2"]
    if written in ("may", "march", "mar") and not in_year:
        return None
    spoken = f"{_the(match)}{ordinal(int(match['day']))} of {month(written)}"
    return _with_year(spoken, in_year) if in_year else spoken + stop(match, written)


def _days_of_month(match: Match) -> str:
    spoken = f"{month(match['month'])} {ordinal(int(match['day']))} to {ordinal(int(match['last']))}"
    return _with_year(spoken, match["year"])


def _days_of_months(match: Match) -> str:
    first = f"{_the(match)}{ordinal(int(match['day']))} of {month(match['month'])}"
    return _with_year(f"{first} to the {ordinal(int(match['day2']))} of {month(match['month2'])}", match["year"])


def _in_digits(match: Match) -> str | None:
    """Return a date of three numbers, the month before the day unless that is impossible; None if both are."""
    first, day = int(match["month"]), int(match["day"])
    if first > 12 >= day:  # 31/12/2024 starts with the day
        first, day = day, first
    if not (1 <= first <= 12 and 1 <= day <= 31):
        return None
    time = " " if match.string[match.end() - 1] == "T" else ""
    return f"{MONTHS[first - 1]} {ordinal(day)}, {_year(match['year'])}{time}"


def _month_year(match: Match) -> str:
    return f"{MONTHS[int(match['month']) - 1]} {year(int(match['year']))}"


def _month_alone(match: Match) -> str:
    return month(match[0]) + stop(match, match[0])


def _months(match: Match) -> str:
    spoken = f"{month(match['month'])} to {month(match['month2'])}"
    return f"{spoken} {_year(match['year'])}" if match["year"] else spoken


def _weekday(match: Match) -> str:
    return WEEKDAYS[match[0].lower().rstrip(".")] + stop(match, match[0])


def _weekdays(match: Match) -> str:
    first, last = (WEEKDAYS[match[group].lower().rstrip(".")] for group in ("first", "last"))
    return f"{first} to {last}{stop(match, match['last'])}"


RULES: tuple[Rule, ...] = (
    # a month, then a day
    Rule(
        MONTH_KEYS,
        rf"(?P<month>{MONTH})\s?(?P<day>{DAY}){TH}?{DASH}(?P<month2>{MONTH})\s?(?P<day2>{DAY}){TH}?(?![\d:]){IN_YEAR}?",
        _two_months,
        {"Jan 5 – Feb 10, 2020": "January fifth to February tenth, twenty twenty"},
    ),
    Rule(
        MONTH_KEYS,
        rf"(?P<month>{MONTH})\s(?P<day>{DAY}){TH}?(?:{DASH}(?P<last>{DAY}){TH}?)?(?![\d:/%]|[,.]\d|{TH}){IN_YEAR}?",
        _month_first,
        {
            "May 1, 2024": "May first, twenty twenty four",
            "Jan. 5 and Sept. 2020": "January fifth and September twenty twenty",
            "july 25 2012": "July twenty fifth, twenty twelve",
            "SEPT. 15": "September fifteenth",
            "May 5-7": "May fifth to seventh",
            "the June 3rd–5th event": "the June third to fifth event",
            "Oct 3 '99": "October third, ninety nine",
            "He may 5": "He may five",
            "May 2:30": "May two thirty",
        },
    ),
    Rule(
        ("may", "march", "mar"),
        rf"(?P<month>may|march|mar\.?)\s(?P<day>{DAY})(?P<last>)(?:{TH}{IN_YEAR}?|,?\s(?P<year2>{YEAR}))",
        lambda match: _with_year(
            f"{month(match['month'])} {ordinal(int(match['day']))}", match["year"] or match["year2"]
        ),
        {"on march 3 2021": "on March third, twenty twenty one", "by may 5th": "by May fifth"},
    ),
    Rule(
        ("may", "march", "mar"),
        rf"(?P<month>may|march|mar\.?)\s(?P<day>{DAY})(?P<last>)(?P<year>)(?=\s?$|[.,;:!?)](?!\d))",
        _month_first,
        {"march 5": "March fifth", "on may 5, or so": "on May fifth, or so"},
        after=DATE_BEFORE,
    ),
    Rule(
        MONTH_KEYS,
        rf"(?P<month>{MONTH})-(?P<day>{DAY})(?P<last>)(?![\d-])(?P<year>)",
        _month_first,
        {"Jan-15": "January fifteenth"},
    ),
    # months without a day
    Rule(
        MONTH_KEYS,
        rf"(?P<month>{MONTH})(?:{DASH}|\s?/\s?)(?P<month2>{MONTH})(?:,?\s(?P<year>{YEAR}|'\d\d))?",
        _months,
        {"Jan-Mar 2024": "January to March twenty twenty four", "from Nov – Feb": "from November to February"},
    ),
    Rule(
        MONTH_KEYS,
        rf"(?P<month>{MONTH})\s(?P<year>{YEAR}){DASH}(?P<month2>{MONTH})\s(?P<year2>{YEAR})",
        lambda match: (
            f"{month(match['month'])} {_year(match['year'])} to {month(match['month2'])} {_year(match['year2'])}"
        ),
        {"Dec 2019 – Jan 2020": "December twenty nineteen to January twenty twenty"},
    ),
    Rule(
        MONTH_KEYS,
        rf"(?P<month>{MONTH})(?:,?\s|-)(?P<year>{YEAR}|'\d\d(?!\d))(?!-\d)",
        lambda match: f"{month(match['month'])} {_year(match['year'])}",
        {
            "Oct 2023": "October twenty twenty three",
            "july 1876": "July eighteen seventy six",
            "Nov '22": "November twenty two",
        },
    ),
    Rule(
        tuple(key for key in MONTH_KEYS if len(key) == 3 or key == "sept"),
        r"(?:(?!May)[A-Z][a-z]{2}|Sept|[A-Z]{3}|SEPT|jan|feb|apr|aug|sept|oct|nov|dec)\.(?!\w)",
        _month_alone,
        {
            "in Feb. it snows": "in February it snows",
            "It snows in Dec. Then it thaws.": "It snows in December. Then it thaws.",
        },
    ),
    Rule(
        ("jan", "feb", "apr", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
        r"(?:Jan|Feb|Apr|Jul|Aug|Sept?|Oct|Nov|Dec)\b",
        _month_alone,
        {"since Oct and in early-Feb": "since October and in early February", "Jan said": "Jan said"},
        after=r"\b(?i:in|since|until|till|by|of|last|next|from|to|and|early|late|mid)[ -]",
    ),
    # a day, then a month
    Rule(
        number_then(" a"),
        rf"(?P<day>{DAY}){TH}?\s(?P<month>{MONTH}){DASH}(?P<day2>{DAY}){TH}?\s(?P<month2>{MONTH}){IN_YEAR}?",
        _days_of_months,
        {"1 Jan – 31 Mar 2020": "the first of January to the thirty first of March, twenty twenty"},
    ),
    Rule(
        number_then("-– a"),
        rf"(?P<day>{DAY}){TH}?{DASH}(?P<last>{DAY}){TH}?\s(?:of\s)?(?P<month>{MONTH}){IN_YEAR}?(?![a-z])",
        _days_of_month,
        {"5–7 May 2020": "May fifth to seventh, twenty twenty", "12th-14th June": "June twelfth to fourteenth"},
    ),
    Rule(
        number_then(" a"),
        rf"(?P<day>{DAY}){TH}?\s(?:of\s)?(?P<month>may|march|mar)(?P<year>)(?P<year2>)(?=\s?$|[.,;:!?)](?!\d))",
        lambda match: f"{_the(match)}{ordinal(int(match['day']))} of {month(match['month'])}",
        {"15 march": "the fifteenth of March", "by 3 may, and 3 may go": "by the third of May, and three may go"},
        after=DATE_BEFORE,
    ),
    Rule(
        number_then(" a-/"),
        rf"(?P<day>{DAY})(?:{TH}?(?:\s(?:of\s)?|-)|/)(?P<month>{ANY_MONTH})"
        rf"(?:,?\s(?P<year>{YEAR}|'\d\d\b)|[-/](?P<year2>{YEAR}|\d\d\b))?"
        r"(?![a-z]|['-]\w|\s[A-Z][a-z]+\s(?:St|Ave|Rd)\b)",
        _day_first,
        {
            "5 May 2024": "the fifth of May, twenty twenty four",
            "the 21st of May": "the twenty first of May",
            "25 july 2012": "the twenty fifth of July, twenty twelve",
            "on 25 sept. it rained": "on the twenty fifth of September it rained",
            "15-Jan-2020": "the fifteenth of January, twenty twenty",
            "On 25 Sept. It rained.": "On the twenty fifth of September. It rained.",
            "5 may 2020, when 5 may go": "the fifth of May, twenty twenty, when five may go",
        },
    ),
    # dates of three numbers
    Rule(
        number_then("-/."),
        r"(?P<year>[12]\d{3})(?P<dash>[-/.])(?P<month>\d{1,2})(?P=dash)(?P<day>\d{1,2})(?:(?![\d/.-]\d|\d)T?)",
        _in_digits,
        {
            "2024-05-01": "May first, twenty twenty four",
            "On 2024/10/01 we met.": "On October first, twenty twenty four we met.",
            "1998/2/30": "February thirtieth, nineteen ninety eight",
            "2024-05-01T15:30": "May first, twenty twenty four fifteen thirty",
        },
    ),
    Rule(
        number_then("-/."),
        r"(?P<month>\d{1,2})(?P<dash>[-/.])(?P<day>\d{1,2})(?P=dash)(?P<year>[12]\d{3})(?![\w/-]|\.\d)",
        _in_digits,
        {
            "on 5/1/2024.": "on May first, twenty twenty four.",
            "31/12/1999": "December thirty first, nineteen ninety nine",
            "31.12.2024": "December thirty first, twenty twenty four",
            "01-07-1998": "January seventh, nineteen ninety eight",
        },
    ),
    Rule(
        number_then("/"),
        r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d\d)(?![\w/-])",
        _in_digits,
        {"01/07/98": "January seventh, ninety eight", "on 12/25/05": "on December twenty fifth, oh five"},
    ),
    Rule(
        number_then("-/"),
        r"(?P<year>(?:19|20)\d\d)[-/](?P<month>0[1-9]|1[0-2])(?![\w/-]|\.\d)",
        _month_year,
        {"in 2024-05": "in May twenty twenty four", "2009-10": "two thousand nine to ten"},
    ),
    Rule(
        number_then("/"),
        r"(?P<month>0[1-9]|1[0-2])/(?P<year>(?:19|20)\d\d)(?![\w/-])",
        _month_year,
        {"by 05/2024": "by May twenty twenty four"},
    ),
    Rule(
        ("on", "until", "since", "by", "due"),
        r"(?P<before>[A-Za-z]+ )(?!9/11)(?P<month>0?[1-9]|1[0-2])/(?P<day>0?[1-9]|[12]\d|3[01])"
        r"(?![\w/%-]|\.\d| (?:of|cups?|inch))",
        lambda match: f"{match['before']}{MONTHS[int(match['month']) - 1]} {ordinal(int(match['day']))}",
        {"due on 3/4 at noon": "due on March fourth at noon", "on 9/11": "on nine eleven"},
    ),
    Rule(
        number_then("/"),
        r"(?P<month>0?[1-9]|1[0-2])/(?P<day>0?[1-9]|[12]\d|3[01])(?![\w/%-]|\.\d)",
        lambda match: f"{MONTHS[int(match['month']) - 1]} {ordinal(int(match['day']))}",
        {"Thursday, 11/23": "Thursday, November twenty third", "Mon 5/6": "Monday May sixth"},
        after=rf"\b{WEEKDAY},?\s",
    ),
    Rule(
        number_then("/"),
        r"(?P<month>9|7)/11\b",
        lambda match: f"{cardinal(int(match['month']))} eleven",
        {"after 9/11": "after nine eleven"},
    ),
    # weekdays
    Rule(
        WEEKDAYS,
        rf"(?P<first>{WEEKDAY})(?:{DASH}|\s(?:to|thru|through)\s)(?P<last>{WEEKDAY})",
        _weekdays,
        {
            "Mon-Fri: 9am to 6pm": "Monday to Friday: nine ay m to six p m",
            "open Tues – Sat.": "open Tuesday to Saturday.",
        },
    ),
    Rule(
        WEEKDAYS,
        rf"(?P<first>{WEEKDAY})\s?/\s?(?P<last>{WEEKDAY})",
        lambda match: f"{WEEKDAYS[match['first'].lower()]}, {WEEKDAYS[match['last'].lower()]}",
        {"Sat/Sun": "Saturday, Sunday"},
    ),
    Rule(
        WEEKDAYS,
        rf"{WEEKDAY}{WEEKDAY_FOLLOWS}|(?:Tues?|Weds|Thur?s?|Fri)\b\.?|(?:Mon|Wed|Sat|Sun)\.(?= [a-z])",
        _weekday,
        {
            "Sat: 10am to 4pm": "Saturday: ten ay m to four p m",
            "Mon, Wed & Fri": "Monday, Wednesday and Friday",
            "on Thurs at noon": "on Thursday at noon",
            "Sun 5 May": "Sunday the fifth of May",
            "Sat down. The Sun set.": "Sat down. The Sun set.",
        },
    ),
    Rule(
        WEEKDAYS,
        WEEKDAY,
        _weekday,
        {"See you on Wed and every Sat": "See you on Wednesday and every Saturday"},
        after=rf"\b(?:(?i:on|every|each|next|last|this|until|by)|{WEEKDAY}(?:,| and| or| &))\s",
    ),
)
