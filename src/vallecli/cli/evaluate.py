"""`valle eval`: its options; what it does is in eval_run."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from vallecli.cli import options
from vallecli.cli.groups import Help, Without, takes_groups
from vallecli.errors import UsageError
from vallecli.settings import suggest

EPILOG = """\b
Examples:
  valle eval jobs.csv --out-dir out
  valle eval jobs.csv --out-dir greedy --greedy
  valle eval jobs.csv --out-dir best --best-of 4
  valle eval --compare out best
  valle eval recordings.csv --out-dir scored --scores wer,opinion
  valle eval --protocol librispeech-cross LibriSpeech/test-clean --out-dir cross --limit 100
  valle eval --protocol seed-tts en/meta.lst --out-dir seed --asr large-v3 --json

JOBS is a table as for valle batch, and is spoken as by that command. Further columns are optional: wav is a recording
of the text, which is scored instead of speaking it; reference is a real recording of the speaker; speaker is a name
that rows of one speaker share, by default that of the prompt.

Scores: WER by faster-whisper after whisper-normalizer; similarity of the speakers of output and prompt by Resemblyzer,
and by WavLM if wavlm-base-plus-sv was downloaded; DNSMOS P.835; duration; and manner, which is the difference of output
and prompt in pitch, speaking rate, level, background noise and reverberation, and the similarity of emotion if
wav2vec2-emotion was downloaded. Totals have 95 % intervals, by a bootstrap over speakers and sentences. A row counts as
a failure if it was not spoken, did not end by itself, if nothing is heard, or if more than half of its words are wrong.
Totals also count rows that may have gone wrong, as far as that is known without recognition, and candidates.

Scores of rows are appended to scores.jsonl in the folder; totals are written to scores.json, and a page to listen to
all rows to index.html. The same command again speaks and scores only what is missing or has changed.

\b
It needs: pip install "vallecli[eval]" && pip install --no-deps Resemblyzer==0.1.4 speechmos
Exit codes: as for batch, and 7 if a package is missing.
"""

KINDS = "wer,similarity,opinion,manner"


@takes_groups
def evaluate(
    context: typer.Context,
    *,
    jobs: Annotated[str | None, typer.Argument(metavar="JOBS", help="CSV or JSONL; - is stdin.")] = None,
    out_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder for the audio, scores.jsonl, scores.json and index.html.")
    ] = None,
    protocol: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--protocol",
            metavar="NAME PATH",
            help="A published protocol instead of JOBS: librispeech-cross or librispeech-continue and the folder "
            "test-clean, or seed-tts and META.lst. The rows are written to protocol.jsonl in the folder, which is a "
            "table for JOBS.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --protocol: use N of its rows, spread evenly.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="DIR DIR",
            help="Print the differences of two runs, second minus first, with paired intervals, and write a page of "
            "both, with a blind test.",
        ),
    ] = None,
    page: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --compare: the page; by default compare.html in the first.")
    ] = None,
    asr: Annotated[
        str, typer.Option(metavar="MODEL", help="Speech recognizer: a model of faster-whisper, or a folder.")
    ] = "base",
    scores: Annotated[str, typer.Option(metavar="NAMES", help="What is measured, separated by commas.")] = KINDS,
    voice: Annotated[options.VoiceOptions, Help(prompt=options.ROW_PROMPT)],
    rows: Annotated[
        options.RowOptions,
        Without("dry_run"),
        Help(force="Overwrite audio that no batch has written, and files that are no pages."),
    ],
    engine: Annotated[options.EngineOptions, Without("shard", "ray", "workers", "gpus_per_worker")],
    reading: options.TextOptions,
    model: Annotated[options.ModelOptions, Without(*options.DEPRECATED)],
    sampling: Annotated[options.SamplingOptions, Without("asr"), Help(seed=options.ROW_SEED)],
    marks: Annotated[options.MarkOptions, Without("disclose", "sign", "key")],
    printed: Annotated[options.OutputOptions, Help(as_json="Print JSON instead of a table.")],
) -> None:
    """Measure how good speech is: words, speaker, opinion and manner, per row and in total; resumable."""
    reporter = printed.reporter(context)
    if compare is not None:
        if jobs is not None or protocol is not None:
            raise UsageError("--compare takes no JOBS", "Run: valle eval --compare DIR DIR")
        from vallecli.cli.eval_run import compare as compare_runs

        return compare_runs(*compare, reporter, page=page, force=rows.force, as_json=printed.as_json)
    if page is not None:
        raise UsageError("--page is without --compare", "The page of one run is index.html in its folder.")
    if (jobs is None) == (protocol is None):
        problem = "there are no jobs" if jobs is None else "JOBS and --protocol both give the rows"
        raise UsageError(problem, "Give a CSV or JSONL file, or a protocol.")
    if out_dir is None:
        raise UsageError("there is no output folder", "Give it by --out-dir.")
    if limit is not None and protocol is None:
        raise UsageError("--limit is without --protocol", "Shorten the table instead.")
    kinds = [name.strip() for name in scores.split(",") if name.strip()]
    for name in kinds:
        if name not in KINDS.split(","):
            raise UsageError(f"--scores: there is no score {name!r}", suggest(name, KINDS.split(",")))
    from vallecli.cli import batch_run, eval_run  # imported here: --help does not wait for them
    from vallecli.jobs.plan import Defaults

    settings = options.settings(context)
    request = batch_run.BatchRequest(
        jobs=jobs or "",
        out_dir=out_dir,
        defaults=Defaults(
            settings=settings,
            options=options.loader_options(context, reporter),
            decoder=model.decoder,
            prompt=voice.find(settings),
            prompt_text=voice.prompt_text,
            language=reading.language,
            accent=reading.accent,
            transcribe=voice.transcribe,
        ),
        force=rows.force,
        retry_failed=rows.retry_failed,
        page=False,  # it is written with the scores
        signer=None,
        slots=engine.slots,
        cluster=None,
        json=printed.as_json,
        again=shlex.join(batch_run.typed(context)),
    )
    return eval_run.run(
        eval_run.EvalRequest(batch=request, protocol=protocol, limit=limit, asr=asr, scores=kinds), reporter
    )
