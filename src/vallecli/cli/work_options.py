"""The options of commands that speak a work of many sentences with the engine of a batch, and their meaning."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vallecli.cli import options
from vallecli.cli.groups import Help, Without
from vallecli.cli.reporter import Reporter

if TYPE_CHECKING:
    from vallecli.cli.batch_run import BatchRequest

# Settings that apply to the finished work, and not to its sentences one by one, or to other texts.
OF_THE_WORK = ("pause", "paragraph_pause", "gain", "loudness", "seconds", "ssml")


@dataclass(frozen=True, kw_only=True)
class WorkOptions:
    """The options that these commands share; the settings among them are also found in the context."""

    voice: options.VoiceOptions
    work_dir: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder for the spoken sentences; by default the output's name and .work."),
    ] = None
    rows: Annotated[
        options.RowOptions,
        Help(
            force="Overwrite files that this work has not made.",
            dry_run="Check everything, estimate the duration and the time, and exit.",
            retry_failed="Try failed sentences again.",
        ),
    ]
    skip_failed: Annotated[bool, typer.Option("--skip-failed", help="Leave failed sentences out of the result.")] = (
        False
    )
    engine: Annotated[
        options.EngineOptions, Help(shard="Only speak part I of N of the sentences, into the work folder.")
    ]
    reading: options.TextOptions
    model: Annotated[options.ModelOptions, Without(*options.DEPRECATED)]
    sampling: Annotated[
        options.SamplingOptions,
        Without("seconds"),
        Help(seed="Random seed; by default derived from the text of each sentence."),
    ]
    sound: Annotated[
        options.SoundOptions,
        Without("ssml", "pause", "paragraph_pause"),
        Help(
            gain="Make the result louder or softer than --loudness says.",
            loudness="Loudness of the result; -18 by default.",
        ),
    ]
    keep_loudness: Annotated[
        bool, typer.Option("--keep-loudness", help="Leave the loudness as the checkpoint makes it.")
    ] = False
    marks: options.MarkOptions
    printed: Annotated[options.OutputOptions, Help(as_json="Print JSON instead of paths and lines.")]


def batch_request(context: typer.Context, work: WorkOptions, reporter: Reporter, work_dir: Path) -> BatchRequest:
    """Return the request of the batch that speaks the sentences into a work folder. Raises UsageError.

    The settings that apply to the finished work are not those of its sentences.
    """
    from vallecli.cli import batch_run
    from vallecli.jobs.plan import Defaults
    from vallecli.longform.work import CLIP_FORMAT

    cluster, settings = work.engine.cluster(), options.settings(context)
    of_sentences: dict[str, Any] = dict.fromkeys(OF_THE_WORK)
    return batch_run.BatchRequest(
        out_dir=str(work_dir),
        defaults=Defaults(
            settings=replace(settings, **of_sentences),
            options=options.loader_options(context, reporter),
            decoder=work.model.decoder,
            prompt=work.voice.find(settings),
            prompt_text=work.voice.prompt_text,
            language=work.reading.language,
            accent=work.reading.accent,
            format=CLIP_FORMAT,
            transcribe=work.voice.transcribe,
            shard=batch_run.parse_shard(work.engine.shard),
        ),
        dry_run=work.rows.dry_run,
        retry_failed=work.rows.retry_failed,
        slots=work.engine.slots,
        signer=None,
        cluster=cluster,
        json=work.printed.as_json,
        again=shlex.join(batch_run.typed(context)),
    )
