"""Groups of options: dataclasses that commands take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from vallecli.cli.groups import Help, Without, takes_groups


@dataclass(frozen=True, kw_only=True)
class Paint:
    color: Annotated[str, typer.Option(help="A color.")] = "red"
    coats: Annotated[int, typer.Option(min=1)] = 1


@dataclass(frozen=True, kw_only=True)
class House:
    walls: Annotated[Paint, Help(color="Of the walls.")]
    doors: Annotated[int, typer.Option()] = 1


def command(received: list[Any]) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @takes_groups
    def build(
        context: typer.Context,
        *,
        place: Annotated[str, typer.Argument()],
        house: House,
        only: Annotated[Paint, Without("color", "coats")],
    ) -> None:
        """Build."""
        received.extend([context.info_name, place, house, only])

    return app


def test_the_command_receives_groups() -> None:
    received: list[Any] = []
    ran = CliRunner().invoke(command(received), ["here", "--coats", "3", "--doors", "2"])
    assert ran.exit_code == 0, ran.output
    assert received == ["build", "here", House(walls=Paint(coats=3), doors=2), Paint()]


def test_options_are_checked_and_in_order() -> None:
    app = command([])
    assert CliRunner().invoke(app, ["here", "--coats", "0"]).exit_code == 2
    shown = CliRunner().invoke(app, ["--help"]).output
    places = [shown.index(option) for option in ("--color", "--coats", "--doors")]
    assert places == sorted(places)
    assert "Of the walls." in shown
    assert "A color." not in shown


@pytest.mark.parametrize("note", [Without("colour"), Help(colour="A color.")])
def test_an_unknown_option_is_an_error(note: Without | Help) -> None:
    def paint(what: Annotated[Paint, note]) -> None: ...

    paint.__annotations__["what"] = Annotated[Paint, note]
    with pytest.raises(TypeError, match="Paint has no option colour"):
        takes_groups(paint)
