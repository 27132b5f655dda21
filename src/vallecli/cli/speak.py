"""`valle speak`: options in, checks in the order of their cost, then a take written where it was wanted."""

from __future__ import annotations

from typing import Annotated

import typer

from vallecli.cli import options
from vallecli.cli.output import Talk

EPILOG = """\b
Examples:
  valle speak --prompt reference.wav --text "Hello, this is my voice." -o hello.wav
  valle speak --prompt reference.wav --text-file story.txt --seed 7 -o story.flac
  echo "Good morning." | valle speak --prompt reference.wav -o - | ffplay -nodisp -autoexit -
  valle speak --prompt reference.wav --text "One more take." --json | jq .real_time_factor

Record 3 to 10 seconds of one speaker who has agreed to it. The same seed gives the same audio; leave --seed out for
another take each time.

Each of --checkpoint, --device, --dtype, --seed, --greedy, --temperature, --top-k, --top-p, --max-seconds and
--offline can be kept in the environment (VALLE_DEVICE=cpu) or in valle.toml (device = "cpu"), in this folder or in
your own configuration folder. A flag is stronger than the environment, and that than a file.

\b
Exit codes: 0 done, 1 a bug, 2 usage, 3 bad input, 4 checkpoint, 5 device or memory, 130 interrupted,
141 whatever read stdout went away.
"""


def speak(
    context: typer.Context,
    prompt: Annotated[
        str,
        typer.Option(metavar="FILE", help="Recording of the voice (WAV, FLAC, OGG, MP3, Opus), or a VALL-E X preset."),
    ],
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="What to say.")] = None,
    text_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="What to say, from a UTF-8 file; - or neither: from stdin.")
    ] = None,
    prompt_text: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What the recording says, for checkpoints that need it; else REF.txt beside REF.wav is read.",
        ),
    ] = None,
    transcribe: options.Transcribe = False,
    language: options.Language = "auto",
    accent: options.Accent = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write, .wav, .flac or .ogg; - is stdout. By default a name made from prompt and text.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="wav|flac|ogg|raw", help="Format, if the ending does not say; raw is s16le."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    checkpoint: options.Checkpoint = None,
    symbols: options.Symbols = None,
    heads: options.Heads = None,
    prefix_mode: options.PrefixMode = None,
    decoder: options.Decoder = None,
    offline: options.Offline = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    seed: options.Seed = None,
    greedy: options.Greedy = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    max_seconds: options.MaxSeconds = None,
    save_codes: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also keep the codec tokens, frames x codebooks: .npy or .npz.")
    ] = None,
    play: Annotated[bool, typer.Option("--play", help="Play the result as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of the path.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Say a text in the voice of a recording and write 24 kHz audio."""
    talk: Talk = context.obj
    talk.quiet, talk.verbose = quiet, verbose
    from vallecli.cli.take import Request, make  # what it imports in turn is what --help should not wait for

    request = Request(
        settings=options.settings(context),
        loading=options.loading(context),
        prompt=prompt,
        prompt_text=prompt_text,
        transcribe=transcribe,
        language=language,
        accent=accent,
        text=text,
        text_file=text_file,
        output=output,
        format=form,
        force=force,
        save_codes=save_codes,
        play=play,
        json=as_json,
    )
    make(request, talk)
