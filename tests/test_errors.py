"""The tree of exceptions in the documentation of vallecli.errors is that of the classes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vallecli import errors
from vallecli.errors import VallecliError

LINE = re.compile(r"(?P<indent>(?:│   |    )*)(?:├── |└── )?(?P<name>\w+)(?: +(?P<code>\d) )?")


def documented() -> Iterator[tuple[str, str, int]]:
    """Yield the name, parent and exit code of each line of the tree."""
    assert errors.__doc__ is not None
    above: list[tuple[str, int]] = []
    for line in errors.__doc__.split("\n\n")[1].splitlines():
        found = LINE.match(line)
        assert found is not None, line
        depth = 0 if not above else 1 + len(found["indent"]) // 4
        parent, inherited = above[depth - 1] if depth else ("Exception", 0)
        above[depth:] = [(found["name"], int(found["code"] or inherited))]
        yield found["name"], parent, above[depth][1]


def defined(kind: type[VallecliError]) -> Iterator[tuple[str, str, int]]:
    """Yield the name, parent and exit code of a class of the package, and of all below it."""
    assert kind.__base__ is not None
    yield kind.__name__, kind.__base__.__name__, kind.exit_code
    for child in kind.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield from defined(child)


def test_the_tree_is_that_of_the_classes() -> None:
    assert sorted(documented()) == sorted(defined(VallecliError))


def test_all_are_names_of_the_package() -> None:
    assert all(hasattr(errors, name) for name, _, _ in documented())
