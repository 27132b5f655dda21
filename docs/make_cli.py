"""Write docs/cli.md, the reference of the command line, from its help texts: `python docs/make_cli.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vallecli.cli.app import commands

CLI = Path(__file__).with_name("cli.md")
WIDTH = 110  # columns of a help text


def reference() -> str:
    """Return the content of docs/cli.md."""
    parts = ["# Command line\n", "Made from `--help` by `python docs/make_cli.py`.\n"]
    for name, text in pages(commands(), "valle", None):
        parts.append(f"## {name}\n\n```\n{text}\n```\n")
    return "\n".join(parts)


def pages(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and the help text of a command and of all commands below it."""
    context = command.make_context(
        name.rpartition(" ")[2], ["--help"], parent=parent, resilient_parsing=True, terminal_width=WIDTH
    )
    yield name, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    for child, below in getattr(command, "commands", {}).items():
        yield from pages(below, f"{name} {child}", context)


if __name__ == "__main__":
    CLI.write_text(reference(), encoding="utf-8")
