"""Prometheus metrics of a server, in a registry of its own."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from vallecli.server.engine import Engine
from vallecli.server.scheduler import Scheduler

SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120)
BATCH = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics; those of the engine are read when they are asked for."""

    def __init__(self, engine: Engine, scheduler: Scheduler) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        registry = self.registry
        self.requests = Counter("valle_requests", "Requests by path and status", ["path", "status"], registry=registry)
        self.errors = Counter("valle_errors", "Errors by their code", ["code"], registry=registry)
        self.characters = Counter("valle_characters", "Characters of accepted texts", registry=registry)
        self.first_byte = Histogram(
            "valle_first_byte_seconds", "From a request to its first audio", registry=registry, buckets=SECONDS
        )
        self.duration = Histogram(
            "valle_speech_seconds", "From a request to its last audio", registry=registry, buckets=SECONDS
        )
        self.accepted = Gauge("valle_requests_accepted", "Requests that are not yet answered", registry=registry)
        work = engine.work
        for name, text, read in (
            ("valle_queue_requests", "Requests of which no sentence was begun", lambda: scheduler.waiting),
            ("valle_batch_sentences", "Sentences in the engine", lambda: scheduler.decoding),
            ("valle_audio_seconds_total", "Seconds of audio that were made", lambda: work.audio_seconds),
            ("valle_busy_seconds_total", "Seconds in which the engine was busy", lambda: work.busy_seconds),
            ("valle_sentences_total", "Sentences that were spoken", lambda: work.sentences),
            (
                "valle_real_time_factor",
                "Seconds of computing for a second of audio, since the start",
                lambda: work.busy_seconds / work.audio_seconds if work.audio_seconds else 0.0,
            ),
        ):
            Gauge(name, text, registry=registry).set_function(read)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
