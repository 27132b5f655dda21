"""Values of settings in cells, as people, spreadsheets and pandas write them: 1.0 for 1, 1E+03, and 0,8 for 0.8."""

from __future__ import annotations

import re
from typing import Any

from vallecli.settings import value_of

# greedy and ssml may be 1 or 0
# Of finished speech: in fingerprints only if they are set, and not in seeds.
EFFECTS = ("speed", "pause", "paragraph_pause", "gain", "loudness")
WHOLE = ("seed", "greedy", "top_k", "sample_rate", "repetition_window", "best_of", "retries", "ssml")
NUMBERS = (*WHOLE, "temperature", "top_p", "top_n_sigma", "repetition_ratio", "seconds", "max_seconds", *EFFECTS)
LARGEST_EXACT = 2**53  # up to which a float can be any whole number
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)  # or three decimals


def setting_of(name: str, written: Any) -> Any:
    """Return the value of a setting in a cell, a string or a value of JSON. ValueError describes valid values."""
    value = written.strip() if isinstance(written, str) else written
    if name not in NUMBERS:
        return value_of(name, value)
    if isinstance(value, str) and THOUSANDS.fullmatch(value):
        plain = value.replace(",", "")
        decimal = f" or {value.replace(',', '.')}" if value.count(",") == 1 else ""
        raise ValueError(f"Write {plain}{decimal}: the comma has two meanings.")
    if isinstance(value, str) and DECIMAL_COMMA.fullmatch(value):
        value = value.replace(",", ".")
    if name in WHOLE and (whole := _whole(value)) is not None:
        value = whole
    return value_of(name, value)


def boolean_of(written: Any) -> bool:
    """Return whether a cell says true. ValueError describes valid values."""
    return bool(setting_of("greedy", written))


def _whole(value: Any) -> int | None:
    """Return the whole number that is written like one with decimals or an exponent, None for other values."""
    if isinstance(value, bool | int):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    exact = number.is_integer() and abs(number) <= LARGEST_EXACT
    return int(number) if exact and not str(value).lstrip("+-").isdecimal() else None
