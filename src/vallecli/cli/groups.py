"""Groups of options: a command whose parameter is a dataclass has the fields as options, and receives the dataclass.

A field is an option, annotated with a typer.Option, or another group. --help lists options in the order of parameters
and fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import OptionInfo


class Without:
    """Options of a group that a command does not have: Annotated[Group, Without("name")]. They keep their defaults."""

    def __init__(self, *names: str) -> None:
        self.names = names


class Help:
    """Help texts of options that differ in a command: Annotated[Group, Help(name="...")]."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts


def takes_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command for typer that has the options of the groups that the given one takes."""
    own = inspect.signature(command, eval_str=True)
    hints = {name: parameter.annotation for name, parameter in own.parameters.items()}
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.parameters.items():
        group = _group(hints[name])
        parameters += [parameter] if group is None else _options(*group)

    @wraps(command)
    def run(**given: Any) -> None:
        groups = {name: _group(hint) for name, hint in hints.items()}
        command(**{name: given[name] if group is None else _value(*group, given) for name, group in groups.items()})

    del run.__wrapped__  # whose signature typer would read
    run.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _group(hint: Any) -> tuple[type, tuple[Any, ...]] | None:
    """Return the dataclass of an annotation and what is noted on it, or None if it is no group."""
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    return (kind, tuple(notes)) if isinstance(kind, type) and is_dataclass(kind) else None


def _members(group: type, notes: tuple[Any, ...]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, annotation and default of each field that a command has."""
    hints = _hints(group)
    left_out = {name for note in notes if isinstance(note, Without) for name in note.names}
    texts: Mapping[str, str] = {
        name: text for note in notes if isinstance(note, Help) for name, text in note.texts.items()
    }
    if unknown := (left_out | set(texts)) - set(hints):
        raise TypeError(f"{group.__name__} has no option {', '.join(sorted(unknown))}")
    for field in fields(group):
        if field.name not in left_out:
            hint = hints[field.name]
            yield field.name, _with_help(hint, texts[field.name]) if field.name in texts else hint, field.default


@cache
def _hints(group: type) -> dict[str, Any]:
    return get_type_hints(group, include_extras=True)


def _with_help(hint: Any, text: str) -> Any:
    kind, written = get_args(hint)
    option: OptionInfo = copy(written)
    option.help = text
    return Annotated[kind, option]


def _options(group: type, notes: tuple[Any, ...]) -> Iterator[inspect.Parameter]:
    """Yield the options of a group, and of the groups in it, as parameters."""
    for name, hint, default in _members(group, notes):
        if (inner := _group(hint)) is not None:
            yield from _options(*inner)
        else:
            yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _value(group: type, notes: tuple[Any, ...], given: Mapping[str, Any]) -> Any:
    """Return a group with the values that typer gives."""
    inner = {name: _group(hint) for name, hint, _ in _members(group, notes)}
    return group(**{name: given[name] if into is None else _value(*into, given) for name, into in inner.items()})
