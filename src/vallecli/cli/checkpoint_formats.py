"""The commands of `valle checkpoints` that look into checkpoints: show and convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vallecli.checkpoints import registry
from vallecli.cli.checkpoint_files import UNKNOWN, Json
from vallecli.cli.output import write_json, write_line


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
    from vallecli.checkpoints import hub

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
    from vallecli.families.valle.detect import describe

    description = describe(path)
    return {
        "path": str(path),
        "family": description.family,
        "config": dict(description.config),
        "tensors": {key: list(shape) for key, shape in description.tensors.items()},
        "missing": list(description.missing),
    }


def convert(
    checkpoint: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name of the list, or a file or folder.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The folder to write.")],
    symbols: Annotated[
        str | None, typer.Option(metavar="FILE", help="The table of text symbols, if it is not in the checkpoint.")
    ] = None,
    heads: Annotated[int | None, typer.Option(metavar="N", help="Attention heads, if they are not stored.")] = None,
    prefix_mode: Annotated[int | None, typer.Option(metavar="N", help="Prefix mode, if it is not stored.")] = None,
    as_json: Json = False,
) -> None:
    """Write a checkpoint in valle's own format.

    It is a folder with model.safetensors and config.json: it loads faster, and holds no pickle. What the checkpoint
    itself does not tell, `valle checkpoints show PATH` names, with the option that supplies it here.

    \b
    Examples:
      valle checkpoints convert vallex my-vallex
      valle checkpoints convert epoch-100.pt my-valle --symbols unique_text_tokens.k2symbols
    """
    source = registry.find(checkpoint)
    table = None if symbols is None else Path(symbols)
    from vallecli.families.convert import convert as write

    write(source, Path(out), symbols=table, heads=heads, prefix_mode=prefix_mode)
    if as_json:
        write_json({"path": out})
    else:
        write_line(out)
