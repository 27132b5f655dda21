"""Take in a checkpoint that was brought by hand: recognised by its hash, or else by what is in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from vallecli.checkpoints import local
from vallecli.errors import CheckpointError, DamagedCheckpoint, InputError
from vallecli.checkpoints.spec import CheckpointSpec, File
from vallecli.checkpoints.local import Held, Present

OTHER_HASH = "its hash is not a published one"


def add(path: Path, spec: CheckpointSpec, *, note: Callable[[str], None]) -> Present:
    """Copy the file, or the folder of several, into the store as the checkpoint of `spec`.

    What has the hash of a published file is taken, and so is what `describe` finds to be of the same family.
    Raises InputError for a path that is not there, and DamagedCheckpoint for what matches neither.
    """
    if not path.exists():
        raise InputError(f"{path} is not there", "Give the file of the checkpoint.")
    listed = spec.sources[0].files
    if path.is_file() and len(listed) > 1:
        names = ", ".join(file.path for file in listed)
        raise InputError(f"{spec.name} has several files: {names}", "Give the folder that holds them.")

    def fill(stage: Path) -> None:
        copies = [_copy(path, stage, file) for file in listed]
        for file, copy in zip(listed, copies, strict=True):
            # A copy is looked at, and not what was given: that may change meanwhile.
            if reason := local.wrong(Held(File(path=file.path), copy, None), stage, deep=False):
                raise _refused(path, spec, f"{file.path}: {reason}")
        if not all(_published(copy, spec) for copy in copies):
            _same_family(path, stage if len(copies) > 1 else copies[0], spec, note)

    return local.install(spec.name, f"{path.resolve()}", fill)


def _copy(path: Path, stage: Path, file: File) -> Path:
    source, target = path if path.is_file() else path / file.path, stage / file.path
    if not source.is_file():
        raise InputError(f"{path} has no {file.path}", "Give the folder with all files of the checkpoint.")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except PermissionError as error:
        raise InputError(f"cannot read {source}: permission denied", "Check who may read it.") from error
    return target


def _published(copy: Path, spec: CheckpointSpec) -> bool:
    digest = local.sha256(copy)
    return any(file.sha256 == digest for source in spec.sources for file in source.files)


def _same_family(path: Path, copy: Path, spec: CheckpointSpec, note: Callable[[str], None]) -> None:
    """Raise DamagedCheckpoint unless what is in the file is of the family that is wanted."""
    from vallecli.families.valle.detect import describe

    try:
        description = describe(copy)
    except CheckpointError as error:
        raise _refused(path, spec, f"{OTHER_HASH}, and {error.message.replace(str(copy), 'it')}") from error
    if description.family != spec.family:
        raise _refused(path, spec, f"{OTHER_HASH}, and by its content it is {description.family}")
    note(f"{path} is none of the published files; it was taken as {spec.name} by what is in it")
    for sentence in description.missing:
        note(sentence)


def _refused(path: Path, spec: CheckpointSpec, reason: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(f"{path} is not {spec.name}: {reason}", f"valle checkpoints show {spec.name}")
