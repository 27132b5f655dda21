"""Voices that checkpoints bring along: the presets in the folders of installed checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vallecli.checkpoints import registry
from vallecli.errors import CheckpointError
from vallecli.families.catalog import is_preset


@dataclass(frozen=True)
class PresetFile:
    """A published voice: CHECKPOINT/NAME, which no voice of the library can be called, and its file."""

    name: str
    checkpoint: str
    path: Path


def presets() -> Iterator[PresetFile]:
    """Yield the presets of all checkpoints that are on this machine, sorted. Checkpoints that are damaged have none."""
    from vallecli.checkpoints import hub  # the hub's client is slow to import

    for spec in registry.load().specs.values():
        if spec.kind != "model":
            continue
        try:
            installed = hub.locate(spec)
            if installed is None or not installed.root.is_dir():
                continue
            files = sorted(file for file in installed.root.rglob("*") if is_preset(file) and file.is_file())
        except (CheckpointError, OSError):
            continue
        for file in files:
            yield PresetFile(f"{spec.name}/{file.stem}", spec.name, file)
