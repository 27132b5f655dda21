"""Prometheus metrics of a server, in a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vallecli.server.engine import Engine
from vallecli.server.scheduler import Scheduler

SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120)


class EngineCollector(Collector):
    """The metrics of the engine, read when they are collected."""

    def __init__(self, engine: Engine, scheduler: Scheduler) -> None:
        self._work, self._scheduler = engine.work, scheduler

    def collect(self) -> Iterator[Metric]:
        """Yield the present values."""
        work, scheduler = self._work, self._scheduler
        factor = work.busy_seconds / work.audio_seconds if work.audio_seconds else 0.0
        for name, text, value in (
            ("valle_queue_requests", "Requests of which no sentence was begun", scheduler.waiting),
            ("valle_batch_sentences", "Sentences in the engine", scheduler.decoding),
            ("valle_real_time_factor", "Seconds of computing for a second of audio, since the start", factor),
        ):
            yield GaugeMetricFamily(name, text, value)
        for name, text, value in (
            ("valle_audio_seconds", "Seconds of audio that were made", work.audio_seconds),
            ("valle_busy_seconds", "Seconds in which the engine was busy", work.busy_seconds),
            ("valle_sentences", "Sentences that were spoken", work.sentences),
        ):
            yield CounterMetricFamily(name, text, value)


class Metrics:
    """The metrics."""

    def __init__(self, collector: Collector) -> None:
        """`collector` has the metrics of the speaker."""
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
        registry.register(collector)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
