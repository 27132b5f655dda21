"""The commands of `valle checkpoints` that fetch, check and remove files: verify, pull, add, rm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vallecli.checkpoints import registry
from vallecli.cli.output import Talk, write_json, write_line
from vallecli.errors import CheckpointError, DamagedCheckpoint, MissingCheckpoint
from vallecli.settings import resolve

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
UNKNOWN = "unknown"
Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Names of the list.")]


def verify(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this one, and not all.")] = None,
    as_json: Json = False,
) -> None:
    """Compare what is here with what was published.

    Every file is hashed; the exit code is 4 if one is not what it should be. A line is ok, bad or unknown (no hash
    was ever published), the name, the path and the reason, with tabs between.

    \b
    Example:
      valle checkpoints verify vallex
    """
    from vallecli.checkpoints import hub

    results: list[dict[str, str]] = []
    for spec in [registry.get(name)] if name else registry.load().values():
        try:
            present = hub.lookup(spec)
        except CheckpointError as error:
            results.append({"state": "bad", "name": spec.name, "path": "", "reason": error.message})
            continue
        if present is None and name:
            raise MissingCheckpoint(name)
        for held, reason in hub.verify(present) if present else ():
            state = "bad" if reason else "unknown" if held.digest is None else "ok"
            results.append({"state": state, "name": spec.name, "path": str(held.path), "reason": reason or ""})
    if as_json:
        write_json(results)
    for result in () if as_json else results:
        write_line("\t".join(result.values()).rstrip())
    if bad := {result["name"] for result in results if result["state"] == "bad"}:
        raise DamagedCheckpoint(f"damaged: {', '.join(sorted(bad))}", f"valle checkpoints pull {' '.join(sorted(bad))}")


def pull(
    context: typer.Context,
    names: Names,
    offline: Annotated[
        bool | None,
        typer.Option(
            "--offline/--no-offline", help="Ask nothing of the network, as with HF_HUB_OFFLINE=1.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch checkpoints, and what they need.

    The codec and the decoder come along, and each file is checked against its published hash. A checkpoint that is
    here already is checked, and fetched again if it is damaged. Where a source has lost its files or gives others,
    the next one is tried. A private repository wants HF_TOKEN in the environment; HF_ENDPOINT names another hub,
    HF_HOME another place for the files.

    \b
    Example:
      HF_HOME=/big/disk valle checkpoints pull vallex valle-libritts
    """
    from vallecli.checkpoints import hub

    talk: Talk = context.obj
    unwanted = resolve({"offline": offline}).offline
    results = []
    for spec in registry.with_needs(names):
        present, fetched = hub.pull(spec, offline_wanted=unwanted, note=talk.say)
        talk.say(f"{spec.name} {'was fetched from' if fetched else 'is here already, from'} {present.origin}")
        results.append({"name": spec.name, "path": str(present.path), "origin": present.origin, "fetched": fetched})
        if not as_json:
            write_line(f"{spec.name}\t{present.path}")
    if as_json:
        write_json(results)


def add(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file of a checkpoint, or the folder of several.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Which checkpoint of the list it is.")],
    as_json: Json = False,
) -> None:
    """Take in a checkpoint brought by hand.

    This is for a machine without a network, or for weights that are published no more. The file is copied if it is
    the published one by its hash, or if its content is of the family of that checkpoint; anything else is refused.

    \b
    Example:
      valle checkpoints add ~/Downloads/encodec_24khz-d7cc33bc.th --as encodec-24khz
    """
    from vallecli.checkpoints import imports as intake

    talk: Talk = context.obj
    present = intake.add(Path(file), registry.get(name), note=talk.say)
    if as_json:
        write_json({"name": name, "path": str(present.path), "size": present.size})
    else:
        write_line(f"{name}\t{present.path}")


def rm(context: typer.Context, names: Names, as_json: Json = False) -> None:
    """Remove checkpoints from this machine.

    A codec or a decoder that came along stays until it is named too: other checkpoints may need it.

    \b
    Example:
      valle checkpoints rm vallex vocos-encodec-24khz
    """
    from vallecli.checkpoints import hub

    talk: Talk = context.obj
    specs = [registry.get(name) for name in names]
    results = [{"name": spec.name, "removed": hub.remove(spec)} for spec in specs]
    for result in results:
        talk.say(f"{result['name']} {'was removed' if result['removed'] else 'was not on this machine'}")
    if as_json:
        write_json(results)
