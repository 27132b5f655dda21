"""`valle bench`: how fast this machine speaks, stage by stage."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from vallecli.cli import options
from vallecli.cli.output import Talk, write_json, write_line
from vallecli.errors import UsageError
from vallecli.settings import resolve

EPILOG = """\b
Examples:
  valle bench
  valle bench --random-weights full --batch 8 --dtype int8
  valle bench --random-weights full --baseline --json | jq .speedup

On a terminal it is a table; in a pipe each line is a name and a value, and with --baseline the plain way's value and
the ratio, with tabs between. prefill_ms, nar_ms and codec_ms are milliseconds an utterance, step_ms of a step of the
AR that takes all utterances of the batch one frame further, step_ms_at_end of the last ones, which are the slowest.
real_time_factor is the time to speak over the time it takes to hear; time_to_first_audio are the seconds until the
first utterance is done, both without loading. bandwidth_share is what a step has to read over its time, as a share of
what the memory does when it only copies.

The plain way is float32, one utterance, no cache, and the matrix products that torch takes by itself.
"""


def bench(
    context: typer.Context,
    checkpoint: options.Checkpoint = None,
    random_weights: Annotated[
        str | None,
        typer.Option(metavar="full|nano", help="Random weights instead: of VALL-E X's published size, or of nano's."),
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Utterances that are spoken together.")] = 1,
    frames: Annotated[int, typer.Option(metavar="N", min=1, help="Frames of each, 75 a second.")] = 300,
    prompt_frames: Annotated[int, typer.Option(metavar="N", min=1, help="Frames of the prompt.")] = 225,
    phonemes: Annotated[int, typer.Option(metavar="N", min=1, help="Phonemes of each, the prompt's too.")] = 80,
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Steps of the AR to measure; by default one a frame.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Threads of the CPU; by default one a core.")
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Measure the plain way, too: float32, no cache, one utterance.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")] = False,
) -> None:
    """Measure how fast speech is made here, stage by stage."""
    talk: Talk = context.obj
    talk.quiet = quiet
    if checkpoint is not None and random_weights is not None:
        raise UsageError("--checkpoint and --random-weights both give a model", "Leave one of them out.")
    settings = resolve({"checkpoint": checkpoint, "device": device, "dtype": dtype})
    import torch

    from vallecli.bench import Work, measure

    work = Work(batch=batch, frames=frames, prompt_frames=prompt_frames, phonemes=phonemes, steps=steps or frames)
    if threads is not None:
        torch.set_num_threads(threads)
    with talk.stages() as tell:
        report = measure(
            work,
            settings.checkpoint,
            random_weights,
            device=settings.device,
            dtype=settings.dtype,
            baseline=baseline,
            tell=tell,
        )
    if as_json:
        write_json(report)
    else:
        show(report)


def show(report: dict[str, Any]) -> None:
    """Print what was measured, as a table or in lines."""
    plain = report.pop("baseline", {})
    rows = []
    for name, value in report.items():
        row = [name, "unknown" if value is None else str(value)]
        if plain.get(name):  # a time of the plain way, if it has that stage at all
            row += [str(plain[name]), f"{plain[name] / value:.2f}"]
        rows.append(row)
    if not sys.stdout.isatty():
        for row in rows:
            write_line("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("", "here", *(["plain", "ratio"] if plain else []), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
