"""The options of commands that speak a work of many sentences with the engine of a batch, and their meaning."""

from __future__ import annotations

import inspect
import math
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from vallecli.cli import options
from vallecli.cli.reporter import Reporter
from vallecli.errors import UsageError

# Settings that apply to the finished work, and not to its sentences one by one, or to other texts.
OF_THE_WORK = ("pause", "paragraph_pause", "gain", "loudness", "seconds", "ssml")


def _shared(
    prompt: Annotated[str | None, typer.Option(metavar="FILE", help="Recording of the voice.")] = None,
    voice: options.Voice = None,
    prompt_text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Transcript of --prompt; by default REF.txt next to REF.wav.")
    ] = None,
    transcribe: options.Transcribe = False,
    speed: options.Speed = None,
    gain: Annotated[
        float | None, typer.Option(metavar="DB", help="Make the result louder or softer than --loudness says.")
    ] = None,
    loudness: Annotated[
        float | None, typer.Option(metavar="LUFS", help="Loudness of the result; -18 by default.", show_default=False)
    ] = None,
    keep_loudness: Annotated[
        bool, typer.Option("--keep-loudness", help="Leave the loudness as the checkpoint makes it.")
    ] = False,
    work_dir: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder for the spoken sentences; by default the output's name and .work."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that this work has not made.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, estimate the duration and the time, and exit.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed sentences again.")] = False,
    skip_failed: Annotated[
        bool, typer.Option("--skip-failed", help="Leave failed sentences out of the result.")
    ] = False,
    slots: options.Slots = 16,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only speak part I of N of the sentences, into the work folder."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use a Ray cluster: auto finds one, local starts one (vallecli[ray])."),
    ] = None,
    workers: options.Workers = 1,
    gpus_per_worker: Annotated[
        float, typer.Option(metavar="X", min=0, max=options.MAX_SLOTS, help="With --ray: GPUs of each worker.")
    ] = 0,
    language: options.Language = "auto",
    accent: options.Accent = None,
    lexicon: options.Lexicon = None,
    checkpoint: options.Checkpoint = None,
    option: options.Option = None,
    decoder: options.Decoder = None,
    offline: options.Offline = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Random seed; by default derived from the text of each sentence.")
    ] = None,
    greedy: options.Greedy = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    top_n_sigma: options.TopNSigma = None,
    repetition_window: options.RepetitionWindow = None,
    repetition_ratio: options.RepetitionRatio = None,
    best_of: options.BestOf = None,
    pick: options.Pick = None,
    retries: options.Retries = None,
    asr: options.Asr = None,
    max_seconds: options.MaxSeconds = None,
    sample_rate: options.SampleRate = None,
    watermark: options.Watermark = None,
    disclose: options.Disclose = None,
    sign: options.Sign = None,
    key: options.Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of paths and lines.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """The options."""


def speaks_a_work(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of this module to a command, behind its own ones; it finds their values in its context."""
    own = inspect.signature(command, eval_str=True)
    shared = [
        parameter
        for name, parameter in inspect.signature(_shared, eval_str=True).parameters.items()
        if name not in own.parameters
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        reporter: Reporter = given["context"].obj
        reporter.quiet, reporter.verbose = given["quiet"], given["verbose"]
        command(**{name: given[name] for name in own.parameters})

    parameters = [*own.parameters.values(), *shared]
    del run.__wrapped__  # whose signature typer would read
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def batch_request(context: typer.Context, reporter: Reporter, work_dir: Path) -> Any:
    """Return the request of the batch that speaks the sentences into a work folder. Raises UsageError.

    The settings that apply to the finished work are not those of its sentences.
    """
    from vallecli.cli import batch_run
    from vallecli.cli.engines import Cluster
    from vallecli.cli.inputs import given_voice
    from vallecli.jobs.plan import Defaults
    from vallecli.longform.work import CLIP_FORMAT

    given = context.params
    if not 0 <= given["gpus_per_worker"] < math.inf:  # NaN is in any range
        raise UsageError(f"--gpus-per-worker is {given['gpus_per_worker']}", "It should be a number from 0.")
    settings = options.settings(context)
    of_sentences: dict[str, Any] = dict.fromkeys(OF_THE_WORK)
    prompt = given_voice(given["prompt"], settings)
    if given["prompt_text"] is not None and prompt is None:
        raise UsageError("--prompt-text is without --prompt", "Give the recording, too.")
    return batch_run.BatchRequest(
        out_dir=str(work_dir),
        defaults=Defaults(
            settings=replace(settings, **of_sentences),
            options=options.loader_options(context, reporter),
            decoder=given["decoder"],
            prompt=prompt,
            prompt_text=given["prompt_text"],
            language=given["language"],
            accent=given["accent"],
            format=CLIP_FORMAT,
            transcribe=given["transcribe"],
            shard=batch_run.parse_shard(given["shard"]),
        ),
        dry_run=given["dry_run"],
        retry_failed=given["retry_failed"],
        slots=given["slots"],
        signer=None,
        cluster=None if given["ray"] is None else Cluster(given["ray"], given["workers"], given["gpus_per_worker"]),
        json=given["as_json"],
        again=shlex.join(batch_run.typed(context)),
    )
