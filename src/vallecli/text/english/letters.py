"""Rules for letters: acronyms, initials, camel case, codes of letters and digits, the letter A."""

from __future__ import annotations

import re

from vallecli.text.english.cmudict import pronunciations
from vallecli.text.english.numbers import number, pairs, plural
from vallecli.text.english.rules import CAMEL, CAPITALS, CODE, DOTTED, INITIAL, SENTENCE_END, Match, Rule, stop

READ_AS_WORDS = frozenset(
    (
        *("AIDS", "ASCII", "ASEAN", "CERN", "COBOL", "COVID", "CUDA", "DARPA", "EBITDA", "FIFA", "FOMO", "HIPAA"),
        *("IKEA", "JAXA", "JSON", "LASER", "LEGO", "LIDAR", "LINUX", "MERS", "MIDI", "NAFTA", "NASA", "NASCAR"),
        *("NASDAQ", "NATO", "NIMBY", "NOAA", "OPEC", "OSHA", "PETA", "POTUS", "RADAR", "SARS", "SCADA", "SCUBA", "SIM"),
        *("SONAR", "SWAT", "UEFA", "UNESCO", "UNICEF", "UNIX", "VISA", "WASP", "YAML", "YOLO", "ZIP", "PIN", "RAM"),
        *("ROM", "LAN", "WAN", "NORAD", "INTERPOL", "SCOTUS", "HUD", "MENSA"),
    )
)
RESPELLINGS = {
    **{"JPEG": "jay peg", "MPEG": "em peg", "JSON": "Jason", "CUDA": "Cooda", "YAML": "Yammel", "SCSI": "scuzzy"},
    **{"IEEE": "I triple E", "NAACP": "N double ay C P", "GUI": "gooey", "HIPAA": "hippa", "CERN": "Sern"},
    **{"WYSIWYG": "wizzy wig", "NOAA": "Noah", "ASCII": "askie"},
    **{"AAA": "triple ay", "AKA": "also known as", "NCAA": "N C double ay"},
}
# Also words, but in capitals within other text they are read letter by letter.
SPELLED = re.compile(
    "ADD|AGI|AIM|ALS|AMD|ASL|BMI|CAD|CEO|CIO|CIS|CGI|COD|COO|CPI|DEA|EEG|ETA|FYI|GDP|GPS|IDE|IMO|JFK|LAX|LOL|MGM|"
    "MIA|NGO|POW|RAF|REM|SEO|DOT|EMT|EPA|ERA|ESL|FHA|GED|GIS|HIV|HMO|ICU|IED|IOS|IRA|ISP|LED|MIT|"
    "MRI|MSN|NBA|NOS|NSA|OCD|OED|POS|PTA|RIP|ROI|SAT|SEC|SOS|SUV|TIA|UPS|USA|VAT|VIP|WHO|WTO"
)
# Words of two letters that are emphasized in capitals; other two letters are spelled.
SHORT_WORDS = frozenset(
    (
        *("AM", "AN", "AS", "AT", "BE", "BY", "DO", "GO", "HE", "IF", "IN", "IS", "IT", "ME", "MY", "NO", "OF", "OH"),
        *("ON", "OR", "SO", "TO", "UP", "US", "WE", "AH", "HA", "HI", "YO", "YE"),
    )
)
# Words of three letters; others are rather acronyms, although CMUdict has many of them as names.
THREE_LETTERS = frozenset(
    (
        *("ACE", "ACT", "ADS", "AGE", "AGO", "AID", "AIR", "ALL", "AND", "ANY", "APE", "APP", "ARC", "ARE", "ARK"),
        *("ARM", "ART", "ASH", "ASK", "ATE", "AWE", "AXE", "BAD", "BAG", "BAN", "BAR", "BAT", "BAY", "BED", "BEE"),
        *("BEG", "BET", "BIG", "BIN", "BIT", "BOW", "BOX", "BOY", "BUG", "BUN", "BUS", "BUT", "BUY", "BYE", "CAN"),
        *("CAP", "CAR", "CAT", "COB", "COP", "COW", "CRY", "CUB", "CUP", "CUT", "DAD", "DAY", "DEN", "DID", "DIE"),
        *("DIG", "DIM", "DOG", "DRY", "DUE", "EAR", "EAT", "EGG", "ELF", "ELM", "END", "EVE", "EYE", "FAN", "FAR"),
        *("FAT", "FAX", "FED", "FEE", "FEW", "FIG", "FIT", "FIX", "FLU", "FLY", "FOE", "FOG", "FOR", "FOX", "FUN"),
        *("FUR", "GAP", "GAS", "GEM", "GET", "GOD", "GOT", "GUM", "GUN", "GUT", "GUY", "GYM", "HAD", "HAM", "HAS"),
        *("HAT", "HAY", "HEN", "HER", "HEY", "HIM", "HIP", "HIS", "HIT", "HOP", "HOT", "HOW", "HUG", "HUT", "ICE"),
        *("ICY", "ILL", "INK", "INN", "ITS", "JAM", "JAR", "JAW", "JET", "JOB", "JOG", "JOY", "KEY", "KID", "KIT"),
        *("LAB", "LAP", "LAW", "LAY", "LEG", "LET", "LID", "LIE", "LIP", "LIT", "LOG", "LOT", "LOW", "MAD", "MAN"),
        *("MAP", "MAT", "MAY", "MEN", "MET", "MIX", "MOB", "MOM", "MUD", "MUG", "NET", "NEW", "NOD", "NOR", "NOT"),
        *("NOW", "NUN", "NUT", "OAK", "ODD", "OFF", "OIL", "OLD", "ONE", "OUR", "OUT", "OWE", "OWL", "OWN", "PAD"),
        *("PAN", "PAY", "PEA", "PEN", "PER", "PIE", "PIG", "PIT", "POD", "POP", "POT", "PRO", "PUB", "PUT", "RAG"),
        *("RAN", "RAT", "RAW", "RED", "RIB", "RID", "RIG", "ROB", "ROD", "ROW", "RUB", "RUG", "RUN", "SAD", "SAW"),
        *("SAY", "SEA", "SEE", "SET", "SEX", "SHE", "SHY", "SIN", "SIP", "SIR", "SIT", "SIX", "SKI", "SKY", "SON"),
        *("SPA", "SPY", "SUE", "SUM", "SUN", "TAG", "TAN", "TAP", "TAR", "TAX", "TEA", "TEN", "THE", "TIE", "TIN"),
        *("TIP", "TOE", "TON", "TOO", "TOP", "TOY", "TRY", "TUB", "TWO", "USE", "VAN", "VET", "WAR", "WAS", "WAX"),
        *("WAY", "WEB", "WET", "WHY", "WIN", "WIT", "WON", "WOW", "YES", "YET", "YOU", "ZOO"),
    )
)
SPELLED_SHORT = frozenset({"AM", "IT", "US"})  # words of SHORT_WORDS that are rather acronyms
LETTERED = (  # nouns before the letter A
    *("Type", "Grade", "Class", "Group", "Plan", "Section", "Appendix", "Exhibit", "Vitamin", "Hepatitis", "Team"),
    *("Block", "Building", "Terminal", "Gate", "Level", "Option", "Part", "Table", "Figure", "Schedule", "Series"),
    *("Side", "Unit", "Wing", "Zone", "Room", "Column", "Row", "Point", "Player", "Person", "Company", "Influenza"),
    *("Answer", "Question", "Item", "Category", "Model", "Version", "Variant", "Step", "Stage", "Chapter", "Apartment"),
)
# A run of characters that has a digit is a code (1-800-GO-2-HAUL) and stays, as does ASP.NET.
IN_CAPITALS = re.compile(r"(?:(?<=\s)|^)(?=\D{0,20}\d)[^\s,;]+|(?<![A-Za-z'.])[A-Z][A-Z']*(?![A-Z']|\.[A-Z])")
UNPRONOUNCEABLE = re.compile(
    r"[^AEIOUY]{4}|[^AEIOUY]{3}$|AA|UU|II|^[^AEIOU]+$"
    r"|^(?!STR|SCR|SPR|THR|SCH|CHR|SPL|PHR|SHR)[^AEIOUY]{3}|^([^AEIOUY])\1"
)
MIN_WORD = 5  # letters; shorter acronyms are rarely read as words
MAX_WORD = 8  # letters; no acronym is as long as MISANTHROPY


def spell(letters: str) -> str:
    """Return letters separated by spaces, which front ends read by name; "A" is "ay", as "a" is the article."""
    return " ".join("ay" if letter in "Aa" else letter for letter in letters)


def spelled_in_dictionary(word: str) -> bool:
    """Return whether CMUdict pronounces a word as the names of its letters, for example BBC."""
    known = pronunciations()
    names = [phone for letter in word.lower() if letter != "'" for phone in known["ay" if letter == "a" else letter][0]]
    return [phone.rstrip("012") for phone in names] == [phone.rstrip("012") for phone in known[word.lower()][0]]


def is_spelled(letters: str) -> bool:
    """Return whether a word in capitals within other text is read letter by letter."""
    if len(letters) == 2:
        return letters not in SHORT_WORDS or letters in SPELLED_SHORT
    if letters in READ_AS_WORDS:
        return False
    if SPELLED.fullmatch(letters):
        return True
    if len(letters) == 3:
        return letters not in THREE_LETTERS
    if letters.lower() in pronunciations():
        return spelled_in_dictionary(letters)
    return len(letters) < MIN_WORD or (len(letters) < MAX_WORD and UNPRONOUNCEABLE.search(letters) is not None)


def acronym(letters: str) -> str:
    """Return how a word in capitals is read: letter by letter ("G P U", "B B C") or as a word ("Nasa")."""
    if letters in RESPELLINGS:
        return RESPELLINGS[letters]
    return spell(letters) if is_spelled(letters) else letters.capitalize()


def _acronym(match: Match) -> str:
    spoken = acronym(match["letters"])
    if not match["plural"]:
        return spoken
    return f"{spoken}'s" if re.search(r"(?:^| )(?:[A-Z]|ay)$", spoken) else plural(spoken)


def _acronyms(match: Match) -> str | None:
    """Return a list of acronyms; a short one that is also a word is spelled if most of them are."""
    words = re.findall("[A-Z]+", match[0])
    if sum(map(is_spelled, words)) * 2 <= len(words):
        return None
    return re.sub("[A-Z]+", lambda word: _listed(word[0]), match[0])


def _listed(letters: str) -> str:
    return acronym(letters) if letters in READ_AS_WORDS or letters in RESPELLINGS else spell(letters)


def _is_word(letters: str) -> bool:
    """Return whether a word in capitals is a word in a text that is all in capitals."""
    if len(letters) < 3:
        return letters in SHORT_WORDS
    return letters.lower() in pronunciations() and not spelled_in_dictionary(letters)


def lower_capitals(text: str) -> str:
    """Return a text in capitals in lower case, except for acronyms and the first letter of each sentence.

    A text with fewer than two words of the dictionary is a list of acronyms, and returned unchanged.
    """
    if sum(_is_word(word.strip("'")) for word in re.findall(r"[A-Z']{2,}", text)) < 2:
        return text

    def lower(word: Match) -> str:
        is_word = _is_word(word[0].strip("'")) or word[0] == "A"
        return word[0].lower() if is_word else word[0]

    lowered = IN_CAPITALS.sub(lower, text)
    return re.sub(r"(?:^|[.!?]\s+)[a-z]", lambda start: start[0].upper(), lowered)


def camel(word: str) -> str:
    """Split a camel-case word ("GitHub", "OpenAI", "iOS") into words and acronyms, unless CMUdict has the word."""
    if word.lower() in pronunciations() and not word[-2:].isupper():
        return word
    parts = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]", word)
    return " ".join(acronym(part) if len(part) > 1 and part.isupper() else part for part in parts)


def _letters(word: str) -> str:
    """Return the letters of a code: "COVID" and "Windows" are words, "HTML" and "b" are spelled."""
    if len(word) == 1:
        return spell(word)
    if word.isupper():
        return acronym(word)
    if len(word) < 4 and not re.search("[aeiouy]", word):
        return spell(word)
    return word if word.islower() or word.istitle() else camel(word)


def _code(match: Match) -> str:
    """Return letters and numbers in turn: "H T M L five", "Covid nineteen", "M P threes"."""
    parts = re.findall(r"[A-Za-z]+|\d+(?:\.\d+)*", match["code"])
    spoken = [_letters(part) if part.isalpha() else number(part) if "." in part else pairs(part) for part in parts]
    if match["plural"]:
        spoken[-1] = plural(spoken[-1])
    return " ".join(spoken)


RULES: tuple[Rule, ...] = (
    Rule(
        INITIAL,
        r"(?P<letter>[A-Z])\.(?=\d)",
        lambda match: f"{spell(match['letter'])} ",
        {"in H.264": "in H two hundred sixty four"},
    ),
    # initials: U.S.A., J. R. R. Tolkien
    Rule(
        ("ph", "phd", "phds"),
        r"Ph\.?\s?D(?P<plural>s?)\b\.?",
        lambda match: f"P H D{match['plural'] and chr(39) + 's'}" + stop(match, match[0]),
        {"a Ph.D. in": "a P H D in", "PhDs": "P H D's"},
    ),
    Rule(
        INITIAL,
        r"(?P<all>(?:[A-Z]\.){1,10}[A-Z])\.?(?![A-Za-z])",
        lambda match: spell(match["all"].replace(".", "")) + stop(match, match[0]),
        {
            "the U.S.A.": "the U S ay.",
            "the U.S. Army": "the U S Army",
            "in the U.S. He left": "in the U S. He left",
            "the U.S.": "the U S.",
        },
    ),
    Rule(
        INITIAL,
        rf"(?<!\b[A-Z]\s)(?<!ay\s)(?P<initial>[A-HJ-Z])\.(?:(?=\s[A-Z]\.)|(?!{SENTENCE_END})(?=\s[A-Z]|-[A-Z]\.))",
        lambda match: spell(match["initial"]),
        {"J. R. R. Tolkien": "J R R Tolkien", "plan B. Then": "plan B. Then", "A. A. Milne": "ay ay Milne"},
    ),
    Rule(
        DOTTED,
        r"(?P<all>(?:[a-z]\.){1,10}[a-z])\.(?![A-Za-z])",
        lambda match: spell(match["all"].replace(".", "")) + stop(match, match[0]),
        {"q.e.d. as ever": "q e d as ever"},
    ),
    # the letter A, not the article
    Rule(
        "a",
        rf"A(?=[,;:!?)]|\.(?!\s[A-Z]\.){SENTENCE_END}|\s?$|\s(?:and|or|to|through)\s[B-Z]\b)(?!\.[A-Za-z])",
        "ay",
        {"Vitamin A.": "Vitamin ay.", "from A to Z": "from ay to Z", "A": "ay", "A, B and C": "ay, B and C"},
    ),
    Rule(
        "a",
        r"A(?=\s(?:[a-z\d$€£]|[A-Z]{1,2}\$))",
        "ay",
        {"A grade A dog": "A grade ay dog", "vitamin A 5 mg": "vitamin ay five milligrams"},
        after=r"[^\s.!?:;,\"'(\[-] ",
    ),
    Rule(
        "a",
        r"A\b",
        "ay",
        {"Type A Positive": "Type ay Positive"},
        after=rf"\b(?i:{'|'.join(LETTERED)})\s",
    ),
    Rule("a", r"A(?=-[a-z])", "ay", {"the A-list": "the ay list"}, after=r"(?:^|[\s(\"'])"),
    Rule("a", r"A(?=\s(?:is|was|has|equals|means|stands)\s)", "ay", {"A is for apple": "ay is for apple"}),
    Rule(
        "a",
        r"[Aa](?=\s?(?:[<>]=?|[!=]=|[+*/^≤≥≠=×→])\s?\w)",
        "ay",
        {"a <= b": "ay is less than or equal to b"},
        after=r"(?:^|[^\w'])",
    ),
    Rule("a", r"A(?=[+#](?!\w))", "ay", {"an A+.": "an ay plus."}),
    Rule(
        INITIAL,
        r"(?P<letter>[A-F])-(?=[\s.,;)]|$)",
        lambda match: f"{spell(match['letter'])} minus",
        {"got an A- in art": "got an ay minus in art"},
        after=r"\b(?:an?|[Gg]rades?:?|got|of)\s",
    ),
    # lists of acronyms
    Rule(
        CAPITALS,
        r"[A-Z]{2,5}(?:,? (?:and |or |& )?[A-Z]{2,5}(?![\w'])){2,20}(?<=[A-Z])",
        lambda match: _acronyms(match) if "," in match[0] else None,
        {"USA, UN, UK, ANN, MSN.": "U S ay, U N, U K, ay N N, M S N.", "NASA, ESA and JAXA": "Nasa, E S ay and Jaxa"},
    ),
    # codes of letters and digits
    Rule(
        CODE,
        r"(?P<code>(?:[A-Z]{1,2}|x|v|i|m|p|q|t)\d{1,4}(?:(?!s\b)[A-Za-z]{1,2}\d{0,3})?)(?P<plural>s?)(?![\w'])(?!\.\d)",
        _code,
        {
            "an H200 with A4": "an H two hundred with ay four",
            "B2B and x86": "B two B and x eighty six",
            "MP3s": "M P threes",
            "the i7": "the i seven",
            "an mp3": "an m p three",
            "FY2024": "F Y twenty twenty four",
        },
    ),
    Rule(
        CODE,
        r"(?P<code>[A-Za-z]{1,12}\d{1,4}(?:\.\d{1,3}){0,3}(?:(?!s\b)[A-Za-z]{1,8}\d{0,3})?)(?P<plural>s?)(?!\w)",
        _code,
        {
            "HTML5": "H T M L five",
            "COVID19": "Covid nineteen",
            "Python3.11": "Python three point one one",
            "v2.0.1": "v two point zero point one",
        },
    ),
    Rule(
        "a",
        r"A(?=-\d)",
        "ay",
        {"an A-10": "an ay ten"},
    ),
    Rule(
        CAPITALS + INITIAL,
        r"(?P<code>[A-Z]{1,3}-\d{1,4}[A-Z]?)(?P<plural>s?)(?![\w-])(?!\.\d)",
        _code,
        {
            "a B-52 and F-16s": "a B fifty two and F sixteens",
            "I-95": "I ninety five",
            "a KC-135": "a K C one thirty five",
        },
    ),
    # acronyms, camel case
    Rule(
        CAPITALS + CAMEL,
        r"(?P<letters>[A-Z]{2,})(?P<plural>s?)(?![A-Za-z])",
        _acronym,
        {
            "my GPU and CPUs": "my G P U and C P U's",
            "NASA and UNESCO": "Nasa and Unesco",
            "Buy MISANTHROPY now": "Buy Misanthropy now",
            "I am NOT here": "I am Not here",
            "IT said it": "I T said it",
            "in LA now": "in L ay now",
            "the SEC": "the S E C",
            "the CT scan": "the C T scan",
        },
    ),
    Rule(
        CAMEL,
        r"[A-Za-z]+(?!\d)",
        lambda match: camel(match[0]),
        {"OpenAI, GitHub, iOS": "Open ay I, GitHub, i O S"},
    ),
)
