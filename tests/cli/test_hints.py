"""Hints name options that the command has, and commands that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Valle

import vallecli
from vallecli import errors
from vallecli.cli import app
from vallecli.cli.hints import HINTS, OPTION, hint_for

SOURCE = Path(vallecli.__file__).parent
OWNERS = {  # file of cli/ -> its command; text of other files may name the options of all commands
    "speak": ("speak",),
    "speak_run": ("speak",),
    "batch": ("batch",),
    "batch_run": ("batch",),
    "batch_report": ("batch",),
    "bench": ("bench",),
    "text": ("text",),
    "text_run": ("text",),
    "read": ("read",),
    "read_run": ("read",),
    "inputs": ("speak", "text"),
    "output": ("speak",),
}


def walk(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the words and the object of each command without subcommands."""
    if not hasattr(command, "commands"):
        yield words, command
    for name, sub in getattr(command, "commands", {}).items():
        yield from walk(sub, (*words, name))


COMMANDS = dict(walk(app.commands()))
OPTIONS = {" ".join(words): set(app.options_of(command, ())) | {"--help"} for words, command in COMMANDS.items()}
PIP = {"--no-deps", "--force-reinstall"}  # of `pip install`
ALL = set().union(*OPTIONS.values(), PIP, {"--version", "--install-completion", "--show-completion"})


@pytest.mark.parametrize("error", HINTS, ids=lambda error: error.__name__)
def test_a_hint_names_options_that_its_command_has(error: type[errors.VallecliError]) -> None:
    raised = error.__new__(error)
    raised.hint = ""
    shown = {name: hint_for(raised, options) for name, options in OPTIONS.items()}
    for name, hint in shown.items():
        assert set(OPTION.findall(hint)) <= OPTIONS[name]
    for sentence in HINTS[error]:
        assert OPTION.search(sentence)
        assert any(sentence in hint for hint in shown.values())


def test_hints_of_the_library_come_before_those_of_the_command_line() -> None:
    error = errors.OutputExists("a.wav")
    assert hint_for(error, {"--force"}) == f"{error.hint} {HINTS[errors.OutputExists][0]}"
    assert hint_for(error, ()) == error.hint
    assert hint_for(errors.InputError("no", "do this"), {"--force"}) == "do this"


def test_convert_does_not_name_an_option_that_it_lacks(valle: Valle, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    ran = valle("checkpoints", "convert", "nano", tmp_path / "out")
    assert ran.code == 3
    assert "already exists" in ran.err
    assert "--" not in ran.err


def texts() -> Iterator[tuple[Path, str]]:
    """Yield each string of the package's code, f-strings with their values as WORD."""
    for path in SOURCE.rglob("*.py"):
        if "data" in path.parts:  # scripts that made the data
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "WORD" for part in node.values]
                yield path, "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node.value


def test_all_texts_name_options_that_exist() -> None:
    checked = 0
    for path, text in texts():
        owners = OWNERS.get(path.stem, OPTIONS) if path.parent.name == "cli" else OPTIONS
        example = re.search(r"\bvalle [a-z]", text)  # may be of another command; see the next test
        known = ALL if example else {"--version", *PIP}.union(*(OPTIONS[owner] for owner in owners))
        for option in OPTION.findall(text.removesuffix("--no-")):  # a prefix of flags
            assert option.rstrip("-") in known, f"{path}: {text}"
            checked += 1
    assert checked > 30


def test_examples_of_commands_have_options_that_exist() -> None:
    checked = 0
    for path, text in texts():
        for command, rest in re.findall(r"\bvalle ((?:checkpoints |voices )?[a-z]+) ([^`\n|;&)]*)", text):
            for option in OPTION.findall(rest):
                assert option in OPTIONS[command], f"{path}: {text}"
                checked += 1
    assert checked > 10
