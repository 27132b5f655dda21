"""`valle voices`: the table of its commands, and those that list, play, rename, remove and exchange voices."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vallecli.cli import voices_add, voices_consent
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.cli.voices_add import Force, Json, NewName, VoiceName, may_replace
from vallecli.printable import printable

EPILOG = """\b
Examples:
  valle voices add anna recording.wav --transcript "What Anna says in it."
  valle voices list
  valle speak --voice anna --text "Hello."
  valle voices export anna -o anna.voice

A voice is added once, and then used by its name wherever a recording can be given: --voice in speak and batch, the
column voice of a table, voice = "anna" in valle.toml, or VALLE_VOICE. Its recording is stored in your data folder.
"""

app = typer.Typer(epilog=EPILOG)


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """Keep voices by name, with their transcripts and the consent of their speakers."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_(
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH", help="List the presets of this checkpoint instead, also those still to be downloaded."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the voices, and the presets that are on this machine.

    On a terminal it is a table; in a pipe each line is name, kind, seconds, consent and date, with tabs between. The
    kinds are voice, preset (its path is in --json) and damaged. Consent is verified, declared, imported or none.
    A preset is downloaded when it is first used, by --voice CHECKPOINT/NAME, or --voice NAME with its checkpoint.

    \b
    Examples:
      valle voices list --checkpoint bark-small
      valle voices list --json | jq -r '.[] | select(.consent == "verified").name'
    """
    from vallecli.voices import presets

    if checkpoint is not None:
        rows = [_row(preset.name, "preset", path=preset.path) for preset in presets.of_checkpoint(checkpoint)]
    else:
        rows = _stored()
        rows += [_row(f"{p.checkpoint}/{p.name}", "preset", path=p.path) for p in presets.installed()]
    _print(rows, as_json=as_json)


def _stored() -> list[dict[str, Any]]:
    from vallecli.voices import library

    rows = []
    for name, voice in library.voices():
        if voice is None:
            rows.append(_row(name, "damaged"))
            continue
        consent = voice.consent
        rows.append(
            _row(
                voice.name,
                "voice",
                seconds=voice.record.seconds,
                consent="none" if consent is None else consent.kind,
                created=voice.record.created,
                path=voice.path,
            )
        )
    return rows


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        write_json(rows)
        return
    shown = [{key: value for key, value in row.items() if key != "path"} for row in rows]
    if not sys.stdout.isatty():
        for row in shown:
            write_line("\t".join(_cell(value) for value in row.values()))
    elif shown:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(*shown[0], box=None, pad_edge=False)
        for row in shown:
            table.add_row(*(escape(_cell(value)) for value in row.values()))
        Console().print(table)


def _row(
    name: str,
    kind: str,
    *,
    seconds: float | None = None,
    consent: str | None = None,
    created: str | None = None,
    path: Path | None = None,
) -> dict[str, Any]:
    written = None if path is None else str(path)
    return {"name": name, "kind": kind, "seconds": seconds, "consent": consent, "created": created, "path": written}


def _cell(value: Any) -> str:
    return "-" if value is None else printable(str(value))


@app.command()
def show(name: VoiceName, as_json: Json = False) -> None:
    """Show what is stored of a voice: its path, transcript, notes and consent.

    \b
    Example:
      valle voices show anna --json | jq .consent
    """
    from dataclasses import asdict

    from vallecli.voices import library

    voice = library.get(name)
    values = {"name": voice.name, "path": str(voice.path), **asdict(voice.record)}
    values["consent"] = None if voice.consent is None else asdict(voice.consent)
    if as_json:
        write_json(values)
        return
    consent = values.pop("consent")
    for key, value in values.items():
        write_line(f"{key}: {_cell(value)}")
    write_line(f"consent: {'none' if consent is None else consent.pop('kind')}")
    for key, value in (consent or {}).items():
        if value not in (None, ""):
            write_line(f"  {key}: {_cell(value)}")


@app.command()
def play(name: VoiceName) -> None:
    """Play the recording of a voice."""
    from vallecli.audio import play as player
    from vallecli.voices import library, record

    command = player.find_player()
    player.play(library.get(name).wav(), record.RATE, player=command)


@app.command()
def rename(context: typer.Context, name: VoiceName, new: NewName, as_json: Json = False) -> None:
    """Rename a voice.

    \b
    Example:
      valle voices rename anna anna-2026
    """
    from vallecli.voices import library

    voice = library.rename(name, new)
    _report(voice.name, voice.path, as_json=as_json)


@app.command()
def rm(context: typer.Context, names: voices_add.VoiceNames, as_json: Json = False) -> None:
    """Remove voices, with their recordings and records of consent.

    \b
    Example:
      valle voices rm anna
    """
    from vallecli.voices import library

    reporter: Reporter = context.obj
    removed = []
    try:
        for name in dict.fromkeys(names):
            removed.append(library.remove(name))
            reporter.info(f"{printable(removed[-1])} was removed")
    finally:
        if as_json:
            write_json([{"name": name, "removed": True} for name in removed])


@app.command()
def export(
    name: VoiceName,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="The file; by default NAME.voice.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a voice to one file, for another machine.

    The file has the recording, the transcript, the notes and the record of consent, and their hashes. The same voice
    always gives the same bytes.

    \b
    Example:
      valle voices export anna -o anna.voice
    """
    from vallecli.voices import exchange, library

    voice = library.get(name)
    path = Path(f"{voice.name}{exchange.SUFFIX}" if output is None else output)
    exchange.export(voice, path, overwrite=may_replace(str(path), path.exists(), force))
    _report(voice.name, path, as_json=as_json)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that `valle voices export` has written.")],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The name; by default that in the file.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Add the voice in a file that was exported on another machine.

    The file is checked: its layout, its hashes, and its recording, which is decoded to the end. A consent that was
    verified elsewhere is shown as imported: nothing shows that it is genuine.

    \b
    Example:
      valle voices import anna.voice --as anna-of-bob
    """
    from vallecli.errors import VoiceExists
    from vallecli.voices import exchange

    try:
        voice = exchange.import_(Path(file), name, overwrite=force)
    except VoiceExists as error:
        if not may_replace(str(error), True, force):
            raise
        voice = exchange.import_(Path(file), name, overwrite=True)
    _report(voice.name, voice.path, as_json=as_json)


def _report(name: str, path: Path, *, as_json: bool) -> None:
    if as_json:
        write_json({"name": name, "path": str(path)})
    else:
        write_line(f"{name}\t{path}")


app.command()(voices_add.add)
app.command()(voices_consent.consent)
