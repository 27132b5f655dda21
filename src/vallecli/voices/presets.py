"""Voices that checkpoints bring along, and those that the hub has for them: presets, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vallecli.checkpoints import lookup, registry
from vallecli.errors import CheckpointError
from vallecli.families import detect
from vallecli.families.base import Family
from vallecli.families.catalog import family_of


@dataclass(frozen=True)
class PresetFile:
    """A published voice: its name in the checkpoint, and its file; None if it is still to be downloaded."""

    name: str
    checkpoint: str
    path: Path | None


def installed() -> Iterator[PresetFile]:
    """Yield the presets that are on this machine, of all checkpoints that are. Damaged checkpoints have none."""
    from vallecli.checkpoints import hub  # its import takes a tenth of a second

    for spec in registry.load().specs.values():
        if spec.kind != "model" or family_of(spec.family) is None:
            continue
        try:
            if hub.locate(spec) is None:
                continue
            found = _presets(spec.name)[1]
        except (CheckpointError, OSError):
            continue
        for name, path in sorted(found.items()):
            if path is not None and path.is_file():
                yield PresetFile(name, spec.name, path)


def of_checkpoint(checkpoint: str) -> list[PresetFile]:
    """Return all presets of a checkpoint, given by name or path, sorted. Raises CheckpointError."""
    return [PresetFile(name, checkpoint, path) for name, path in sorted(_presets(checkpoint)[1].items())]


def find(name: str, checkpoint: str, *, offline: bool = False) -> Path | None:
    """Return the file of a preset, None if there is none of that name; it is downloaded if it has to be.

    `name` is that in the checkpoint, or for another checkpoint CHECKPOINT/NAME. Raises CheckpointError.
    """
    family, presets = _presets(checkpoint)
    other, _, rest = name.partition("/")
    if name not in presets and rest and other in registry.load().specs:
        name, (family, presets) = rest, _presets(other)
    if name not in presets:
        return None
    return presets[name] or family.fetch_preset(name, offline=offline)


def _presets(checkpoint: str) -> tuple[Family, Mapping[str, Path | None]]:
    """Return the family of a checkpoint and its presets. Raises CheckpointError."""
    spec = registry.load().get(checkpoint)
    family = None if spec is None else family_of(spec.family)
    if spec is None or family is None:
        family, contents = detect.detect(lookup.find(checkpoint), verify=False)
        return family, family.presets(contents.folder)

    from vallecli.checkpoints import hub  # its import takes a tenth of a second

    found = hub.locate(spec)
    return family, family.presets(None if found is None else found.root)
