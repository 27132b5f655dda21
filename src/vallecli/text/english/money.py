"""Rules for money: signs and codes of currencies, ranges, scales, prices per unit."""

from __future__ import annotations

import re

from vallecli.text.english.nouns import is_adjective
from vallecli.text.english.numbers import AMOUNT, DASH, SCALES, cardinal, number, plural
from vallecli.text.english.rules import NUMBER, Match, Rule, any_of, number_then, stop
from vallecli.text.english.units import PER
from vallecli.text.english.units import price_per as per

# One of the unit, then of its hundredth part if that is read.
SIGNS = {
    **{"$": "dollar cent", "£": "pound penny", "€": "euro cent", "¥": "yen", "₹": "rupee paisa", "₩": "won"},
    **{"₽": "ruble kopeck", "₺": "lira kurus", "₫": "dong", "฿": "baht satang", "₪": "shekel agora"},
    **{"₱": "peso centavo", "₦": "naira kobo", "₴": "hryvnia kopiyka", "₿": "bitcoin", "₡": "colon centimo"},
    **{"₵": "cedi pesewa", "₸": "tenge", "₲": "guarani"},
}
DOLLARS = {  # letters before $
    **{"US": "U S dollar", "A": "Australian dollar", "AU": "Australian dollar", "C": "Canadian dollar"},
    **{"CA": "Canadian dollar", "CAD": "Canadian dollar", "NZ": "New Zealand dollar", "HK": "Hong Kong dollar"},
    **{"S": "Singapore dollar", "SG": "Singapore dollar", "NT": "Taiwan dollar", "TW": "Taiwan dollar"},
    **{"R": "Brazilian real", "MX": "Mexican peso", "USD": "U S dollar", "AUD": "Australian dollar"},
}
CODES = {
    **{"USD": "U S dollar", "EUR": "euro", "GBP": "pound", "JPY": "yen", "CNY": "yuan", "RMB": "yuan", "INR": "rupee"},
    **{"KRW": "won", "CHF": "Swiss franc", "CAD": "Canadian dollar", "AUD": "Australian dollar"},
    **{"NZD": "New Zealand dollar", "HKD": "Hong Kong dollar", "SGD": "Singapore dollar", "TWD": "Taiwan dollar"},
    **{"SEK": "Swedish krona", "NOK": "Norwegian krone", "DKK": "Danish krone", "ISK": "Icelandic krona"},
    **{"PLN": "zloty", "CZK": "Czech koruna", "HUF": "forint", "RON": "leu", "BGN": "lev", "RUB": "ruble"},
    **{"UAH": "hryvnia", "TRY": "lira", "ILS": "shekel", "AED": "dirham", "SAR": "riyal", "EGP": "Egyptian pound"},
    **{"ZAR": "rand", "NGN": "naira", "KES": "Kenyan shilling", "BRL": "Brazilian real", "MXN": "Mexican peso"},
    **{"ARS": "Argentine peso", "CLP": "Chilean peso", "COP": "Colombian peso", "PEN": "sol", "THB": "baht"},
    **{"IDR": "rupiah", "MYR": "ringgit", "PHP": "Philippine peso", "VND": "dong", "PKR": "Pakistani rupee"},
    **{"BDT": "taka", "LKR": "Sri Lankan rupee", "BTC": "bitcoin", "ETH": "ether", "GHS": "cedi"},
}
ABBREVIATIONS = {"Rs": "rupee", "Rs.": "rupee", "RM": "ringgit", "Rp": "rupiah", "kr": "krona", "zl": "zloty"}
ABBREVIATIONS |= {"Kc": "koruna", "Fr.": "franc", "SFr.": "Swiss franc", "lei": "leu", "kr.": "krone"}
PLURALS = {
    **dict.fromkeys(("yen", "yuan", "won", "baht", "dong", "rand", "tenge", "ringgit", "rupiah", "kobo"), None),
    **{"penny": "pence", "paisa": "paise", "satang": "satang", "agora": "agorot", "kurus": "kurus", "real": "reais"},
    **{"colon": "colones", "leu": "lei", "lev": "leva", "krone": "kroner", "krona": "kronor", "zloty": "zlotys"},
    **{"sol": "soles", "koruna": "korunas", "lira": "lira", "ether": "ether", "naira": "naira"},
}
NO_CENTS = frozenset({"yen", "won", "dong", "bitcoin", "tenge", "guarani"})
MINOR = {unit.split()[0]: unit.split()[1] for unit in SIGNS.values() if " " in unit}

# "1.234,56" and "1,50": a comma before one or two last digits is a decimal comma
EUROPEAN = r"(?:\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?!\d)|\d{1,7},\d{1,2}(?!\d|,))"
MONEY = rf"(?:{EUROPEAN}|{AMOUNT}|\.\d+)"
SCALE_WORD = any_of(word for word in SCALES if len(word) > 3)
SCALE = rf"(?:[\s-]?(?:{SCALE_WORD}s?|(?:[kKmMbBtT]|MM|mm|[mMbBtT]n|BN|mln|mio|trn)(?!\w)))"
SIGN = f"[{re.escape(''.join(SIGNS))}]"
SIGN_OF = {sign: unit.split()[0] for sign, unit in SIGNS.items()}
UNITS = {**CODES, **ABBREVIATIONS}
SUFFIX = {**SIGN_OF, **UNITS}
MONEY_PER = rf"(?:\s?/\s?(?P<per>{PER})\b\.?(?!\.))?"
RANGE = rf"(?:(?P<low>{MONEY})(?P<low_scale>{SCALE})?{DASH}(?P<again>(?:{any_of(DOLLARS)}\s?)?{SIGN})?)?"
CODE_TOO = r"(?:\s(?P<named>USD|CAD|AUD|NZD|SGD|HKD|MXN)\b)?"
AFTER_SIGN = rf"\s?{RANGE}(?P<amount>{MONEY})(?P<scale>{SCALE})?{CODE_TOO}{MONEY_PER}"


def many(unit: str) -> str:
    """Return the plural of a currency's name: "dollars", "yen", "Swiss francs"."""
    *before, last = unit.split()
    return " ".join([*before, PLURALS.get(last, plural(last)) or last])


def _plain(written: str) -> str:
    """Return an amount with a decimal point and without separators of thousands."""
    if re.fullmatch(EUROPEAN, written):
        return written.replace(".", "").replace(",", ".")
    return written.replace(",", "")


def _scaled(written: str, scale: str | None) -> str:
    spoken = number(written if "," not in written else _plain(written))
    name = (scale or "").strip(" -.").lower()
    return f"{spoken} {SCALES.get(name) or SCALES[name.removesuffix('s')]}" if name else spoken


def amount(unit: str, written: str, scale: str | None = None, *, adjective: bool = False) -> str:
    """Return an amount of a currency: "twelve dollars and fifty cents", "three million euros", "five dollar"."""
    value = _plain(written)
    whole, _, rest = value.partition(".")
    if scale or adjective:
        return f"{_scaled(value, scale)} {unit if adjective or (value == '1' and not scale) else many(unit)}"
    rest = rest.rstrip("0")
    minor = MINOR.get(unit.split()[-1], "cent")
    if len(rest) > 2 or (rest and unit in NO_CENTS):
        return f"{number(value)} {many(unit)}"
    parts = []
    if whole.strip("0") or not rest:
        parts.append(f"{number(whole or '0')} {unit if whole == '1' else many(unit)}")
    if rest:
        hundredths = int(f"{rest:0<2}")
        parts.append(f"{cardinal(hundredths)} {minor if hundredths == 1 else many(minor)}")
    return " and ".join(parts)


def _read(match: Match, unit: str) -> str:
    """Return the amount, or the range of amounts, in a match of AFTER_SIGN."""
    adjective = is_adjective(match)
    unit = CODES.get(match.groupdict().get("named") or "", unit)
    spoken = amount(unit, match["amount"], match["scale"], adjective=adjective)
    if match["again"] and (match["low_scale"] or not match["scale"]):
        spoken = f"{amount(unit, match['low'], match['low_scale'])} to {spoken}"
    elif match["low"]:
        spoken = f"{_scaled(match['low'], match['low_scale'])} to {spoken}"
    if match["per"]:
        spoken = f"{spoken} {per(match['per'])}{stop(match, match[0])}"
    return _hundred(match, spoken) if adjective else spoken


def _hundred(match: Match, spoken: str) -> str:
    """Return "hundred dollar bill" for "a $100 bill"."""
    one = re.match(r"one (?:hundred|thousand|million|billion) \D", spoken)
    article = re.search(r"\b(?:a|the) \Z", match.string[max(0, match.start() - 5) : match.start()], re.IGNORECASE)
    return spoken.removeprefix("one ") if one and article and len(spoken.split()) == 3 else spoken


def _by_sign(match: Match) -> str:
    return _read(match, SIGN_OF[match["sign"]])


def _by_letters(match: Match) -> str | None:
    unit = DOLLARS.get(match["letters"].upper())
    return _read(match, unit) if unit else None


def _by_code(match: Match) -> str:
    return _read(match, UNITS[match["code"]])


def _suffixed(match: Match) -> str:
    unit = SUFFIX[match["unit"]]
    if not match["low"] and not match["scale"] and re.fullmatch(r"\d{1,3}\.\d{3}", match["amount"]):
        return f"{number(match['amount'].replace('.', ''))} {many(unit)}"  # dots separate thousands in 1.000 €
    return _read(match, unit)


def _dollar_after(match: Match) -> str:
    return amount("dollar", match["amount"], match["scale"])


RULES: tuple[Rule, ...] = (
    Rule(
        SIGNS,
        rf"(?P<sign>{SIGN}){AFTER_SIGN}",
        _by_sign,
        {
            "$12.50": "twelve dollars and fifty cents",
            "$1": "one dollar",
            "$0.99 or $.05": "ninety nine cents or five cents",
            "£3.01": "three pounds and one penny",
            "€1,000": "one thousand euros",
            "$3 million": "three million dollars",
            "$1.5bn and $5k": "one point five billion dollars and five thousand dollars",
            "₩460 billion": "four hundred sixty billion won",
            "¥30 b": "thirty billion yen",
            "$20.5": "twenty dollars and fifty cents",
            "£1.111": "one point one one one pounds",
            "$5-$10": "five dollars to ten dollars",
            "A $5-10 fee": "A five to ten dollar fee",
            "$5–$7 million": "five to seven million dollars",
            "£5m-£10m": "five million pounds to ten million pounds",
            "a $1.5M deal": "a one point five million dollar deal",
            "a $100 bill": "a hundred dollar bill",
            "the $5 I lent": "the five dollars I lent",
            "€1,50": "one euro and fifty cents",
            "€1.234,56": "one thousand two hundred thirty four euros and fifty six cents",
            "₹1,00,000": "one hundred thousand rupees",
            "₹5 crore": "five crore rupees",
            "$20/hr": "twenty dollars per hour",
            "$20/month": "twenty dollars a month",
            "$0.5/hr": "fifty cents per hour",
            "€3/kg": "three euros per kilogram",
            "$30-50k": "thirty to fifty thousand dollars",
            "He paid $5.": "He paid five dollars.",
            "$5 CAD": "five Canadian dollars",
        },
    ),
    Rule(
        tuple(letters.lower() for letters in DOLLARS),
        rf"(?P<letters>(?i:{any_of(DOLLARS)})(?=\$)|[A-Z]{{2,3}}(?=\s)|R(?=\s))\s?(?P<sign>\$){AFTER_SIGN}",
        _by_letters,
        {
            "A$30": "thirty Australian dollars",
            "C$20": "twenty Canadian dollars",
            "US$76.3 trillion": "seventy six point three trillion U S dollars",
            "R$ 10": "ten Brazilian reais",
            "50¢ or US$5": "fifty cents or five U S dollars",
            "A US$5 fee": "A five U S dollar fee",
        },
    ),
    Rule(
        tuple(code.lower().rstrip(".") for code in UNITS),
        rf"(?P<code>{any_of(UNITS)})\s?(?=\d){AFTER_SIGN}",
        _by_code,
        {"EUR 5.50": "five euros and fifty cents", "Rs. 500": "five hundred rupees", "CHF 20": "twenty Swiss francs"},
    ),
    Rule(
        NUMBER,
        rf"{RANGE}(?P<amount>{MONEY})(?P<scale>{SCALE})?\s?(?P<unit>{any_of(SUFFIX.keys() - {'$'})})"
        rf"(?!\w|\s?\d){MONEY_PER}",
        _suffixed,
        {
            "5€": "five euros",
            "1,50€": "one euro and fifty cents",
            "20 USD": "twenty U S dollars",
            "5 GBP": "five pounds",
            "100 kr": "one hundred kronor",
            "1 million EUR": "one million euros",
            "10-20 €": "ten to twenty euros",
            "2 BTC": "two bitcoins",
            "1.000 €": "one thousand euros",
        },
    ),
    Rule(
        NUMBER,
        rf"(?P<amount>{MONEY})(?P<scale>{SCALE})?\s?\$(?!\s?\d)",
        _dollar_after,
        {"20$": "twenty dollars", "it is 5 $ each": "it is five dollars each"},
    ),
    Rule(
        number_then("¢ .,"),
        rf"(?P<amount>{MONEY})\s?¢",
        lambda match: f"{number(match['amount'])} cent{'' if match['amount'] == '1' else 's'}",
        {"50¢": "fifty cents"},
    ),
    Rule(
        "-+",
        rf"(?P<minus>[-+])(?=(?:[A-Z]{{1,2}})?{SIGN}\s?[\d.])",
        lambda match: "plus " if match["minus"] == "+" else "minus ",
        {"it is -$5": "it is minus five dollars", "+$3.50": "plus three dollars and fifty cents"},
        after=r"(?:^|[\s(])",
    ),
    Rule(
        SIGNS,
        rf"(?P<sign>{SIGN})-(?P<amount>{MONEY})(?P<scale>{SCALE})?",
        lambda match: f"minus {amount(SIGN_OF[match['sign']], match['amount'], match['scale'])}",
        {"$-5": "minus five dollars"},
    ),
)
