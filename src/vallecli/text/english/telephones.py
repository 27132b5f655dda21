"""Rules for numbers that are read digit by digit: telephones, cards, accounts, codes, ISBN, IP addresses, hashes."""

from __future__ import annotations

import re

from vallecli.text.english.letters import spell
from vallecli.text.english.numbers import cardinal, digits, pairs
from vallecli.text.english.rules import CAPITALS, CODE, NUMBER, Match, Rule, any_of, number_then

HUNDREDS = re.compile(r"[1-9]00")
GROUP = re.compile(r"\d+|[A-Za-z]+")
EXTENSION = r"(?:,?\s?(?:ext\.?|extension|x)\s?\d{1,6}\b)?"
EXTENSION_MARK = re.compile(r",?\s?(?:ext\.?|extension|x)\s?")
SEPARATOR = r"[-. ]"
NOT_LONGER = r"(?![\w-]|\.\d)"
EMERGENCY = "911|999|112|000|111|101|411|311|211|811|988|110|119|118|108|102|100"
# Words before a number that is a name, not a count; "number", "is", ":" and "#" can follow them.
NAMED = (
    *("PIN", "pin", "passcode", "password", "Password", "code", "Code", "codes", "OTP", "CVV", "CVC", "zip", "ZIP"),
    *("postcode", "account", "Account", "acct", "acct.", "a/c", "reference", "Reference", "confirmation", "order"),
    *("Order", "invoice", "Invoice", "ticket", "Ticket", "booking", "extension", "ext", "ext.", "Ext.", "card", "Card"),
    *("phone", "Phone", "tel", "Tel", "tel.", "Tel.", "fax", "Fax", "mobile", "Mobile", "license", "passport", "SSN"),
    *("flight", "Flight", "Box", "box number", "routing", "tracking", "serial", "case", "Case", "ID", "customer"),
    *("plate", "VIN", "IMEI", "PNR", "model", "Model"),
)
AFTER_NAME = rf"\b{any_of(NAMED)}:?\s(?:[Nn]umber:? |[Nn]o\. |ID:? )?(?:is:? |was )?[#:]?\s?"


def _telephone(match: Match) -> str:
    """Return the digits of each group, an 800 as "eight hundred"; "plus" and "extension" where they are written."""
    main, *extension = EXTENSION_MARK.split(match[0])
    groups = [
        f"{cardinal(int(text[0]))} hundred" if HUNDREDS.fullmatch(text) else digits(text)
        for text in GROUP.findall(main)
    ]
    spoken = f"{'plus ' if main[0] == '+' else ''}{', '.join(groups)}"
    return f"{spoken}, extension {digits(extension[0])}" if extension else spoken


def _vanity(match: Match) -> str:
    """Return "one eight hundred flowers": letters are read as a word."""
    front = [
        f"{cardinal(int(text[0]))} hundred" if HUNDREDS.fullmatch(text) else digits(text)
        for text in GROUP.findall(match["front"])
    ]
    word = [digits(text) if text.isdigit() else text.lower() for text in GROUP.findall(match["word"])]
    return " ".join([*front, *word])


def code(text: str) -> str:
    """Return each digit and letter of a code, with a comma where it has a space or a dash."""
    parts = [
        " ".join(spell(char.upper()) if char.isalpha() else digits(char) for char in part)
        for part in re.findall(r"[A-Za-z\d]+", text)
    ]
    return ", ".join(parts)


def _ip(match: Match) -> str:
    address = " dot ".join(digits(part) for part in match["address"].split("."))
    port = f" colon {digits(match['port'])}" if match["port"] else ""
    size = f" slash {cardinal(int(match['size']))}" if match["size"] else ""
    return address + port + size


def _code(match: Match) -> str:
    return code(match[0])


def _hash(match: Match) -> str | None:
    text = match[0]
    return code(text) if any(char.isdigit() for char in text) and any(char.isalpha() for char in text) else None


RULES: tuple[Rule, ...] = (
    # telephones
    Rule(
        number_then("-. "),
        r"(?P<front>1[- .]\(?[2-9]\d\d\)?[- .]|8(?:00|33|44|55|66|77|88)-)"
        r"(?P<word>(?=[\d-]{0,4}[A-Z]{2})(?:[A-Z]{1,9}|\d{1,4})(?:-(?:[A-Z]{1,9}|\d{1,4})){0,3})(?<=[A-Z])(?![\w-])",
        _vanity,
        {"1-800-FLOWERS": "one eight hundred flowers", "1-800-GO-2-HAUL": "one eight hundred go two haul"},
    ),
    Rule(
        "+",
        rf"\+\d{{1,3}}\s?[-. ]?\(\d{{1,4}}\)\s?[-. ]?\d{{1,4}}(?:{SEPARATOR}\d{{2,5}}){{1,3}}{NOT_LONGER}{EXTENSION}"
        rf"|\+\d{{1,3}}(?:{SEPARATOR}\d{{1,8}}){{2,6}}{NOT_LONGER}{EXTENSION}|\+\d{{8,15}}(?!\d)",
        _telephone,
        {
            "+1 555 123 4567": "plus one, five five five, one two three, four five six seven",
            "+1(123) 123-5678": "plus one, one two three, one two three, five six seven eight",
            "+44 20 7946 0958": "plus four four, two zero, seven nine four six, zero nine five eight",
            "+44 (0)20 7946 0958": "plus four four, zero, two zero, seven nine four six, zero nine five eight",
        },
    ),
    Rule(
        "(",
        r"\((?P<front>8\d\d)\)\s?(?P<word>[A-Z]{3,9})\b",
        _vanity,
        {"(800) FLOWERS": "eight hundred flowers"},
    ),
    Rule(
        "(",
        rf"\(\d{{2,5}}\)\s?[-. ]?\d{{2,4}}(?:{SEPARATOR}\d{{2,5}}){{1,3}}{NOT_LONGER}{EXTENSION}",
        _telephone,
        {"(555) 123-4567": "five five five, one two three, four five six seven"},
    ),
    Rule(
        number_then("-. "),
        rf"(?:1{SEPARATOR})?(?:\(\d{{3}}\)\s?|\d{{3}}{SEPARATOR})"
        rf"\d{{3}}{SEPARATOR}\d{{4}}(?:-\d{{1,4}})?{NOT_LONGER}{EXTENSION}",
        _telephone,
        {
            "Call 555-123-4567.": "Call five five five, one two three, four five six seven.",
            "555.555.5555": "five five five, five five five, five five five five",
            "123-123-5678-1": "one two three, one two three, five six seven eight, one",
            "555-123-4567 ext. 89": "five five five, one two three, four five six seven, extension eight nine",
            "1-800-555-0199": "one, eight hundred, five five five, zero one nine nine",
            "1 (555) 123-4567": "one, five five five, one two three, four five six seven",
        },
    ),
    Rule(
        number_then("- "),
        rf"\d{{3}}-\d{{4}}-\d{{4}}{NOT_LONGER}|\d{{3}}-\d{{4}}{NOT_LONGER}(?!\s?=){EXTENSION}"
        rf"|0\d{{2,4}}[ -]\d{{3,4}}[ -]\d{{3,4}}{NOT_LONGER}|0\d{{4}} \d{{6}}(?!\w)|0\d(?: \d\d){{4}}(?!\w)",
        _telephone,
        {
            "Call me at 135-4567-8900.": "Call me at one three five, four five six seven, eight nine zero zero.",
            "555-0123": "five five five, zero one two three",
            "020 7946 0958": "zero two zero, seven nine four six, zero nine five eight",
        },
    ),
    Rule(
        NUMBER,
        rf"(?:{EMERGENCY})(?=[.,;:!?)](?!\d)|\s?$| (?:for|if|in|now|immediately|and|or|when|to|as|before|right)\b)",
        _code,
        {
            "Dial 911 in an emergency.": "Dial nine one one in an emergency.",
            "They called 999.": "They called nine nine nine.",
        },
        after=r"\b(?i:calls?|called|calling|dials?|dialed|dialing|phoned?|text|ring|rang)(?: the number| up)? ",
    ),
    Rule(
        number_then(" "),
        r"(?:911|999|112)(?=\s(?:calls?|callers?|operators?|dispatch|dispatchers?|emergency)\b)"
        r"|911(?=[.;!?)]|,(?!\d)|$)",
        _code,
        {"a 911 operator": "a nine one one operator"},
    ),
    Rule(
        NUMBER,
        r"\d{4,6}(?![\w%,-]|\.\d)",
        _code,
        {"Text STOP to 12345": "Text Stop to one two three four five"},
        after=r"\b[Tt]ext (?:[A-Za-z]+ to )?",
    ),
    # identity, cards, accounts, books
    Rule(
        number_then("-"),
        rf"\d{{3}}-\d\d-\d{{4}}{NOT_LONGER}",
        _code,
        {"111-11-1111": "one one one, one one, one one one one"},
    ),
    Rule(
        number_then("- "),
        rf"\d{{4}}(?P<gap>[ -])\d{{4}}(?P=gap)\d{{4}}(?:(?P=gap)\d{{1,4}}){{0,2}}{NOT_LONGER}"
        rf"|3\d{{3}}[ -]\d{{6}}[ -]\d{{5}}{NOT_LONGER}",
        _code,
        {"card 4111 1111 1111 1111": "card four one one one, one one one one, one one one one, one one one one"},
    ),
    Rule(
        CODE,
        r"[A-Z]{2}\d\d(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?(?!\w)",
        _code,
        {"IBAN GB29 3704 0532": "I B ay N G B two nine, three seven zero four, zero five three two"},
        after=r"\bIBAN:?\s",
    ),
    Rule(
        NUMBER,
        rf"\d(?:[- ]?\d){{7,11}}[- ]?[\dXx](?:[- ]?\d){{0,3}}{NOT_LONGER}|\d{{4}}-\d{{3}}[\dXx]{NOT_LONGER}",
        _code,
        {
            "ISBN 978-3-16-148410-0": "I S B N nine seven eight, three, one six, one four eight four one zero, zero",
            "ISSN 0378-5955": "I S S N zero three seven eight, five nine five five",
        },
        after=r"\b(?:ISBN(?:-1[03])?|ISSN|EAN|UPC):?\s",
    ),
    Rule(
        NUMBER,
        r"\d{2,8}(?![\w%]|[.,]\d)",
        _code,
        {"my card ending in 8876": "my card ending in eight eight seven six"},
        after=r"\bending (?:in|with) ",
    ),
    Rule(
        NUMBER + CODE + CAPITALS,
        r"(?=[A-Z-]{0,4}\d)[A-Z\d](?:-?[A-Z\d]){2,24}"
        r"(?![\w%/:]|[.,]\d| (?:people|times|dollars|of|units|copies|years|days|pages)\b)",
        _code,
        {
            "your PIN is 1234": "your Pin is one two three four",
            "the code: 482913": "the code: four eight two nine one three",
            "account number 12345678": "account number one two three four five six seven eight",
            "PO Box 123": "P O Box one two three",
            "order #A4471": "order number ay four four seven one",
            "flight BA2490": "flight B ay two four nine zero",
        },
        after=AFTER_NAME,
    ),
    Rule(
        NUMBER + CODE,
        r"A?\d{3,4}(?![\w%,-]|\.\d)",
        lambda match: f"ay {pairs(match[0][1:])}" if match[0][0] == "A" else pairs(match[0]),
        {
            "Room 101": "Room one oh one",
            "a Boeing 747": "a Boeing seven forty seven",
            "Airbus A380": "Airbus ay three eighty",
        },
        after=r"\b(?:[Rr]oom|[Ss]uite|Apartment|Boeing|Airbus|Interstate|Highway|Route|Gate|[Bb]us|Studio|[Pp]ort|Form"
        r"|RTX|GTX|RX|RFC|IEEE) ",
    ),
    Rule(
        number_then(" -"),
        r"(?P<form>1040|1099)(?=[ -](?:forms?|[A-Z]{1,4})\b)",
        lambda match: pairs(match["form"]),
        {"a 1099 form": "a ten ninety nine form"},
    ),
    # addresses of computers, hashes
    Rule(
        number_then("."),
        r"(?P<address>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?::(?P<port>\d{1,5}))?(?:/(?P<size>\d{1,2}))?(?![\w-]|\.\d)",
        _ip,
        {
            "123.123.0.40": "one two three dot one two three dot zero dot four zero",
            "127.0.0.1:8080": "one two seven dot zero dot zero dot one colon eight zero eight zero",
        },
    ),
    Rule(
        NUMBER + CODE,
        r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?!\w)|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)"
        r"|(?=[a-f]{0,8}\d{1,8}[a-f])[0-9a-f]{7,64}(?!\w)",
        _hash,
        {"commit 3f2a9bc": "commit three F two ay nine B C"},
    ),
)
