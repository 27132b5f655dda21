"""Voices of Bark: semantic tokens and codes, as presets in .npz files, in the checkpoint's folder, or on the hub."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vallecli import atomic
from vallecli.checkpoints import hub, small_files
from vallecli.checkpoints.spec import CheckpointSpec, File, Source
from vallecli.errors import CheckpointError, MissingCheckpoint, OutputNotWritable, PresetError
from vallecli.families.arrays import Arrays, Shape, read_npy
from vallecli.families.bark.config import (
    COARSE_CODEBOOKS,
    CODEBOOK_SIZE,
    FRAME_RATE,
    LANGUAGES,
    NUM_CODEBOOKS,
    SEMANTIC_RATE,
    SEMANTIC_SIZE,
)
from vallecli.families.base import Preset, Voice

FAMILY = "bark"
KEYS = ("semantic_prompt", "coarse_prompt", "fine_prompt")
OTHER_KEYS = ("semantic", "coarse", "fine")  # of other programs
INDEX, FOLDER, REPO = "speaker_embeddings_path.json", "speaker_embeddings", "suno/bark"
ARCHIVES = "prompts"  # folder of .npz files, as in the code repository
NAME = re.compile(rf"(?:v2/)?(?:{'|'.join(LANGUAGES)})_speaker_[0-9]|announcer")
LOCAL_NAME = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?", re.ASCII)
ONE_DECIMAL = 1.5  # frames per semantic token, rounded as published

Ids = npt.NDArray[np.int16]


@dataclass(frozen=True)
class BarkPreset(Preset):
    """Semantic tokens (N,), coarse codes (P, 2) and all codes (P, 8)."""

    semantic_N: Ids
    coarse_PQ: Ids


@dataclass(frozen=True)
class BarkVoice(Voice):
    """A voice with what the first two models read: semantic tokens (N,) and coarse codes (P, 2)."""

    semantic_N: Ids | None = None
    coarse_PQ: Ids | None = None


def new_preset(semantic_N: npt.NDArray[Any], coarse_QP: npt.NDArray[Any], fine_QP: npt.NDArray[Any]) -> BarkPreset:
    """Return a preset, given codes as published, codebooks first. ValueError for lengths that do not fit."""
    frames = coarse_QP.shape[1]
    if round(frames / len(semantic_N), 1) != ONE_DECIMAL:
        raise ValueError(
            f"its lengths do not fit: {len(semantic_N)} semantic tokens and {frames} frames, "
            f"where {FRAME_RATE / SEMANTIC_RATE:.2f} frames belong to a token"
        )
    return BarkPreset(
        family=FAMILY,
        codes_PQ=np.ascontiguousarray(fine_QP.T, np.int16),
        phonemes=None,
        semantic_N=semantic_N.astype(np.int16),
        coarse_PQ=np.ascontiguousarray(coarse_QP.T, np.int16),
    )


def read_preset(path: str | PathLike[str]) -> BarkPreset | None:
    """Return the preset in an .npz file of any integer type, None for one with none of the arrays. PresetError."""
    arrays = Arrays(path)
    keys = next((keys for keys in (KEYS, OTHER_KEYS) if any(key in arrays for key in keys)), None)
    if keys is None:
        return None
    return _read(path, dict(zip(KEYS, keys, strict=True)), arrays.read)


def _read(path: str | PathLike[str], names: Mapping[str, str], read: Callable[..., npt.NDArray[Any]]) -> BarkPreset:
    sizes: dict[str, tuple[Shape, int]] = {
        "semantic_prompt": ((None,), SEMANTIC_SIZE),
        "coarse_prompt": ((COARSE_CODEBOOKS, None), CODEBOOK_SIZE),
        "fine_prompt": ((NUM_CODEBOOKS, None), CODEBOOK_SIZE),
    }
    arrays = [read(names[key], shape=shape, below=below) for key, (shape, below) in sizes.items()]
    try:
        return new_preset(*arrays)
    except ValueError as error:
        raise PresetError(path, str(error)) from error


def save_preset(path: Path, preset: BarkPreset | BarkVoice) -> None:
    """Write a preset that every program for Bark reads. Raises OutputNotWritable."""
    assert preset.semantic_N is not None
    assert preset.coarse_PQ is not None
    arrays = (preset.semantic_N, preset.coarse_PQ.T, preset.codes_PQ.T)
    try:
        with atomic.replace_file(path) as file:
            semantic, coarse, fine = (array.astype(np.int64) for array in arrays)
            np.savez(file, semantic_prompt=semantic, coarse_prompt=coarse, fine_prompt=fine)
    except OSError as error:
        raise OutputNotWritable(path, (error.strerror or str(error)).lower(), error.errno) from error


# Presets by name


def names(folder: Path) -> tuple[str, ...]:
    """Return the names of the presets of a checkpoint: those in its folder, and those that the hub has."""
    published = ["announcer"]
    published += [
        f"{place}{language}_speaker_{n}" for place in ("v2/", "") for language in LANGUAGES for n in range(10)
    ]
    found = {path.relative_to(folder / ARCHIVES).with_suffix("").as_posix() for path in _archives(folder)}
    found |= {name for name in _index(folder) if LOCAL_NAME.fullmatch(name)}
    return (*published, *sorted(found - set(published)))


def _archives(folder: Path) -> list[Path]:
    place = folder / ARCHIVES
    return [*place.glob("*.npz"), *place.glob("*/*.npz")]


def _index(folder: Path) -> Mapping[str, Any]:
    path = folder / INDEX
    return small_files.read_json(path) if path.is_file() else {}


def find(folder: Path, name: str, *, offline: bool = False) -> BarkPreset | None:
    """Return the preset of that name: of the checkpoint in a folder, or of the hub, fetched once into its cache.

    None if there is no preset of that name. Raises PresetError, and CheckpointError if it cannot be fetched.
    """
    if not LOCAL_NAME.fullmatch(name):
        return None
    if (archive := folder / ARCHIVES / f"{name}.npz").is_file():
        return read_preset(archive)
    files = {key: f"{FOLDER}/{name}_{key}.npy" for key in KEYS}
    paths = {key: folder / file for key, file in files.items()}
    if not all(path.is_file() for path in paths.values()):
        if not NAME.fullmatch(name):
            return None
        paths = _fetch(name, files, offline=offline)
    return _read(name, dict(zip(KEYS, KEYS, strict=True)), lambda key, **how: read_npy(paths[key], key, **how))


def _fetch(name: str, files: Mapping[str, str], *, offline: bool) -> dict[str, Path]:
    """Return the files of a preset in the hub's cache. Raises CheckpointError."""
    source = Source(repo=REPO, files=tuple(File(path=file) for file in files.values()))
    spec = CheckpointSpec(
        name=f"bark-{name.replace('/', '-')}", kind="model", family=FAMILY, sources=(source,), quality="", licence="MIT"
    )
    try:
        installed, _ = hub.pull(spec, offline_requested=offline, report=lambda message: None)
    except MissingCheckpoint as error:
        raise CheckpointError(
            f"the preset {name} of {REPO} is not on this machine", "Allow the network once, or give an .npz file."
        ) from error
    paths = {item.file.path: item.path for item in installed.files}
    return {key: paths[file] for key, file in files.items()}
