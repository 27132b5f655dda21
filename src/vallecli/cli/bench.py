"""`valle bench`: the speed on this machine, stage by stage."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from vallecli.cli import options
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.errors import UsageError
from vallecli.settings import resolve

EPILOG = """\b
Examples:
  valle bench
  valle bench --random-weights full --batch 8 --dtype int8
  valle bench --random-weights full --baseline --json | jq .speedup

On a terminal, the result is a table; in a pipe, each line is a name and a value, with --baseline also the baseline's
value and the ratio, separated by tabs. prefill_ms, nar_ms (of bark, coarse_ms and fine_ms), codec_ms and watermark_ms
are milliseconds per utterance; step_ms is one decode step of all utterances of the batch, step_ms_at_end one of the
last steps, which are the slowest. real_time_factor is computing time over duration of the audio; time_to_first_audio
is the time in seconds until the first utterance is finished; both exclude loading. bandwidth_share is the memory that
a step reads over its time, as a share of the bandwidth of a plain copy.

The baseline is float32, one utterance, no cache, and the matrix products that torch chooses by default.
"""

MAX_ROWS = 4096  # utterances at the same time, and threads
MAX_FRAMES = 1_000_000


def bench(
    context: typer.Context,
    checkpoint: options.Checkpoint = None,
    option: options.Option = None,
    random_weights: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Random weights of a published size: full (VALL-E X), nano, amphion-v2, ecker."
        ),
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, max=MAX_ROWS, help="Utterances that are decoded together.")
    ] = 1,
    frames: Annotated[int, typer.Option(metavar="N", min=1, max=MAX_FRAMES, help="Frames of each utterance.")] = 300,
    prompt_frames: Annotated[int, typer.Option(metavar="N", min=1, max=MAX_FRAMES, help="Frames of the prompt.")] = 225,
    phonemes: Annotated[
        int, typer.Option(metavar="N", min=1, max=MAX_FRAMES, help="Phonemes of each utterance, including the prompt.")
    ] = 80,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=MAX_FRAMES, help="Decode steps to measure; by default one per frame."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MAX_ROWS, help="CPU threads; by default one per core.")
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Measure the baseline, too: float32, no cache, one utterance.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")] = False,
) -> None:
    """Measure the speed on this machine, stage by stage."""
    reporter: Reporter = context.obj
    reporter.quiet = quiet
    if checkpoint is not None and random_weights is not None:
        raise UsageError("--checkpoint and --random-weights both give a model", "Leave one of them out.")
    settings = resolve({"checkpoint": checkpoint, "device": device, "dtype": dtype})
    import torch

    from vallecli.bench import Subject, Work, measure

    work = Work(batch=batch, frames=frames, prompt_frames=prompt_frames, phonemes=phonemes, steps=steps or frames)
    if threads is not None:
        torch.set_num_threads(threads)
    subject = Subject(
        checkpoint=settings.checkpoint,
        options=options.loader_options(context, reporter),
        random_size=random_weights,
        device=settings.device,
        dtype=settings.dtype,
    )
    with reporter.stages() as report:
        result = measure(subject, work, baseline=baseline, report=report)
    if as_json:
        write_json(result)
    else:
        show(result)


def show(report: dict[str, Any]) -> None:
    """Print the result as a table or as lines."""
    plain = report.pop("baseline", {})
    rows = []
    for name, value in report.items():
        row = [name, "unknown" if value is None else str(value)]
        if plain.get(name):  # a time of the baseline, if it has that stage
            row += [str(plain[name]), f"{plain[name] / value:.2f}"]
        rows.append(row)
    if not sys.stdout.isatty():
        for row in rows:
            write_line("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("", "here", *(["baseline", "ratio"] if plain else []), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
