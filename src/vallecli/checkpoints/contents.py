"""The files of a checkpoint, before any family has recognised it. Files are read on demand.

torch is imported when the first weight file is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from vallecli.checkpoints import small_files
from vallecli.errors import DamagedCheckpoint, UnknownFormat

CONFIGURATIONS = ("config.json", "args.json")  # a folder may be given by its configuration
MAX_DEPTH = 5  # folders that are searched below the path
MAX_FILES = 10_000  # in them: somebody may give a home folder


class Contents:
    """A file or a folder. Each file is read on demand, and once.

    With `verify`, checksums of archives are verified, which reads them whole; otherwise tensors are only mapped.
    """

    def __init__(self, path: Path, *, verify: bool = False) -> None:
        """Raise DamagedCheckpoint if there is nothing at the path."""
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a name that no file can have
            raise DamagedCheckpoint(f"{path} does not exist", "Give the file or the folder of a checkpoint.")
        self.path = path.parent if path.name in CONFIGURATIONS and path.is_file() else path
        self.verify = verify
        self.used: set[Path] = set()
        """Files of the folder that were found by their names or read, so far."""
        self._raw: dict[Path, Any] = {}

    @property
    def name(self) -> str:
        """Return what the checkpoint is called, by its path."""
        return self.path.absolute().stem

    @property
    def file(self) -> Path | None:
        """Return the file, None for a folder."""
        return None if self.path.is_dir() else self.path

    @property
    def folder(self) -> Path:
        """Return the folder, for a file the one that it is in."""
        return self.path if self.path.is_dir() else self.path.absolute().parent

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Return all files of the folder and of folders below it, sorted; for a file that file alone.

        UnknownFormat for more of them than a checkpoint has.
        """
        if self.file is not None:
            return (self.file,)
        found: list[Path] = []
        seen = 0
        for place, folders, names in os.walk(self.path, followlinks=True):
            seen += len(folders) + len(names)
            if seen > MAX_FILES:
                raise UnknownFormat(f"{self.path} has more than {MAX_FILES} files", "Give the folder of a checkpoint.")
            found += [Path(place, name) for name in names]
            if len(Path(place).relative_to(self.path).parts) >= MAX_DEPTH - 1:
                folders.clear()
        return tuple(sorted(path for path in found if path.is_file()))

    def beside(self, name: str) -> Path | None:
        """Return a file of that name in the folder, None if there is none. Only the last part of the name counts."""
        path = self.folder / Path(name).name
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            return None
        self.used.add(path)
        return path

    def json(self, name: str) -> dict[str, Any] | None:
        """Return the JSON object in a file of the folder, None without that file. Raises DamagedCheckpoint."""
        path = self.beside(name)
        return None if path is None else small_files.read_json(path)

    def raw(self, path: Path) -> Any:
        """Return the contents of a weight file. Raises CheckpointError."""
        from vallecli.checkpoints import weights

        self.used.add(path)
        if path not in self._raw:
            self._raw[path] = weights.read(path, verify=self.verify)
        return self._raw[path]

    def tensors(self, path: Path) -> Mapping[str, Any]:
        """Return the state dict of a weight file, {} if it has none. Raises CheckpointError."""
        from vallecli.checkpoints import weights

        return weights.state_dict(self.raw(path))

    @cached_property
    def own_tensors(self) -> Mapping[str, Any]:
        """Return the state dict of the file, {} for a folder. Raises CheckpointError."""
        return {} if self.file is None else self.tensors(self.file)
