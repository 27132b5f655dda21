"""VALL-E as in the paper (arXiv 2301.02111): an AR for codebook 1, a NAR for the others. This module imports no torch.

Layouts: valle's own format (nano), VALL-E X, lifeiteng/vall-e (VALL-E, VALL-F and its first layout), Amphion v1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vallecli.errors import DamagedCheckpoint, MissingCheckpoint
from vallecli.families.base import Backend, Description, Export, Option, Options, Preset

if TYPE_CHECKING:
    import torch

    from vallecli.checkpoints.contents import Contents
    from vallecli.codec.select import Codecs
    from vallecli.families.valle.checkpoint import Checkpoint
    from vallecli.text.reader import TextReader

OPTIONS = {
    "symbols": Option(kind="file", help="Table of text symbols, if it is not next to the weights."),
    "heads": Option(kind="int", minimum=1, help="Number of attention heads, if it is not stored."),
    "prefix_mode": Option(kind="choice", choices=("0", "1", "2", "4"), help="Prefix mode of the NAR, if not stored."),
    "homographs": Option(
        kind="choice",
        choices=("on", "off"),
        help='Whether the sentence decides how English words such as "live" are read; off by default for IPA.',
    ),
}


@dataclass(frozen=True)
class ValleFamily:
    """One layout of VALL-E checkpoints, a `families.base.Family`."""

    name: str
    module: str
    """Module that reads the layout, and recognises it."""
    languages: tuple[str, ...]
    accents: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    recogniser: str = ""
    """Module that recognises the layout in place of `module`."""

    options = OPTIONS

    def _function(self, name: str, module: str = "") -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(import_module(f"vallecli.families.valle.{module or self.module}"), name)
        return function

    def recognise(self, contents: Contents) -> bool:
        """Return whether the contents are of this layout. Raises CheckpointError."""
        return bool(self._function("recognise", self.recogniser)(contents))

    def read(self, contents: Contents, options: Options) -> Checkpoint:
        """Return configuration and tensors of the checkpoint. Raises CheckpointError and UsageError."""
        checkpoint: Checkpoint = self._function("read")(self._function("open_contents")(contents), options)
        return replace(checkpoint, homographs=options.get("homographs"))

    def describe(self, contents: Contents) -> Description:
        """Return what the checkpoint is, without reading the values of its tensors. Raises CheckpointError."""
        from vallecli.families.valle.describe import describe

        return describe(self.name, self._function("open_contents")(contents), self._function("read"))

    def files(self, contents: Contents) -> set[Path]:
        """Return the files that the speech depends on. Raises CheckpointError."""
        from vallecli.families import native
        from vallecli.families.valle import native_config

        if self.name != native_config.NAME:
            self.describe(contents)
        elif contents.beside(native.TENSORS) is None:  # without torch
            raise DamagedCheckpoint(f"{contents.folder} has no {native.TENSORS}", "Give a complete checkpoint folder.")
        return contents.used

    def text_reader(self, contents: Contents, options: Options) -> TextReader:
        """Return what the backend uses to read texts. Raises CheckpointError and UsageError."""
        from vallecli.families.valle import native_config
        from vallecli.families.valle.front_ends import front_end_of
        from vallecli.text.reader import TextReader

        if self.name == native_config.NAME:  # without torch
            fields = native_config.read_config(contents, options)
        else:
            from vallecli.families.valle.describe import text_fields

            fields = text_fields(self.name, self._function("open_contents")(contents), options, self._function("read"))
        front_end = front_end_of(
            *(fields["front_end"], fields["symbols"], fields["model"], contents.path),
            homographs=options.get("homographs"),
        )
        return TextReader(front_end, fields["limits"].max_text_chars)

    def load(
        self, contents: Contents, options: Options, *, device: torch.device, dtype: str, codecs: Codecs
    ) -> Backend:
        """Return the checkpoint, ready to speak. Raises CheckpointError and UsageError."""
        from vallecli import device as devices
        from vallecli.families.valle.backend import ValleBackend

        checkpoint = self.read(contents, options)
        half = checkpoint.stored_in_half
        precision = devices.pick_dtype(dtype, device, checkpoint.parameters, stored_in_half=half)
        codec = codecs.stored(checkpoint.codec, checkpoint.tensors, checkpoint.path, checkpoint.name)
        return ValleBackend(self.name, checkpoint, device=device, dtype=precision, codec=codec)

    def export(self, contents: Contents, options: Options) -> Export:
        """Return the checkpoint in valle's own format. Raises CheckpointError and UsageError."""
        from vallecli.families.valle import native

        checkpoint = self.read(contents, options)
        return Export(config=native.config_json(checkpoint), tensors=native.stored_tensors(checkpoint))

    def random(self, size: str, *, device: torch.device, dtype: str) -> Backend:
        """Return a backend with random weights of a published size, and a random codec."""
        from vallecli.families.valle.random import random_backend

        return random_backend(self.name, size, device=device, dtype=dtype)

    def read_preset(self, path: Path) -> Preset | None:
        """Return the preset in an .npz file, None if it is of another family. Raises PresetError if it is damaged."""
        from vallecli.families.valle import preset

        return preset.read_preset(path) if self.name == preset.FAMILY else None

    def presets(self, folder: Path | None) -> dict[str, Path | None]:
        """Return the presets in the folder of a checkpoint. Raises OSError."""
        from vallecli.families.valle import preset

        if self.name != preset.FAMILY or folder is None:
            return {}
        files = (file for file in folder.rglob("*") if file.suffix.lower() == ".npz" and file.is_file())
        return {file.stem: file for file in sorted(files)}

    def fetch_preset(self, name: str, *, offline: bool) -> Path:
        """Raise MissingCheckpoint: all presets are files of the checkpoint."""
        raise MissingCheckpoint(self.name, offline=offline)


FAMILIES = (
    ValleFamily("native", "native", ("en", "zh", "ja", "mix"), ("en", "zh", "ja"), ("nano",), "native_config"),
    ValleFamily("amphion-v1", "amphion", ("en",)),
    ValleFamily("vallex", "vallex", ("en", "zh", "ja", "mix"), ("en", "zh", "ja"), ("full",)),
    ValleFamily("lifeiteng", "lifeiteng", ("en",)),
    ValleFamily("lifeiteng-legacy", "lifeiteng_legacy", ("en",)),
)
