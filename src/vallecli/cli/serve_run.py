"""One run of `valle serve`: what can be refused is refused before a model is loaded, and then the server starts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vallecli import inputs
from vallecli.cli import engines
from vallecli.cli.options import VoiceOptions
from vallecli.cli.reporter import Reporter, write_line
from vallecli.errors import InputError, UsageError
from vallecli.extras import extra
from vallecli.jobs.prompts import transcript_of
from vallecli.settings import Settings
from vallecli.text.lexicon import Lexicon, read_lexicon
from vallecli.voices import policy

if TYPE_CHECKING:
    from vallecli.server.service import Speaker
    from vallecli.server.voices import VoiceMaker
    from vallecli.voices.library import StoredVoice

KEY_VARIABLE = "VALLE_API_KEY"
MAX_KEY_FILE = 2**16  # bytes
LEAST_KEY = 16  # characters
LOOPBACK = ("127.0.0.1", "localhost", "::1")
BASE64 = 4 / 3  # characters of a byte
ENVELOPE = 2**16  # bytes of a body beside the text and the recording
CHARACTER = 12  # bytes of one in JSON, at most: two escapes


@dataclass(frozen=True, kw_only=True)
class ServeRequest:
    """The command line."""

    settings: Settings
    options: Mapping[str, Any]
    """Loader options, as written."""
    decoder: str | None
    voice: VoiceOptions
    aliases: Sequence[str]
    """As written, NAME=VOICE."""
    host: str
    port: int
    api_key_file: str | None
    allow_uploads: bool
    origins: Sequence[str]
    slots: int
    max_queue: int
    max_chars: int
    max_upload: int
    """MiB."""
    timeout: float
    """Seconds."""
    log_texts: bool
    disclose: str | None
    """A kind in audio.formats.DISCLOSURES."""
    cluster: engines.Cluster | None
    max_workers: int | None
    """Workers of the cluster at most; None: as many as at least."""

    @property
    def max_body(self) -> int:
        """Return the largest body in bytes."""
        upload = int(self.max_upload * 2**20 * BASE64) if self.allow_uploads else 0
        return ENVELOPE + CHARACTER * self.max_chars + upload


def run(request: ServeRequest, reporter: Reporter) -> None:
    """Load the checkpoint and serve until a signal. Raises UsageError, InputError, CheckpointError and ExtraMissing."""
    with extra("serve", "valle serve"):
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    keys = api_keys(request)
    if not keys and request.host not in LOOPBACK:
        raise UsageError(
            f"a server on {request.host} can be reached by others, and needs an API key",
            f"Give a file of keys by --api-key-file, or one in {KEY_VARIABLE}.",
        )
    aliases, origins = parse_aliases(request.aliases), [check_origin(origin) for origin in request.origins]
    default = request.voice.find(request.settings)
    if default is not None and policy.check(request.settings.consent, default):
        reporter.info(policy.warning([str(default.name)]))
    lexicon = None if request.settings.lexicon is None else read_lexicon(request.settings.lexicon)

    check_cluster(request)

    from vallecli.server.run import Address, listen

    listener = listen(Address(request.host, request.port))
    with _speaker(request, lexicon, reporter) as (speaker, maker):
        from vallecli.server.app import create_app
        from vallecli.server.gate import Limits
        from vallecli.server.logs import Log
        from vallecli.server.run import serve
        from vallecli.server.service import Bounds, Service
        from vallecli.server.voices import ServerVoices

        settings = request.settings
        voices = ServerVoices(
            maker,
            checkpoint=settings.checkpoint,
            default=default,
            default_transcript=_transcript(request, default, maker),
            aliases=aliases,
            consent=settings.consent,
            offline=settings.offline,
            report=reporter.detail,
        )
        bounds = Bounds(
            max_queue=request.max_queue,
            max_chars=request.max_chars,
            timeout=request.timeout,
            uploads=request.allow_uploads,
        )
        service = Service(speaker, voices, settings.checkpoint, bounds, Log(texts=request.log_texts))
        limits = Limits(max_body=request.max_body, keys=keys, loopback=request.host in LOOPBACK, origins=tuple(origins))
        serve(create_app(service, limits), service, listener, write_line)


@contextmanager
def _speaker(
    request: ServeRequest, lexicon: Lexicon | None, reporter: Reporter
) -> Iterator[tuple[Speaker, VoiceMaker]]:
    """Yield what speaks, and what makes voices of prompts. Raises CheckpointError, UsageError and DeviceError."""
    settings = request.settings
    if request.cluster is None:
        synthesizer = engines.load_synthesizer(settings.checkpoint, settings, request.options, request.decoder, lexicon)
        from vallecli.server.local import LocalSpeaker
        from vallecli.server.logs import Log

        reporter.info(engines.place_of(synthesizer))
        log = Log(texts=request.log_texts)
        yield LocalSpeaker(synthesizer, settings, log, slots=request.slots, disclose=request.disclose), synthesizer
        return
    from vallecli.jobs.cluster import session
    from vallecli.server.cluster import ClusterSpeaker, Workers

    load = engines.remote_loader(
        engines.load_synthesizer, settings.checkpoint, settings, request.options, request.decoder, lexicon
    )
    workers = Workers(
        least=request.cluster.workers,
        most=max(request.cluster.workers, request.max_workers or 0),
        gpus=request.cluster.gpus,
        slots=request.slots,
    )
    with session(request.cluster.address):
        speaker = ClusterSpeaker(
            load,
            engines.place_of,
            settings,
            workers,
            requests=request.max_queue,
            timeout=request.timeout,
            texts=request.log_texts,
            disclose=request.disclose,
            report=reporter.info,
        )
        reporter.info(f"{speaker.info.description}, workers: {workers.least}")
        yield speaker, speaker


def _transcript(request: ServeRequest, default: StoredVoice | Path | None, maker: VoiceMaker) -> str | None:
    """Return the transcript of --prompt: the given one, or else that of its file. Raises InputError."""
    if request.voice.prompt_text is not None or not isinstance(default, Path) or not maker.needs_transcript:
        return request.voice.prompt_text
    return transcript_of(default)


def check_cluster(request: ServeRequest) -> None:
    """Check the options of a cluster. Raises UsageError, and ExtraMissing without Ray Serve."""
    if request.cluster is None:
        return
    if request.max_workers is not None and request.max_workers < request.cluster.workers:
        raise UsageError(
            f"--max-workers {request.max_workers} is less than --workers {request.cluster.workers}",
            "Workers are started between the two numbers.",
        )
    from vallecli.jobs.cluster import import_ray

    import_ray(request.cluster.address, serve=True)


def api_keys(request: ServeRequest) -> tuple[str, ...]:
    """Return the API keys of the file, or else of the environment. Raises InputError and UsageError."""
    if request.api_key_file is None:
        written, source = os.environ.get(KEY_VARIABLE, ""), KEY_VARIABLE
    else:
        source = request.api_key_file
        try:
            written = inputs.read_small(Path(source), MAX_KEY_FILE).decode("ascii")
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not ASCII"
            raise InputError(
                f"cannot read {source}: {reason.lower()}", "Give a file of API keys, one a line."
            ) from error
        if not written.strip():
            raise InputError(f"{source} has no API key", "Write one a line.")
    keys = tuple(line.strip() for line in written.splitlines() if line.strip())
    if any(len(key) < LEAST_KEY or not key.isascii() or not key.isprintable() or " " in key for key in keys):
        raise UsageError(
            f"an API key in {source} is too short, or has spaces",
            f"Use {LEAST_KEY} characters or more: openssl rand -hex 24",
        )
    return keys


def parse_aliases(written: Sequence[str]) -> dict[str, str]:
    """Return the voice of each alias. Raises UsageError."""
    aliases: dict[str, str] = {}
    for item in written:
        name, equals, voice = (part.strip() for part in item.partition("="))
        if not name or not equals or not voice or name in aliases:
            raise UsageError(f"--alias is {item!r}", "It should be NAME=VOICE, each name once.")
        aliases[name] = voice
    return aliases


def check_origin(origin: str) -> str:
    """Return an origin such as https://example.org. Raises UsageError."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
        raise UsageError(f"--cors-origin is {origin!r}", "It should be like https://example.org, without a path.")
    return origin
