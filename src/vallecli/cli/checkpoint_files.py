"""The commands of `valle checkpoints` that download, check and remove files: verify, pull, add, rm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vallecli.checkpoints import lookup, registry
from vallecli.checkpoints.spec import CheckpointSpec
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.errors import CheckpointError, DamagedCheckpoint, MissingCheckpoint
from vallecli.printable import printable
from vallecli.settings import resolve

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
UNKNOWN = "unknown"
Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Names of the list.")]
Result = dict[str, str]  # state, name, path and reason, in this order


def verify(
    checkpoint: Annotated[
        str | None,
        typer.Argument(metavar="NAME|PATH", help="A name of the list, or a file or folder. Default: all names."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check files against the published hashes.

    Each line has a state, a name, the path and a reason, separated by tabs. The states are "ok" (the hash is a
    published one), "unknown" (no hash is published, but the file is intact) and "bad". For a PATH, the name is that
    of the checkpoint in the list that has this file. The exit code is 4 if a file is bad.

    \b
    Examples:
      valle checkpoints verify vallex
      valle checkpoints verify ~/Downloads/some.pt
    """
    entries = registry.load()
    specs = entries.specs
    if checkpoint is None or entries.get(checkpoint) is not None:
        chosen = specs.values() if checkpoint is None else [specs[checkpoint]]
        results = [result for spec in chosen for result in _installed(spec, needed=checkpoint is not None)]
        bad = sorted({result["name"] for result in results if result["state"] == "bad"})
        hint = f"valle checkpoints pull {' '.join(bad)}"
    else:
        results = _at_path(lookup.find(checkpoint), specs)
        bad = [result["path"] for result in results if result["state"] == "bad"]
        hint = "Copy or download it again."
    if as_json:
        write_json(results)
    for result in () if as_json else results:
        write_line("\t".join(printable(value) for value in result.values()).rstrip())
    if bad:
        raise DamagedCheckpoint(f"damaged or incomplete: {printable(', '.join(bad))}", hint)
    if checkpoint is None:
        entries.check()


def _installed(spec: CheckpointSpec, *, needed: bool) -> list[Result]:
    """Return a result for each file of a checkpoint, [] if it is not on this machine and not `needed`."""
    from vallecli.checkpoints import hub

    try:
        installed = hub.lookup(spec)
    except CheckpointError as error:
        return [{"state": "bad", "name": spec.name, "path": "", "reason": error.message}]
    if installed is None:
        if needed:
            raise MissingCheckpoint(spec.name)
        return []
    return [
        {
            "state": "bad" if reason else UNKNOWN if item.digest is None else "ok",
            "name": spec.name,
            "path": str(item.path),
            "reason": reason or "",
        }
        for item, reason in hub.verify(installed)
    ]


def _at_path(path: Path, specs: dict[str, CheckpointSpec]) -> list[Result]:
    """Return a result for each weight file at a path."""
    from vallecli.checkpoints import verify as paths
    from vallecli.families.detect import describe

    return [
        {"state": item.state, "name": ",".join(item.names), "path": str(item.path), "reason": item.reason}
        for item in paths.verify(path, specs.values(), describe=describe)
    ]


def pull(
    context: typer.Context,
    names: Names,
    offline: Annotated[
        bool | None,
        typer.Option("--offline/--no-offline", help="Do not use the network; as HF_HUB_OFFLINE=1.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Download checkpoints, with the codec and the decoder that they need.

    Each file is checked against its published hash. A checkpoint that is on this machine already is checked, and
    downloaded again if it is damaged. If a source does not have the right files, the next one is tried. The size of a
    large one is printed before the download, and a licence with conditions, or none. HF_TOKEN gives access to private
    repositories, HF_ENDPOINT selects another hub, and HF_HOME another folder for the files.

    \b
    Example:
      HF_HOME=/big/disk valle checkpoints pull vallex valle-libritts
    """
    from vallecli.checkpoints import hub

    reporter: Reporter = context.obj
    offline_requested = resolve({"offline": offline}).offline
    results = []
    for spec in registry.with_needs(names):
        installed, downloaded = hub.pull(spec, offline_requested=offline_requested, report=reporter.info)
        origin = installed.origin
        reporter.info(f"{spec.name} {'was downloaded from' if downloaded else 'is already here, from'} {origin}")
        results.append({"name": spec.name, "path": str(installed.path), "origin": origin, "fetched": downloaded})
        if not as_json:
            write_line(f"{spec.name}\t{installed.path}")
    if as_json:
        write_json(results)


def add(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file of a checkpoint, or the folder of several.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Which checkpoint of the list it is.")],
    as_json: Json = False,
) -> None:
    """Add a checkpoint from a file on this machine.

    This is for machines without a network, and for weights that are no longer published. The file is copied if its
    hash is a published one, or if its contents are of the family of that checkpoint; any other file is refused.

    \b
    Example:
      valle checkpoints add ~/Downloads/encodec_24khz-d7cc33bc.th --as encodec-24khz
    """
    from vallecli.checkpoints import imports
    from vallecli.families.detect import describe

    reporter: Reporter = context.obj
    installed = imports.add(Path(file), registry.get(name), report=reporter.info, describe=describe)
    if as_json:
        write_json({"name": name, "path": str(installed.path), "size": installed.size})
    else:
        write_line(f"{name}\t{installed.path}")


def rm(context: typer.Context, names: Names, as_json: Json = False) -> None:
    """Remove checkpoints from this machine.

    Codecs and decoders stay unless they are named too, because other checkpoints may need them.

    \b
    Example:
      valle checkpoints rm vallex vocos-encodec-24khz
    """
    from vallecli.checkpoints import hub

    reporter: Reporter = context.obj
    results = []
    for spec in [registry.get(name) for name in dict.fromkeys(names)]:
        removed = hub.remove(spec, reporter.info)
        results.append({"name": spec.name, "removed": removed})
        reporter.info(f"{spec.name} {'was removed' if removed else 'was not on this machine'}")
    if as_json:
        write_json(results)
