"""Where a batch is spoken: by a model in this process, or by those of a cluster's workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vallecli.cli.output import Talk
from vallecli.jobs.engine import Engine, Together
from vallecli.jobs.plan import Defaults
from vallecli.settings import Settings

# On a CPU, torch keeps what oneDNN compiles for each shape, a third of a megabyte each, and a thousand of them by
# default: rows differ in length, so a batch would take more and more memory for a long time. It asks when it begins.
SHAPE_CACHES = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
SHAPES = "64"


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster: its address, how many workers are wanted, and how many GPUs for each."""

    address: str
    workers: int
    gpus: float


@contextmanager
def loader(defaults: Defaults, cluster: Cluster | None, talk: Talk) -> Iterator[Callable[[str], Engine]]:
    """Give what makes an engine of a checkpoint. Raises DeviceError for a cluster that cannot be reached."""
    if cluster is None:

        def load_here(checkpoint: str) -> Engine:
            engine = load(checkpoint, defaults.settings, defaults.loading)
            talk.say(engine.description)
            return engine

        yield load_here
        return
    from vallecli.jobs.cluster import connect

    symbols = defaults.loading.get("symbols")
    loading = {**defaults.loading, "symbols": None if symbols is None else _absolute(symbols)}
    with connect(cluster.address, workers=cluster.workers, gpus=cluster.gpus, say=talk.say) as engine_of:
        yield lambda checkpoint: engine_of(partial(load, _absolute(checkpoint), defaults.settings, loading))


def load(checkpoint: str, settings: Settings, loading: Mapping[str, Any]) -> Together:
    """Return a checkpoint ready to speak. Raises CheckpointError, DeviceError and UsageError."""
    for cache in SHAPE_CACHES:
        os.environ.setdefault(cache, SHAPES)
    from vallecli.synthesizer import Synthesizer  # seconds of torch, after all that could be refused without it

    synthesizer = Synthesizer.load(checkpoint, device=settings.device, dtype=settings.dtype, **loading)
    _ = synthesizer.codec, synthesizer.front_end  # what they lack is no row's fault
    dtype = str(synthesizer.dtype).removeprefix("torch.")
    return Together(synthesizer, f"{synthesizer.name} on {synthesizer.device} in {dtype}")


def _absolute(name: str) -> str:
    """Return a path so that a process in another folder finds it; names of checkpoints stay as they are."""
    return str(Path(name).resolve()) if Path(name).exists() else name
