"""Rules for abbreviations: titles, Latin, companies, references in a text, and short forms with a slash."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vallecli.text.english.rules import Match, Rule, any_of, stop

TITLES = {  # before a name; their dot does not end a sentence
    **{"Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Ms", "Mx": "Mix", "Prof": "Professor"},
    **{"Rev": "Reverend", "Gen": "General", "Col": "Colonel", "Capt": "Captain", "Lt": "Lieutenant", "Cpl": "Corporal"},
    **{"Sgt": "Sergeant", "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Hon": "Honorable"},
    **{"Pres": "President", "Fr": "Father", "Maj": "Major", "Adm": "Admiral", "Cmdr": "Commander", "Pvt": "Private"},
    **{"Supt": "Superintendent", "Insp": "Inspector", "Messrs": "Messieurs", "Det": "Detective", "Msgr": "Monsignor"},
}
# Titles that are also written without the dot.
NO_DOT = ("Dr", "Mr", "Mrs", "Ms", "Prof", "Lt", "Sgt", "Capt", "Gov", "Cpl", "Rev", "Messrs")
EXPANSIONS = {  # with a dot, which can also end a sentence
    **{"etc": "et cetera", "vs": "versus", "approx": "approximately", "dept": "department", "Dept": "Department"},
    **{"Jr": "Junior", "Sr": "Senior", "Esq": "Esquire", "Inc": "Incorporated", "Ltd": "Limited"},
    **{"Corp": "Corporation"},
    **{"Bros": "Brothers", "Co": "Company", "Assn": "Association", "Univ": "University", "Intl": "International"},
    **{"ext": "extension", "misc": "miscellaneous", "govt": "government", "Govt": "Government", "esp": "especially"},
    **{"a.k.a": "also known as", "et al": "and others", "cf": "compare", "viz": "namely", "ca": "circa"},
    **{"incl": "including"},
    **{"excl": "excluding", "max": "maximum", "avg": "average", "Attn": "Attention", "attn": "attention"},
    **{"tel": "telephone", "Tel": "Telephone", "resp": "respectively", "feat": "featuring", "ibid": "ibidem"},
    **{"est": "established"},
    **{"hrs": "hours", "mins": "minutes", "secs": "seconds", "yrs": "years", "lbs": "pounds", "wks": "weeks"},
    **{"Gov't": "Government", "gov't": "government", "int'l": "international", "Int'l": "International"},
    **{"Mgr": "Manager", "Asst": "Assistant", "asst": "assistant", "mgr": "manager", "Mfg": "Manufacturing"},
}
BEFORE_NUMBERS = {  # "No. 5", "p. 12"
    **{"no": "number", "nos": "numbers", "p": "page", "pp": "pages", "pg": "page", "pgs": "pages", "vol": "volume"},
    **{"vols": "volumes", "ch": "chapter", "chap": "chapter", "fig": "figure", "figs": "figures", "sec": "section"},
    **{"sect": "section", "eq": "equation", "eqs": "equations", "art": "article", "tab": "table", "app": "appendix"},
    **{"para": "paragraph", "paras": "paragraphs", "op": "opus", "ver": "version", "v": "verse", "vv": "verses"},
    **{"c": "circa", "b": "born", "d": "died", "ex": "exercise", "ed": "edition", "lvl": "level", "qty": "quantity"},
    **{"ep": "episode", "ff": "following", "min": "minimum", "max": "maximum", "tel": "telephone", "ref": "reference"},
    **{"nr": "number", "pt": "part"},
}
SLASHED = {
    **{"w/o": "without", "b/c": "because", "c/o": "care of", "n/a": "not applicable", "N/A": "not applicable"},
    **{"and/or": "and or", "he/she": "he or she", "she/he": "she or he", "his/her": "his or her"},
    **{"him/her": "him or her"},
    **{"s/he": "she or he", "I/O": "I O", "i/o": "I O", "TCP/IP": "T C P I P", "AC/DC": "ay C D C", "R/W": "R W"},
    **{"A/C": "ay C"},
    **{"a/c": "account", "km/hr": "kilometers per hour", "HIV/AIDS": "H I V Aids"},
}
WORDS = {  # in any place, without a dot
    **{"vs": "versus", "etc": "et cetera", "approx": "approximately", "tv": "T V", "tvs": "T V's"},
    **{"aka": "also known as", "pH": "p H"},
    **{"mph": "miles per hour", "mpg": "miles per gallon", "kph": "kilometers per hour", "rpm": "R P M"},
    **{"Jr": "Junior", "Bros": "Brothers", "cf": "compare", "dept": "department", "govt": "government"},
    **dict.fromkeys(("Wi-Fi", "Wi-fi", "wi-fi", "WI-FI"), "Wye Fi"),  # as CMUdict reads Wye and Fi
}
PER = {"hr": "hour", "mo": "month", "wk": "week", "yr": "year", "sec": "second", "min": "minute"}
LABELS = {  # before a colon
    **{"Attn": "Attention", "Tel": "Telephone", "Ext": "Extension", "Dept": "Department", "Apt": "Apartment"},
    **{"Qty": "Quantity", "Ref": "Reference", "Avg": "Average", "Max": "Maximum", "Min": "Minimum"},
    **{"Temp": "Temperature"},
}


def _title(match: Match) -> str:
    return TITLES[match["title"].title()]


def _expand(match: Match) -> str:
    return EXPANSIONS[match["word"]] + stop(match, match[0])


def _before_number(match: Match) -> str:
    word = BEFORE_NUMBERS[match["word"].lower()]
    return f"{word if match['word'].islower() or word == 'number' else word.capitalize()} "


def _keys(words: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of abbreviations: the first run of letters of each."""
    return tuple({re.split("[^A-Za-z]", word)[0].lower() for word in words})


RULES: tuple[Rule, ...] = (
    # Latin
    Rule(
        "e",
        r"[Ee]\.\s?g\b\.?,?",
        "for example,",
        {"pets, e.g. cats": "pets, for example, cats", "e.g., tea": "for example, tea"},
    ),
    Rule("i", r"[Ii]\.\s?e\b\.?,?", "that is,", {"i.e. that": "that is, that"}),
    # short forms with a slash
    Rule(
        _keys(SLASHED),
        rf"(?P<word>{any_of(SLASHED)})(?![\w/])",
        lambda match: SLASHED[match["word"]],
        {"and/or": "and or", "tea w/o milk, n/a": "tea without milk, not applicable", "TCP/IP": "T C P I P"},
    ),
    Rule("w", r"w/\s?(?=\w)", "with ", {"tea w/ milk": "tea with milk"}, after=r"(?:^|[^\w'])"),
    Rule(
        ("per",),
        r"per (?P<unit>hr|mo|wk|yr|sec|min)\b\.?",
        lambda match: f"per {PER[match['unit']]}" + stop(match, match[0]),
        {"$5 per hr": "five dollars per hour"},
    ),
    # titles
    Rule(
        tuple(title.lower() for title in TITLES),
        rf"(?P<title>{any_of(NO_DOT)})(?=\s[A-Z](?:[a-z'.]|$|\s))",
        _title,
        {"Dr Jones": "Doctor Jones", "Mr T and Lt Col. Smith": "Mister T and Lieutenant Colonel Smith"},
    ),
    Rule(
        tuple(title.lower() for title in TITLES),
        rf"(?P<title>(?i:mrs?|ms|prof|messrs|dr)|{any_of(TITLES)}(?=\.\s*(?:[A-Za-z]|$)))\.",
        _title,
        {
            "Mr. and Mrs. Jones vs. Prof. X": "Mister and Missus Jones versus Professor X",
            "Dr. Evil": "Doctor Evil",
            "dr. smith": "Doctor smith",
            "a Sgt. in London": "a Sergeant in London",
        },
    ),
    Rule(("dr",), r"Dr\b", "doctor", {"the Dr said": "the doctor said"}, after=r"\b[a-z]+ "),
    Rule(
        ("ft", "feat"),
        r"(?:ft|feat)\.(?=\s[A-Z])",
        "featuring",
        {"Song ft. Drake": "Song featuring Drake"},
    ),
    # before numbers
    Rule(
        _keys(BEFORE_NUMBERS),
        rf"(?P<word>(?i:{any_of(BEFORE_NUMBERS.keys() - set('bcdv'))})|vv?"
        r"|[bcd](?=\.\s?(?:\d{1,2}\s[A-Z][a-z]{2,8}\.?\s)?(?:1\d|20)\d\d))"
        r"\.\s?(?=[\d(])",
        _before_number,
        {
            "No. 5 is alive. No. I won't.": "number five is alive. No. I won't.",
            "see fig. 3 on p. 12": "see figure three on page twelve",
            "pp. 12-15, vol. 2": "pages twelve to fifteen, volume two",
            "Eq. (3)": "Equation, three",
            "c. 1900": "circa nineteen hundred",
        },
    ),
    Rule(
        ("p", "pp"),
        r"pp?\s?(?=\d+(?:[-–]\d+)?\b)(?!p\s?\d+\s?=)",
        lambda match: "pages " if match[0][:2] == "pp" else "p ",
        {"pp 3–5": "pages three to five"},
    ),
    Rule(
        "#",
        r"#(?!\d+[A-Z][a-z])\s?(?=\d|[A-Z]{1,3}\d)",
        "number ",
        {"#5 of #fun": "number five of hashtag fun"},
    ),
    Rule("#", r"#(?=[A-Za-z\d])", "hashtag ", {"a #win": "a hashtag win"}, after=r"(?:^|\W)"),
    # all others
    Rule(
        _keys(EXPANSIONS),
        rf"(?P<word>{any_of(EXPANSIONS)})\.(?![A-Za-z])",
        _expand,
        {
            "tea, etc. and so on": "tea, et cetera and so on",
            "tea, etc. The end": "tea, et cetera. The end",
            "Acme Inc. and Smith Bros. of Ohio": "Acme Incorporated and Smith Brothers of Ohio",
            "Smith et al. found": "Smith and others found",
            "John Smith Jr.": "John Smith Junior.",
        },
    ),
    Rule(
        _keys(LABELS),
        rf"(?P<word>{any_of(LABELS)})(?=:)",
        lambda match: LABELS[match["word"]],
        {"Tel: 5": "Telephone: five"},
    ),
    Rule(
        ("v",),
        r"v\b\.?(?=\s[A-Z])",
        "versus",
        {"Roe v. Wade": "Roe versus Wade"},
        after=r"[A-Z][a-z]+\s",
    ),
    Rule(
        _keys(WORDS),
        rf"(?P<word>{any_of(WORDS)})\b(?!\.[A-Za-z]|')",
        lambda match: WORDS[match["word"]],
        {"cats vs dogs, etc": "cats versus dogs, et cetera", "on tv": "on T V", "by Wi-Fi": "by Wye Fi"},
    ),
)
