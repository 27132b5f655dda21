"""JSON of files that others wrote: bounded in size, depth and numbers, without duplicate keys, NaN and infinity."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

MAX_CHARS = 2**20
MAX_CHARS_JSON5 = 2**15  # its parser is written in Python: ten thousand numbers take a second
MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1
SURROGATE = re.compile(r"[\ud800-\udfff]")  # half of a character, which cannot be printed


def loads(text: str, *, max_chars: int = MAX_CHARS) -> Any:
    """Return the value of a JSON text. Raises ValueError for one that is invalid, or beyond the limits."""
    return _parse(text, max_chars, json.loads)


def loads5(text: str) -> Any:
    """Return the value of a JSON5 text, with comments and trailing commas. Raises ValueError as `loads`."""
    import json5  # slow to import

    return _parse(text, MAX_CHARS_JSON5, json5.loads)


def loads_object(text: str, *, max_chars: int = MAX_CHARS) -> dict[str, Any]:
    """Return the object of a JSON text. Raises ValueError for any other value, and as `loads`."""
    value = loads(text, max_chars=max_chars)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _parse(text: str, max_chars: int, parser: Callable[..., Any]) -> Any:
    if len(text) > max_chars:
        raise ValueError(f"it has {len(text)} characters, at most {max_chars} can be read")
    try:
        value = parser(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it has too many lists or objects in each other") from None
    _check(value, 0)
    return value


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"it has the key {key[:40]!r} twice in one object")
        made[key] = value
    return made


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it has the number {name}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it has the number {text[:40]}")
    return value


def _check(value: Any, depth: int) -> None:
    """Raise ValueError for values beyond the limits, and for text that cannot be printed."""
    if isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            raise ValueError("it has too many lists or objects in each other")
        children = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        for child in children:
            _check(child, depth + 1)
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError("it has a number of more than 64 bits")
    elif isinstance(value, str) and not value.isascii() and SURROGATE.search(value):
        raise ValueError("it has text that is not Unicode")
