"""`valle dub`: its options; what it does is in dub_run."""

from __future__ import annotations

from typing import Annotated

import typer

from vallecli.cli.groups import takes_groups
from vallecli.cli.work_options import WorkOptions

EPILOG = """\b
Examples:
  valle dub film.srt --voice anna -o dub.wav
  valle dub film.srt --voice anna --mux film.mp4 -o dubbed.mp4
  valle dub film.en.srt --prompt film.mp4 --checkpoint vallex --language en --mux film.mp4 -o dubbed.mp4
  valle dub film.vtt --cast cast.toml --voice narrator -o dub.wav

SUBTITLES is SRT or WebVTT. Each cue is spoken into its time: speech that is too long is made faster, up to --max-speed,
and then goes on in the gap before the next cue. Cues that are still too long are listed, and delay the next one: no
word is left out, and no two cues are spoken at once. Only the end of the film cuts speech off. Tags, remarks in
brackets or parentheses and signs of music are not spoken.

With --cast, speakers have their own voices, as in valle script: those of voice spans (<v Anna>) in WebVTT, and of lines
that begin with a name of the cast and a colon. Lines of nobody are spoken by --voice or --prompt.

--mux writes a copy of a film with the speech as one more audio track, which becomes the default one; pictures, other
tracks, subtitles and chapters are copied as they are. The names of films end in .mp4, .m4v, .mov, .mkv or .webm.

Each cue is spoken once, into the work folder (dub.wav.work), as a row of valle batch. The same command again speaks
only cues that are missing or have changed; other times need no new speech.

\b
Exit codes: as for batch; 0 also if cues do not fit.
"""


@takes_groups
def dub(
    context: typer.Context,
    *,
    subtitles: Annotated[str, typer.Argument(metavar="SUBTITLES", help="SRT or WebVTT, in the language of the dub.")],
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The track or, with --mux, the film; by default SUBTITLES.dub.wav."
        ),
    ] = None,
    cast: Annotated[str | None, typer.Option(metavar="FILE", help="Voices of named speakers, as TOML.")] = None,
    mux: Annotated[str | None, typer.Option(metavar="FILM", help="Add the track to a copy of this film.")] = None,
    length: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Length of the track, as 1:30:00 or in seconds; by default up to the last cue's end."
        ),
    ] = None,
    fit: Annotated[
        str, typer.Option(metavar="stretch|none", help="Make speech faster that is longer than its cue, or never.")
    ] = "stretch",
    max_speed: Annotated[
        float, typer.Option(metavar="X", min=1, max=2, help="With --fit stretch: how much faster at most.")
    ] = 1.25,
    overlaps: Annotated[
        bool, typer.Option("--allow-overlaps", help="Speak cues that overlap one after the other.")
    ] = False,
    work: WorkOptions,
) -> None:
    """Speak subtitles in their time, as a track or into a film; resumable."""
    reporter = work.printed.reporter(context)
    from vallecli.cli import dub_run  # imported here: --help does not wait for it

    request = dub_run.DubRequest(
        subtitles=subtitles,
        output=output,
        cast=cast,
        mux=mux,
        length=length,
        fit=fit,
        max_speed=max_speed,
        allow_overlaps=overlaps,
    )
    dub_run.run(context, request, work, reporter)
