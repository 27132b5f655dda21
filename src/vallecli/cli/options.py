"""Options that several commands have; most can also be set in valle.toml or the environment, see settings.py."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vallecli.audio.formats import DISCLOSURES, SPOKEN_NOTICE
from vallecli.cli.reporter import Reporter
from vallecli.errors import UsageError
from vallecli.settings import NAMES, Settings, resolve, suggest
from vallecli.voices.names import complete

if TYPE_CHECKING:
    from vallecli.audio.signing import Signer

DISCLOSE = "--disclose"
MAX_SLOTS = 4096  # and workers, and GPUs of a worker
DEPRECATED = ("symbols", "heads", "prefix_mode")  # flags that became --option in 0.13; they still work

Voice = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A voice of the library, or a preset of the checkpoint; see `valle voices list --help`.",
        autocompletion=complete,
    ),
]
Slots = Annotated[
    int, typer.Option(metavar="N", min=1, max=MAX_SLOTS, help="Sentences that are decoded at the same time.")
]
Workers = Annotated[
    int, typer.Option(metavar="N", min=1, max=MAX_SLOTS, help="With --ray: number of workers, each with a model.")
]
Transcribe = Annotated[
    bool, typer.Option("--transcribe", help="Transcribe the recording with Whisper (vallecli[asr]).")
]
Language = Annotated[
    str,
    typer.Option(metavar="auto|en|zh|...|mix", help="Language of the text; mix for text with [EN]tags[EN] (VALL-E X)."),
]
Accent = Annotated[
    str | None, typer.Option(metavar="en|zh|ja", help="Speak with the accent of another language (VALL-E X).")
]
Checkpoint = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH", help="The model: nano (built in), a name of `valle checkpoints list`, or a path."
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="Loader option for a value that the checkpoint does not store; `valle checkpoints show` lists them. "
        "Repeat it for several.",
    ),
]
Symbols = Annotated[str | None, typer.Option("--symbols", hidden=True)]
Heads = Annotated[int | None, typer.Option("--heads", hidden=True)]
PrefixMode = Annotated[int | None, typer.Option("--prefix-mode", hidden=True)]
Decoder = Annotated[
    str | None, typer.Option(metavar="encodec|vocos", help="Decoder of EnCodec's codes, if both are installed.")
]
Offline = Annotated[
    bool | None, typer.Option("--offline/--no-offline", help="Do not use the network.", show_default=False)
]
Device = Annotated[str | None, typer.Option(metavar="auto|cpu|cuda[:N]|mps", help="Device that computes.")]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="auto|float32|bfloat16|float16|int8",
        help="Precision of the models. auto is, for full-size models, bfloat16 on a CUDA device that supports it and "
        "float16 on an x86 CPU, also for weights that are stored so, else float32. On a CPU, float16 and int8 are "
        "those of the weights.",
    ),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Random seed. If omitted, one is chosen and printed.")]
Greedy = Annotated[
    bool | None,
    typer.Option("--greedy/--no-greedy", help="Always choose the most likely code: deterministic, often monotone."),
]
Temperature = Annotated[
    float | None, typer.Option(metavar="X", help="Sampling temperature; lower is steadier, higher livelier.")
]
TopK = Annotated[int | None, typer.Option(metavar="N", help="Sample from the N most likely codes.")]
TopP = Annotated[
    float | None, typer.Option(metavar="P", help="Sample from the most likely codes whose probabilities sum to P.")
]
TopNSigma = Annotated[
    float | None,
    typer.Option(metavar="N", help="Sample from codes whose logit is within N standard deviations of the largest."),
]
RepetitionWindow = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Look back on K codes: one that repeats too often in them is sampled again, from all codes; 0: never.",
    ),
]
RepetitionRatio = Annotated[
    float | None,
    typer.Option(metavar="R", help="Largest share of the K codes that one code may have."),
]
BestOf = Annotated[
    int | None, typer.Option(metavar="N", help="Decode N candidates of each sentence together, and keep the best.")
]
Pick = Annotated[
    str | None,
    typer.Option(
        metavar="likelihood|asr|similarity",
        help="What is best: the model's own probability, the fewest wrong words for Whisper (vallecli[asr]), or the "
        "nearest voice (vallecli[consent]).",
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(metavar="N", help="How often a sentence that went wrong is decoded again, with another seed."),
]
Asr = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Whisper model of --pick asr: tiny, base (default), small, ... or a folder."),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        metavar="S", help="Duration of the whole speech: the model keeps to it as far as its sentences allow."
    ),
]
MaxSeconds = Annotated[
    float | None, typer.Option(metavar="S", help="Longest audio of one sentence; the default depends on its length.")
]
SampleRate = Annotated[
    int | None, typer.Option(metavar="HZ", help="Sample rate of the output; by default that of the checkpoint.")
]
Ssml = Annotated[
    bool | None,
    typer.Option(
        "--ssml/--no-ssml",
        help="The text is SSML: <speak>, <p>, <s>, <break>, <sub>, <say-as>, <phoneme>, <prosody rate>.",
        show_default=False,
    ),
]
Speed = Annotated[
    float | None, typer.Option(metavar="X", help="Speed of the finished speech, 0.5 to 2, at the same pitch.")
]
Pause = Annotated[
    float | None,
    typer.Option(metavar="S", help="Silence between sentences; 0.25 by default. In a text: [pause:0.5s]."),
]
ParagraphPause = Annotated[
    float | None, typer.Option(metavar="S", help="Silence between paragraphs; by default that between sentences.")
]
Gain = Annotated[
    float | None, typer.Option(metavar="DB", help="Make the speech louder or softer; peaks stay below -1 dBFS.")
]
Loudness = Annotated[
    float | None,
    typer.Option(
        metavar="LUFS",
        help="Loudness of each output, such as -18, with peaks below -1 dBFS. It is known at the end of the speech: "
        "nothing is written, piped or played before.",
    ),
]
Lexicon = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Pronunciations: lines of a word or phrase, a tab, and ARPAbet (HH AH0 L OW1), IPA (/həˈloʊ/) or a "
        "respelling (hel-low).",
    ),
]
Watermark = Annotated[
    bool | None,
    typer.Option(
        "--watermark/--no-watermark",
        help="Mark the speech as synthetic with an inaudible watermark, which valle detect finds; on by default.",
        show_default=False,
    ),
]
Disclose = Annotated[
    str | None,
    typer.Option(
        metavar="[speech|tone]",
        help='Begin with "This speech is synthetic.", spoken by the same voice, or with a signal of two tones.',
    ),
]
Sign = Annotated[
    str | None,
    typer.Option(
        metavar="CERT",
        help="Add a C2PA manifest, signed by this certificate chain (PEM): WAV, FLAC, MP3, M4A (vallecli[c2pa]).",
    ),
]
Key = Annotated[str | None, typer.Option(metavar="KEY", help="Private key of --sign (PEM).")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print details, and the traceback of a bug.")]


def with_optional_values(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which --disclose has a value: typer has no options whose value can be left out."""
    complete: list[str] = []
    for argument, following in zip_longest(arguments, arguments[1:]):
        complete.append(argument)
        if argument == DISCLOSE and following not in DISCLOSURES:
            complete.append(SPOKEN_NOTICE)
    return complete


def disclosure(written: str | None) -> str | None:
    """Return the value of --disclose. Raises UsageError for an unknown one."""
    if written is not None and written not in DISCLOSURES:
        raise UsageError(f"{DISCLOSE} is {written!r}", suggest(written, DISCLOSURES))
    return written


def signer(sign: str | None, key: str | None) -> Signer | None:
    """Return what signs files, None without --sign and --key. Raises UsageError, SigningError and ExtraMissing."""
    if sign is None and key is None:
        return None
    if sign is None or key is None:
        raise UsageError("--sign and --key belong together", "Give a certificate chain and its private key.")
    from vallecli.audio.signing import Signer

    return Signer(Path(sign), Path(key))


def settings(context: typer.Context) -> Settings:
    """Return the settings from this command's flags, the environment and valle.toml. Raises UsageError."""
    return resolve({name: context.params.get(name) for name in NAMES})


def loader_options(context: typer.Context, reporter: Reporter) -> dict[str, Any]:
    """Return the loader options of this command, as written. Raises UsageError for one without a name or a value."""
    given: dict[str, Any] = {}
    for name in DEPRECATED:
        if (value := context.params.get(name)) is not None:
            flag = "--" + name.replace("_", "-")
            reporter.info(f"{flag} is deprecated and will be removed; use: --option {name}={value}")
            given[name] = value
    for written in context.params.get("option") or ():
        name, equals, value = written.partition("=")
        name = name.strip().replace("-", "_")
        if not name or not equals or not value:
            raise UsageError(f"--option is {written!r}", "It should be NAME=VALUE, for example --option heads=16.")
        if name in given:
            raise UsageError(f"the option {name} is given twice", "Leave one of them out.")
        given[name] = value
    return given
