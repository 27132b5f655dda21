"""Options that several commands have, each declared once: alone, or in a group that a command takes (groups.py).

Most can also be set in valle.toml or the environment, see settings.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
    from vallecli.cli.engines import Cluster
    from vallecli.voices.library import StoredVoice

DISCLOSE = "--disclose"
MAX_SLOTS = 4096  # and workers, and GPUs of a worker
DEPRECATED = ("symbols", "heads", "prefix_mode")  # flags that became --option in 0.13; they still work
ROW_PROMPT = "Recording of the voice of rows without a prompt."
ROW_SEED = "Seed of rows without one; by default derived from their content."

Language = Annotated[
    str,
    typer.Option(metavar="auto|en|zh|...|mix", help="Language of the text; mix for text with [EN]tags[EN] (VALL-E X)."),
]
Lexicon = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Pronunciations: lines of a word or phrase, a tab, and ARPAbet (HH AH0 L OW1), IPA (/həˈloʊ/) or a "
        "respelling (hel-low).",
    ),
]
Ssml = Annotated[
    bool | None,
    typer.Option(
        "--ssml/--no-ssml",
        help="The text is SSML: <speak>, <p>, <s>, <break>, <sub>, <say-as>, <phoneme>, <prosody rate>.",
        show_default=False,
    ),
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
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print details, and the traceback of a bug.")]


@dataclass(frozen=True, kw_only=True)
class VoiceOptions:
    """Whose voice it is."""

    prompt: Annotated[str | None, typer.Option(metavar="FILE", help="Recording of the voice.")] = None
    voice: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A voice of the library, or a preset of the checkpoint; see `valle voices list --help`.",
            autocompletion=complete,
        ),
    ] = None
    prompt_text: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Transcript of --prompt, for checkpoints that need one; by default REF.txt next to REF.wav.",
        ),
    ] = None
    transcribe: Annotated[
        bool, typer.Option("--transcribe", help="Transcribe the recording with Whisper (vallecli[asr]).")
    ] = False

    def find(self, settings: Settings) -> StoredVoice | Path | None:
        """Return the voice, or None if none is given. Raises what inputs.given_voice raises."""
        from vallecli.cli.inputs import given_voice

        voice = given_voice(self.prompt, settings)
        if self.prompt_text is not None and voice is None:
            raise UsageError("--prompt-text is without --prompt", "Give the recording, too.")
        return voice


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """How the text is read."""

    language: Language = "auto"
    accent: Annotated[
        str | None, typer.Option(metavar="en|zh|ja", help="Speak with the accent of another language (VALL-E X).")
    ] = None
    lexicon: Lexicon = None


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """What is done with rows that were spoken before."""

    force: Annotated[bool, typer.Option("--force", help="Overwrite audio that no batch has written.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all rows, print the plan, and exit.")] = False
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed rows again.")] = False


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How many sentences are decoded at the same time, and where."""

    slots: Annotated[
        int, typer.Option(metavar="N", min=1, max=MAX_SLOTS, help="Sentences that are decoded at the same time.")
    ] = 16
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Do part I of N, chosen by the hash of each id.")] = (
        None
    )
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use a Ray cluster: auto finds one, local starts one (vallecli[ray])."),
    ] = None
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, max=MAX_SLOTS, help="With --ray: number of workers, each with a model.")
    ] = 1
    gpus_per_worker: Annotated[
        float,
        typer.Option(metavar="X", min=0, max=MAX_SLOTS, help="With --ray: GPUs of each worker; 0.5 is half of one."),
    ] = 0

    def cluster(self) -> Cluster | None:
        """Return the Ray cluster, or None for this process. Raises UsageError."""
        if not 0 <= self.gpus_per_worker < math.inf:  # NaN is in any range
            raise UsageError(f"--gpus-per-worker is {self.gpus_per_worker}", "It should be a number from 0.")
        if self.ray is None:
            return None
        from vallecli.cli.engines import Cluster

        return Cluster(self.ray, self.workers, self.gpus_per_worker)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model it is, and what computes it; see loader_options."""

    checkpoint: Checkpoint = None
    option: Option = None
    symbols: Symbols = None
    heads: Heads = None
    prefix_mode: PrefixMode = None
    decoder: Annotated[
        str | None, typer.Option(metavar="encodec|vocos", help="Decoder of EnCodec's codes, if both are installed.")
    ] = None
    offline: Annotated[
        bool | None, typer.Option("--offline/--no-offline", help="Do not use the network.", show_default=False)
    ] = None
    device: Device = None
    dtype: Dtype = None


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How codes are chosen, and sentences among candidates."""

    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Random seed. If omitted, one is chosen and printed.")
    ] = None
    greedy: Annotated[
        bool | None,
        typer.Option("--greedy/--no-greedy", help="Always choose the most likely code: deterministic, often monotone."),
    ] = None
    temperature: Annotated[
        float | None, typer.Option(metavar="X", help="Sampling temperature; lower is steadier, higher livelier.")
    ] = None
    top_k: Annotated[int | None, typer.Option(metavar="N", help="Sample from the N most likely codes.")] = None
    top_p: Annotated[
        float | None, typer.Option(metavar="P", help="Sample from the most likely codes whose probabilities sum to P.")
    ] = None
    top_n_sigma: Annotated[
        float | None,
        typer.Option(metavar="N", help="Sample from codes whose logit is within N standard deviations of the largest."),
    ] = None
    repetition_window: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Look back on K codes: one that repeats too often in them is sampled again, from all codes; 0: never.",
        ),
    ] = None
    repetition_ratio: Annotated[
        float | None,
        typer.Option(metavar="R", help="Largest share of the K codes that one code may have."),
    ] = None
    best_of: Annotated[
        int | None, typer.Option(metavar="N", help="Decode N candidates of each sentence together, and keep the best.")
    ] = None
    pick: Annotated[
        str | None,
        typer.Option(
            metavar="likelihood|asr|similarity",
            help="What is best: the model's own probability, the fewest wrong words for Whisper (vallecli[asr]), or "
            "the nearest voice (vallecli[consent]).",
        ),
    ] = None
    retries: Annotated[
        int | None,
        typer.Option(metavar="N", help="How often a sentence that went wrong is decoded again, with another seed."),
    ] = None
    asr: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Whisper model of --pick asr: tiny, base (default), small, ... or a folder."
        ),
    ] = None
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="Duration of the whole speech: the model keeps to it as far as its sentences allow."
        ),
    ] = None
    max_seconds: Annotated[
        float | None,
        typer.Option(metavar="S", help="Longest audio of one sentence; the default depends on its length."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SoundOptions:
    """What is done with the generated speech."""

    sample_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Sample rate of the output; by default that of the checkpoint.")
    ] = None
    ssml: Ssml = None
    speed: Annotated[
        float | None, typer.Option(metavar="X", help="Speed of the finished speech, 0.5 to 2, at the same pitch.")
    ] = None
    pause: Annotated[
        float | None,
        typer.Option(metavar="S", help="Silence between sentences; 0.25 by default. In a text: [pause:0.5s]."),
    ] = None
    paragraph_pause: Annotated[
        float | None, typer.Option(metavar="S", help="Silence between paragraphs; by default that between sentences.")
    ] = None
    gain: Annotated[
        float | None, typer.Option(metavar="DB", help="Make the speech louder or softer; peaks stay below -1 dBFS.")
    ] = None
    loudness: Annotated[
        float | None,
        typer.Option(
            metavar="LUFS",
            help="Loudness of each output, such as -18, with peaks below -1 dBFS. It is known at the end of the "
            "speech: nothing is written, piped or played before.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class MarkOptions:
    """What says that the speech is synthetic."""

    watermark: Annotated[
        bool | None,
        typer.Option(
            "--watermark/--no-watermark",
            help="Mark the speech as synthetic with an inaudible watermark, which valle detect finds; on by default.",
            show_default=False,
        ),
    ] = None
    disclose: Annotated[
        str | None,
        typer.Option(
            metavar="[speech|tone]",
            help='Begin with "This speech is synthetic.", spoken by the same voice, or with a signal of two tones.',
        ),
    ] = None
    sign: Annotated[
        str | None,
        typer.Option(
            metavar="CERT",
            help="Add a C2PA manifest, signed by this certificate chain (PEM): WAV, FLAC, MP3, M4A (vallecli[c2pa]).",
        ),
    ] = None
    key: Annotated[str | None, typer.Option(metavar="KEY", help="Private key of --sign (PEM).")] = None

    def disclosure(self) -> str | None:
        """Return the value of --disclose. Raises UsageError for an unknown one."""
        if self.disclose is not None and self.disclose not in DISCLOSURES:
            raise UsageError(f"{DISCLOSE} is {self.disclose!r}", suggest(self.disclose, DISCLOSURES))
        return self.disclose

    def signer(self) -> Signer | None:
        """Return what signs files, None without --sign and --key. Raises UsageError, SigningError and ExtraMissing."""
        if self.sign is None and self.key is None:
            return None
        if self.sign is None or self.key is None:
            raise UsageError("--sign and --key belong together", "Give a certificate chain and its private key.")
        from vallecli.audio.signing import Signer

        return Signer(Path(self.sign), Path(self.key))


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What is printed."""

    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
    quiet: Quiet = False
    verbose: Verbose = False

    def reporter(self, context: typer.Context) -> Reporter:
        """Return the reporter of the command, which prints as much as these options say."""
        reporter: Reporter = context.obj
        reporter.quiet, reporter.verbose = self.quiet, self.verbose
        return reporter


def with_optional_values(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which --disclose has a value: typer has no options whose value can be left out."""
    complete: list[str] = []
    for argument, following in zip_longest(arguments, arguments[1:]):
        complete.append(argument)
        if argument == DISCLOSE and following not in DISCLOSURES:
            complete.append(SPOKEN_NOTICE)
    return complete


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
