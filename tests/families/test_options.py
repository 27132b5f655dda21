"""Loader options: values are parsed to their types, others are refused; a name means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vallecli.errors import UsageError, short
from vallecli.families.base import Option, parse_options
from vallecli.families.catalog import FAMILIES, known_options

OPTIONS = {
    "heads": Option(kind="int", help="", minimum=1),
    "offset": Option(kind="int", help=""),
    "scale": Option(kind="float", help="", minimum=0.5),
    "mode": Option(kind="choice", help="", choices=("0", "1", "4")),
    "symbols": Option(kind="file", help=""),
}


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("heads", "16", 16),
        ("heads", 16, 16),
        ("heads", np.int64(3), 3),
        ("heads", "1", 1),
        ("offset", "-3", -3),
        ("offset", 0, 0),
        ("scale", "0.5", 0.5),
        ("scale", 2, 2.0),
        ("mode", "4", "4"),
        ("mode", 0, "0"),
        ("symbols", "a/b.txt", Path("a/b.txt")),
        ("symbols", Path("a"), Path("a")),
    ],
)
def test_a_value_is_returned_in_its_type(name: str, written: Any, expected: Any) -> None:
    parsed = OPTIONS[name].parse(name, written)
    assert parsed == expected
    assert isinstance(parsed, type(expected))


@pytest.mark.parametrize(
    ("name", "written", "hint"),
    [
        ("heads", "many", "It should be a whole number of at least 1."),
        ("heads", "0", "It should be a whole number of at least 1."),
        ("heads", 2.5, "It should be a whole number of at least 1."),
        ("heads", "2.0", "It should be a whole number of at least 1."),
        ("heads", True, "It should be a whole number of at least 1."),
        ("heads", "", "It should be a whole number of at least 1."),
        ("heads", "9" * 400, "It should be a whole number of at least 1."),
        ("heads", [1], "It should be a whole number of at least 1."),
        ("offset", float("inf"), "It should be a whole number."),
        ("scale", "0.4", "It should be a number of at least 0.5."),
        ("scale", "nan", "It should be a number of at least 0.5."),
        ("scale", "inf", "It should be a number of at least 0.5."),
        ("scale", {}, "It should be a number of at least 0.5."),
        ("mode", "2", "It should be one of 0, 1, 4."),
        ("mode", 4.0, "It should be one of 0, 1, 4."),
        ("mode", False, "It should be one of 0, 1, 4."),
        ("symbols", 3, "It should be a path."),
        ("symbols", "", "It should be a path."),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, written: Any, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        OPTIONS[name].parse(name, written)
    assert caught.value.message == f"option {name} is {short(written)}"
    assert caught.value.hint == hint


def test_options_of_a_family_are_parsed_and_none_means_not_given() -> None:
    family: Any = SimpleNamespace(name="demo", options=OPTIONS)
    written = {"heads": "4", "mode": 1, "symbols": None}
    assert parse_options(family, written) == {"heads": 4, "mode": "1"}
    assert parse_options(family, {}) == {}


def test_an_option_that_the_family_does_not_have_is_refused_with_a_similar_name() -> None:
    family: Any = SimpleNamespace(name="demo", options=OPTIONS)
    with pytest.raises(UsageError, match="demo checkpoints have no option 'head'") as caught:
        parse_options(family, {"head": "4"})
    assert "heads" in caught.value.hint
    without: Any = SimpleNamespace(name="plain", options={})
    with pytest.raises(UsageError, match="plain checkpoints have no option 'heads'") as caught:
        parse_options(without, {"heads": None})
    assert caught.value.hint == "This family has no loader options."


def test_an_option_of_the_same_name_means_the_same_in_every_family() -> None:
    known = known_options()
    assert {"heads", "prefix_mode", "symbols"} <= known.keys()
    for family in FAMILIES:
        for name, option in family.options.items():
            assert (option.kind, option.choices, option.minimum) == (
                known[name].kind,
                known[name].choices,
                known[name].minimum,
            )
            assert option.help.endswith(".")
