"""Rules for Roman numerals behind chapters, kings, parts, centuries, and in names such as "Rocky III"."""

from __future__ import annotations

import re

from vallecli.text.english.numbers import cardinal, ordinal, quantity
from vallecli.text.english.rules import CAPITALS, INITIAL, SENTENCE_OPENERS, Match, Rule, any_of

NUMERAL = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
SMALL = r"(?:X{0,3}(?:IX|IV|V?I{0,3}))"  # up to 39: longer ones are rather acronyms
ROMANS = tuple(
    (tens + ones).lower()
    for tens in ("", "X", "XX", "XXX", "XL", "L", "LX")
    for ones in ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
    if tens + ones
)
# Names that number their bearers: "Elizabeth II" is "the second".
RULERS = (
    "Adrian|Albert|Alexander|Alfonso|Alfred|Andrew|Anne|Anthony|Arthur|Artaxerxes|Augustus|Baldwin|Benedict|Boniface|"
    "Carl|Catherine|Charles|Christian|Clement|Constantine|Darius|David|Edgar|Edmund|Edward|Elizabeth|Eric|Ernest|"
    "Felipe|Ferdinand|Francis|Franz|Frederick|Friedrich|George|Gregory|Gustav|Harald|Harold|Henri|Henry|Honorius|"
    "Innocent|Ivan|James|Jean|Joan|John|John Paul|Joseph|Juan|Juan Carlos|Julius|Justin|Justinian|Karl|Kenneth|"
    "Leo|Leopold|Louis|Ludwig|Malcolm|Manuel|Margaret|Maria|Marie|Mary|Matthew|Maximilian|Michael|Mohammed|Mehmed|"
    "Murad|Napoleon|Nicholas|Olaf|Otto|Paul|Pedro|Peter|Philip|Philippe|Pius|Ptolemy|Ramesses|Ramses|Richard|Robert|"
    "Rudolf|Rudolph|Sam|Samuel|Selim|Sigismund|Sixtus|Stephen|Theodore|Theodosius|Thomas|Thutmose|Umberto|Urban|Victor|"
    "Victor Emmanuel|Vittorio|Walter|Wilhelm|William|Xerxes"
)
SURE = "Elizabeth|Henry|Louis|George|Edward|Richard|Charles|James|William|Philip|Pius|Napoleon|Nicholas|Wilhelm|Francis"
CROWNS = "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Prince|Duke|Sultan|Pharaoh|Saint|St|Shah|Popes|Kings"
NOUNS = (
    *("chapter", "part", "act", "scene", "volume", "vol", "ch", "book", "section", "war", "article", "type", "phase"),
    *("class",),
    *("level", "stage", "title", "season", "episode", "figure", "table", "appendix", "bowl", "apollo", "grade", "unit"),
    *("lesson", "round", "tier", "mark", "canto", "sonnet", "psalm", "verse", "schedule", "annex", "category"),
    *("division",),
    *("group", "factor", "region", "zone", "plate", "exhibit", "item", "amendment", "vatican", "page", "pages"),
    *("parts",),
    *("chapters", "acts", "stanza", "movement", "symphony", "sonata", "opus", "line", "section", "sections", "vols"),
)
LONG = ("chapter", "psalm", "canto", "sonnet", "bowl", "page", "pages", "chapters")  # can have 50 or more of them
# "V" behind the name of a series of games or films
SERIES = "Grand Theft Auto|GTA|Civilization|Street Fighter|Final Fantasy|Saw|Resident Evil|Elder Scrolls|Space Quest"
SHORT_NOUNS = {"Vol": "Volume", "vol": "volume", "Vols": "Volumes", "vols": "volumes", "Ch": "Chapter", "ch": "chapter"}
# What can follow "type I", so that I is no pronoun.
AFTER_ONE = re.compile(r"[.,:;)?!]|\s?$|\s(?:of|errors?|diabetes|trials?|clinical|stud(?:y|ies)|and II|or II)\b")


def value(text: str) -> int | None:
    """Return the value of a Roman numeral in any case, None for other letters."""
    letters = text.upper()
    if not letters or not NUMERAL.fullmatch(letters):
        return None
    values = [VALUES[letter] for letter in letters]
    return sum(-one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True))


def _numbered(match: Match) -> str | None:
    """Return a noun and its number; a single letter other than I, V and X is a letter, except behind long works."""
    noun, roman = match["noun"], match["roman"]
    last = noun.lower().split()[-1]
    if len(roman) == 1 and roman.upper() not in ("IVXLC" if last in LONG else "IVX"):
        return None
    number = value(roman)
    if number is None or (noun.islower() and roman == "I" and not AFTER_ONE.match(match.string, match.end())):
        return None  # "the part I played"
    noun = noun.capitalize() if noun.isupper() else noun
    noun = SHORT_NOUNS.get(noun, noun)
    through = value(match["last"]) if match["last"] else None
    return f"{noun} {cardinal(number)}" + (f" to {cardinal(through)}" if through else "")


def _ruler(match: Match) -> str | None:
    number = value(match["roman"])
    return f"the {ordinal(number)}" if number else None


def _named(match: Match) -> str | None:
    number = value(match["roman"])
    return cardinal(number) if number else None


def _century(match: Match) -> str | None:
    number = value(match["roman"])
    return ordinal(number) if number else None


def _year(match: Match) -> str | None:
    number = value(match[0])
    return quantity(str(number)) if number else None


def _pages(match: Match) -> str | None:
    first, last = value(match["roman"]), value(match["last"] or "")
    if not first:
        return None
    return f"{'pages' if last else 'page'} {cardinal(first)}" + (f" to {cardinal(last)}" if last else "")


RULES: tuple[Rule, ...] = (
    Rule(
        NOUNS,
        rf"(?P<noun>(?i:{any_of(NOUNS)}))\.?\s"
        r"(?P<roman>[IVXLC]{1,8}|[ivxlc]{2,8}|[ivxlc]{1,8}(?=[-–][ivxlc])|[vx](?=[.,;:]|\s?$))\b"
        r"(?:\s?[-–]\s?(?P<last>[IVXLC]{1,8}|[ivxlc]{1,8})\b)?(?!['\w]|\.\w|\+|#)",
        _numbered,
        {
            "Chapter IV": "Chapter four",
            "CHAPTER I": "Chapter one",
            "PART XL": "Part forty",
            "chapter iv of Act II, scene iii": "chapter four of Act two, scene three",
            "World War II": "World War two",
            "Table C and Appendix C": "Table C and Appendix C",
            "Super Bowl LVIII": "Super Bowl fifty eight",
            "Parts I-III": "Parts one to three",
            "Vol. II": "Volume two",
            "a Class C license": "a Class C license",
            "the part I played": "the part I played",
            "a type I error": "a type one error",
        },
    ),
    Rule(
        ROMANS,
        r"(?P<roman>[IVXLC]{2,8})\b(?!['’]?\w(?<!'s))",
        _ruler,
        {
            "Henry VIII": "Henry the eighth",
            "Queen Elizabeth II's reign": "Queen Elizabeth the second's reign",
            "Louis XIV and Charles V": "Louis the fourteenth and Charles the fifth",
            "Pope John Paul II": "Pope John Paul the second",
        },
        after=rf"\b(?:(?i:{RULERS})|(?:{CROWNS}) [A-Z][a-z]+(?: [A-Z][a-z]+)?)\s",
    ),
    Rule(
        ROMANS,
        r"(?P<roman>[VX])\b(?!\.?\s?[A-Z]\.)(?!['’]?\w(?<!'s))",
        _ruler,
        {"Charles V": "Charles the fifth", "Malcolm X": "Malcolm X"},
        after=rf"\b(?:(?i:{SURE}|Leo|John|Alfonso|Gustav|Paul)|(?:{CROWNS}) [A-Z][a-z]+)\s",
    ),
    Rule(
        ROMANS,
        r"(?P<roman>I{2,3}|IV|VI{0,1})\b(?!['.]\w|-\w)",
        _ruler,
        {"John Smith III": "John Smith the third"},
        after=rf"\b(?:{RULERS}) [A-Z][a-z]+\s",
    ),
    Rule(
        "i",
        r"(?P<roman>I)(?=(?:'s)?(?: of\b|[,;:)]|\s?$|\.\s?$)|'s\b)",
        _ruler,
        {"Elizabeth I of England": "Elizabeth the first of England", "when Henry I think": "when Henry I think"},
        after=rf"\b(?:{SURE})\s",
    ),
    Rule(
        "i",
        r"(?P<roman>I)(?=(?:'s)?(?: (?:was|and|of|died|reigned|ruled|had|became|is)\b|[,;:)]|\s?$|\.))",
        _ruler,
        {"King Charles I was tried": "King Charles the first was tried"},
        after=rf"\b(?:{CROWNS}) [A-Z][a-z]+\s",
    ),
    Rule(
        ROMANS,
        r"(?P<roman>[IVX]{1,6})(?:th)?(?=\s(?:[Cc]entury|[Cc]enturies|Olympiad|Congress|Corps)\b)",
        _century,
        {"the XIX century": "the nineteenth century"},
    ),
    Rule(
        ROMANS,
        rf"(?P<roman>(?=[IVX]{{2}}){SMALL}|[VX])\b(?!['.]\w|-)",
        _named,
        {"Grand Theft Auto V": "Grand Theft Auto five"},
        after=rf"\b(?:{SERIES})\s",
    ),
    Rule(
        ROMANS,
        rf"(?P<roman>(?=[IVX]{{2}}){SMALL})\b(?!['.]\w|-\w)",
        _named,
        {"Rocky III": "Rocky three", "an IV drip": "an I V drip", "The IV was out": "The I V was out"},
        after=rf"(?:^|[^\w.])(?!(?:{SENTENCE_OPENERS})\s)[A-Z][a-z]+\s",
    ),
    Rule(
        ROMANS,
        r"(?P<roman>[IVX]{2,5})[.)](?=\s[A-Z])",
        lambda match: f"{cardinal(value(match['roman']) or 0)},",
        {"II. Methods": "two, Methods"},
        after=r"^",
    ),
    Rule(
        "(",
        r"\((?P<roman>i{1,3}|iv|vi{1,3}|ix)\)",
        lambda match: f", {cardinal(value(match['roman']) or 0)}, ",
        {"both (i) and (ii)": "both, one, and, two"},
        after=r"(?:^|\s)",
    ),
    Rule(
        ("p", "pp"),
        r"(?P<noun>pp?)\.\s?(?P<roman>[ivxl]{1,7})(?:[-–](?P<last>[ivxl]{1,7}))?\b",
        _pages,
        {"pp. ix–xii": "pages nine to twelve", "p. xii": "page twelve"},
    ),
    Rule(
        ROMANS,
        r"(?P<roman>I{2,3}|VI{2,3}|XI{2,3}|XIV|XVI{0,3}|XIX|XXI{1,3})\b(?!['.]\w|-\w)",
        _named,
        {"MK II": "M K two"},
    ),
    Rule(
        "(",
        r"\((?P<roman>I{1,3}|IV|VI{0,2})\)",
        lambda match: f" {cardinal(value(match['roman']) or 0)}",
        {"iron(III) oxide": "iron three oxide"},
        after=r"[a-z]",
    ),
    Rule(
        CAPITALS,
        r"M{1,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[A-Z]{4})\b",
        _year,
        {"MCMXCIX": "nineteen ninety nine", "in MMXXIV": "in twenty twenty four"},
    ),
    Rule(
        CAPITALS + INITIAL,
        r"WW(?P<roman>I{1,2})\b",
        lambda match: f"World War {cardinal(len(match['roman']))}",
        {"after WWII": "after World War two"},
    ),
    Rule(
        ("ww",),
        r"WW(?P<number>[12])\b",
        lambda match: f"World War {cardinal(int(match['number']))}",
        {"WW2": "World War two"},
    ),
)
