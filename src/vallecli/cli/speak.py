"""`valle speak`: its options; what it does is in speak_run."""

from __future__ import annotations

from typing import Annotated

import typer

from vallecli.cli import options
from vallecli.cli.groups import Help, takes_groups

EPILOG = """\b
Examples:
  valle speak --prompt reference.wav --text "Hello, this is my voice." -o hello.wav
  valle speak --prompt reference.wav --text-file story.txt --seed 7 -o story.flac
  echo "Good morning." | valle speak --prompt reference.wav -o - | ffplay -nodisp -autoexit -
  valle speak --prompt reference.wav --text "One. [pause:1s] Two." --speed 0.9 --loudness -18 -o two.wav
  valle speak --prompt reference.wav --text "Once more." --json | jq .real_time_factor
  valle voices add anna reference.wav && valle speak --voice anna --text "Hello."

Record 3 to 10 seconds of one speaker who has consented. The same seed gives the same audio; without --seed, each run
is different.

Each of --voice, --checkpoint, --device, --dtype, --seed, --greedy, --temperature, --top-k, --top-p, --top-n-sigma,
--max-seconds, --sample-rate, --ssml, --speed, --pause, --paragraph-pause, --gain, --loudness, --lexicon, --watermark
and --offline can also be set in the environment (VALLE_DEVICE=cpu) or in valle.toml (device = "cpu"), in the current
folder or in your configuration folder. A flag overrides the environment, which overrides a file.

\b
Exit codes: 0 success, 1 bug, 2 usage, 3 bad input, 4 checkpoint, 5 device or memory, 7 missing optional package,
130 interrupted, 141 the reader of stdout exited.
"""


@takes_groups
def speak(
    context: typer.Context,
    *,
    voice: Annotated[
        options.VoiceOptions,
        Help(
            prompt="Recording of the voice (WAV, MP3, M4A, Opus, video, ...), or a preset of VALL-E X or bark (.npz)."
        ),
    ],
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="Text to speak.")] = None,
    text_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="UTF-8 file with the text; - or neither option: stdin.")
    ] = None,
    goes_on: Annotated[
        bool,
        typer.Option(
            "--continue", help="The text begins with the words of the prompt: go on from there, and speak the rest."
        ),
    ] = False,
    reading: options.TextOptions,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Output file; - is stdout. By default a .wav file with a name made from prompt and text.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="wav, flac, ogg, mp3, opus, m4a, raw (s16le), ulaw or alaw; by default that of the file's ending. "
            "ulaw and alaw, for telephones, have 8 kHz by default, and no header, except in a .wav file.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    save_codes: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save the codec codes, frames x codebooks: .npy or .npz.")
    ] = None,
    save_voice: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also save the voice as a preset (.npz), for checkpoints such as bark."),
    ] = None,
    play: Annotated[bool, typer.Option("--play", help="Play the result, too.")] = False,
    sound: options.SoundOptions,
    marks: options.MarkOptions,
    model: options.ModelOptions,
    sampling: options.SamplingOptions,
    printed: Annotated[options.OutputOptions, Help(as_json="Print a JSON object instead of the path.")],
) -> None:
    """Speak a text in the voice of a recording, and write the audio."""
    reporter = printed.reporter(context)
    from vallecli.cli.speak_run import SpeakRequest, run  # imported here: --help does not wait for it

    request = SpeakRequest(
        settings=options.settings(context),
        options=options.loader_options(context, reporter),
        decoder=model.decoder,
        voice=voice,
        language=reading.language,
        accent=reading.accent,
        text=text,
        text_file=text_file,
        output=output,
        format=form,
        force=force,
        save_codes=save_codes,
        disclose=marks.disclosure(),
        marks=marks,
        goes_on=goes_on,
        save_voice=save_voice,
        play=play,
        json=printed.as_json,
    )
    run(request, reporter)
