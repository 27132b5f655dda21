"""`valle script`: its options; what it does is in script_run."""

from __future__ import annotations

from typing import Annotated

import typer

from vallecli.cli.groups import takes_groups
from vallecli.cli.work_options import WorkOptions

EPILOG = """\b
Examples:
  valle script play.txt --cast cast.toml -o play.wav
  valle script play.txt --cast cast.toml -o play.mp3 --subtitles srt
  valle script play.txt --cast cast.toml -o play.wav --stems stems

\b
PLAY is a text:
  ANNA: Good morning, Bob. How are you?
  BOB (yawning): Tired.
  [pause 1.5s]
  ANNA: Oh.

A line goes on with the speech above if it is indented, or has no name. What is in brackets or parentheses is not
spoken, except that [pause 1.5s] is silence; neither are lines that begin with #.

\b
The cast is TOML, with a table for each name:
  [ANNA]
  voice = "anna"
  speed = 1.1
  ["Old Bob"]
  prompt = "bob.wav"
  gain = -3

voice is a name of the library; prompt is a recording, relative to the file. gain, in dB, and the columns of valle batch
that are settings of a voice are optional: prompt_text, language, accent, checkpoint, speed, seed, temperature, ...

Each sentence is spoken once, into the work folder (play.wav.work), as a row of valle batch. The same command again
speaks only sentences that are missing or have changed, and writes the files again.

\b
Exit codes: as for batch.
"""


@takes_groups
def script(
    context: typer.Context,
    *,
    play: Annotated[str, typer.Argument(metavar="PLAY", help="The dialogue, as text.")],
    cast: Annotated[str, typer.Option(metavar="FILE", help="The voices of its speakers, as TOML.")],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="The result; by default PLAY's name and .wav."),
    ] = None,
    stems: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Also write a file for each speaker, as long as the result, to this folder."),
    ] = None,
    subtitles: Annotated[
        str | None, typer.Option(metavar="srt|vtt", help="Also write the times of all sentences beside the result.")
    ] = None,
    pause: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds of silence between speeches; 0.6 by default.")
    ] = None,
    work: WorkOptions,
) -> None:
    """Speak a dialogue, each speaker in a voice of the cast; resumable."""
    reporter = work.printed.reporter(context)
    from vallecli.cli import script_run  # imported here: --help does not wait for it

    request = script_run.ScriptRequest(play=play, cast=cast, output=output, stems=stems, subtitles=subtitles)
    script_run.run(context, request, work, reporter)
