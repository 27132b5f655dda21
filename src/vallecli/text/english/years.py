"""Rules for years, ranges of years and decades."""

from __future__ import annotations

from vallecli.text.english.numbers import FIRST_YEAR, LAST_YEAR, cardinal, pairs, plural, short_year, year
from vallecli.text.english.rules import NUMBER, Match, Rule, any_of, number_then

DECADE_NOUNS = (
    "music|style|fashion|kid|kids|film|films|movie|movies|era|hit|hits|rock|pop|vibe|vibes|nostalgia|baby|child|band|"
    "bands|tv|show|shows|song|songs|look|hair|disco|retro|cartoon|cartoons"
)


def _years(match: Match) -> str | None:
    first, last = match["first"], match["last"]
    if len(last) == 2 and int(last) <= int(first[2:]):
        return None
    between = " " if match["between"] == "/" else " to "
    return f"{year(int(first))}{between}{cardinal(int(last)) if len(last) == 2 else year(int(last))}"


def _decade(match: Match) -> str:
    digits = match["decade"]
    return plural(cardinal(int(digits)) if len(digits) == 2 else year(int(digits)))


def _calendar_year(match: Match) -> str | None:
    return year(int(match[0])) if FIRST_YEAR <= int(match[0]) <= LAST_YEAR else None


RULES: tuple[Rule, ...] = (
    Rule(
        number_then("-–/ "),
        r"(?P<first>(?:1[1-9]|20)\d\d)(?P<between>\s?[-–]\s?|/)(?P<last>(?:1[1-9]|20)\d\d|\d\d)(?![\w%-]|[.,/]\d)",
        _years,
        {
            "1914-1918": "nineteen fourteen to nineteen eighteen",
            "1914–18": "nineteen fourteen to eighteen",
            "the 2023/24 season": "the twenty twenty three twenty four season",
            "2010 - 2015": "twenty ten to twenty fifteen",
        },
    ),
    Rule(
        NUMBER,
        r"10[1-9]\d(?![\w,%/-]|\.\d)",
        lambda match: pairs(match[0]),
        {"in 1066": "in ten sixty six"},
        after=r"\b(?:[Ii]n|[Ss]ince|[Yy]ear|AD|[Ff]rom|[Bb]y|[Uu]ntil|[Bb]efore|[Aa]fter|[Aa]round|of)\s",
    ),
    Rule(
        number_then(" a"),
        rf"[12]\d{{3}}(?= ?{any_of(('BC', 'BCE', 'AD', 'CE', 'B.C', 'A.D', 'bc', 'ad'))}\b)",
        _calendar_year,
        {"1200 BC and AD 79": "twelve hundred B C and ay D seventy nine"},
    ),
    # decades
    Rule(
        number_then("a'"),
        r"(?P<decade>[12]\d\d0|[2-9]0)'?s-(?P<last>[12]\d\d0|[2-9]0)'?s\b",
        lambda match: " to ".join(plural(year(int(match[group]))) for group in ("decade", "last")),
        {"1960s-1980s": "nineteen sixties to nineteen eighties"},
    ),
    Rule(
        number_then("a'"),
        r"(?P<decade>[12]\d\d0)'?[sS]\b",
        _decade,
        {
            "the 1980s and the 90s": "the nineteen eighties and the nineties",
            "mid-1980s": "mid nineteen eighties",
            "the 1910's": "the nineteen tens",
            "in the 2000s": "in the two thousands",
        },
    ),
    Rule(
        number_then("a'"),
        r"(?P<decade>[2-9]0)'?s\b",
        _decade,
        {
            "the roaring 20s": "the roaring twenties",
            "the 80's": "the eighties",
            "her mid-20s": "her mid twenties",
            "in 90s": "in ninety seconds",
            "the last 30s": "the last thirty seconds",
            "in their early 50s": "in their early fifties",
            "temperatures in the low 60s": "temperatures in the low sixties",
        },
        after=r"\b(?i:(?:the|his|her|our|my|your|their)(?: (?!last|first|next|final|full|other|past)[a-z]+)?"
        r"|early|late|mid|low|high|upper)[ -]",
    ),
    Rule(
        "-–",
        r"[-–]\s?(?=(?:1[1-9]|20)\d\d(?![\d%]))",
        "to ",
        {"(24 June 1465 - 1533)": "the twenty fourth of June, fourteen sixty five to fifteen thirty three"},
        after=r"(?:1[1-9]|20)\d\d\s",
    ),
    Rule(
        number_then("a'"),
        rf"(?P<decade>[2-9]0)'?s(?=[ -](?:{DECADE_NOUNS})\b)",
        _decade,
        {"some 80s music": "some eighties music"},
    ),
    Rule(
        "'",
        r"'(?P<decade>[2-9]0)'?s\b",
        _decade,
        {"music of the '60s": "music of the sixties", "'80s": "eighties"},
    ),
    Rule(
        "'",
        r"'(?P<year>\d\d)(?![\w'])",
        lambda match: short_year(match["year"]),
        {"the class of '99": "the class of ninety nine", "summer '05": "summer oh five"},
        after=r"(?:^|[^\w'])",
    ),
)
