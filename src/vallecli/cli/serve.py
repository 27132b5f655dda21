"""`valle serve`: its options; what it does is in serve_run."""

from __future__ import annotations

from typing import Annotated

import typer

from vallecli.cli import options
from vallecli.cli.groups import Help, Without, takes_groups
from vallecli.errors import UsageError

EPILOG = """\b
Examples:
  valle serve --prompt reference.wav
  valle serve --voice anna --alias alloy=anna --port 9000
  curl http://127.0.0.1:8000/v1/audio/speech -H "Content-Type: application/json" \\
    -d '{"input": "Hello.", "voice": "anna", "response_format": "wav"}' -o hello.wav

The protocol is that of OpenAI's audio/speech: its clients work with the base URL http://127.0.0.1:8000/v1. Voices are
those of the library and the presets of the checkpoint, by name; default is that of --prompt or --voice. With a seed, a
request gives what valle speak --seed gives. http://127.0.0.1:8000 has a page to try it. See docs/server.md.

With --ray, Ray Serve runs workers on a cluster, each with a model; this process listens and has the voices.

A server that other machines can reach needs an API key: --api-key-file, or VALLE_API_KEY.

SIGTERM and Ctrl-C let the requests in progress finish; a second signal exits at once.

\b
Exit codes: as for speak; 0 after SIGTERM, 130 after Ctrl-C.
"""

MAX = 1_000_000


@takes_groups
def serve(
    context: typer.Context,
    *,
    voice: Annotated[
        options.VoiceOptions, Without("transcribe"), Help(prompt="Recording of the voice of requests that name none.")
    ],
    alias: Annotated[
        list[str] | None,
        typer.Option(
            "--alias",
            metavar="NAME=VOICE",
            help="Another name of a voice, for programs with a fixed list, as in alloy=anna. Repeat it for several.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 chooses a free one.")] = 8000,
    api_key_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File of API keys, one a line; clients need one of them."),
    ] = None,
    allow_uploads: Annotated[
        bool,
        typer.Option(
            "--allow-uploads", help="Let clients send recordings, for one request or as voices of the library."
        ),
    ] = False,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-origin",
            metavar="URL",
            help="Site whose pages may use the server, as in https://example.org. Repeat it for several.",
        ),
    ] = None,
    engine: Annotated[options.EngineOptions, Without("shard")],
    max_workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=options.MAX_SLOTS,
            help="With --ray: start workers, up to this number, while each has more requests than slots.",
        ),
    ] = None,
    max_queue: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=MAX, help="Requests in progress; further ones get status 429."),
    ] = 64,
    max_chars: Annotated[int, typer.Option(metavar="N", min=1, max=MAX, help="Characters of a text.")] = 4096,
    max_upload: Annotated[
        int, typer.Option(metavar="MIB", min=1, max=1024, help="Size of a recording that is sent.")
    ] = 10,
    timeout: Annotated[float, typer.Option(metavar="S", min=1, max=86_400, help="Seconds of a request.")] = 300,
    log_texts: Annotated[
        bool, typer.Option("--log-texts", help="Log the texts of requests, too, which may be private.")
    ] = False,
    reading: Annotated[options.TextOptions, Without("language", "accent")],
    model: options.ModelOptions,
    sampling: Annotated[options.SamplingOptions, Without("seconds")],
    sound: Annotated[options.SoundOptions, Without("ssml", "speed", "pause", "paragraph_pause", "gain", "loudness")],
    marks: Annotated[options.MarkOptions, Without("sign", "key")],
    printed: Annotated[options.OutputOptions, Without("as_json")],
) -> None:
    """Serve voices over HTTP, in the protocol of OpenAI's audio/speech."""
    reporter = printed.reporter(context)
    if engine.ray is None and (engine.workers != 1 or max_workers is not None or engine.gpus_per_worker):
        raise UsageError(
            "--workers, --max-workers and --gpus-per-worker are for --ray", "Add --ray local, or leave them."
        )
    from vallecli.cli.serve_run import ServeRequest, run  # imported here: --help does not wait for it

    run(
        ServeRequest(
            settings=options.settings(context),
            options=options.loader_options(context, reporter),
            decoder=model.decoder,
            voice=voice,
            aliases=alias or [],
            host=host,
            port=port,
            api_key_file=api_key_file,
            allow_uploads=allow_uploads,
            origins=cors_origin or [],
            slots=engine.slots,
            max_queue=max_queue,
            max_chars=max_chars,
            max_upload=max_upload,
            timeout=timeout,
            log_texts=log_texts,
            disclose=marks.disclosure(),
            cluster=engine.cluster(),
            max_workers=max_workers,
        ),
        reporter,
    )
