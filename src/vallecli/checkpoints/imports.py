"""Add a checkpoint from files that the user supplies: identified by their hashes, else by their contents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from vallecli import inputs
from vallecli.checkpoints import disk, local
from vallecli.checkpoints.local import InstalledCheckpoint, LocalFile
from vallecli.checkpoints.spec import SCORER, CheckpointSpec, File
from vallecli.errors import CheckpointError, DamagedCheckpoint, InputError
from vallecli.printable import printable

PIECE = 1 << 20  # bytes that are copied at once
OTHER_HASH = "its hash is not a published one"


class Described(Protocol):
    """The part of families.base.Description that this module reads."""

    @property
    def family(self) -> str:
        """Name of the family."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Sentences on what is not stored."""


Describe = Callable[[Path], Described]  # what a file or folder is by its contents; raises CheckpointError


def add(path: Path, spec: CheckpointSpec, *, report: Callable[[str], None], describe: Describe) -> InstalledCheckpoint:
    """Copy a file, or a folder of several, and install it as the checkpoint of `spec`.

    Files with published hashes are accepted, and so is a checkpoint that `describe` finds to be of the same family;
    then `report` receives messages on it. Raises InputError for a path that does not exist or lacks files, and
    DamagedCheckpoint for files that are neither.
    """
    if not disk.exists(path):
        raise InputError(f"{printable(str(path))} does not exist", "Give the file of the checkpoint.")
    if not path.is_file() and not path.is_dir():
        raise InputError(f"{printable(str(path))} is neither a file nor a folder", "Give the file of the checkpoint.")
    listed = spec.sources[0].files
    if path.is_file() and len(listed) > 1:
        names = ", ".join(file.path for file in listed)
        raise InputError(f"{spec.name} has several files: {names}", "Give the folder that has them.")

    def fill(stage: Path) -> None:
        copies = [_copy(path, stage, file) for file in listed]
        for file, copy in zip(listed, copies, strict=True):
            # The copy is checked, not the original, which may change meanwhile.
            local_file = LocalFile(File(path=file.path), copy, None)
            if reason := local.problem_with(local_file, stage, check_hash=False):
                raise _refused(path, spec, f"{file.path}: {reason}")
        if all(spec.has_hash(local.sha256(copy)) for copy in copies):
            return
        if spec.kind == SCORER:  # of no family that speaks; what loads it checks it
            if all(file.sha256 for file in listed):
                raise _refused(path, spec, OTHER_HASH)
            report(printable(f"{path} has files without a published hash; it was accepted as {spec.name} unchecked"))
        else:
            contents = stage if len(copies) > 1 else copies[0]
            for message in _check_family(path, contents, spec, describe):
                report(printable(message))

    with local.locked(spec.name, report):
        return local.install(spec.name, os.path.realpath(path), fill)


def _copy(path: Path, stage: Path, file: File) -> Path:
    """Copy one file, which may also be in a folder without the subfolders of the repository."""
    target = stage / file.path
    places = (path / file.path, path / target.name) if path.is_dir() else (path,)
    source = next((place for place in places if disk.exists(place)), None)
    if source is None:
        raise InputError(
            f"{printable(str(path))} has no {file.path}", "Give the folder with all files of the checkpoint."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as copy:
        for piece in _read(source, stage):
            copy.write(piece)
    return target


def _read(path: Path, stage: Path) -> Iterator[bytes]:
    """Yield the content of a file. Raises InputError, and CheckpointError if the disk of `stage` is too full."""
    try:
        with inputs.open_regular(path) as file:
            size = left = os.fstat(file.fileno()).st_size
            disk.check_space(stage, size)
            while piece := file.read(PIECE):
                left -= len(piece)
                if left < 0:
                    raise InputError(f"{printable(str(path))} grows while it is copied", "Wait for its end.")
                yield piece
    except OSError as error:
        raise InputError(
            f"cannot read {printable(str(path))}: {disk.reason(error)}", "Give a file, and check its permissions."
        ) from error


def _check_family(path: Path, copy: Path, spec: CheckpointSpec, describe: Describe) -> list[str]:
    """Return messages on a copy of the right family. Raises DamagedCheckpoint for any other."""
    try:
        description = describe(copy)
    except CheckpointError as error:
        raise _refused(path, spec, f"{OTHER_HASH}, and {error.message.replace(str(copy), 'it')}") from error
    if description.family != spec.family:
        raise _refused(path, spec, f"{OTHER_HASH}, and its contents are of the family {description.family}")
    accepted = f"{path} is none of the published files; it was accepted as {spec.name} because of its contents"
    return [accepted, *description.missing]


def _refused(path: Path, spec: CheckpointSpec, reason: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(
        f"{printable(str(path))} is not {spec.name}: {printable(reason)}", f"valle checkpoints show {spec.name}"
    )
