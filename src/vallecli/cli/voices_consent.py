"""`valle voices consent`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.cli.voices_add import Json, VoiceName
from vallecli.errors import ConsentRefused, UsageError

if TYPE_CHECKING:
    from vallecli.audio.prompt import PreparedPrompt

MICROPHONE_RATE = 24_000  # Hz


def consent(
    context: typer.Context,
    name: VoiceName,
    statement: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A recording of the statement that this command has printed before."),
    ] = None,
    declare: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Store on what basis the voice is used, unverified: nothing is checked."),
    ] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False,
) -> None:
    """Record that the speaker of a voice agrees.

    A statement with three random words is printed; its speaker reads it aloud. At a terminal it is recorded from the
    microphone (vallecli[consent]); otherwise record it, and run the command again with --statement FILE, within a
    week. It is accepted if its words are heard (faster-whisper), and if its speaker is that of the voice
    (Resemblyzer: pip install --no-deps Resemblyzer==0.1.4). Each run without --statement prints a new statement, and
    earlier ones are no longer accepted.

    The setting consent, in valle.toml or VALLE_CONSENT, says what follows: off, warn (the default: a line for a voice
    of the library without consent) or require (only voices with verified consent are spoken).

    \b
    Examples:
      valle voices consent anna
      valle voices consent anna --statement statement.wav
      valle voices consent narrator --declare "Contract of 2026-03-01, in the folder contracts"
    """
    from dataclasses import asdict

    from vallecli.voices import consent as checks
    from vallecli.voices import library

    reporter: Reporter = context.obj
    reporter.quiet = quiet
    if statement is not None and declare is not None:
        raise UsageError("--statement and --declare exclude each other", "Leave one of them out.")
    voice = library.get(name)
    if declare is not None:
        voice = checks.declare(voice, declare)
        reporter.info(f"a declaration for {voice.name} is stored; it is not verified")
    elif statement is not None:
        pending = checks.pending(voice)
        if pending is None:
            raise ConsentRefused(
                f"no statement for {voice.name} waits to be read",
                f"Print one, and record it within a week: valle voices consent {voice.name}",
            )
        voice = checks.verify(voice, pending, checks.read_statement(statement))
    else:
        made = checks.new_statement(voice)
        if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            if as_json:
                write_json({"name": voice.name, "statement": made.text, "words": list(made.words)})
            else:
                write_line(made.text)
            reporter.info(f"Record it, then run: valle voices consent {voice.name} --statement FILE")
            return
        voice = checks.verify(voice, made, _record(made.text))
    stored = voice.consent
    if as_json:
        write_json({"name": voice.name, "consent": None if stored is None else asdict(stored)})
    elif stored is not None:
        write_line(f"{voice.name}\t{stored.kind}\t{stored.date}")
        if stored.similarity is not None:
            reporter.info(f"words heard: {stored.words:.0%}, similarity of the speakers: {stored.similarity:.2f}")


def _record(text: str) -> PreparedPrompt:
    """Return what a person reads aloud."""
    from vallecli.audio import microphone, prompt
    from vallecli.voices.consent import MAX_STATEMENT_SECONDS

    typer.echo(f"\n  {text}\n", err=True)

    def wait() -> None:
        typer.prompt("Read it aloud, then press Enter", default="", show_default=False, prompt_suffix=" ", err=True)

    wav_N = microphone.record(MICROPHONE_RATE, MAX_STATEMENT_SECONDS, wait)
    return prompt.prepare(wav_N, "the recording", sample_rate=MICROPHONE_RATE, max_seconds=MAX_STATEMENT_SECONDS)
