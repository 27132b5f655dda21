"""Units of measure as written, with their spoken singular and plural, and units after a slash."""

from __future__ import annotations

from vallecli.text.english.numbers import plural
from vallecli.text.english.rules import any_of

PREFIXES = {
    **{"k": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta", "c": "centi", "d": "deci", "h": "hecto"},
    **{"m": "milli", "µ": "micro", "u": "micro", "n": "nano", "p": "pico"},
}
# symbol: (name, prefixes in use). A space stands for the unit without a prefix, where that is not taken for a letter.
PREFIXED = {
    **{"m": ("meter", " kcdmµunp"), "g": ("gram", " kmµunp"), "s": ("second", " mµnp"), "L": ("liter", " kcdmµunh")},
    **{"l": ("liter", " kcdmµunh"), "A": ("amp", "kmµun"), "V": ("volt", " kmµM"), "W": ("watt", " kMGTmµ")},
    **{"Hz": ("hertz", " kMGT"), "J": ("joule", "kMGm"), "N": ("newton", "kM"), "Pa": ("pascal", " khMG")},
    **{"F": ("farad", "mµunp"), "H": ("henry", "mµ"), "Ω": ("ohm", " kMGm"), "Wh": ("watt hour", " kMGTm")},
    **{"Ah": ("amp hour", " mk"), "cal": ("calorie", " k"), "eV": ("electron volt", " kMGTm"), "T": ("tesla", "mµ")},
    **{"mol": ("mole", " mµunk"), "B": ("byte", "kMGTP"), "b": ("bit", "kMG"), "bit": ("bit", "kMGT")},
    **{"Sv": ("sievert", " mµ"), "Gy": ("gray", "m"), "Bq": ("becquerel", " kMGT"), "bar": ("bar", " m")},
    **{"Da": ("dalton", " kM"), "pc": ("parsec", "kMG"), "lm": ("lumen", " "), "hp": ("horsepower", " ")},
    **{"bps": ("bit per second", " kMGT"), "Bps": ("byte per second", "kMG"), "bit/s": ("bit per second", "kMGT")},
    **{"b/s": ("bit per second", "kMGT"), "B/s": ("byte per second", "kMGT"), "M": ("molar", "mµn")},
    **{"VA": ("volt amp", " kM"), "Wp": ("watt peak", "k"), "t": ("ton", "M")},
}
OTHERS = {
    # length, area, volume
    **{"ft": "foot", "yd": "yard", "yds": "yard", "mi": "mile", "nmi": "nautical mile", "ly": "light year"},
    **{"kms": "kilometer", "cms": "centimeter", "KM": "kilometer", "Km": "kilometer", "ac": "acre", "ha": "hectare"},
    **{"sqft": "square foot", "sqm": "square meter", "cc": "C C", "ltr": "liter", "ML": "milliliter", "bbl": "barrel"},
    **{"fl oz": "fluid ounce", "fl. oz": "fluid ounce", "gal": "gallon", "qt": "quart", "qts": "quart"},
    **{"tbsp": "tablespoon", "tbsps": "tablespoon", "Tbsp": "tablespoon", "tbs": "tablespoon"},
    **{"tsp": "teaspoon", "tsps": "teaspoon"},
    # in texts in capitals
    **{"CM": "centimeter", "FT": "foot", "YD": "yard", "MI": "mile", "LB": "pound", "LBS": "pound", "OZ": "ounce"},
    **{"MPH": "mile per hour", "HRS": "hour", "HR": "hour", "MIN": "minute", "MINS": "minute", "SEC": "second"},
    **{"GAL": "gallon"},
    # mass
    **{"lb": "pound", "lbs": "pound", "oz": "ounce", "kgs": "kilogram", "Kg": "kilogram", "KG": "kilogram"},
    **{"gm": "gram", "gms": "gram", "mcg": "microgram", "cwt": "hundredweight", "IU": "I U", "amu": "A M U"},
    # time
    **{"sec": "second", "secs": "second", "min": "minute", "mins": "minute", "h": "hour", "hr": "hour", "hrs": "hour"},
    **{"wk": "week", "wks": "week", "mo": "month", "mos": "month", "yr": "year", "yrs": "year"},
    # rates
    **{"mph": "mile per hour", "kph": "kilometer per hour", "kmh": "kilometer per hour", "mpg": "mile per gallon"},
    **{"rpm": "revolution per minute", "RPM": "revolution per minute", "bpm": "beat per minute"},
    **{"BPM": "beat per minute", "wpm": "word per minute", "fps": "frame per second", "FPS": "frame per second"},
    **{"cfm": "C F M", "kn": "knot", "kt": "knot", "kts": "knot", "mbps": "megabit per second"},
    **{"gbps": "gigabit per second", "kbps": "kilobit per second", "Kbps": "kilobit per second"},
    # pressure, heat, light, sound, electricity
    **{"psi": "P S I", "atm": "atmosphere", "mmHg": "millimeter of mercury", "mm Hg": "millimeter of mercury"},
    **{"inHg": "inch of mercury", "BTU": "B T U", "Cal": "calorie", "lx": "lux", "dB": "decibel", "dBA": "decibel"},
    **{"db": "decibel", "kw": "kilowatt", "KW": "kilowatt", "kwh": "kilowatt hour", "KWh": "kilowatt hour"},
    **{"kv": "kilovolt", "mah": "milliamp hour", "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz"},
    **{"ghz": "gigahertz", "KHz": "kilohertz", "Nm": "newton meter", "kgf": "kilogram force"},
    # data, screens, print
    **{"KB": "kilobyte", "Kb": "kilobit", "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte", "tb": "terabyte"},
    **{"KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte", "TiB": "tebibyte", "px": "pixel", "MP": "megapixel"},
    **{"dpi": "dot per inch", "DPI": "dot per inch", "ppi": "pixel per inch", "pt": "point", "pts": "point"},
    # shares, angles, temperature
    **{"%": "percent", "‰": "per mille", "pct": "percent", "ppm": "part per million", "ppb": "part per billion"},
    **{"°": "degree", "deg": "degree", "°C": "degree Celsius", "° C": "degree Celsius", "°F": "degree Fahrenheit"},
    **{"° F": "degree Fahrenheit", "°K": "kelvin", "pcs": "piece", "doz": "dozen", "pkg": "package"},
    **{
        f"{short}{dot} {unit}": f"{power} {name}"
        for short, power in (("sq", "square"), ("cu", "cubic"))
        for dot in ("", ".")
        for unit, name in {
            "ft": "foot",
            "in": "inch",
            "yd": "yard",
            "mi": "mile",
            "m": "meter",
            "km": "kilometer",
            "cm": "centimeter",
        }.items()
    },
}
IRREGULAR = {"foot": "feet", "inch": "inches", "henry": "henries"}
SAME_PLURAL = frozenset(
    {"percent", "lux", "horsepower", "kelvin", "per mille", "hundredweight", "dozen", "bar"}
    | {"P S I", "C F M", "A M U", "C C", "B T U", "I U"}
)
PER_UNITS = {
    **{"H": "hour", "KG": "kilogram"},
    **{"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "d": "day", "wk": "week"},
    **{"mo": "month", "mth": "month", "yr": "year", "y": "year", "qtr": "quarter", "kg": "kilogram", "g": "gram"},
    **{"mg": "milligram", "t": "ton", "lb": "pound", "oz": "ounce", "m": "meter", "cm": "centimeter"},
    **{"mm": "millimeter", "km": "kilometer", "nm": "nanometer", "mi": "mile", "ft": "foot", "in": "inch"},
    **{"yd": "yard"},
    **{"L": "liter", "l": "liter", "dL": "deciliter", "dl": "deciliter", "mL": "milliliter", "ml": "milliliter"},
    **{"µL": "microliter", "uL": "microliter", "gal": "gallon", "cc": "C C", "sq ft": "square foot"},
    **{"sq. ft": "square foot", "sqft": "square foot", "sqm": "square meter", "ha": "hectare", "ac": "acre"},
    **{"kWh": "kilowatt hour", "MWh": "megawatt hour", "GB": "gigabyte", "MB": "megabyte", "TB": "terabyte"},
    **{"mol": "mole", "K": "kelvin", "°C": "degree Celsius", "V": "volt", "A": "amp", "W": "watt", "Hz": "hertz"},
    **{"J": "joule", "pc": "piece", "pcs": "piece", "ea": "each", "doz": "dozen", "bbl": "barrel", "pp": "person"},
}
WORDS_AFTER_PER = (
    *("second", "minute", "hour", "day", "night", "week", "month", "quarter", "year", "annum", "person", "user"),
    *("head",),
    *("seat", "unit", "item", "piece", "page", "word", "line", "share", "student", "child", "adult", "kilo"),
    *("kilogram",),
    *("gram", "pound", "ounce", "ton", "liter", "gallon", "mile", "kilometer", "meter", "foot", "barrel", "acre"),
    *("call", "request", "token", "game", "session", "visit", "room", "family", "household", "ticket", "license"),
    *("device", "employee", "serving", "bottle", "box", "pack", "dozen", "image", "class", "lesson", "capita"),
)
PER_NAMES = PER_UNITS | {word: word for word in WORDS_AFTER_PER}
PER = any_of(PER_NAMES)
TIMES = {"day": "a day", "night": "a night", "week": "a week", "month": "a month", "year": "a year", "hour": "an hour"}


def _many(name: str) -> str:
    """Return the plural of a unit: "feet", "kilometers per hour", "degrees Celsius", "hertz"."""
    if name in SAME_PLURAL or name.endswith(("hertz", "molar")):
        return name
    for inner in (" per ", " of ", " Celsius", " Fahrenheit"):
        head, found, rest = name.partition(inner)
        if found:
            return f"{_many(head)}{found}{rest}"
    *before, last = name.split()
    return " ".join([*before, IRREGULAR.get(last) or plural(last)])


def _names() -> dict[str, str]:
    prefixed = {
        f"{prefix}{symbol}".strip(): f"{PREFIXES.get(prefix, '')}{name}"
        for symbol, (name, prefixes) in PREFIXED.items()
        for prefix in prefixes
    }
    return prefixed | OTHERS


UNITS = {symbol: (name, _many(name)) for symbol, name in _names().items()}  # as written: (singular, plural)


def price_per(written: str) -> str:
    """Return what a price is for: "a month" for "/month", "per month" for "/mo", "per kilogram", "each"."""
    name = PER_NAMES[written]
    return TIMES.get(written) or (name if name == "each" else f"per {name}")
