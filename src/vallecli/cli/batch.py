"""`valle batch`: its options; what it does is in batch_run. Columns of the table override options."""

from __future__ import annotations

import math
import shlex
from typing import Annotated

import typer

from vallecli.cli import options
from vallecli.cli.reporter import Reporter
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


def batch(
    context: typer.Context,
    out_dir: Annotated[str, typer.Option(metavar="DIR", help="Folder for the audio and results.jsonl.")],
    jobs: Annotated[str | None, typer.Argument(metavar="JOBS", help="CSV or JSONL; - is stdin.")] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="FILE", help="Recording of the voice of rows without a prompt.")
    ] = None,
    voice: options.Voice = None,
    prompt_text: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Transcript of --prompt; by default REF.txt next to REF.wav."),
    ] = None,
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
    force: Annotated[bool, typer.Option("--force", help="Overwrite audio that no batch has written.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all rows, print the plan, and exit.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed rows again.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Make audio again whose sha256 has changed.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Start no more rows after a failure.")] = False,
    slots: options.Slots = 16,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Do part I of N, chosen by the hash of each id.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use a Ray cluster: auto finds one, local starts one (vallecli[ray])."),
    ] = None,
    workers: options.Workers = 1,
    gpus_per_worker: Annotated[
        float,
        typer.Option(
            metavar="X", min=0, max=options.MAX_SLOTS, help="With --ray: GPUs of each worker; 0.5 is half of one."
        ),
    ] = 0,
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge the results of all shards into one results.jsonl.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Write index.html to the folder: a page to listen to all rows.")
    ] = False,
    transcribe: options.Transcribe = False,
    language: options.Language = "auto",
    accent: options.Accent = None,
    lexicon: options.Lexicon = None,
    checkpoint: options.Checkpoint = None,
    option: options.Option = None,
    symbols: options.Symbols = None,
    heads: options.Heads = None,
    prefix_mode: options.PrefixMode = None,
    decoder: options.Decoder = None,
    offline: options.Offline = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of rows without one; by default derived from their content.")
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
    seconds: options.Seconds = None,
    max_seconds: options.MaxSeconds = None,
    sample_rate: options.SampleRate = None,
    ssml: options.Ssml = None,
    speed: options.Speed = None,
    pause: options.Pause = None,
    paragraph_pause: options.ParagraphPause = None,
    gain: options.Gain = None,
    loudness: options.Loudness = None,
    watermark: options.Watermark = None,
    disclose: options.Disclose = None,
    sign: options.Sign = None,
    key: options.Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the path or the plan.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Speak each row of a table into a separate file; resumable."""
    reporter: Reporter = context.obj
    reporter.quiet, reporter.verbose = quiet, verbose
    from vallecli.cli import batch_run  # imported here: --help does not wait for it

    if merge:
        if page:
            raise UsageError("--merge has no --page", PAGE_LATER)
        if jobs is not None:
            raise UsageError("--merge takes no JOBS", "Run: valle batch --merge --out-dir DIR")
        return batch_run.merge(out_dir, reporter, as_json=as_json)
    if jobs is None:
        raise UsageError("there are no jobs", "Give a CSV or JSONL file, or - for stdin.")
    if not 0 <= gpus_per_worker < math.inf:  # NaN is in any range
        raise UsageError(f"--gpus-per-worker is {gpus_per_worker}", "It should be a number from 0.")
    part = batch_run.parse_shard(shard)
    if page and part[1] > 1:
        raise UsageError("--shard has no --page", PAGE_LATER)
    from vallecli.cli.engines import Cluster
    from vallecli.cli.inputs import given_voice
    from vallecli.jobs.plan import Defaults

    settings = options.settings(context)
    default = given_voice(prompt, settings)
    if prompt_text is not None and default is None:
        raise UsageError("--prompt-text is without --prompt", "Give the recording, too, or use the column prompt_text.")
    signer = options.signer(sign, key)
    request = batch_run.BatchRequest(
        jobs=jobs,
        out_dir=out_dir,
        defaults=Defaults(
            settings=settings,
            options=options.loader_options(context, reporter),
            decoder=decoder,
            prompt=default,
            prompt_text=prompt_text,
            language=language,
            accent=accent,
            format=form,
            transcribe=transcribe,
            disclose=options.disclosure(disclose),
            signed=None if signer is None else signer.certificate_sha256,
            shard=part,
        ),
        sources=batch_run.parse_map(column_map or ()),
        force=force,
        dry_run=dry_run,
        retry_failed=retry_failed,
        verify=verify,
        fail_fast=fail_fast,
        page=page,
        slots=slots,
        signer=signer,
        cluster=None if ray is None else Cluster(ray, workers, gpus_per_worker),
        json=as_json,
        again=shlex.join(batch_run.typed(context)),
    )
    return batch_run.run(request, reporter)
