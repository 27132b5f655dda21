"""Shared by all stages: the audio grid, the progress log, which plots.py reads, and atomic file writes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from vallecli.codec.base import ENCODEC_GRID

SAMPLE_RATE, HOP = ENCODEC_GRID.sample_rate, ENCODEC_GRID.hop  # samples per second, samples per frame
FRAME_RATE = SAMPLE_RATE // HOP  # frames per second
NUM_CODEBOOKS, CODEBOOK_SIZE = ENCODEC_GRID.codebooks, ENCODEC_GRID.codebook_size


def log(run: Path, stage: str, **numbers: float) -> None:
    """Print one line of progress and append it to RUN/STAGE.jsonl."""
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in numbers.items()}
    print(stage, *(f"{k} {v}" for k, v in rounded.items()), flush=True)
    with (run / f"{stage}.jsonl").open("a") as file:
        file.write(json.dumps(rounded) + "\n")


@contextlib.contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to `path` if the block succeeds, so that a kill leaves no partial file."""
    part = path.with_name(path.name + ".part")
    yield part
    part.replace(path)
