"""What every stage shares: a log that plots, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path


def log(run: Path, stage: str, **numbers: float) -> None:
    """Print one line of progress and append it to RUN/STAGE.jsonl."""
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in numbers.items()}
    print(stage, *(f"{k} {v}" for k, v in rounded.items()), flush=True)
    with (run / f"{stage}.jsonl").open("a") as file:
        file.write(json.dumps(rounded) + "\n")


@contextlib.contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends well, so that a kill leaves no half file."""
    part = path.with_name(path.name + ".part")
    yield part
    part.replace(path)
