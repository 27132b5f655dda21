"""Strategies that change valid samples: bytes, texts and trees of JSON. Noise alone would be refused at once."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
LONG_NUMBERS = (*NUMBERS, 2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
PLACES = st.one_of(st.integers(0, 100), st.integers(0, 2**20), st.integers(0, 40).map(lambda place: -place - 1))
SPANS = st.one_of(st.integers(0, 8), st.integers(0, 300), st.integers(0, 2**16))
CHARACTERS = st.characters(exclude_categories=["Cs"])


def words(text: str) -> list[str]:
    """Return what spaces separate: a short way to write a list."""
    return text.split()


def _edit_bytes(data: bytes, edit: tuple[str, int, int, Any], others: Sequence[bytes]) -> bytes:
    kind, place, span, argument = edit
    place = place % (len(data) + 1)
    after = data[place + span :]
    if kind == "cut":
        return data[:place]
    if kind == "behead":
        return data[place:]
    if kind == "flip":
        return data[:place] + bytes(byte ^ (1 << span % 8) for byte in data[place : place + 1]) + data[place + 1 :]
    if kind == "delete":
        return data[:place] + after
    if kind == "repeat":
        return data[:place] + data[place : place + span] * (2 + argument % 20) + after
    if kind == "zero":
        return data[:place] + bytes(min(span, len(data) - place)) + after
    if kind == "number":
        width, order, number = argument
        raw = (number % 256**width).to_bytes(width, order)
        return data[:place] + raw + data[place + width :]
    if kind == "splice":
        other = others[argument % len(others)]
        return data[:place] + other[place % (len(other) + 1) :]
    return data[:place] + argument + data[place:]


def mutated_bytes(
    valid: Sequence[bytes], *, tokens: Sequence[bytes] = (b"\0",), edits: int = 6, least: int = 0
) -> SearchStrategy[bytes]:
    """Return valid data with some edits; `tokens` are inserted."""
    number = st.tuples(st.sampled_from((1, 2, 4, 8)), st.sampled_from(("little", "big")), st.sampled_from(LONG_NUMBERS))
    edit: SearchStrategy[tuple[str, int, int, Any]] = st.one_of(
        st.tuples(st.sampled_from(("flip", "delete", "zero", "cut", "behead")), PLACES, SPANS, st.none()),
        st.tuples(st.just("number"), PLACES, st.just(0), number),
        st.tuples(st.sampled_from(("repeat", "splice")), PLACES, SPANS, st.integers(0, 40)),
        st.tuples(st.just("insert"), PLACES, st.just(0), st.one_of(st.sampled_from(tokens), st.binary(max_size=20))),
    )
    apply = functools.partial(functools.reduce, functools.partial(_apply_edit, others=valid))
    return st.tuples(st.lists(edit, min_size=least, max_size=edits), st.sampled_from(valid)).map(
        lambda both: apply(both[0], both[1])
    )


def _apply_edit(data: bytes, edit: tuple[str, int, int, Any], *, others: Sequence[bytes]) -> bytes:
    return _edit_bytes(data, edit, others)[: 2**21]


def texts(valid: Sequence[str], tokens: Sequence[str], *, pieces: int = 12) -> SearchStrategy[str]:
    """Return texts of parts of valid ones, tokens and any characters."""
    part = st.tuples(st.sampled_from(valid), st.integers(0, 200), st.integers(1, 40)).map(
        lambda cut: cut[0][cut[1] % (len(cut[0]) or 1) :][: cut[2]]
    )
    other = st.one_of(st.sampled_from(tokens), st.text(CHARACTERS, max_size=6), st.sampled_from(" \n ,."))
    piece = st.one_of(st.sampled_from(valid), part, other, other)
    return st.lists(piece, max_size=pieces).map("".join)


def repeated(tokens: SearchStrategy[str], length: int) -> SearchStrategy[str]:
    """Return texts of one token, repeated to a length, perhaps between other ones."""
    return st.tuples(tokens.filter(bool), tokens, tokens).map(
        lambda parts: parts[1] + parts[0] * ((length - len(parts[1]) - len(parts[2])) // len(parts[0])) + parts[2]
    )


VALUES: SearchStrategy[Any] = st.one_of(
    st.sampled_from((None, True, False, 0, 1, -1, 2**31, 2**63, -(2**70), 10**400, 0.5, 1e300, "", "x", [], {}, [[]])),
    st.sampled_from((float("nan"), float("inf"), -0.0, 2**16, 2**24, 10**12)),
    st.sampled_from(("../x", "/etc/passwd", "\0", "a\nb", "é" * 300)),
    st.integers(-300, 70_000),
    st.floats(),
    st.text(CHARACTERS, max_size=20),
    st.lists(st.integers(-5, 5), max_size=5),
    st.dictionaries(st.text(CHARACTERS, max_size=5), st.integers(), max_size=3),
)


def _places(tree: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return (container, key) of all values below a tree."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            found.append((tree, key))
            _places(tree[key], found)
    return found


def _edit_tree(tree: Any, edit: tuple[str, int, int, Any]) -> Any:
    kind, place, other, value = edit
    places = _places(tree, [])
    if not places:
        return value
    held, key = places[place % len(places)]
    if kind == "replace":
        held[key] = copy.deepcopy(value)
    elif kind == "delete":
        del held[key]
    elif kind == "swap":
        held_2, key_2 = places[other % len(places)]
        first, second = copy.deepcopy(held[key]), copy.deepcopy(held_2[key_2])
        held_2[key_2] = first
        if held_2 is not first:
            held[key] = second
    elif kind == "nest":
        for _ in range(other % 100 if other % 5 else 1):
            held[key] = [held[key]]
    elif kind == "rename" and isinstance(held, dict):
        held[str(value)[:50]] = held.pop(key)
    elif kind == "add" and isinstance(held, dict):
        held[f"{key}{other % 3}"] = copy.deepcopy(value)
    elif kind == "add":
        held.append(copy.deepcopy(value))
    elif kind == "scale" and isinstance(held[key], int | float) and not isinstance(held[key], bool):
        held[key] = held[key] * (other % 2000 - 3)
    return tree


def mutated_trees(valid: Sequence[Any], *, values: SearchStrategy[Any] = VALUES, edits: int = 4) -> SearchStrategy[Any]:
    """Return a valid tree of JSON with values replaced, removed, renamed, exchanged or nested."""
    kinds = st.sampled_from(("replace", "replace", "replace", "delete", "swap", "nest", "rename", "add", "scale"))
    edit = st.tuples(kinds, st.integers(0, 500), st.integers(0, 2000), values)
    return st.tuples(st.sampled_from(valid), st.lists(edit, max_size=edits)).map(
        lambda both: functools.reduce(_edit_tree, both[1], copy.deepcopy(both[0]))
    )
