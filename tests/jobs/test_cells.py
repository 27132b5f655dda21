"""Values of settings as spreadsheets, pandas and people of several countries write them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from vallecli.jobs.cells import setting_of

ACCEPTED: list[tuple[str, Any, Any]] = [
    ("seed", "7", 7),
    ("seed", " 7 ", 7),
    ("seed", "1.0", 1),
    ("seed", "1.", 1),
    ("seed", 1.0, 1),
    ("seed", "7,0", 7),
    ("seed", "1e3", 1000),
    ("seed", "1.23457E+11", 123_457_000_000),
    ("seed", "9007199254740993", 9_007_199_254_740_993),  # as a float, it would be another number
    ("seed", "0.0", 0),
    ("top_k", "20.0", 20),
    ("sample_rate", "1.6E+04", 16_000),
    ("temperature", "0,8", 0.8),
    ("temperature", ",8", 0.8),
    ("temperature", " 0.8", 0.8),
    ("temperature", 1, 1.0),
    ("top_p", "9e-1", 0.9),
    ("top_p", "0,950", 0.95),
    ("top_n_sigma", "1,5", 1.5),
    ("max_seconds", "3,5", 3.5),
    ("max_seconds", "1000,25", 1000.25),
    ("greedy", "TRUE", True),
    ("greedy", " no ", False),
    ("greedy", "1.0", True),
    ("greedy", 0.0, False),
    ("greedy", True, True),
    ("checkpoint", " nano ", "nano"),
]
REFUSED: list[tuple[str, Any, str]] = [
    ("seed", "1.5", "a whole number from 0"),
    ("seed", "1,5", "a whole number from 0"),
    ("seed", 1.5, "a whole number from 0"),
    ("seed", True, "a whole number from 0"),
    ("seed", "-1.0", "a whole number from 0"),
    ("seed", "1e400", "a whole number from 0"),
    ("seed", "1e99", "a whole number from 0"),  # 2**53 is the largest that a float stores exactly
    ("seed", "inf", "a whole number from 0"),
    ("seed", "#N/A", "a whole number from 0"),
    ("seed", "1,000", "Write 1000 or 1.000: the comma has two meanings."),
    ("sample_rate", "44,100", "Write 44100 or 44.100: the comma has two meanings."),
    ("max_seconds", "1,500", "Write 1500 or 1.500: the comma has two meanings."),
    ("seed", "1,000,000", "Write 1000000: the comma has two meanings."),
    ("temperature", "0,8,1", "a number above 0"),
    ("temperature", ",", "a number above 0"),
    ("temperature", "nan", "a number above 0"),
    ("greedy", "2.0", "true or false"),
]


@pytest.mark.parametrize(("name", "written", "value"), ACCEPTED)
def test_values(name: str, written: Any, value: Any) -> None:
    found = setting_of(name, written)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("name", "written", "message"), REFUSED)
def test_values_that_are_refused(name: str, written: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        setting_of(name, written)
