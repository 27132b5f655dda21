"""`valle checkpoints`: the table of its commands, and those that tell what there is: list, show, path."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from vallecli import registry
from vallecli.cli import checkpoint_files as files
from vallecli.cli.output import write_json, write_line
from vallecli.errors import DamagedCheckpoint

EPILOG = """\b
Examples:
  valle checkpoints list
  valle checkpoints pull vallex
  valle speak --checkpoint vallex --prompt reference.wav --text "Hello."
  valle checkpoints add ~/Downloads/vallex-checkpoint.pt --as vallex
  valle checkpoints verify

A checkpoint is pulled once, with the codec and the decoder it needs, and then found by its name without a network.
Files of Hugging Face repositories lie in that hub's own cache (HF_HOME), where other programs find them too.

Checkpoints of your own get a name in checkpoints.toml in your configuration folder; the file of that name in valle's
repository shows the shape.
"""

app = typer.Typer(epilog=EPILOG)
Json = files.Json
UNKNOWN = "unknown"


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """List, fetch, check and convert checkpoints."""
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
    rows = [_row(name) for name in [*registry.BUILT_IN, *registry.load()]]
    if as_json:
        write_json(rows)
    elif not sys.stdout.isatty():
        for row in rows:
            write_line("\t".join(UNKNOWN if value is None else str(value) for value in row.values()))
    else:
        from rich.console import Console
        from rich.filesize import decimal
        from rich.table import Table

        table = Table(*rows[0], box=None, pad_edge=False)
        for row in rows:
            cells = {**row, "size": None if row["size"] is None else decimal(row["size"])}
            table.add_row(*(UNKNOWN if value is None else str(value) for value in cells.values()))
        Console().print(table)


def _row(name: str) -> dict[str, Any]:
    """Return what `list` tells of a checkpoint; its size is that on the disk if it is there."""
    if name in registry.BUILT_IN:
        held = [path for path in registry.BUILT_IN[name].rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in held) or None
        return {"name": name, "kind": "model", "state": "built in", "size": size, "licence": "Apache-2.0"}
    from vallecli import hub

    spec = registry.get(name)
    state, size = "absent", spec.size
    try:
        present = hub.locate(spec)
        if present is not None:
            state, size = "here", present.size
    except DamagedCheckpoint:
        state = "damaged"
    return {"name": name, "kind": spec.kind, "state": state, "size": size, "licence": spec.licence}


@app.command()
def show(
    checkpoint: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name of the list, or a file or folder.")],
    as_json: Json = False,
) -> None:
    """Tell what is known of a checkpoint.

    Of a name it is what the registry says, and where each fact comes from; of a file or a folder what is in it.

    \b
    Example:
      valle checkpoints show ~/Downloads/some.pt
    """
    facts = _known(checkpoint) if checkpoint in registry.load() else _described(checkpoint)
    if as_json:
        write_json(facts)
        return
    for name, value in facts.items():
        if name == "tensors":
            value = f"{len(value)}, their shapes with --json"
        if isinstance(value, dict):
            value = [f"{key}: {text}" for key, text in value.items()]
        for line in value if isinstance(value, list | tuple) else [UNKNOWN if value is None else value]:
            write_line(f"{name:<10} {line}")


def _known(name: str) -> dict[str, Any]:
    from vallecli import hub

    spec = registry.get(name)
    present = hub.lookup(spec)
    return {
        **{key: value for key, value in vars(spec).items() if key not in ("sources", "facts")},
        "size": spec.size,
        "path": None if present is None else str(present.path),
        "sources": [f"{source} at {source.revision}" if source.repo else source.url for source in spec.sources],
        "facts": dict(spec.facts),
    }


def _described(name: str) -> dict[str, Any]:
    path = registry.find(name)
    from vallecli.formats.detect import describe

    description = describe(path)
    return {
        "path": str(path),
        "family": description.family,
        "config": dict(description.config),
        "tensors": {key: list(shape) for key, shape in description.tensors.items()},
        "missing": list(description.missing),
    }


@app.command()
def path(
    checkpoint: Annotated[str, typer.Argument(metavar="NAME", help="A name of the list.")], as_json: Json = False
) -> None:
    """Print where a checkpoint lies.

    It is a folder where the checkpoint has several files.

    \b
    Example:
      ls -lL $(valle checkpoints path vallex)
    """
    found = str(registry.find(checkpoint))
    if as_json:
        write_json({"name": checkpoint, "path": found})
    else:
        write_line(found)


for command in (files.verify, files.pull, files.add, files.rm, files.convert):
    app.command()(command)
