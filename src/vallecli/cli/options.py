"""Options that several commands have; each can also be kept in valle.toml or the environment, see settings.py."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vallecli.settings import NAMES, Settings, resolve

Transcribe = Annotated[bool, typer.Option("--transcribe", help="Have a model write down what the recording says.")]
Language = Annotated[
    str,
    typer.Option(
        metavar="auto|en|zh|ja|mix", help="Language of the text; mix for one with [EN]tags[EN] around each part."
    ),
]
Accent = Annotated[
    str | None, typer.Option(metavar="en|zh|ja", help="Speak with another language's accent (VALL-E X).")
]
Checkpoint = Annotated[
    str | None,
    typer.Option(metavar="NAME|PATH", help="The model: nano (built in), one of `valle checkpoints list`, a path."),
]
Symbols = Annotated[
    str | None, typer.Option(metavar="FILE", help="The checkpoint's table of text symbols, if it is apart.")
]
Heads = Annotated[int | None, typer.Option(metavar="N", help="Attention heads, if they are not stored.")]
PrefixMode = Annotated[int | None, typer.Option(metavar="N", help="Prefix mode, if it is not stored.")]
Decoder = Annotated[
    str | None, typer.Option(metavar="encodec|vocos", help="What makes audio of EnCodec's codes, if both are here.")
]
Offline = Annotated[
    bool | None, typer.Option("--offline/--no-offline", help="Ask nothing of the network.", show_default=False)
]
Device = Annotated[str | None, typer.Option(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="auto|float32|bfloat16|float16|int8",
        help="Precision of the models. auto is bfloat16 for full-size ones on a CUDA device that computes in it, else "
        "float32; int8 keeps their weights in 8 bits, on a CPU.",
    ),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Which take; random by default, and told.")]
Greedy = Annotated[
    bool | None, typer.Option("--greedy/--no-greedy", help="Always the likeliest sound: no chance, often monotone.")
]
Temperature = Annotated[float | None, typer.Option(metavar="X", help="Below 1 is steadier, above livelier.")]
TopK = Annotated[int | None, typer.Option(metavar="N", help="Choose among the N likeliest sounds.")]
TopP = Annotated[float | None, typer.Option(metavar="P", help="Choose among the likeliest that sum to P.")]
MaxSeconds = Annotated[
    float | None, typer.Option(metavar="S", help="Longest audio of one sentence; by default by its length.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more, and show where a bug happened.")]


def settings(context: typer.Context) -> Settings:
    """Return the settings by this command's flags, the environment and the files. Raises UsageError."""
    return resolve({name: context.params[name] for name in NAMES})


def loading(context: typer.Context) -> dict[str, Any]:
    """Return what Synthesizer.load is told besides, of a checkpoint that does not tell it itself."""
    return {name: context.params[name] for name in ("symbols", "heads", "prefix_mode", "decoder")}
