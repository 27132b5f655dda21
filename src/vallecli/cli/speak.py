"""`valle speak`: options in, checks in the order of their cost, then a take written where it was wanted."""

from __future__ import annotations

from typing import Annotated

import typer

from vallecli.cli.output import DTYPE_HELP, Talk
from vallecli.settings import resolve

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
    transcribe: Annotated[
        bool,
        typer.Option(
            "--transcribe", help="Have a model write down what the recording says."
        ),
    ] = False,
    language: Annotated[
        str,
        typer.Option(
            metavar="auto|en|zh|ja|mix", help="Language of the text; mix for one with [EN]tags[EN] around each part."
        ),
    ] = "auto",
    accent: Annotated[
        str | None, typer.Option(metavar="en|zh|ja", help="Speak with another language's accent (VALL-E X).")
    ] = None,
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
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="The model: nano (built in), one of `valle checkpoints list`, a path."),
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(metavar="FILE", help="The checkpoint's table of text symbols, if it is apart.")
    ] = None,
    heads: Annotated[int | None, typer.Option(metavar="N", help="Attention heads, if they are not stored.")] = None,
    prefix_mode: Annotated[int | None, typer.Option(metavar="N", help="Prefix mode, if it is not stored.")] = None,
    decoder: Annotated[
        str | None, typer.Option(metavar="encodec|vocos", help="What makes audio of EnCodec's codes, if both are here.")
    ] = None,
    offline: Annotated[
        bool | None, typer.Option("--offline/--no-offline", help="Ask nothing of the network.", show_default=False)
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")] = None,
    dtype: Annotated[str | None, typer.Option(metavar="auto|float32|bfloat16|float16|int8", help=DTYPE_HELP)] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Which take; random by default, and told.")] = None,
    greedy: Annotated[
        bool | None, typer.Option("--greedy/--no-greedy", help="Always the likeliest sound: no chance, often monotone.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(metavar="X", help="Below 1 is steadier, above livelier.")] = None,
    top_k: Annotated[int | None, typer.Option(metavar="N", help="Choose among the N likeliest sounds.")] = None,
    top_p: Annotated[float | None, typer.Option(metavar="P", help="Choose among the likeliest that sum to P.")] = None,
    max_seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Longest audio of one sentence; by default by its length.")
    ] = None,
    save_codes: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also keep the codec tokens, frames x codebooks: .npy or .npz.")
    ] = None,
    play: Annotated[bool, typer.Option("--play", help="Play the result as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of the path.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more, and show where a bug happened.")] = False,
) -> None:
    """Say a text in the voice of a recording and write 24 kHz audio."""
    talk: Talk = context.obj
    talk.quiet, talk.verbose = quiet, verbose
    from vallecli.cli.take import Request, make  # what it imports in turn is what --help should not wait for

    flags = {
        "checkpoint": checkpoint,
        "device": device,
        "dtype": dtype,
        "seed": seed,
        "greedy": greedy,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "max_seconds": max_seconds,
        "offline": offline,
    }
    request = Request(
        settings=resolve(flags),
        loading={"symbols": symbols, "heads": heads, "prefix_mode": prefix_mode, "decoder": decoder},
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
