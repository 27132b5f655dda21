"""Voices of Bark: semantic tokens and codes, as presets in .npz files, in the checkpoint's folder, or on the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vallecli import atomic
from vallecli.checkpoints import hub
from vallecli.checkpoints.spec import CheckpointSpec, File, Source
from vallecli.errors import (
    CheckpointError,
    DamagedCheckpoint,
    MissingCheckpoint,
    OutputNotWritable,
    PresetError,
    SourceError,
)
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
from vallecli.families.base import Preset, Voice, check_ids

if TYPE_CHECKING:
    from vallecli.codec.base import AudioGrid

FAMILY = "bark"
KEYS = ("semantic_prompt", "coarse_prompt", "fine_prompt")
OTHER_KEYS = ("semantic", "coarse", "fine")  # of other programs
FIRST = f"_{KEYS[0]}.npy"  # ending of the file that stands for a preset in three files
REPO = "suno/bark"
FOLDER = "speaker_embeddings"  # each preset is three .npy files, one of each key
ARCHIVES = "prompts"  # folder of .npz files, as in the code repository
PUBLISHED = (
    *(f"{folder}{language}_speaker_{n}" for folder in ("v2/", "") for language in LANGUAGES for n in range(10)),
    "announcer",
)
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

    def check(self, grid: AudioGrid) -> None:
        """Raise ValueError for arrays that a checkpoint of this grid cannot use."""
        super().check(grid)
        if self.semantic_N is None or self.coarse_PQ is None:
            raise ValueError("there are no semantic tokens")
        check_ids(self.semantic_N, (None,), SEMANTIC_SIZE)
        check_ids(self.coarse_PQ, (None, COARSE_CODEBOOKS), CODEBOOK_SIZE)


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
    """Return the preset in an .npz file of any integer type, or in NAME_semantic_prompt.npy and the two beside it.

    None for a file with none of the arrays. Raises PresetError.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        name = path.name.removesuffix(FIRST)
        if name == path.name:
            return None
        files = {key: path.with_name(f"{name}_{key}.npy") for key in KEYS}
        return _read(path, dict(zip(KEYS, KEYS, strict=True)), lambda key, **how: read_npy(files[key], key, **how))
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


def presets(folder: Path | None) -> dict[str, Path | None]:
    """Return the presets in the folder of a checkpoint, and those that the hub has; see Family.presets.

    Downloaded ones that are damaged count as missing, so that they are downloaded again.
    """
    found = {name: _downloaded(name) for name in PUBLISHED}
    if folder is not None:
        for place, ending in ((folder / FOLDER, FIRST), (folder / ARCHIVES, ".npz")):
            for file in sorted([*place.glob(f"*{ending}"), *place.glob(f"*/*{ending}")]):
                found[file.relative_to(place).as_posix().removesuffix(ending)] = file
    return found


def _downloaded(name: str) -> Path | None:
    """Return the first file of a preset in the hub's cache, None if one of its files is missing or damaged."""
    installed = hub.lookup(_spec(name))
    if installed is None or any(reason is not None for _, reason in hub.verify(installed)):
        return None
    return installed.files[0].path


def fetch(name: str, *, offline: bool) -> Path:
    """Return the first file of a preset of PUBLISHED in the hub's cache, downloaded if need be.

    Raises SourceError if that fails, and CheckpointError without a network.
    """
    try:
        installed, _ = hub.pull(_spec(name), offline_requested=offline, report=lambda message: None)
    except MissingCheckpoint as error:
        raise CheckpointError(
            f"the preset {name} of {REPO} is not on this machine", "Allow the network once, or give an .npz file."
        ) from error
    except (SourceError, DamagedCheckpoint) as error:  # their hints are about entries of the registry
        raise SourceError(
            f"the preset {name} cannot be downloaded: {error.message}", "Try again later, or give an .npz file."
        ) from error
    return installed.files[0].path


def _spec(name: str) -> CheckpointSpec:
    """Return the files of a preset on the hub, as an entry of the registry."""
    return CheckpointSpec(
        name=f"bark-{name.replace('/', '-')}",
        kind="model",
        family=FAMILY,
        sources=(Source(repo=REPO, files=tuple(File(path=f"{FOLDER}/{name}_{key}.npy") for key in KEYS)),),
        quality="",
        licence="MIT",
    )
