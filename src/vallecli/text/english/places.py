"""Rules for addresses and places: streets, house numbers, states, ZIP codes, saints and mounts."""

from __future__ import annotations

import re

from vallecli.text.english.numbers import digits, ordinal, pairs
from vallecli.text.english.rules import INITIAL, SENTENCE_END, SENTENCE_OPENERS, Match, Rule, any_of, number_then, stop
from vallecli.text.english.telephones import code

STREETS = {
    **{"St": "Street", "Ave": "Avenue", "Av": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Dr": "Drive", "Ln": "Lane"},
    **{"Ct": "Court", "Pl": "Place", "Sq": "Square", "Ter": "Terrace", "Terr": "Terrace", "Cir": "Circle"},
    **{"Pkwy": "Parkway", "Pky": "Parkway", "Hwy": "Highway", "Expy": "Expressway", "Expwy": "Expressway"},
    **{"Fwy": "Freeway", "Tpke": "Turnpike", "Trl": "Trail", "Plz": "Plaza", "Aly": "Alley", "Xing": "Crossing"},
    **{"Brg": "Bridge", "Hts": "Heights", "Gdns": "Gardens", "Cres": "Crescent", "Way": "Way", "Street": "Street"},
    **{"Avenue": "Avenue", "Road": "Road", "Lane": "Lane", "Drive": "Drive", "Court": "Court", "Place": "Place"},
    **{"Terrace": "Terrace", "Circle": "Circle", "Square": "Square", "Trail": "Trail", "Plaza": "Plaza"},
    **{"Alley": "Alley"},
    **{"Crescent": "Crescent", "Boulevard": "Boulevard", "Parkway": "Parkway", "Broadway": "Broadway"},
    **{"Highway": "Highway"},
}
ALWAYS_STREETS = (
    "Ave",
    "Blvd",
    "Rd",
    "Ln",
    "Pkwy",
    "Hwy",
    "Expy",
    "Fwy",
    "Tpke",
    "Sq",
    "Ct",
    "Pl",
    "Trl",
    "Cres",
    "Plz",
)
PARTS = {  # before a number or a letter
    **{"Apt": "Apartment", "apt": "apartment", "Ste": "Suite", "Bldg": "Building", "bldg": "building", "Fl": "Floor"},
    **{"Rm": "Room", "rm": "room", "Hwy": "Highway", "Rte": "Route", "Rt": "Route", "Dept": "Department"},
    **{"Blk": "Block"},
}
PLACES = {
    "St": "Saint",
    "Mt": "Mount",
    "Ft": "Fort",
    "Pt": "Point",
    "Ste": "Sainte",
    "Mts": "Mountains",
    "Mtn": "Mountain",
}
DIRECTIONS = {
    **{"N": "North", "S": "South", "E": "East", "W": "West", "NE": "Northeast", "NW": "Northwest"},
    **{"SE": "Southeast", "SW": "Southwest"},
}
STATES = {
    **{"AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado"},
    **{"CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho"},
    **{"IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana"},
    **{"ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota"},
    **{"MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada"},
    **{"NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York", "NC": "North Carolina"},
    **{"ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania"},
    **{"RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas"},
    **{"UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington", "WV": "West Virginia"},
    **{"WI": "Wisconsin", "WY": "Wyoming", "DC": "D C", "PR": "Puerto Rico", "BC": "British Columbia"},
    **{"AB": "Alberta", "QC": "Quebec", "NS": "Nova Scotia", "MB": "Manitoba", "SK": "Saskatchewan", "ON": "Ontario"},
}
DOTTED_STATES = {
    **{"Ala": "Alabama", "Ariz": "Arizona", "Ark": "Arkansas", "Calif": "California", "Colo": "Colorado"},
    **{"Conn": "Connecticut", "Del": "Delaware", "Fla": "Florida", "Ga": "Georgia", "Ill": "Illinois"},
    **{"Ind": "Indiana"},
    **{"Kan": "Kansas", "Ky": "Kentucky", "La": "Louisiana", "Md": "Maryland", "Mass": "Massachusetts"},
    **{"Mich": "Michigan", "Minn": "Minnesota", "Miss": "Mississippi", "Mo": "Missouri", "Mont": "Montana"},
    **{"Neb": "Nebraska", "Nev": "Nevada", "N.H": "New Hampshire", "N.J": "New Jersey", "N.M": "New Mexico"},
    **{"N.Y": "New York", "N.C": "North Carolina", "N.D": "North Dakota", "Okla": "Oklahoma", "Ore": "Oregon"},
    **{"Pa": "Pennsylvania", "R.I": "Rhode Island", "S.C": "South Carolina", "S.D": "South Dakota"},
    **{"Tenn": "Tennessee"},
    **{"Tex": "Texas", "Vt": "Vermont", "Va": "Virginia", "Wash": "Washington", "W.Va": "West Virginia"},
    **{"Wis": "Wisconsin", "Wyo": "Wyoming", "Ont": "Ontario", "Que": "Quebec"},
}
# Codes that are also words in capitals ("Cash, OR credit") need a ZIP code or one of these cities before them.
WORD_CODES = ("HI", "IN", "ME", "OH", "OK", "OR", "ON", "MA", "PA", "LA", "ID")
CITIES = (
    "Portland|Salem|Eugene|Bend|Medford|Ashland|Beaverton|Corvallis|Hillsboro|Gresham|Columbus|Cleveland|Cincinnati|"
    "Toledo|Akron|"
    "Dayton|Canton|Youngstown|Indianapolis|Bloomington|Gary|Evansville|Muncie|Fort Wayne|South Bend|Lafayette|Tulsa|"
    "Norman|Stillwater|Edmond|Oklahoma City|Honolulu|Hilo|Kahului|Bangor|Augusta|Lewiston|Toronto|Ottawa|Hamilton|"
    "London|Windsor|Kingston|Waterloo|Mississauga|Boston|Cambridge|Worcester|Springfield|Salem|Lowell|Amherst|Concord|"
    "Philadelphia|Pittsburgh|Harrisburg|Allentown|Scranton|Erie|Lancaster|Bethlehem|New Orleans|Baton Rouge|Shreveport|"
    "Boise|Moscow|Pocatello|Nampa"
)
NAME = r"(?:[A-Z][a-z']+|\d{1,3}(?:st|nd|rd|th))"
DIRECTION = r"(?:(?:NE|NW|SE|SW|[NSEW])\b\.?)"
STREET = rf"(?:{any_of(STREETS)}|(?<=(?:st|nd|rd|th)\s)(?:st|ave|blvd|rd|dr|street|avenue))\b\.?"
ZIP = r"(?P<zip>\d{5}(?:-\d{4})?)(?![\d,-])"


def _ordinals(text: str) -> str:
    return re.sub(r"(\d+)(?:st|nd|rd|th)", lambda number: ordinal(int(number[1])), text)


def _direction(text: str | None) -> str:
    return f"{DIRECTIONS[text.rstrip('. ')]} " if text else ""


def _address(match: Match) -> str:
    """Return "twenty seven eighty eight San Tomas Expressway"."""
    house = pairs(match["house"]) if len(match["house"]) < 5 else digits(match["house"])
    letter = f" {'ay' if match['letter'] == 'A' else match['letter']}" if match["letter"] else ""
    street = STREETS[match["street"].rstrip(".").title()]
    side = f" {_direction(match['side'])}".rstrip() if match["side"] else ""
    end = "" if match["side"] else stop(match, match["street"])
    return f"{house}{letter} {_direction(match['front'])}{_ordinals(match['name'])}{street}{side}{end}"


def _street(match: Match) -> str:
    return STREETS[match["street"].rstrip(".")] + stop(match, match["street"])


def _directed(match: Match) -> str:
    name = f"{_direction(match['front'])}{_ordinals(match['name'])}"
    return f"{name}{STREETS[match['street'].rstrip('.')]}{stop(match, match['street'])}"


def _state(match: Match) -> str:
    spoken = STATES[match["state"].replace(".", "")]
    return f"{spoken} {code(match['zip'])}" if match["zip"] else spoken


RULES: tuple[Rule, ...] = (
    # house number, street
    Rule(
        number_then(" a"),
        rf"(?P<house>\d{{1,5}})(?P<letter>[A-D]?)\s(?P<front>{DIRECTION}\s)?"
        rf"(?P<name>(?:{NAME}\s){{1,3}}?)(?P<street>{STREET})"
        rf"(?![a-z'])(?:\s(?P<side>{DIRECTION})(?![\w']))?",
        _address,
        {
            "2788 San Tomas Expy": "twenty seven eighty eight San Tomas Expressway",
            "at 12 Main St. near St. Mary's": "at twelve Main Street near Saint Mary's",
            "42 Oak Dr.": "forty two Oak Drive.",
            "12 S 1st st": "twelve South first Street",
            "1211 E Arques Ave": "twelve eleven East Arques Avenue",
            "105 W. 42nd St.": "one oh five West forty second Street.",
            "600 Pine St NW": "six hundred Pine Street Northwest",
            "lived on 1428 Elm St. It was": "lived on fourteen twenty eight Elm Street. It was",
        },
    ),
    Rule(
        INITIAL,
        rf"(?P<front>[NSEW]\.?\s)(?P<name>{NAME}\s)(?P<street>{any_of(STREETS)}\b\.?)(?![a-z'])",
        _directed,
        {"on W 42nd St": "on West forty second Street"},
    ),
    Rule(
        tuple({name.lower() for name in PARTS}),
        rf"(?P<part>{any_of(PARTS)})\b\.?\s?#?(?=\d|[A-Z]\b)",
        lambda match: f"{PARTS[match['part']]} ",
        {"Apt. 5B": "Apartment five B", "Ste 200": "Suite two hundred", "Hwy 101": "Highway one hundred one"},
    ),
    # state and ZIP code
    Rule(
        tuple(state.lower() for state in STATES),
        rf"(?P<state>{any_of(STATES)})(?:,?\s{ZIP})",
        lambda match: (
            None if match["state"] in WORD_CODES and match.string[match.start() - 2] != "," else _state(match)
        ),
        {"Santa Clara, CA 95051": "Santa Clara, California nine five zero five one"},
        after=r"[\w.],?\s",
    ),
    Rule(
        tuple(state.lower() for state in WORD_CODES),
        rf"(?P<state>{any_of(WORD_CODES)})\b(?P<zip>)(?![.']\w)",
        _state,
        {"Portland, OR": "Portland, Oregon", "Well, OK": "Well, O K"},
        after=rf"\b(?:{CITIES}),\s",
    ),
    Rule(
        tuple(state.lower() for state in STATES if state not in WORD_CODES),
        rf"(?P<state>{any_of(set(STATES) - set(WORD_CODES))})\b(?P<zip>)(?![.'-]\w|,\s[A-Z]{{2,}})",
        _state,
        {"in Austin, TX, and City, NY": "in Austin, Texas, and City, New York"},
        after=r"[A-Z][a-z']+,\s",
    ),
    Rule(
        tuple({name.split(".")[0].lower() for name in DOTTED_STATES}),
        rf"(?P<state>{any_of(DOTTED_STATES)})\.(?![A-Za-z])",
        lambda match: DOTTED_STATES[match["state"]] + stop(match, match[0]),
        {"St. Louis, Mo., and Miami, Fla.": "Saint Louis, Missouri, and Miami, Florida."},
        after=r"[A-Z][a-z']+,\s",
    ),
    # a street without a number
    Rule(
        tuple(street.lower() for street in ALWAYS_STREETS),
        rf"(?P<street>{any_of(ALWAYS_STREETS)}\b(?:\.(?!\w))?)",
        _street,
        {"5th Ave": "fifth Avenue", "on Sunset Blvd. in May": "on Sunset Boulevard in May"},
        after=r"(?:[A-Z][a-z']+\.?|\d(?:st|nd|rd|th)|(?:Junior|Senior))\s",
    ),
    Rule(
        ("st", "dr"),
        rf"(?P<street>(?:St|Dr)(?:\.{SENTENCE_END}"
        rf"|\b(?=[,;:)]|\s?$|\s(?:[a-z\d]|{SENTENCE_OPENERS}\b))|\.(?=\s[a-z]|,)))",
        _street,
        {
            "on Elm St. The house": "on Elm Street. The house",
            "Elm Dr.": "Elm Drive.",
            "from Wall St to Oak Dr": "from Wall Street to Oak Drive",
            "on 5th St": "on fifth Street",
            "left on Oak St. and on": "left on Oak Street and on",
        },
        after=r"(?:\b[A-Z][a-z']+|\d(?:st|nd|rd|th))\s",
    ),
    # saints, mounts, forts
    Rule(
        ("st", "mt", "ft", "pt", "ste"),
        r"(?P<place>St|Mt|Ft|Pt|Ste)\.?(?=\s[A-Z][a-z])",
        lambda match: PLACES[match["place"]],
        {"St John's": "Saint John's", "St. Louis and Mt Fuji": "Saint Louis and Mount Fuji", "Ft. Worth": "Fort Worth"},
    ),
    Rule(
        ("mts", "mtn", "mtns"),
        r"(?P<place>Mtn|Mts)\b\.?",
        lambda match: PLACES[match["place"]] + stop(match, match[0]),
        {"Rocky Mts. in May": "Rocky Mountains in May"},
    ),
    Rule(
        ("po", "p"),
        r"(?i:P\.?\s?O\.?)\s(?=[Bb][Oo][Xx]\b)",
        "P O ",
        {"P.O. Box 55": "P O Box fifty five"},
    ),
)
