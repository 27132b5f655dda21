"""`valle bench`: the speed on this machine, stage by stage."""

from __future__ import annotations

from itertools import product
from typing import Annotated

import typer

from vallecli.cli import options
from vallecli.cli.bench_report import show
from vallecli.cli.reporter import Reporter
from vallecli.errors import UsageError
from vallecli.settings import resolve

EPILOG = """\b
Examples:
  valle bench
  valle bench --random-weights full --batch 8 --dtype int8
  valle bench --random-weights full --dtype float32 --dtype int8
  valle bench --random-weights full --baseline --json | jq .ratio

On a terminal, the result is a table; in a pipe, each line is a name and a value, separated by tabs. prefill_ms, nar_ms
(of bark, coarse_ms and fine_ms), codec_ms and watermark_ms are milliseconds per utterance; step_ms is one decode step
of all utterances of the batch, step_ms_at_end one of the last steps, which are the slowest. real_time_factor is
computing time over duration of the audio; time_to_first_audio is the time in seconds until the first utterance is
finished; both exclude loading.

step_share is the memory that a step reads (bytes_per_step: weights as they are stored, and the KV cache) over its time,
as a share of read_limit_gb_per_s, the speed at which the same threads add up a large buffer. It can exceed 1 for models
that fit into the caches of a CPU. nar_share is the matrix products of the NAR (nar_gflop per utterance) over its time,
as a share of product_limit_gflop_per_s, the speed of a large square product in the same precision on the same threads.

To compare, repeat --checkpoint or --dtype: each checkpoint is measured in each precision. All are loaded and measured
in turn, --runs times, and their times are medians. The result then has one row for each; ratio is its real-time factor
over that of the first row. With --json, each row is a JSON object on a line.

--baseline adds two rows, for the way of the published code: float32 weights that are not packed, one utterance, and
torch's own choice of matrix products, with a KV cache and without.
"""

MAX_ROWS = 4096  # utterances at the same time, and threads
MAX_FRAMES = 1_000_000
RUNS = 3  # of each model, to compare


def bench(
    context: typer.Context,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|PATH", help="The model: a name or a path. Repeat it to compare checkpoints."),
    ] = None,
    option: options.Option = None,
    random_weights: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Random weights of a published size: full (VALL-E X), nano, amphion-v2, ecker."
        ),
    ] = None,
    device: options.Device = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            metavar="auto|float32|bfloat16|float16|int8",
            help="Precision of the models, as in valle speak. Repeat it to compare precisions.",
        ),
    ] = None,
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
    runs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=MAX_ROWS, help="Runs of each model, in turn; by default 1, and 3 to compare."
        ),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option("--baseline", help="Measure unpacked float32 weights, too, with a KV cache and without."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")] = False,
) -> None:
    """Measure the speed on this machine, stage by stage."""
    reporter: Reporter = context.obj
    reporter.quiet = quiet
    if checkpoint and random_weights is not None:
        raise UsageError("--checkpoint and --random-weights both give a model", "Leave one of them out.")
    chosen = [
        resolve({"checkpoint": name, "device": device, "dtype": precision})
        for name, precision in product(checkpoint or (None,), dtype or (None,))
    ]
    loader_options = options.loader_options(context, reporter)
    import torch

    from vallecli.bench.comparison import Subject, measure
    from vallecli.bench.stages import Work

    work = Work(batch=batch, frames=frames, prompt_frames=prompt_frames, phonemes=phonemes, steps=steps or frames)
    if threads is not None:
        torch.set_num_threads(threads)
    subjects = [
        Subject(
            checkpoint=settings.checkpoint,
            options=loader_options,
            random_size=random_weights,
            device=settings.device,
            dtype=settings.dtype,
        )
        for settings in chosen
    ]
    runs = runs or (1 if len(subjects) == 1 else RUNS)
    with reporter.stages() as report:
        results = measure(subjects, work, runs=runs, baseline=baseline, report=report)
    show(results, as_json=as_json)
