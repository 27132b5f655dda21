"""Normalizer rules for letters: abbreviations, acronyms, Roman numerals, web addresses, text in capitals."""

from __future__ import annotations

import re

from vallecli.text.english.cmudict import pronunciations
from vallecli.text.english.numbers import cardinal, ordinal
from vallecli.text.english.quantities import MONTHS, Match, Rule, rule

TITLES = {  # never at the end of a sentence, so their dot does not end one
    **{"Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "St": "Saint"},
    **{"Rev": "Reverend", "Gen": "General", "Col": "Colonel", "Capt": "Captain", "Lt": "Lieutenant"},
    **{"Sgt": "Sergeant", "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Hon": "Honorable"},
    **{"Pres": "President", "Mt": "Mount", "Ft": "Fort", "Fr": "Father", "Maj": "Major", "Adm": "Admiral"},
}
EXPANSIONS = {  # of abbreviations with a dot, which can also end a sentence
    **{"etc": "et cetera", "vs": "versus", "approx": "approximately", "dept": "department", "Dept": "Department"},
    **{"Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation"},
    **{"Bros": "Brothers", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Hwy": "Highway", "Apt": "Apartment"},
    **{"ext": "extension", "misc": "miscellaneous", "govt": "government", "Ph.D": "P H D"},
    **{"a.k.a": "also known as", "et al": "and others", "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday"},
    **{"Wed": "Wednesday", "Thu": "Thursday", "Thurs": "Thursday", "Fri": "Friday"},
    **{name[:3]: name for name in MONTHS if name != "May"},
    **{"Sept": "September", "St": "Street", "Dr": "Drive", "Co": "Company"},
}
BEFORE_NUMBERS = {  # "No. 5", "p. 12"
    **{"No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "p": "page", "pp": "pages"},
    **{"vol": "volume", "Vol": "Volume", "ch": "chapter", "Ch": "Chapter", "fig": "figure", "Fig": "Figure"},
    **{"sec": "section", "Sec": "Section", "eq": "equation", "Eq": "Equation", "art": "article", "Art": "Article"},
}
# The dot of an abbreviation also ends the sentence if one of these words follows, or nothing.
SENTENCE_OPENERS = (
    "The|This|That|These|Those|There|Then|They|He|She|It|We|You|I|A|An|And|But|So|Or|In|On|At|By|For|From|"
    "If|As|When|While|Where|What|Who|Why|How|My|His|Her|Our|Their|Its|Your|After|Before|Because|Since|"
    "Some|Many|Most|All|Both|No|Not|Now|Yes|Please|However|Although|Also|Let|Do|Did|Does|Is|Are|Was|Were|"
    "Will|Would|Can|Could|Should|To|With"
)
SENTENCE_END = rf"(?=[\"')\]]*\s*$|\s*\n|[\"')\]]*\s+[\"'(]?(?:{SENTENCE_OPENERS})\b)"

READ_AS_WORDS = {"CUDA", "FIFA", "JSON", "LASER", "NATO", "NASA", "OPEC", "RADAR", "SCUBA", "SWAT", "YAML", "YOLO"}
RESPELLINGS = {
    **{"JPEG": "jay peg", "MPEG": "em peg", "JSON": "Jason", "CUDA": "Cooda", "YAML": "Yammel", "SCSI": "scuzzy"},
    **{"IEEE": "I triple E", "NAACP": "N double ay C P"},
}
# Also words, but in capitals within other text they are read letter by letter.
SPELLED = re.compile("AC|AI|AM|AP|BA|DA|DC|ER|HR|ID|IP|IQ|IT|LED|MA|MS|NOS|OS|PA|PE|PM|PR|SAT|TA|UN|US|WHO")
ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
NUMERALS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
RULERS = "Henry|Louis|George|Edward|Richard|Charles|James|William|Elizabeth|Philip|Pius|John Paul|Benedict|Leo|Peter"
RULERS += "|Catherine|Nicholas|Alexander|Frederick|Francis|Gregory|Paul|Mary|Napoleon|Ramses|Wilhelm|Ivan|Innocent"
NUMBERED_NOUNS = "Chapter|Part|Act|Scene|Volume|Book|Section|World War|Article|Type|Phase|Class|Level|Stage|Title"
NUMBERED_NOUNS += "|Season|Episode|Figure|Table|Appendix|Super Bowl|Apollo|Grade|Unit|Lesson|Round|Tier"


def spell(letters: str) -> str:
    """Return letters separated by spaces, which front ends read by name; "A" is "ay", as "a" is the article."""
    return " ".join("ay" if letter in "Aa" else letter for letter in letters)


def _spelled_in_dictionary(word: str) -> bool:
    """Return whether CMUdict pronounces a word as the names of its letters, for example BBC."""
    known = pronunciations()
    names = [phone for letter in word.lower() if letter != "'" for phone in known["ay" if letter == "a" else letter][0]]
    return [phone.rstrip("012") for phone in names] == [phone.rstrip("012") for phone in known[word.lower()][0]]


def acronym(letters: str) -> str:
    """Return how a word in capitals is read: letter by letter ("G P U", "B B C") or as a word ("Nasa")."""
    if letters in RESPELLINGS:
        return RESPELLINGS[letters]
    if SPELLED.fullmatch(letters):
        return spell(letters)
    if letters in READ_AS_WORDS:
        return letters.capitalize()
    if letters.lower() in pronunciations():
        return spell(letters) if _spelled_in_dictionary(letters) else letters.capitalize()
    cluster = re.search("[^AEIOUY]{4}", letters) and len(letters) < 8  # no acronym is as long as MISANTHROPY
    pronounceable = len(letters) > 4 and re.search("[AEIOU]", letters) and not cluster
    return letters.capitalize() if pronounceable else spell(letters)


def _acronym(match: Match) -> str:
    spoken = acronym(match["letters"])
    plural = match["plural"]
    if not plural:
        return spoken
    return f"{spoken}'s" if re.search(r"(?:^| )(?:[A-Z]|ay)$", spoken) else f"{spoken}s"


def lower_capitals(text: str) -> str:
    """Return a text in capitals in lower case, except for acronyms and the first letter of each sentence.

    A text with fewer than two words of the dictionary is a list of acronyms, and returned unchanged.
    """
    known = pronunciations()
    if sum(word.strip("'").lower() in known for word in re.findall(r"[A-Z']{2,}", text)) < 2:
        return text

    def lower(word: Match) -> str:
        letters = word[0].strip("'").lower()
        is_word = letters in known and (
            SPELLED.fullmatch(word[0]) or len(letters) == 1 or not _spelled_in_dictionary(letters)
        )
        return word[0].lower() if is_word and word[0] != "I" else word[0]

    lowered = re.sub(r"[A-Z][A-Z']*", lower, text)
    return re.sub(r"(?:^|[.!?]\s+)[a-z]", lambda start: start[0].upper(), lowered)


def _camel(match: Match) -> str:
    """Split a camel-case word ("GitHub", "OpenAI", "iOS") into words and acronyms, unless CMUdict has the word."""
    word = match[0]
    if word.lower() in pronunciations() and not word[-2:].isupper():
        return word
    parts = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]", word)
    return " ".join(acronym(part) if len(part) > 1 and part.isupper() else part for part in parts)


def _numeral(text: str) -> int:
    values = [NUMERALS[letter] for letter in text]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def _roman(match: Match) -> str:
    if not ROMAN.fullmatch(match["roman"]):
        return match[0]
    value = _numeral(match["roman"])
    return f"{match['name']} the {ordinal(value)}" if match["ruler"] else f"{match['name']} {cardinal(value)}"


def _web(match: Match) -> str:
    """Return how an address is read: "example dot com slash news", "jo at example dot org"."""
    written = match[0].rstrip("./,;:!?")
    end = match[0].removeprefix(written)
    address = re.split(r"[?#]", re.sub(r"^(?:https?://)?(?:www\.)?", "", written))[0].rstrip("/")
    marks = {".": " dot ", "/": " slash ", "@": " at ", "-": " dash ", "_": " underscore ", ":": " colon "}
    spoken = "".join(marks.get(char, char if char.isalnum() else " ") for char in address)
    spoken = re.sub(r"\b[a-z]{2}$", lambda top: top[0] if top[0] in ("co", "me", "so") else spell(top[0]), spoken)
    return spoken + end.replace("/", "")


def _expand(match: Match) -> str:
    return EXPANSIONS[match["word"]]


WEB: tuple[Rule, ...] = (
    rule(r"(?<![\w.@])(?:https?://|www\.)[^\s<>\"]{1,2000}", _web),
    rule(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+", _web),
    rule(
        r"(?<![\w.@-])(?:[A-Za-z0-9-]{1,63}\.){1,8}(?:com|org|net|edu|gov|io|dev|ai|app|info|co|uk|de|eu|fr|ca|tv)\b"
        r"(?![.@-]?\w)(?:/[\w./%~+-]{0,500})?",
        _web,
    ),
)
ABBREVIATIONS: tuple[Rule, ...] = (
    rule(r"\b[Ee]\.\s?g\.,?", "for example,"),
    rule(r"\b[Ii]\.\s?e\.,?", "that is,"),
    rule(r"\bAT&T\b", "ay T and T"),
    rule(r"\bA(?=-?\d)", "ay "),
    rule(r"(?<!\w)w/o\b", "without"),
    rule(r"(?<!\w)w/(?=\s|\w)", "with "),
    rule(rf"\b(?P<word>{'|'.join(BEFORE_NUMBERS)})\.\s?(?=\d)", lambda match: f"{BEFORE_NUMBERS[match['word']]} "),
    rule(r"#\s?(?=\d)", "number "),
    rule(r"(?<!\w)#(?=[A-Za-z])", "hashtag "),
    # "12 Main St." is a street, "St. Mary" a saint; likewise "Dr."
    rule(
        r"(?P<name>\b\d+\s+(?:[NSEW]\.?\s+)?[A-Z][a-z]+(?:\s[A-Z][a-z]+)?\s+)(?P<word>St|Dr)\.",
        lambda match: match["name"] + _expand(match),
    ),
    rule(rf"(?<=[a-z] )(?P<word>St)\.{SENTENCE_END}", "Street."),
    rule(
        rf"\b(?P<word>Mrs?|Ms|Prof|(?:{'|'.join(TITLES)})(?=\.\s*(?:[A-Z]|$)))\.", lambda match: TITLES[match["word"]]
    ),
    rule(
        rf"\b(?P<word>{'|'.join(map(re.escape, sorted(EXPANSIONS, key=len, reverse=True)))})\.{SENTENCE_END}",
        lambda match: f"{_expand(match)}.",
    ),
    rule(rf"\b(?P<word>{'|'.join(map(re.escape, sorted(EXPANSIONS, key=len, reverse=True)))})\.", _expand),
    rule(r"\b(?P<word>vs|etc)\b(?!\.)", _expand),
    rule(r"\bPh\.?D\b", "P H D"),
)
ACRONYMS: tuple[Rule, ...] = (
    rule(
        rf"\b(?P<name>(?P<ruler>{RULERS})|{NUMBERED_NOUNS})\s+(?P<roman>(?(ruler)(?![ICL]\b))[IVXLC]+)\b(?!')", _roman
    ),
    rule(r"(?P<ruler>)\b(?P<name>[A-Z][a-z]+)\s+(?P<roman>I{2,3}|IV|VI{1,3}|IX|XI{1,3})\b(?!')", _roman),
    # initials: U.S.A., J. R. R. Tolkien
    rule(
        rf"\b(?P<all>(?:[A-Za-z]\.){{1,10}}[A-Za-z])\.{SENTENCE_END}",
        lambda match: f"{spell(match['all'].replace('.', ''))}.",
    ),
    rule(r"\b(?P<all>(?:[A-Za-z]\.){1,10}[A-Za-z])\.", lambda match: spell(match["all"].replace(".", ""))),
    rule(rf"\b(?P<initial>[A-HJ-Z])\.(?!{SENTENCE_END})(?=\s+[A-Z])", lambda match: spell(match["initial"])),
    rule(r"(?<![A-Za-z])(?P<letters>[A-Z]{2,})(?P<plural>s)?(?![A-Za-z])", _acronym),
    rule(
        r"\b[A-Za-z]+[a-z][A-Z][A-Za-z]*\b|\b[a-z][A-Z][A-Za-z]*\b",
        _camel,
    ),
    # the letter A, not the article: "grade A", "A, B and C", "A4"
    rule(r"\bA(?=[,.;:!?)]|\s*$|\s+(?:and|or)\s+[B-Z]\b)", "ay"),
    rule(r"(?<=[a-z] )A(?=\s+[a-z])", "ay"),
)
CAPITALS: tuple[Rule, ...] = (
    rule(
        r"(?<![\w'])[A-Z][A-Z']*(?:[ ,.!?;:\"-]+[A-Z][A-Z']*\b(?![a-z.])){2,}", lambda match: lower_capitals(match[0])
    ),
)
