"""Rules for plain numbers: fractions, ordinals, ranges, arithmetic, powers, comparisons, versions, lists."""

from __future__ import annotations

import re

from vallecli.text.english.numbers import (
    AMOUNT,
    DASH,
    cardinal,
    fraction,
    number,
    ordinal,
    quantity,
    suffix,
)
from vallecli.text.english.rules import NUMBER, Match, Rule, number_then

TH = r"(?:st|nd|rd|th|ST|ND|RD|TH)"
LETTERS_OF_SUFFIX = {"st": "S T", "nd": "N D", "rd": "R D", "th": "T H"}
MAX_TERMS = 10


def _ordinal(match: Match) -> str:
    """Return an ordinal; if the suffix is not that of the number, the number and the letters."""
    value = int(match["number"].replace(",", ""))
    written = match["suffix"].lower()
    return ordinal(value) if written == suffix(value) else f"{cardinal(value)} {LETTERS_OF_SUFFIX[written]}"


def _range(match: Match) -> str:
    """Return "ten to twenty"; but "nine hundred seventy eight, zero" for 978-0."""
    low, high = match["low"], match["high"]
    between = " to "
    if len(low) > 2 and len(low) > len(high) and float(low.replace(",", "")) > float(high.replace(",", "")):
        between = ", "
    percent = " percent" if match["percent"] else ""
    return f"{quantity(low)}{percent}{between}{quantity(high)}"


def _groups(match: Match) -> str:
    return " ".join(number(group) for group in match[0].split("-"))


def _fraction(match: Match) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    if top > 99 and bottom > 99:
        return f"{cardinal(top)} over {cardinal(bottom)}"
    return fraction(match["whole"], top, bottom) + (" to " if match["dash"] else "")


def _rating(match: Match) -> str:
    return f"{number(match['top'])} out of {number(match['bottom'])}"


def _power(match: Match) -> str:
    """Return "squared", "cubed" or "to the power of minus six"."""
    exponent = match["exponent"].strip("{}()")
    named = {"2": "squared", "3": "cubed"}.get(exponent)
    if named:
        return f" {named}"
    spoken = number(exponent) if exponent[-1].isdigit() else exponent.replace("-", "minus ")
    return f" to the power of {spoken}"


def _scientific(match: Match) -> str:
    exponent = match["exponent"].lstrip("+")
    return f"{number(match['number'])} times ten to the power of {number(exponent)}"


def _dotted(match: Match) -> str:
    """Return a version ("two point zero point one"), or a number with dots between thousands."""
    parts = match[0].split(".")
    if len(parts) > 2 and all(len(part) == 3 for part in parts[1:]) and len(parts[0]) < 4 and parts[0] != "0":
        return number("".join(parts))
    return number(match[0])


COMPARISONS = {
    **{"<=": "is less than or equal to", ">=": "is greater than or equal to", "!=": "is not equal to", "==": "equals"},
    **{"<": "is less than", ">": "is greater than", "=<": "is less than or equal to", "<>": "is not equal to"},
    **{"≤": "is less than or equal to", "≥": "is greater than or equal to", "=": "equals", "===": "equals"},
    **{"=>": ",", "->": ",", "<-": ",", "-->": ",", ":=": "is", "+=": "plus equals", "-=": "minus equals"},
    **{"<<": ",", ">>": ",", ">>>": ","},
}


def _less(match: Match) -> str:
    return f" {COMPARISONS[match['sign']].removeprefix('is ').strip()} "


RULES: tuple[Rule, ...] = (
    # lists: "1. Mix. 2. Bake."
    Rule(
        number_then(".)"),
        r"(?P<number>\d{1,2})[.)]\s(?=[A-Z])",
        lambda match: f"{cardinal(int(match['number'])).capitalize()}, ",
        {"1. Mix. 2. Bake. 3. Eat.": "One, Mix. Two, Bake. Three, Eat.", "It was 5. He left.": "It was five. He left."},
        after=r"(?:^|[.!?:;]\s)\(?",
    ),
    # fractions
    Rule(
        number_then("/"),
        r"(?P<beats>[2-9]|12)/(?P<unit>[248])(?=\s(?:time|meter|beat|rhythm|signature)\b)",
        lambda match: f"{cardinal(int(match['beats']))} {cardinal(int(match['unit']))}",
        {"in 3/4 time": "in three four time"},
    ),
    Rule(
        number_then("/"),
        r"(?P<top>\d{1,3})/(?P<bottom>10|100)(?= (?:scores?|ratings?)\b)",
        _rating,
        {"an 83/100 score": "an eighty three out of one hundred score"},
    ),
    Rule(
        number_then("/"),
        r"(?P<top>\d{1,3})/(?P<bottom>5|10|20|100)(?![\w/%]|[,.]\d)",
        _rating,
        {"a score of 76/100": "a score of seventy six out of one hundred", "he got 8/10": "he got eight out of ten"},
        after=r"\b(?:scores?|scored|rating|rated|got|received)(?: (?:of|it|a|an|as)){0,2} ",
    ),
    Rule(
        number_then("/-"),
        r"(?P<even>50|20)[/-](?P=even)(?![\w/-])",
        lambda match: " ".join([cardinal(int(match["even"]))] * 2),
        {"a 50/50 chance": "a fifty fifty chance"},
    ),
    Rule(
        number_then("./"),
        r"(?P<top>\d{1,2}\.\d)\s?/\s?(?P<bottom>5|10|100)(?![\w/%]|[,.]\d)|(?P<number>10)/10(?![\w/])",
        lambda match: _rating(match) if match["top"] else "ten out of ten",
        {"4.5/5 stars": "four point five out of five stars"},
    ),
    Rule(
        number_then(" /-"),
        r"(?:(?P<whole>\d{1,4})(?:\s|-(?=\d{1,2}/(?:2|3|4|8|16|32)(?!\d))))?(?P<top>\d{1,3})/(?P<bottom>\d{1,4})"
        r"(?:th|TH|rd|RD|nd|ths|rds)?(?![\w/]|\.\d)(?P<dash>\s?[-–]\s?(?=\d))?",
        _fraction,
        {
            "half is 1/2, not 3/4": "half is one half, not three quarters",
            "2 1/2 cups and 5½ more": "two and a half cups and five and a half more",
            "1/4th": "one quarter",
            "3 5/2": "three and five halves",
            "31/32": "thirty one thirty seconds",
            "1 1/2-2 and 2-3/4 cups": "one and a half to two and two and three quarters cups",
        },
    ),
    # ordinals
    Rule(
        number_then("a"),
        rf"(?P<low>\d{{1,3}}){TH}{DASH}(?P<high>\d{{1,3}}){TH}\b",
        lambda match: f"{ordinal(int(match['low']))} to {ordinal(int(match['high']))}",
        {"the 19th-20th century": "the nineteenth to twentieth century"},
    ),
    Rule(
        number_then("a,"),
        rf"(?P<number>\d{{1,3}}(?:,\d{{3}}){{1,4}}|\d{{1,15}})(?P<suffix>{TH})\b",
        _ordinal,
        {
            "the 21st, 2nd and 1,000th": "the twenty first, second and one thousandth",
            "0th": "zeroth",
            "4rd": "four R D",
            "the 1ˢᵗ": "the first",
        },
    ),
    # powers
    Rule(
        number_then("a."),
        r"(?P<number>\d{1,15}(?:\.\d{1,15})?)[eE](?P<exponent>[+-]?\d{1,3})(?!\w|\.\d)",
        _scientific,
        {"1.5e-3": "one point five times ten to the power of minus three"},
    ),
    Rule(
        "^",
        r"\^\s?(?P<exponent>-?\d{1,9}|[a-z](?!\w)|\{[\w-]{1,9}\}|\([\w-]{1,9}\))",
        _power,
        {
            "2^10": "two to the power of ten",
            "x^2 + y^n": "x squared plus y to the power of n",
            "10⁻⁶ and 2⁴": "ten to the power of minus six and two to the power of four",
        },
    ),
    # several groups: "4-4-2"
    Rule(
        number_then("-"),
        rf"\d{{1,3}}(?:-\d{{1,3}}){{2,{MAX_TERMS}}}(?![\w-])",
        _groups,
        {"a 4-4-2 formation": "a four four two formation", "9-1-1": "nine one one"},
    ),
    # ranges and arithmetic
    Rule(
        number_then("-– %.,"),
        rf"(?P<low>{AMOUNT})(?P<percent>%?)(?P<dash>{DASH})(?P<high>{AMOUNT})(?!\s?=|-\d|\w)(?!\s-\s\d)",
        _range,
        {
            "10-20 people": "ten to twenty people",
            "pages 3–5": "pages three to five",
            "3—5": "three to five",
            "a 5-3 win": "a five to three win",
            "978-0": "nine hundred seventy eight, zero",
            "5 - 3 = 2": "five minus three equals two",
        },
    ),
    Rule(
        "-−",
        r"[-−]\s?(?=[\d.])",
        " minus ",
        {"7 - 4 - 2 = 1": "seven minus four minus two equals one"},
        after=r"\d\s",
    ),
    Rule(
        "*×x",
        r"[*×xX]\s?(?=\d)",
        " times ",
        {"3 x 4 and 5*6": "three times four and five times six", "6 × 7 = 42": "six times seven equals forty two"},
        after=r"(?:\d|[\d)]\s)",
    ),
    Rule(
        "/",
        r"/\s(?=\d)",
        " divided by ",
        {"6 / 2": "six divided by two"},
        after=r"\d\s",
    ),
    Rule(
        "-−",
        r"[-−](?=\.?\d)",
        "minus ",
        {"It is -5 outside.": "It is minus five outside.", "at −3.5": "at minus three point five"},
        after=r"(?:^|[^\w)])",
    ),
    Rule(
        ":",
        r":(?=\d)",
        lambda match: (
            ", " if re.search(r"\d{3}\Z", match.string[max(0, match.start() - 3) : match.start()]) else " to "
        ),
        {"odds of 3:1": "odds of three to one", "ISO 9001:2015": "I S O nine thousand one, twenty fifteen"},
        after=r"\d",
    ),
    Rule(
        "~≈",
        r"[~≈]\s?(?=[$£€]?\.?\d)",
        "about ",
        {"~5 km and ≈ 6": "about five kilometers and about six"},
        after=r"(?:^|[^\w\s]|\b[a-z]+ )",
    ),
    # comparisons
    Rule(
        "<>",
        r"(?P<sign>[<>]=?)\s?(?=[$£€]?\.?\d)",
        _less,
        {"takes <5 minutes": "takes less than five minutes", ">=18 only": "greater than or equal to eighteen only"},
        after=r"(?:^|\b(?:[a-z]{2,} |[a-z]{2,}:? ?)|[(,:]\s?)",
    ),
    Rule(
        "<>!=≤≥-:+",
        r"(?P<sign>===|<=|>=|=<|==|!=|<>|=>|-->|->|<-(?!\d)|:=|\+=|-=|>>>?|<<|[<>≤≥=])\s?",
        lambda match: f" {COMPARISONS[match['sign']]} ",
        {
            "a <= b": "ay is less than or equal to b",
            "x² and 5 < 6": "x squared and five is less than six",
            "if x != y": "if x is not equal to y",
            "x >= 10": "x is greater than or equal to ten",
            "File -> Open": "File, Open",
        },
    ),
    # all other numbers
    Rule(
        number_then("."),
        r"\d+(?:\.\d+){2,}",
        _dotted,
        {
            "version 2.0.1": "version two point zero point one",
            "1.234.567": "one million two hundred thirty four thousand five hundred sixty seven",
        },
    ),
    Rule(
        number_then("+.,"),
        rf"(?P<number>{AMOUNT})(?P<sign>\+)(?=\s|$|[,.;)]|-)",
        lambda match: f"{quantity(match['number'])} plus",
        {"18+ only": "eighteen plus only"},
    ),
    Rule(
        number_then(" "),
        r"\d{1,3}(?: \d{3}){2,5}(?! ?\d|[.,]\d)",
        lambda match: number(match[0].replace(" ", "")),
        {"1 000 000 people": "one million people"},
    ),
    Rule(
        NUMBER,
        AMOUNT,
        lambda match: quantity(match[0]),
        {
            "I have 5 cats.": "I have five cats.",
            "1,234,567 people": "one million two hundred thirty four thousand five hundred sixty seven people",
            "Pi is 3.14159.": "Pi is three point one four one five nine.",
            "agent 007": "agent zero zero seven",
            "in 1905, 2005 and 2024": "in nineteen oh five, two thousand five and twenty twenty four",
            "२०": "twenty",
            "1,00,000": "one hundred thousand",
            "1,2,3": "one, two, three",
        },
    ),
    Rule(
        ".",
        r"\.\d+",
        lambda match: number(match[0]),
        {"it fell by .5": "it fell by point five"},
        after=r"(?:^|[^\w.])",
    ),
)
