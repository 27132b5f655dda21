"""Description of a VALL-E checkpoint of any layout, without reading the values of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vallecli.codec.base import ENCODEC_GRID
from vallecli.families.base import Description, Options
from vallecli.families.valle import amphion, lifeiteng, lifeiteng_legacy, vallex
from vallecli.families.valle.checkpoint import Checkpoint
from vallecli.families.valle.stored import Stored
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.espeak import EspeakFrontEnd
from vallecli.text.vallex import VallexFrontEnd

DEFAULTS: dict[str, dict[str, Any]] = {
    "vallex": vallex.PUBLISHED,
    "lifeiteng": {},
    "lifeiteng-legacy": lifeiteng_legacy.PUBLISHED,
    "amphion-v1": amphion.DEFAULTS,
}
FIELDS = {"nhead": ("n_heads", "nar_n_heads"), "prefix_mode": ("prefix_mode",)}  # setting -> fields of ModelConfig
LANGUAGES = {front_end.name: front_end.languages for front_end in (ArpabetFrontEnd, VallexFrontEnd, EspeakFrontEnd)}


def describe(family: str, stored: Stored, read: Callable[[Stored, Options], Checkpoint]) -> Description:
    """Return the description of what a layout stores. Raises CheckpointError."""
    missing = missing_settings(family, stored)
    checkpoint = read(stored, stand_ins(missing))
    config: dict[str, object] = checkpoint.model.to_dict()
    for field in [field for name in missing for field in FIELDS[name]]:
        del config[field]
    sentences = list(missing.values())
    if checkpoint.front_end == EspeakFrontEnd.name and checkpoint.symbols is None:
        sentences.append("the table of text symbols is missing (option symbols=FILE)")
    return Description(
        family=family,
        config={**config, "front_end": checkpoint.front_end, "codec": checkpoint.codec.get("kind")},
        grid=ENCODEC_GRID,  # that of all codecs of this family
        languages=LANGUAGES.get(checkpoint.front_end, ()),
        tensors={name: tuple(tensor.shape) for name, tensor in stored.tensors.items()},
        missing=tuple(sentences),
        needs_transcript=checkpoint.model.needs_transcript,
    )


def missing_settings(family: str, stored: Stored) -> dict[str, str]:
    """Return the settings that a layout does not store, each with a sentence on the loader option that supplies it."""
    if family not in DEFAULTS:
        return {}
    return lifeiteng.missing_settings({**DEFAULTS[family], **stored.options})


def stand_ins(missing: Mapping[str, str]) -> dict[str, Any]:
    """Return loader options with some value for missing settings, to read everything else."""
    values = {"nhead": ("heads", 1), "prefix_mode": ("prefix_mode", 0)}
    return dict(values[name] for name in missing)


def text_fields(
    family: str, stored: Stored, options: Options, read: Callable[[Stored, Options], Checkpoint]
) -> dict[str, Any]:
    """Return the fields of a Checkpoint that its text needs, whatever other settings are missing."""
    checkpoint = read(stored, {**stand_ins(missing_settings(family, stored)), **options})
    return {name: getattr(checkpoint, name) for name in ("front_end", "symbols", "model", "limits")}
