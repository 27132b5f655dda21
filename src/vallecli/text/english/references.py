"""Rules for references and notations: Bible verses, paragraphs, chemical formulas, C# and F#, 401(k)."""

from __future__ import annotations

import re

from vallecli.text.english.letters import spell
from vallecli.text.english.numbers import cardinal
from vallecli.text.english.rules import (
    ADDRESS,
    CAMEL,
    CAPITALS,
    CODE,
    INITIAL,
    NUMBER,
    Match,
    Rule,
    any_of,
    number_then,
)

BOOKS = (
    *("Genesis", "Exodus", "Leviticus", "Numbers", "Deuteronomy", "Joshua", "Judges", "Ruth", "Samuel", "Kings"),
    *("Chronicles", "Ezra", "Nehemiah", "Esther", "Job", "Psalm", "Psalms", "Proverbs", "Ecclesiastes"),
    *("Song of Solomon", "Song of Songs", "Isaiah", "Jeremiah", "Lamentations", "Ezekiel", "Daniel", "Hosea", "Joel"),
    *("Amos", "Obadiah", "Jonah", "Micah", "Nahum", "Habakkuk", "Zephaniah", "Haggai", "Zechariah", "Malachi"),
    *("Matthew", "Mark", "Luke", "John", "Acts", "Romans", "Corinthians", "Galatians", "Ephesians", "Philippians"),
    *("Colossians", "Thessalonians", "Timothy", "Titus", "Philemon", "Hebrews", "James", "Peter", "Jude"),
    *("Revelation", "Quran", "Surah"),
)
SHORT_BOOKS = {
    **{"Gen": "Genesis", "Ex": "Exodus", "Exod": "Exodus", "Lev": "Leviticus", "Num": "Numbers", "Deut": "Deuteronomy"},
    **{"Josh": "Joshua", "Judg": "Judges", "Sam": "Samuel", "Chron": "Chronicles", "Neh": "Nehemiah", "Ps": "Psalm"},
    **{"Prov": "Proverbs", "Eccl": "Ecclesiastes", "Isa": "Isaiah", "Jer": "Jeremiah", "Ezek": "Ezekiel"},
    **{"Dan": "Daniel"},
    **{"Hos": "Hosea", "Mic": "Micah", "Zech": "Zechariah", "Mal": "Malachi", "Matt": "Matthew", "Mk": "Mark"},
    **{"Lk": "Luke", "Jn": "John", "Rom": "Romans", "Cor": "Corinthians", "Gal": "Galatians", "Eph": "Ephesians"},
    **{"Phil": "Philippians", "Col": "Colossians", "Thess": "Thessalonians", "Tim": "Timothy", "Heb": "Hebrews"},
    **{"Jas": "James", "Pet": "Peter", "Rev": "Revelation"},
}
NUMBERED_BOOKS = "Samuel|Kings|Chronicles|Corinthians|Thessalonians|Timothy|Peter|John|Sam|Chron|Cor|Thess|Tim|Pet|Jn"
PLACE = {"1": "First", "2": "Second", "3": "Third", "I": "First", "II": "Second", "III": "Third"}
VERSES = r"(?P<chapter>\d{1,3}):(?P<verse>\d{1,3})(?:[a-c])?(?:\s?[-–]\s?(?P<last>\d{1,3}(?::\d{1,3})?))?(?!\d|:)"
ELEMENTS = (
    "H|He|Li|Be|B|C|N|O|F|Ne|Na|Mg|Al|Si|P|S|Cl|Ar|K|Ca|Sc|Ti|V|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Ge|As|Se|Br|Kr|Rb|Sr|Ag|Cd|Sn|"
    "Sb|Te|I|Xe|Cs|Ba|W|Pt|Au|Hg|Pb|Bi|U"
)
ELEMENT = f"(?:{'|'.join(sorted(ELEMENTS.split('|'), key=len, reverse=True))})"
COUNT = r"\d{1,2}"
# A formula has two parts and a digit, so that B2B and A4 are none.
FORMULA = re.compile(rf"(?:{ELEMENT}(?:{COUNT})?|\((?:{ELEMENT}(?:{COUNT})?){{1,4}}\){COUNT})+")
KNOWN_FORMULAS = (
    "NaCl",
    "NaOH",
    "KCl",
    "HCl",
    "KOH",
    "HF",
    "NaF",
    "CaO",
    "MgO",
    "NO",
    "AgCl",
    "HBr",
    "SiC",
    "GaAs",
    "KBr",
    "KI",
)
SINGLE = {"O2", "N2", "H2", "Cl2", "F2", "O3", "Br2", "I2"}


def _book(written: str) -> str:
    name = written.rstrip(".")
    return SHORT_BOOKS.get(name, name)


def _verse(match: Match) -> str:
    found = match.groupdict()
    front = f"{PLACE[found['place']]} " if found.get("place") else ""
    spoken = f"{front}{_book(found['book'])} {cardinal(int(found['chapter']))} {cardinal(int(found['verse']))}"
    if found["last"]:
        spoken += " to " + " ".join(cardinal(int(part)) for part in found["last"].split(":"))
    return spoken


def _formula(match: Match) -> str | None:
    """Return "C O two", "H two S O four"; None for words and other codes."""
    text = match[0]
    parts = re.findall(ELEMENT, text)
    if (
        text not in KNOWN_FORMULAS
        and text not in SINGLE
        and not (len(parts) > 1 and any(char.isdigit() for char in text))
    ):
        return None
    if not FORMULA.fullmatch(text):
        return None
    tokens = re.findall(r"[A-Z]|[a-z]|\d+", text)
    return " ".join(cardinal(int(token)) if token.isdigit() else spell(token) for token in tokens)


RULES: tuple[Rule, ...] = (
    # books of the Bible
    Rule(
        (*NUMBER, "i", "ii", "iii"),
        rf"(?P<place>[123]|I{{1,3}})\s(?P<book>(?:{NUMBERED_BOOKS})\b\.?)\s{VERSES}",
        _verse,
        {"1 John 4:8": "First John four eight", "2 Cor. 5:17": "Second Corinthians five seventeen"},
    ),
    Rule(
        number_then(" "),
        rf"(?P<place>[123])\s(?P<book>(?:{NUMBERED_BOOKS})\b\.?)\s(?P<chapter>\d{{1,3}})(?![\w:,.]\d|\w)",
        lambda match: f"{PLACE[match['place']]} {_book(match['book'])} {cardinal(int(match['chapter']))}",
        {"1 Cor. 13": "First Corinthians thirteen"},
    ),
    Rule(
        tuple(book.split()[0].lower() for book in (*BOOKS, *SHORT_BOOKS)),
        rf"(?P<book>{any_of((*BOOKS, *SHORT_BOOKS))}\b\.?)\s{VERSES}",
        _verse,
        {
            "Genesis 1:1": "Genesis one one",
            "Psalm 23:4": "Psalm twenty three four",
            "Matt. 5:3-12": "Matthew five three to twelve",
            "see John 3:16": "see John three sixteen",
        },
    ),
    # chemistry
    Rule(
        (*CODE, *CAMEL, *CAPITALS, *INITIAL, *(symbol.lower() for symbol in ELEMENTS.split("|") if len(symbol) == 2)),
        rf"(?:{ELEMENT}(?:{COUNT})?|\((?:{ELEMENT}(?:{COUNT})?){{1,4}}\){COUNT}){{1,12}}(?![\w'(-])",
        _formula,
        {
            "CO2 emissions": "C O two emissions",
            "H₂SO₄ and Ca(OH)2": "H two S O four and C ay O H two",
            "C6H12O6": "C six H twelve O six",
            "NaCl": "N ay C l",
        },
    ),
    # programming languages, music
    Rule(INITIAL, r"(?P<letter>[B-GJ])#(?!\w)", r"\g<letter> sharp", {"C# and F#": "C sharp and F sharp"}),
    Rule("#", r"#(?!\w)", " sharp", {"A# minor": "ay sharp minor"}, after=r"\bA"),
    Rule(("mc",), r"mc(?:\^?2|²)(?!\w)", "m c squared", {"E=mc²": "E equals m c squared"}),
    Rule(INITIAL, r"C\+\+(?!\w)", "C plus plus", {"C++": "C plus plus"}),
    Rule(".", r"\.NET\b", "dot net", {"in .NET": "in dot net"}, after=r"(?:^|[^\w])"),
    Rule(ADDRESS, r"ASP\.NET\b", "ay S P dot net", {"ASP.NET": "ay S P dot net"}),
    Rule(ADDRESS, r"(?P<name>[A-Z][a-z]+)\.js\b", r"\g<name> J S", {"Node.js": "Node J S"}),
    Rule(("at",), r"AT&T\b", "ay T and T", {"AT&T": "ay T and T"}),
    Rule(
        INITIAL,
        r"(?P<first>[A-Z])&(?P<second>[A-Z])(?P<plural>s?)(?![A-Za-z])",
        lambda match: f"{spell(match['first'])} and {spell(match['second'])}{match['plural'] and chr(39) + 's'}",
        {"R&D and Q&A": "R and D and Q and ay"},
    ),
    # laws
    Rule(
        number_then("a( "),
        r"(?P<number>401|403|457|501)\s?\(?(?P<letter>[kbc])\)?(?P<part>\(\d\))?(?!\w)",
        lambda match: (
            f"{cardinal(int(match['number'][0]))} oh {cardinal(int(match['number'][2]))} {match['letter']}"
            + (f" {cardinal(int(match['part'][1]))}" if match["part"] else "")
            if match["number"][1] == "0"
            else f"four fifty seven {match['letter']}"
        ),
        {"a 401(k) plan": "a four oh one k plan", "501(c)(3)": "five oh one c three"},
    ),
    Rule(
        "§",
        r"§§?\s?(?=\d)",
        lambda match: "sections " if match[0][1:2] == "§" else "section ",
        {"§ 5": "section five", "§§ 3-5": "sections three to five"},
    ),
)
