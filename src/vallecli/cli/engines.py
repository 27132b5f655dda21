"""The engine of a batch: a model in this process, or the workers of a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vallecli.checkpoints import lookup
from vallecli.cli.reporter import Reporter
from vallecli.cli.startup import no_garbage_collection
from vallecli.families.catalog import known_options
from vallecli.jobs.engine import Engine, LocalEngine
from vallecli.jobs.plan import Defaults
from vallecli.settings import Settings
from vallecli.text.lexicon import Lexicon

if TYPE_CHECKING:
    from vallecli.families.base import Description
    from vallecli.synthesizer import Synthesizer

Loaded = TypeVar("Loaded")

# On a CPU, torch caches what oneDNN compiles for each shape, a third of a megabyte each, and a thousand of them by
# default: rows differ in length, so the memory of a batch would grow for a long time. It reads these at its start.
SHAPE_CACHES = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
SHAPES = "64"


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster: its address, the number of workers, and GPUs for each."""

    address: str
    workers: int
    gpus: float


def describe(defaults: Defaults) -> Description:
    """Return what the default checkpoint is. Raises CheckpointError, and UsageError for an option that it lacks."""
    from vallecli.families.base import parse_options
    from vallecli.families.detect import detect  # imports torch, which a run with nothing to do does not need

    settings = defaults.settings
    family, contents = detect(lookup.find(settings.checkpoint, offline=settings.offline), verify=False)
    parse_options(family, defaults.options)
    return family.describe(contents)


@contextmanager
def loader(defaults: Defaults, cluster: Cluster | None, reporter: Reporter) -> Iterator[Callable[[str], Engine]]:
    """Yield a function that loads a checkpoint as an engine. Raises DeviceError for an unreachable cluster."""
    lexicon = defaults.lexicon
    if cluster is None:

        def load_here(checkpoint: str) -> Engine:
            engine = load(checkpoint, defaults.settings, defaults.options, defaults.decoder, lexicon)
            reporter.info(engine.description)
            return engine

        yield load_here
        return
    from vallecli.jobs.cluster import connect

    with connect(cluster.address, workers=cluster.workers, gpus=cluster.gpus, report=reporter.info) as engine_of:
        yield lambda checkpoint: engine_of(
            remote_loader(load, checkpoint, defaults.settings, defaults.options, defaults.decoder, lexicon)
        )


def remote_loader(
    load: Callable[..., Loaded],
    checkpoint: str,
    settings: Settings,
    options: Mapping[str, Any],
    decoder: str | None,
    lexicon: Lexicon | None,
) -> Callable[[], Loaded]:
    """Return a call of `load` for processes in other folders, with absolute paths. Its machine needs the files."""
    known = known_options()
    absolute = {
        name: _absolute(str(value)) if name in known and known[name].kind == "file" else value
        for name, value in options.items()
    }
    return partial(load, _absolute(checkpoint), settings, absolute, decoder, lexicon)


def limit_shape_caches() -> None:
    """Keep the memory of a process from growing with the number of different lengths; call it before torch starts."""
    for cache in SHAPE_CACHES:
        os.environ.setdefault(cache, SHAPES)


def load(
    checkpoint: str, settings: Settings, options: Mapping[str, Any], decoder: str | None, lexicon: Lexicon | None
) -> LocalEngine:
    """Return the engine of a checkpoint; see `load_synthesizer`."""
    synthesizer = load_synthesizer(checkpoint, settings, options, decoder, lexicon)
    return LocalEngine(synthesizer, place_of(synthesizer))


def place_of(synthesizer: Synthesizer) -> str:
    """Return the checkpoint, the device and the precision, for messages."""
    dtype = str(synthesizer.dtype).removeprefix("torch.")
    return f"{synthesizer.name} on {synthesizer.device} in {dtype}"


def load_synthesizer(
    checkpoint: str, settings: Settings, options: Mapping[str, Any], decoder: str | None, lexicon: Lexicon | None
) -> Synthesizer:
    """Return a checkpoint that is ready to speak. Raises CheckpointError, DeviceError and UsageError."""
    limit_shape_caches()
    with no_garbage_collection():
        from vallecli.quality.candidates import Choice
        from vallecli.synthesizer import Synthesizer  # imports torch, which takes seconds

        synthesizer = Synthesizer.load(
            checkpoint,
            device=settings.device,
            dtype=settings.dtype,
            options=options,
            decoder=decoder,
            choice=settings.choice(Choice()),
            lexicon=lexicon,
            watermark=settings.watermark,
        )
        synthesizer.backend.prepare()  # a missing part is no row's fault
    return synthesizer


def _absolute(name: str) -> str:
    """Return a path as an absolute one, for processes in other folders; names of checkpoints stay unchanged."""
    return os.path.realpath(name) if Path(name).exists() else name
