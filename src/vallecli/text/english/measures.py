"""Rules for measures: units with powers and quotients, dimensions, feet and inches, angles, k and x after a number."""

from __future__ import annotations

import re

from vallecli.text.english.nouns import has_noun, is_adjective
from vallecli.text.english.numbers import AMOUNT, DASH, SCALES, fraction, number, pairs, plural, quantity
from vallecli.text.english.rules import NUMBER, SENTENCE_END, Match, Rule, any_of, number_then, stop
from vallecli.text.english.units import PER, PER_NAMES, UNITS

UNIT = any_of(UNITS)
POWER = r"(?:(?P<power>\^?[23](?!\d)|[²³])|(?P<high>\^-?\d))?"
PER_POWER = r"(?P<per_power>\^?[23](?!\d)|[²³])?"
PEOPLE = "people|users|followers|subscribers|views|viewers|customers|fans|members|players|downloads|copies|copy|jobs|"
PEOPLE += "residents|inhabitants|voters|visitors|tourists|viewers|students|workers|dollars|euros|pounds|records|rows|"
PEOPLE += "tokens|parameters|params|hits|tons|tonnes|barrels|cars|homes|households|years|lines|items|points|times"
# "the 100m dash" is one of meters, "1.5m people" one of millions.
MILLION = rf"(?=(?:\s(?:[a-z]+\s)?(?:{PEOPLE})\b))"
INCH = ("inch", "inches")  # its symbols are words and marks, which few rules read as a unit
POWERS = {"2": "square", "²": "square", "3": "cubic", "³": "cubic"}
AFTER_PER = {"2": "squared", "²": "squared", "3": "cubed", "³": "cubed"}
TIMES = ("min", "hr", "sec")  # "a 5 min walk", also without the article
TIME_UNITS = frozenset({"second", "minute", "hour"})
DIRECTIONS = {"N": "north", "S": "south", "E": "east", "W": "west"}
# After these words, 5.5 ft. tall is not singular, and 4x is "four times".
COMPARED = "faster|slower|more|less|better|worse|bigger|larger|smaller|higher|lower|longer|shorter|cheaper|greater|"
COMPARED += "stronger|quicker|heavier|lighter|increase|improvement|growth|reduction|speedup|return|the|as|that|a"


def unit(symbol: str, *, singular: bool, power: str | None = None) -> str:
    """Return the name of a unit, with "square" or "cubic"."""
    name = UNITS.get(symbol, INCH)[0 if singular else 1]
    return f"{POWERS[power.lstrip('^')]} {name}" if power else name


def _per(match: Match) -> str:
    name = PER_NAMES[match["per"]]
    power = (match["per_power"] or "").lstrip("^")
    if not power:
        return f" per {name}"
    if name in TIME_UNITS:
        return f" per {name} {AFTER_PER[power]}"
    return f" per {POWERS[power]} {name}"


def _measure(match: Match) -> str:
    """Return a measure or a range of measures, the unit in the singular if a noun follows that it modifies."""
    adjective = (
        match["between"] == "-" or is_adjective(match, of_size=True) or (match["unit"] in TIMES and has_noun(match))
    )
    singular = match["number"] == "1" or (adjective and match["unit"] not in ("°C", "°F"))
    name = unit(match["unit"], singular=singular, power=match["power"])
    value = number(match["number"])
    if adjective:
        article = re.search(r"\b(?:a|the) \Z", match.string[max(0, match.start() - 5) : match.start()], re.IGNORECASE)
        value = value.removeprefix("one ") if article and value in ("one hundred", "one thousand") else value
    low = f"{number(match['low'])} to " if match["low"] else ""
    per = _per(match) if match["per"] else ""
    return f"{low}{value} {name}{per}" + stop(match, match["dot"] or "")


def _measures(match: Match) -> str:
    """Return a range of measures that both have their unit."""
    low, high = (
        f"{number(match[name])} {unit(match['unit'], singular=match[name] == '1', power=match['power'])}"
        for name in ("low", "number")
    )
    return f"{low} to {high}"


def _fraction_of(match: Match) -> str:
    """Return a fraction of a unit: "one half teaspoon", "three quarters of a cup", "two and a half pounds"."""
    top, bottom = int(match["top"]), int(match["bottom"])
    if match["whole"]:
        name = unit(match["unit"], singular=False)
        return f"{fraction(match['whole'], top, bottom)} {name}" + stop(match, match["dot"] or "")
    name = unit(match["unit"], singular=True)
    of = "" if top == 1 else f"of {'an' if name[0] in 'aeio' else 'a'} "
    return f"{fraction(None, top, bottom)} {of}{name}" + stop(match, match["dot"] or "")


def _dimensions(match: Match) -> str:
    """Return "two by three by four meters"; the unit can follow each number or the last."""
    numbers = re.findall(AMOUNT, re.sub(r"(?:m|ft|yd)\^?[23²³]", "", match[0]))
    spoken = " by ".join(quantity(text) for text in numbers)
    if not match["unit"]:
        return spoken
    return f"{spoken} {unit(match['unit'], singular=is_adjective(match, of_size=True), power=match['power'])}"


def _feet(match: Match) -> str:
    feet = f"{number(match['feet'])} {'foot' if match['inches'] or match['feet'] == '1' else 'feet'}"
    return f"{feet} {number(match['inches'])}" if match["inches"] else feet


def _inches(match: Match) -> str | None:
    """Return inches for a double quote after a number, unless it closes a quotation."""
    if match.string.count('"', max(0, match.start() - 200), match.start()) % 2:
        return None
    return f"{number(match['number'])} inch{'' if match['number'] == '1' or is_adjective(match) else 'es'}"


def _coordinates(match: Match) -> str:
    parts = [f"{number(match['degrees'])} degrees"]
    parts += [f"{number(match[name])} {name}" for name in ("minutes", "seconds") if match[name]]
    return " ".join([*parts, DIRECTIONS[match["direction"]] if match["direction"] else ""]).strip()


def _scaled(match: Match) -> str | None:
    low = f"{number(match['low'])} to " if match["low"] else ""
    if re.search(r"[A-Za-z\d]-\Z", match.string[max(0, match.start() - 2) : match.start()]):
        return None  # a model: i7-8700K
    return f"{low}{number(match['number'])} {SCALES[match['scale'].lower()]}"


def _times(match: Match) -> str:
    return f"{number(match['number'])} times"


DOT = rf"(?P<dot>\.(?=\s+[a-z(&\d]|,|;|\))|\.(?={SENTENCE_END}))?"
LOW = rf"(?:(?P<low>{AMOUNT})%?{DASH})?"
RULES: tuple[Rule, ...] = (
    # angles and places
    Rule(
        number_then(".° ,"),
        rf"(?P<degrees>{AMOUNT})\s?°\s?(?:(?P<minutes>{AMOUNT})\s?['′]\s?)?"
        rf"(?:(?P<seconds>{AMOUNT})\s?(?:\"|'')\s?)?(?P<direction>[NSEW])\b",
        _coordinates,
        {
            "45° N": "forty five degrees north",
            "40°42'46\" N": "forty degrees forty two minutes forty six seconds north",
        },
    ),
    Rule(
        number_then(".° ,"),
        rf"(?P<first>{AMOUNT})\s?°\s?(?P<scale>[CF])\s?/\s?(?=-?\d)",
        lambda match: f"{number(match['first'])} {unit('°' + match['scale'], singular=match['first'] == '1')}, ",
        {"20°C/68°F": "twenty degrees Celsius, sixty eight degrees Fahrenheit"},
    ),
    # feet and inches
    Rule(
        number_then("' a"),
        r"(?P<feet>\d{1,2})(?:'\s?|\s?ft\.?\s)(?P<inches>\d{1,2}(?:\.\d)?)(?:\s?in\b\.?|\"|''|(?![\w']))",
        _feet,
        {
            "5'10\" tall": "five foot ten tall",
            "6 ft 2 in. tall": "six foot two tall",
            "he is 5'11": "he is five foot eleven",
        },
    ),
    Rule(
        number_then("'"),
        rf"(?P<low>\d{{1,3}})'{DASH}(?P<high>\d{{1,3}})'(?!\w)",
        lambda match: f"{number(match['low'])} to {number(match['high'])} feet",
        {"5'-6' deep": "five to six feet deep"},
    ),
    Rule(
        number_then("'\"."),
        r"(?P<width>\d{1,3}(?:\.\d{1,2})?)(?P<mark>['\"])\s?[x×]\s?(?P<height>\d{1,3}(?:\.\d{1,2})?)(?P=mark)",
        lambda match: (
            f"{number(match['width'])} by {number(match['height'])} {'feet' if match['mark'] == chr(39) else 'inches'}"
        ),
        {"10' x 12'": "ten by twelve feet", '6" x 4"': "six by four inches"},
    ),
    Rule(
        number_then("'"),
        r"(?P<feet>\d{1,3})'(?P<inches>)(?=\s(?:tall|high|long|wide|deep|ceilings?)\b)",
        _feet,
        {"8' tall": "eight feet tall", "12' ceilings": "twelve feet ceilings"},
    ),
    Rule(
        number_then('".,'),
        rf"(?P<number>{AMOUNT})\"(?=\s[A-Za-z]|\s?[x×]|[,.]|\s?$)",
        _inches,
        {'a 27" screen': "a twenty seven inch screen", 'He said "route 66" to me': "He said route sixty six to me"},
    ),
    Rule(
        number_then(" -.,a"),
        rf"(?P<low>)(?P<number>{AMOUNT})(?P<between>[\s-]?)in(?P<dot>\.(?=\s[a-z]|\s?$)(?! (?:the|a|his|her|my)\b)"
        r"|(?=\s(?:x|tall|high|long|wide|deep|thick|diameter|screen|monitor)\b)|(?<=\din)\b(?!-|\s(?:a|the)\b))",
        lambda match: f"{number(match['number'])} inch{'' if match['number'] == '1' or is_adjective(match) else 'es'}",
        {
            "5 in. of snow": "five inches of snow",
            "a 3 in wide gap": "a three inches wide gap",
            "5 in the car": "five in the car",
        },
    ),
    # dimensions: the unit after each number or after the last
    Rule(
        number_then(" a.,x×"),
        rf"{AMOUNT}\s?(?P<first>mm|cm|m|km|ft|in|yd|px)?\s?[x×]\s?{AMOUNT}(?:\s?(?:(?P=first))?\s?[x×]\s?{AMOUNT})?"
        rf"(?:\s?(?P<unit>(?:mm|cm|m|km|ft|yd|px)(?![\w'])"
        rf"|(?:mm|cm|m|km|ft|yd|px)(?=[23²³])|(?P=first)){POWER})(?![\w'])",
        _dimensions,
        {
            "2x8 m2": "two by eight square meters",
            "3 x 4 x 5 cm": "three by four by five centimeters",
            "5m x 3m": "five by three meters",
        },
    ),
    Rule(
        number_then(".,x×a"),
        rf"{AMOUNT}[x×]{AMOUNT}(?:[x×]{AMOUNT})?(?P<unit>)(?![\w'^])",
        _dimensions,
        {"a 1920x1080 screen": "a nineteen twenty by one thousand eighty screen", "a 4x4": "a four by four"},
    ),
    # k, M, bn and x after a number
    Rule(
        number_then("a"),
        r"(?P<number>[248])K(?=@|\s(?:[Tt][Vv]|video|resolution|monitor|display|screen|UHD|movie|footage|camera)s?\b)",
        lambda match: f"{number(match['number'])} K",
        {"a 4K TV": "a four K T V", "4K@60Hz": "four K at sixty hertz"},
    ),
    Rule(
        number_then("a"),
        r"(?P<number>5|10|15|20)[kK](?=\s(?:run|race|runs|races|runner|walk|fun run)\b)",
        lambda match: f"{number(match['number'])} K",
        {"a 10k run": "a ten K run"},
    ),
    Rule(
        number_then(" a.,-–"),
        rf"{LOW}(?P<number>{AMOUNT})\s?(?P<scale>m){MILLION}",
        _scaled,
        {"1.5m people": "one point five million people", "300m active users": "three hundred million active users"},
    ),
    Rule(
        number_then("a.,-–"),
        rf"{LOW}(?P<number>{AMOUNT})"
        r"(?P<scale>[kKM]|mn|mln|bn|BN|Bn|tn|trn|MM|(?<=\.\d)B|(?<=\.\d\d)B|B(?=\+?\s[a-z]))(?![\w'])",
        _scaled,
        {
            "10k followers": "ten thousand followers",
            "5M": "five million",
            "2.5bn years": "two point five billion years",
            "10-20K": "ten to twenty thousand",
            "a 7B model": "a seven billion model",
            "0.1 B": "zero point one B",
        },
    ),
    Rule(
        number_then("a.,×"),
        rf"(?P<number>{AMOUNT})[xX×](?=(?:\s|-)(?:{COMPARED})\b)",
        _times,
        {"It is 1.5x faster.": "It is one point five times faster.", "10x more": "ten times more"},
    ),
    Rule(
        number_then("a.,×"),
        rf"(?P<number>{AMOUNT})[xX×](?![\w'])",
        lambda match: f"{number(match['number'])} X",
        {"4.4x": "four point four X", "a 3x zoom": "a three X zoom"},
    ),
    # plurals, which are no seconds
    Rule(
        number_then("a"),
        r"(?P<number>7[0-8]7)s\b",
        lambda match: plural(pairs(match["number"])),
        {"two 747s": "two seven forty sevens"},
    ),
    Rule(
        number_then("a"),
        r"(?P<number>\d{1,4})s\b",
        lambda match: plural(quantity(match["number"])),
        {"size 14s": "size fourteens", "two 5s": "two fives"},
        after=r"\b(?i:size|two|three|four|five|many|several|all|those) ",
    ),
    Rule(
        number_then("a"),
        r"(?P<number>10{2,6})s(?=\sof\b)",
        lambda match: plural(number(match["number"]).removeprefix("one ")),
        {"100s of people": "hundreds of people"},
    ),
    # measures
    Rule(
        NUMBER,
        rf"(?P<low>{AMOUNT})\s?(?P<unit>{UNIT}){DASH}(?P<number>{AMOUNT})\s?(?P=unit){POWER}(?![\w'/]|\^)",
        _measures,
        {"5kg-10kg": "five kilograms to ten kilograms", "10%–20%": "ten percent to twenty percent"},
    ),
    Rule(
        number_then(" -/"),
        r"(?P<top>\d{2,3})/(?P<bottom>\d{2,3})(?P<unit>\s?mm\s?Hg)?\b(?!/)",
        lambda match: (
            f"{number(match['top'])} over {number(match['bottom'])}{' millimeters of mercury' if match['unit'] else ''}"
            if match["unit"]
            or re.search(
                r"(?i)\b(?:pressure|BP)(?: is| was| of|:)? \Z", match.string[max(0, match.start() - 20) : match.start()]
            )
            else None
        ),
        {"120/80 mmHg": "one hundred twenty over eighty millimeters of mercury"},
    ),
    Rule(
        number_then(" -/"),
        rf"(?:(?P<whole>\d{{1,3}})[\s-])?(?P<top>\d{{1,3}})/(?P<bottom>\d{{1,3}})[\s-]?"
        rf"(?P<unit>{UNIT}|in(?=\.)|\"(?=\s|$)){DOT}(?![\w/'])",
        _fraction_of,
        {
            "1/2 tsp salt": "one half teaspoon salt",
            "3/4 mi away": "three quarters of a mile away",
            "2½ lbs": "two and a half pounds",
            '3/8" and 1/2 in. wide': "three eighths of an inch and one half inch wide",
        },
    ),
    Rule(
        NUMBER,
        rf"{LOW}(?P<number>{AMOUNT})(?P<between>[\s-]?)(?P<unit>{UNIT}){POWER}"
        rf"(?:\s?/\s?(?P<per>{PER}){PER_POWER})?{DOT}(?![\w']|\^)",
        _measure,
        {
            "5 km, 10kg and 1 mi": "five kilometers, ten kilograms and one mile",
            "50% and 5.5 %": "fifty percent and five point five percent",
            "20°C": "twenty degrees Celsius",
            "60 km/h": "sixty kilometers per hour",
            "16GB at 3.5GHz": "sixteen gigabytes at three point five gigahertz",
            "5 m² or 20 m2": "five square meters or twenty square meters",
            "9.8 m/s²": "nine point eight meters per second squared",
            "100 mg/dL": "one hundred milligrams per deciliter",
            "a 5-km run": "a five kilometer run",
            "100 mA": "one hundred milliamps",
            "2-5lb": "two to five pounds",
            "10–15%": "ten to fifteen percent",
            "6 ft. tall": "six feet tall",
            "He is 6 ft. The end": "He is six feet. The end",
            "5 lb. bag": "five pound bag",
            "the 100m dash": "the hundred meter dash",
            "30 mpg": "thirty miles per gallon",
            "100 psi": "one hundred P S I",
            "2 tbsp of oil": "two tablespoons of oil",
            "500 sq. ft. of room": "five hundred square feet of room",
            "1 mbps": "one megabit per second",
            "in 90s": "in ninety seconds",
            "a 16GB laptop": "a sixteen gigabyte laptop",
            "70 kg/m³": "seventy kilograms per cubic meter",
        },
    ),
    Rule(
        "/",
        r"/(?P<per>s|sec|min|hr|wk|mo|yr|kg|lb|mL|ml|GB|MB)(?P<per_power>)\b\.?(?![\w/])",
        lambda match: _per(match) + stop(match, match[0]),
        {"5000 req/s": "five thousand req per second", "downtime/yr. is low": "downtime per year is low"},
        after=r"[a-z]{3,}",
    ),
    Rule(
        "/",
        rf"/(?P<per>{PER}){PER_POWER}(?![\w/])",
        _per,
        {
            "277 persons/km²": "two hundred seventy seven persons per square kilometer",
            "40 words/min": "forty words per minute",
        },
        after=r"[a-z]{3,}s",
    ),
    Rule(
        number_then("/ .,"),
        rf"(?P<number>{AMOUNT})\s?/\s?(?P<per>{PER})(?P<per_power>)(?![\w'/.-])",
        lambda match: f"{number(match['number'])}{_per(match)}",
        {"12/kg": "twelve per kilogram", "3/day": "three per day"},
    ),
    Rule(
        ("km", "m", "cm", "mm", "ft", "mi"),
        rf"(?P<unit>km|cm|mm|m|ft|mi)(?P<power>[²³])(?:/(?P<per>{PER})(?P<per_power>)(?!\w))?",
        lambda match: unit(match["unit"], singular=False, power=match["power"]) + (_per(match) if match["per"] else ""),
        {"in km²": "in square kilometers", "5 billion m³/year": "five billion cubic meters per year"},
    ),
    Rule(
        tuple({symbol.lower() for symbol in UNITS if symbol.isalpha()}),
        rf"(?P<unit>{any_of(symbol for symbol in UNITS if symbol.isalpha())})/(?P<per>{PER}){PER_POWER}(?![\w/])",
        lambda match: f"{UNITS[match['unit']][1]}{_per(match)}",
        {"in km/h or g/cm³": "in kilometers per hour or grams per cubic centimeter"},
    ),
    Rule(
        number_then("a"),
        r"(?P<lines>480|720|1080|1440|2160|4320)(?P<kind>[pi])\b",
        lambda match: f"{pairs(match['lines'])} {match['kind']}",
        {"in 1080p or 720p": "in ten eighty p or seven twenty p"},
    ),
)
