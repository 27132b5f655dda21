"""The commands of `valle checkpoints` that look into checkpoints: show and convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vallecli.checkpoints import lookup, registry
from vallecli.cli import options
from vallecli.cli.checkpoint_files import UNKNOWN, Json
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.printable import printable


def show(
    checkpoint: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name of the list, or a file or folder.")],
    as_json: Json = False,
) -> None:
    """Show what is known about a checkpoint.

    For a name, this is the registry's entry with the origin of each fact; for a file or a folder, its family, sizes,
    and the loader options for values that it does not store.

    \b
    Example:
      valle checkpoints show ~/Downloads/some.pt
    """
    facts = _known(checkpoint) if registry.load().get(checkpoint) is not None else _described(checkpoint)
    if as_json:
        write_json(facts)
        return
    for name, value in facts.items():
        if name == "tensors":
            value = f"{len(value)}, their shapes with --json"
        if isinstance(value, dict):
            value = [f"{key}: {text}" for key, text in value.items()]
        for line in value if isinstance(value, list | tuple) else [UNKNOWN if value is None else value]:
            write_line(f"{name:<11} {printable(str(line))}")


def _known(name: str) -> dict[str, Any]:
    from vallecli.checkpoints import hub

    spec = registry.get(name)
    installed = hub.lookup(spec)
    return {
        **{key: value for key, value in vars(spec).items() if key not in ("sources", "facts")},
        "size": spec.size,
        "path": None if installed is None else str(installed.path),
        "sources": [f"{source} at {source.revision}" if source.repo else str(source) for source in spec.sources],
        "facts": dict(spec.facts),
    }


def _described(name: str) -> dict[str, Any]:
    path = lookup.find(name)
    from vallecli.families.detect import detect

    family, contents = detect(path, verify=False)
    description = family.describe(contents)
    return {
        "path": str(path),
        "family": description.family,
        "sample_rate": description.grid.sample_rate,
        "frame_rate": description.grid.frame_rate,
        "languages": list(description.languages),
        "needs_transcript": description.needs_transcript,
        "config": dict(description.config),
        "tensors": {key: list(shape) for key, shape in description.tensors.items()},
        "missing": list(description.missing),
        "options": {option: value.help for option, value in family.options.items()},
        "notes": list(description.notes),
    }


def convert(
    context: typer.Context,
    checkpoint: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name of the list, or a file or folder.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The folder to write.")],
    option: options.Option = None,
    symbols: options.Symbols = None,
    heads: options.Heads = None,
    prefix_mode: options.PrefixMode = None,
    as_json: Json = False,
) -> None:
    """Convert a checkpoint to valle's own format.

    It is a folder with model.safetensors and config.json: it loads faster and has no pickle. `valle checkpoints show
    PATH` lists the values that a checkpoint does not store, and the options that supply them.

    \b
    Examples:
      valle checkpoints convert vallex my-vallex
      valle checkpoints convert epoch-100.pt my-valle --option symbols=unique_text_tokens.k2symbols
    """
    reporter: Reporter = context.obj
    loader_options = options.loader_options(context, reporter)
    source = lookup.find(checkpoint)
    from vallecli.families.convert import convert as write

    write(source, Path(out), loader_options)
    if as_json:
        write_json({"path": out})
    else:
        write_line(out)
