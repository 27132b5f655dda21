"""Codec language models on a Llama stack: Amphion's VALL-E v2, and e-c-k-e-r/vall-e. This module imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vallecli.errors import MissingCheckpoint
from vallecli.families.base import Backend, Description, Export, Option, Options, Preset

if TYPE_CHECKING:
    import torch

    from vallecli.checkpoints.contents import Contents
    from vallecli.codec.select import Codecs
    from vallecli.text.reader import TextReader


@dataclass(frozen=True)
class LlamaFamily:
    """One published layout, a `families.base.Family`."""

    name: str
    module: str
    """Beginning of the names of its modules: MODULE_files recognises and reads it, MODULE_backend computes."""
    languages: tuple[str, ...]
    options: Mapping[str, Option]
    accents: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[str, ...]:
        """Return the name of the published size."""
        return (self.name,)

    def _import(self, part: str) -> Any:
        return import_module(f"vallecli.families.llama.{self.module}_{part}")

    def recognise(self, contents: Contents) -> bool:
        """Return whether the contents are of this layout. Raises CheckpointError."""
        return bool(self._import("files").recognise(contents))

    def describe(self, contents: Contents) -> Description:
        """Return what the checkpoint is, without reading the values of its tensors. Raises CheckpointError."""
        description: Description = self._import("files").describe(contents)
        return description

    def files(self, contents: Contents) -> set[Path]:
        """Return the files that the speech depends on. Raises CheckpointError."""
        self.describe(contents)
        return contents.used

    def text_reader(self, contents: Contents, options: Options) -> TextReader:
        """Return what the backend uses to read texts. Raises CheckpointError, UsageError and DependencyMissing."""
        reader: TextReader = self._import("backend").text_reader(contents, options)
        return reader

    def load(
        self, contents: Contents, options: Options, *, device: torch.device, dtype: str, codecs: Codecs
    ) -> Backend:
        """Return the checkpoint, ready to speak. Raises CheckpointError and UsageError."""
        backend: Backend = self._import("backend").load(contents, options, device=device, dtype=dtype, codecs=codecs)
        return backend

    def export(self, contents: Contents, options: Options) -> Export:
        """Return the checkpoint in valle's own format. Raises CheckpointError and UsageError."""
        files = self._import("files")
        export: Export = files.export(files.read(contents, options))
        return export

    def random(self, size: str, *, device: torch.device, dtype: str) -> Backend:
        """Return a backend with random weights of a published size, and a random codec. Raises UsageError."""
        backend: Backend = self._import("backend").random_backend(size, device=device, dtype=dtype)
        return backend

    def read_preset(self, path: Path) -> Preset | None:
        """Return None: these families have no presets."""
        return None

    def presets(self, folder: Path | None) -> dict[str, Path | None]:
        """Return none: these families have no presets."""
        return {}

    def fetch_preset(self, name: str, *, offline: bool) -> Path:
        """Raise MissingCheckpoint: these families have no presets."""
        raise MissingCheckpoint(self.name, offline=offline)


AMPHION_V2 = LlamaFamily(
    "amphion-v2",
    "amphion_v2",
    languages=("en",),
    options={
        "heads": Option(kind="int", minimum=1, help="Number of attention heads, if it is not stored."),
        "speechtokenizer": Option(kind="file", help="Weights of SpeechTokenizer, if they are not next to the models."),
    },
)
ECKER = LlamaFamily(
    "ecker",
    "ecker",
    languages=("en", "ja", "de", "fr", "zh", "ko"),
    options={
        "tokenizer": Option(
            kind="file", help="The tokenizer.json of the checkpoint, if it is not next to the weights."
        ),
        "decoding": Option(
            kind="choice",
            choices=("ar", "nar-len"),
            help="How codebook 1 is decoded: frame by frame, or all frames of a predicted duration in 25 steps.",
        ),
        "guidance": Option(
            kind="float",
            minimum=0,
            help="Strength of classifier-free guidance; 0 disables it, except that nar-len uses at least 2.5.",
        ),
    },
)
FAMILIES = (AMPHION_V2, ECKER)
