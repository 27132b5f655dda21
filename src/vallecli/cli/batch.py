"""`valle batch`: options in, a table of rows checked and spoken into a folder; the rows' own columns come first."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from vallecli.cli import options
from vallecli.cli.output import Talk
from vallecli.errors import UsageError

EPILOG = """\b
Examples:
  valle batch jobs.csv --out-dir out --dry-run
  valle batch jobs.csv --out-dir out
  valle batch jobs.csv --out-dir out --retry-failed
  sqlite3 -header -csv book.db "SELECT text, 'ref.wav' AS prompt FROM lines" | valle batch - --out-dir out

JOBS is CSV under a header, in any dialect, or JSONL. The columns text and prompt (a recording, relative to JOBS) are
needed; id, prompt_text, output, language, accent, checkpoint, seed, greedy, temperature, top_k, top_p and
max_seconds may be there, and stand before the options below. A row without an id has its number as one (00001); one
without an output goes to ID.wav. One without a seed gets it from its content: the same row is the same audio, in any
order, run or shard, and but for rounding valle speak --seed gives it too.

How each row ended is added to results.jsonl in the folder. The same command again does only what is missing or has
changed. Ctrl-C finishes the rows in flight; a second one stops at once. Neither a crash nor a full disk loses a row
that was recorded.

\b
Exit codes: as for speak, and 6 if any row failed; 130 interrupted, and the same command goes on from there.
"""


def batch(
    context: typer.Context,
    out_dir: Annotated[str, typer.Option(metavar="DIR", help="Where the audio and results.jsonl go.")],
    jobs: Annotated[str | None, typer.Argument(metavar="JOBS", help="CSV or JSONL; - is stdin.")] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="wav|flac|ogg|raw", help="Format of rows that name no output.")
    ] = "wav",
    force: Annotated[bool, typer.Option("--force", help="Overwrite audio that was there before any batch.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all rows, print the plan, and stop.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try rows again that failed before.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Make audio again whose sha256 is another.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Begin no more rows once one has failed.")] = False,
    slots: Annotated[int, typer.Option(metavar="N", min=1, help="Rows that are spoken at once.")] = 16,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Do part I of N, told by the hash of each id.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Speak on a Ray cluster: auto finds it, local starts one (vallecli[ray])."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="With --ray: how many models are loaded.")] = 1,
    gpus_per_worker: Annotated[
        float, typer.Option(metavar="X", min=0, help="With --ray: what each model gets; 0.5 is half of one.")
    ] = 0,
    merge: Annotated[bool, typer.Option("--merge", help="Make one results.jsonl of those of all shards.")] = False,
    transcribe: options.Transcribe = False,
    language: options.Language = "auto",
    accent: options.Accent = None,
    checkpoint: options.Checkpoint = None,
    symbols: options.Symbols = None,
    heads: options.Heads = None,
    prefix_mode: options.PrefixMode = None,
    decoder: options.Decoder = None,
    offline: options.Offline = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of rows that name none; by default by their content.")
    ] = None,
    greedy: options.Greedy = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    max_seconds: options.MaxSeconds = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the path or the plan.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Speak each row of a table into a file of its own, and go on from there whatever happens."""
    talk: Talk = context.obj
    talk.quiet, talk.verbose = quiet, verbose
    from vallecli.cli import batch_run  # what it imports in turn is what --help should not wait for

    if merge:
        if jobs is not None:
            raise UsageError("--merge takes no JOBS", "Type: valle batch --merge --out-dir DIR")
        return batch_run.merge(out_dir, talk, as_json=as_json)
    if jobs is None:
        raise UsageError("there are no jobs", "Give a CSV or JSONL file, or - for stdin.")
    from vallecli.cli.engines import Cluster
    from vallecli.jobs.plan import Defaults

    request = batch_run.Request(
        jobs=jobs,
        out_dir=out_dir,
        defaults=Defaults(
            settings=options.settings(context),
            loading=options.loading(context),
            language=language,
            accent=accent,
            format=form,
            transcribe=transcribe,
            shard=batch_run.parse_shard(shard),
        ),
        force=force,
        dry_run=dry_run,
        retry_failed=retry_failed,
        verify=verify,
        fail_fast=fail_fast,
        slots=slots,
        cluster=None if ray is None else Cluster(ray, workers, gpus_per_worker),
        json=as_json,
        again=shlex.join(typed(context)),
    )
    return batch_run.make(request, talk)


def typed(context: typer.Context) -> list[str]:
    """Return the command line with all that was given on it, so that the same rows are meant when it is typed again."""
    arguments, flags = ["valle", "batch"], []
    for parameter in context.command.params:
        name = str(parameter.name)
        source, value = context.get_parameter_source(name), context.params[name]
        if source is None or source.name != "COMMANDLINE":
            continue
        if parameter.param_type_name == "argument":
            arguments.append(value)
        elif isinstance(value, bool):
            flags.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            flags += [parameter.opts[0], str(value)]
    return [*arguments, *flags]
