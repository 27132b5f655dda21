"""Rules for times of day, durations, time zones: "3:30pm", "9:00-17:00", "0800 hours", "2h 15m"."""

from __future__ import annotations

import re

from vallecli.text.english.numbers import DASH, cardinal, digits
from vallecli.text.english.rules import Match, Rule, number_then

HALF = r"(?:[ap]\.\s?m(?:\.|(?![a-z]))|[ap]m\b|[AP]\.\s?M(?:\.|(?![A-Z]))|[AP]M\b)"  # "p. m." is also written
ZONES = (
    *("est", "edt", "cst", "cdt", "mst", "mdt", "pst", "pdt", "akst", "hst", "gmt", "utc", "bst", "cet", "cest", "eet"),
    *("ist", "jst", "kst", "hkt", "sgt", "aest", "aedt", "acst", "awst", "nzst", "nzdt", "msk", "wet", "et", "pt"),
)
ZONE_WORDS = "|".join(r"\.?".join(zone) for zone in ZONES)
ZONE = rf"(?:\s?(?P<zone>(?i:{ZONE_WORDS})|[CM]T)(?![A-Za-z])\.?)"
CLOCK = r"(?:[01]?\d|2[0-4])[:.][0-5]\d"
TIME = rf"(?:{CLOCK}\s?{HALF}|\d{{1,2}}:[0-5]\d(?![\d:])|\d{{1,2}}\s?{HALF})"
# A capital after "p.m." starts a sentence, unless it is that of a weekday, a month or a time zone.
ENDS = re.compile(r"\s*$|\s+(?!(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)|[A-Z]{2,}|[A-Z][a-z]+(?:ern|fic|ral|tain)\b)[A-Z]")


def _half(written: str, following: str) -> str:
    """Return "ay m" or "p m", with a stop if the dot of "p.m." also ends the sentence."""
    spoken = "ay m" if written[0] in "aA" else "p m"
    return f"{spoken}." if written.endswith(".") and ENDS.match(following) else spoken


def clock(hour: int, minute: int | None, *, half: bool) -> str:
    """Return "three thirty", "nine oh five", "five o'clock", "seventeen hundred", "midnight"; with `half`, "five"."""
    if minute:
        return f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    if half or minute is None:
        return cardinal(hour)
    if hour in (0, 24):
        return "midnight"
    return f"{cardinal(hour)} o'clock" if hour <= 12 else f"{cardinal(hour)} hundred"


def _time(match: Match) -> str | None:
    found = match.groupdict()
    hour, minute, half = int(found["hour"]), found.get("minute"), found.get("half")
    if hour > 24 or (half and not 0 <= hour <= 12):
        return None
    spoken = clock(hour, int(minute) if minute else None, half=bool(half))
    zone = found.get("zone")
    if half:
        spoken += f" {_half(half, '' if zone else match.string[match.end() :][:20])}".rstrip("." if zone else "")
    return f"{spoken} {_zone(zone)}" if zone else spoken


def _zone(written: str) -> str:
    return " ".join("ay" if letter in "Aa" else letter.upper() for letter in written if letter != ".")


def _count(value: int, unit: str) -> str:
    return f"{cardinal(value)} {unit}{'' if value == 1 else 's'}"


def _seconds(match: Match) -> str | None:
    """Return "two hours three minutes and four seconds"; hours of 00 are not read."""
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    parts = [_count(hour, "hour")] if hour else []
    tail = _count(second, "second")
    if match["part"]:
        tail = f"{cardinal(second)} point {digits(match['part'])} seconds"
    spoken = " ".join([*parts, _count(minute, "minute"), "and", tail])
    if match["half"]:
        spoken += f" {_half(match['half'], '' if match['zone'] else match.string[match.end() :][:20])}"
    return f"{spoken.rstrip('.')} {_zone(match['zone'])}" if match["zone"] else spoken


def _from_to(match: Match) -> str:
    """Return the two times of a range, each read by the rules for a time."""
    first, last = (_one(text, match.string[match.end() :][:20]) for text in (match["first"], match["last"]))
    return f"{first} to {last.rstrip('.')} {_zone(match['zone'])}" if match["zone"] else f"{first} to {last}"


def _one(text: str, following: str) -> str:
    found = re.match(rf"(?P<hour>\d{{1,2}})(?:[:.](?P<minute>\d\d))?\s?(?P<half>{HALF})?", text)
    assert found is not None  # `text` matched TIME or is an hour
    minute = int(found["minute"]) if found["minute"] else None
    spoken = clock(int(found["hour"]), minute, half=bool(found["half"]))
    return f"{spoken} {_half(found['half'], following)}" if found["half"] else spoken


def _military(match: Match) -> str:
    hour, minute = match["hour"], match["minute"]
    spoken = f"oh {digits(hour[1], 'oh')}" if hour[0] == "0" else cardinal(int(hour))
    if minute == "00":
        return f"{spoken} hundred hours"
    return f"{spoken} {'oh ' if minute[0] == '0' else ''}{cardinal(int(minute))} hours"


DURATION_UNITS = {
    **{"d": "day", "h": "hour", "hr": "hour", "hrs": "hour", "m": "minute", "min": "minute", "mins": "minute"},
    **{"s": "second", "sec": "second", "secs": "second"},
}
DURATION = re.compile(r"(\d{1,4})\s?([a-z]{1,4})\.?")


def _duration(match: Match) -> str | None:
    units = [(int(value), DURATION_UNITS[unit]) for value, unit in DURATION.findall(match[0])]
    order = ["day", "hour", "minute", "second"]
    ranks = [order.index(unit) for _, unit in units]
    return " ".join(_count(value, unit) for value, unit in units) if ranks == sorted(set(ranks)) else None


def _offset(match: Match) -> str:
    sign = "plus" if match["sign"] == "+" else "minus"
    minutes = f" {cardinal(int(match['minute']))}" if match["minute"] and int(match["minute"]) else ""
    return f"{_zone(match['zone'])} {sign} {cardinal(int(match['hour']))}{minutes}"


RULES: tuple[Rule, ...] = (
    Rule(
        number_then(":"),
        r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d):(?P<second>[0-5]\d)(?:[.,](?P<part>\d{1,3}))?(?![\d:])"
        rf"(?:\s?(?P<half>{HALF}))?{ZONE}?",
        _seconds,
        {
            "00:03:15": "three minutes and fifteen seconds",
            "14:10:30": "fourteen hours ten minutes and thirty seconds",
            "01:01:01": "one hour one minute and one second",
            "10:00:00 p.m. e.s.t": "ten hours zero minutes and zero seconds p m E S T",
            "at 00:00:01.5": "at zero minutes and one point five seconds",
        },
    ),
    Rule(
        number_then(":. a"),
        rf"(?P<first>{TIME}){DASH}(?P<last>{TIME}|\d{{1,2}}(?=\s?{HALF})){ZONE}?(?!\w)",
        _from_to,
        {
            "9am-5pm": "nine ay m to five p m",
            "9:00–17:00": "nine o'clock to seventeen hundred",
            "5pm-7 pm": "five p m to seven p m",
            "9:30am – 10.15am daily": "nine thirty ay m to ten fifteen ay m daily",
        },
    ),
    Rule(
        number_then(":-– "),
        rf"(?P<first>\d{{1,2}}(?::[0-5]\d)?){DASH}(?P<last>{TIME}){ZONE}?(?!\w)",
        _from_to,
        {"9-5pm est": "nine to five p m E S T", "from 5:30-7 p.m. today": "from five thirty to seven p m today"},
    ),
    Rule(
        number_then(":."),
        rf"(?P<hour>\d{{1,2}})[:.](?P<minute>[0-5]\d)\s?(?P<half>{HALF}){ZONE}?",
        _time,
        {
            "at 3:30pm": "at three thirty p m",
            "6.30pm": "six thirty p m",
            "at 3:05 p.m. He came.": "at three oh five p m. He came.",
            "1:59 p.m.est": "one fifty nine p m E S T",
            "01:00 a.m.": "one ay m.",
            "12.15 P.M. on Monday": "twelve fifteen p m on Monday",
        },
    ),
    Rule(
        number_then(": a"),
        r"(?P<hour>[01]\d|2[0-4]):?(?P<minute>[0-5]\d)\s?(?:hours|hrs|hr|h)\b\.?",
        _military,
        {
            "0800 hours": "oh eight hundred hours",
            "by 1435 hrs today": "by fourteen thirty five hours today",
            "0005 hours": "oh oh oh five hours",
            "13:00h": "thirteen hundred hours",
        },
    ),
    Rule(
        number_then("a"),
        r"(?P<hour>1?\d|2[0-4])h(?P<minute>[0-5]\d)\b",
        lambda match: (
            f"{cardinal(int(match['hour']))} hour{'' if match['hour'] == '1' else 's'} {cardinal(int(match['minute']))}"
        ),
        {"1h30": "one hour thirty"},
    ),
    Rule(
        number_then(":"),
        rf"(?P<hour>\d{{1,2}}):(?P<minute>[0-5]\d)(?![\d:]){ZONE}?",
        _time,
        {
            "12:00": "twelve o'clock",
            "15:45": "fifteen forty five",
            "at 16:00 GMT": "at sixteen hundred G M T",
            "00:00": "midnight",
            "0:05": "zero oh five",
            "7:09.": "seven oh nine.",
        },
    ),
    Rule(
        number_then(" a"),
        rf"(?P<hour>\d{{1,2}})\s?(?P<half>{HALF}){ZONE}?",
        _time,
        {
            "5pm EST": "five p m E S T",
            "at 5 a.m. sharp": "at five ay m sharp",
            "8 AM ET": "eight ay m E T",
            "until 5 p. m. today": "until five p m today",
        },
    ),
    Rule(
        number_then("a "),
        r"\d{1,4}\s?(?:d|hrs?|h|mins?|m)\.?\s?(?:\d{1,4}\s?(?:hrs?|h|mins?|m|secs?|s)\b\.?\s?){1,3}(?<![.\s])",
        _duration,
        {
            "2h 15m": "two hours fifteen minutes",
            "in 1hr 30mins": "in one hour thirty minutes",
            "5m30s left": "five minutes thirty seconds left",
            "1d 4h": "one day four hours",
        },
    ),
    Rule(number_then("/"), r"24/7\b", "twenty four seven", {"open 24/7": "open twenty four seven"}),
    Rule(
        ("gmt", "utc"),
        r"(?P<zone>GMT|UTC)\s?(?P<sign>[+-])(?P<hour>\d{1,2})(?::?(?P<minute>\d\d))?(?!\d)",
        _offset,
        {"UTC+2": "U T C plus two", "GMT -5:30": "G M T minus five thirty"},
    ),
)
