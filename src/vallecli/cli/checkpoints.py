"""`valle checkpoints`: the table of its commands, and the commands list and path."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from vallecli.checkpoints import local, lookup, registry
from vallecli.checkpoints.spec import CheckpointSpec
from vallecli.cli import checkpoint_files, checkpoint_formats
from vallecli.cli.checkpoint_files import UNKNOWN, Json
from vallecli.cli.reporter import write_json, write_line
from vallecli.errors import CheckpointError
from vallecli.printable import printable

EPILOG = """\b
Examples:
  valle checkpoints list
  valle checkpoints pull vallex
  valle speak --checkpoint vallex --prompt reference.wav --text "Hello."
  valle checkpoints add ~/Downloads/vallex-checkpoint.pt --as vallex
  valle checkpoints verify

A checkpoint is downloaded once, with the codec and the decoder it needs, and then found by its name without a network.
Files of Hugging Face repositories are stored in that hub's own cache (HF_HOME), which other programs share.

Your own checkpoints get names in checkpoints.toml in your configuration folder, in the format of the file of that name
in valle's repository.
"""

app = typer.Typer(epilog=EPILOG)


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """List, download, check and convert checkpoints."""
    local.remove_leftovers()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the checkpoints, and which are here.

    On a terminal it is a table; in a pipe each line is name, kind, state, bytes and licence, with tabs between.

    \b
    Example:
      valle checkpoints list --json | jq -r '.[] | select(.state == "here").name'
    """
    entries = registry.load()
    rows = [*(_built_in(name) for name in registry.BUILT_IN), *(_row(spec) for spec in entries.specs.values())]
    rows += [_columns(name, state="invalid") for name in entries.invalid]
    if as_json:
        write_json(rows)
    elif not sys.stdout.isatty():
        for row in rows:
            write_line("\t".join(_cell(value) for value in row.values()))
    else:
        from rich.console import Console
        from rich.filesize import decimal
        from rich.markup import escape
        from rich.table import Table

        table = Table(*rows[0], box=None, pad_edge=False)
        for row in rows:
            cells = {**row, "size": None if row["size"] is None else decimal(row["size"])}
            table.add_row(*(escape(_cell(value)) for value in cells.values()))
        Console().print(table)
    entries.check()


def _cell(value: Any) -> str:
    return UNKNOWN if value is None else printable(str(value))


def _columns(
    name: str, *, state: str, kind: str | None = None, size: int | None = None, licence: str | None = None
) -> dict[str, Any]:
    """Return the columns of a checkpoint in `list`."""
    return {"name": name, "kind": kind, "state": state, "size": size, "licence": licence}


def _built_in(name: str) -> dict[str, Any]:
    files = [path for path in registry.BUILT_IN[name].rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) or None
    return _columns(name, kind="model", state="built in", size=size, licence="Apache-2.0")


def _row(spec: CheckpointSpec) -> dict[str, Any]:
    """Return the columns of an entry; its size is that on the disk if it is here."""
    from vallecli.checkpoints import hub

    state, size = "absent", spec.size
    try:
        installed = hub.locate(spec)
        if installed is not None:
            state, size = "here", installed.size
    except (CheckpointError, OSError):  # OSError: its files are removed at this moment
        state = "damaged"
    return _columns(spec.name, kind=spec.kind, state=state, size=size, licence=spec.licence)


@app.command()
def path(
    checkpoint: Annotated[str, typer.Argument(metavar="NAME", help="A name of the list.")], as_json: Json = False
) -> None:
    """Print the path of a checkpoint.

    It is a folder if the checkpoint has several files.

    \b
    Example:
      ls -lL $(valle checkpoints path vallex)
    """
    found = str(lookup.find(checkpoint))
    if as_json:
        write_json({"name": checkpoint, "path": found})
    else:
        write_line(found)


app.command()(checkpoint_formats.show)
app.command()(checkpoint_files.pull)
app.command()(checkpoint_files.add)
app.command()(checkpoint_files.verify)
app.command()(checkpoint_files.rm)
app.command()(checkpoint_formats.convert)
