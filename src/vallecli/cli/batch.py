"""`valle batch`: its options; what it does is in batch_run. Columns of the table override options."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from vallecli.cli import options
from vallecli.cli.groups import Help, takes_groups
from vallecli.errors import UsageError

EPILOG = """\b
Examples:
  valle batch jobs.csv --out-dir out --dry-run
  valle batch jobs.csv --out-dir out
  valle batch jobs.csv --out-dir out --retry-failed
  valle batch lines.txt --prompt ref.wav --out-dir out
  sqlite3 -header -csv book.db "SELECT text, 'ref.wav' AS prompt FROM lines" | valle batch - --out-dir out

JOBS is CSV under a header, in any dialect, JSONL or a JSON array, in UTF-8 or (with a byte order mark) UTF-16. The
columns text and prompt (a recording, relative to JOBS) or voice (a name of the library) are required; id, prompt_text,
output, language, accent, checkpoint, seed, greedy, temperature, top_k, top_p, top_n_sigma, repetition_window,
repetition_ratio, best_of, pick, retries, seconds, max_seconds, sample_rate, ssml, speed, pause, paragraph_pause, gain
and loudness are optional, and override the options below; with continue, a text begins with the words of its prompt,
and only the rest is spoken. With --prompt or --voice, prompt is optional, too, and JOBS can be a list without a header:
each line is a text, or id|text|normalized text as in LJSpeech. A row without an id gets its number (00001); one without
an output is written to ID.wav. A row without a seed gets one derived from its content: the same row gives the same
audio in any order, run or shard, and valle speak --seed gives it, too, except for rounding.

The result of each row is appended to results.jsonl in the folder. The same command again makes only what is missing
or has changed. Ctrl-C finishes the rows in progress; a second one stops at once. Neither a crash nor a full disk loses
a row that was recorded. A sentence that does not end by itself is cut off: its row is done, with stop_reason max_frames
and a note, and the summary counts it.

--page also writes index.html to the folder, with the rows of all runs: prompts and results side by side, waveforms,
filters and keys. Up to about half an hour of audio is in the page, which can then be moved; more is linked.

\b
Exit codes: as for speak, and 6 if any row failed; after 130 (interrupted) the same command resumes.
"""

PAGE_LATER = "When all shards are done, run the same command without --shard, with --page: it makes only the page."


@takes_groups
def batch(
    context: typer.Context,
    *,
    out_dir: Annotated[str, typer.Option(metavar="DIR", help="Folder for the audio and results.jsonl.")],
    jobs: Annotated[str | None, typer.Argument(metavar="JOBS", help="CSV or JSONL; - is stdin.")] = None,
    voice: Annotated[options.VoiceOptions, Help(prompt=options.ROW_PROMPT)],
    column_map: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="COLUMN=NAME", help="Name of a column in JOBS, as in text=sentence. Repeat it for several."
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="Format of rows without an output: wav, flac, ogg, mp3, opus, m4a, raw, ulaw or alaw. The last two "
            "are WAV files, and are also used for outputs that end in .wav or .raw.",
        ),
    ] = "wav",
    rows: options.RowOptions,
    verify: Annotated[bool, typer.Option("--verify", help="Make audio again whose sha256 has changed.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Start no more rows after a failure.")] = False,
    engine: options.EngineOptions,
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge the results of all shards into one results.jsonl.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Write index.html to the folder: a page to listen to all rows.")
    ] = False,
    reading: options.TextOptions,
    model: options.ModelOptions,
    sampling: Annotated[options.SamplingOptions, Help(seed=options.ROW_SEED)],
    sound: options.SoundOptions,
    marks: options.MarkOptions,
    printed: Annotated[options.OutputOptions, Help(as_json="Print JSON instead of the path or the plan.")],
) -> None:
    """Speak each row of a table into a separate file; resumable."""
    reporter = printed.reporter(context)
    from vallecli.cli import batch_run  # imported here: --help does not wait for it

    if merge:
        if page:
            raise UsageError("--merge has no --page", PAGE_LATER)
        if jobs is not None:
            raise UsageError("--merge takes no JOBS", "Run: valle batch --merge --out-dir DIR")
        return batch_run.merge(out_dir, reporter, as_json=printed.as_json)
    if jobs is None:
        raise UsageError("there are no jobs", "Give a CSV or JSONL file, or - for stdin.")
    cluster, part = engine.cluster(), batch_run.parse_shard(engine.shard)
    if page and part[1] > 1:
        raise UsageError("--shard has no --page", PAGE_LATER)
    from vallecli.jobs.plan import Defaults

    settings = options.settings(context)
    default, signer = voice.find(settings), marks.signer()
    request = batch_run.BatchRequest(
        jobs=jobs,
        out_dir=out_dir,
        defaults=Defaults(
            settings=settings,
            options=options.loader_options(context, reporter),
            decoder=model.decoder,
            prompt=default,
            prompt_text=voice.prompt_text,
            language=reading.language,
            accent=reading.accent,
            format=form,
            transcribe=voice.transcribe,
            disclose=marks.disclosure(),
            signed=None if signer is None else signer.certificate_sha256,
            shard=part,
        ),
        sources=batch_run.parse_map(column_map or ()),
        force=rows.force,
        dry_run=rows.dry_run,
        retry_failed=rows.retry_failed,
        verify=verify,
        fail_fast=fail_fast,
        page=page,
        slots=engine.slots,
        signer=signer,
        cluster=cluster,
        json=printed.as_json,
        again=shlex.join(batch_run.typed(context)),
    )
    return batch_run.run(request, reporter)
