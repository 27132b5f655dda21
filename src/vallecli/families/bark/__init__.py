"""Bark (suno-ai/bark): text to semantic tokens, to two codebooks, to eight. This module imports no torch."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vallecli.families.bark.config import LANGUAGES
from vallecli.families.base import Backend, Description, Export, Option, Options, Preset

if TYPE_CHECKING:
    import torch

    from vallecli.checkpoints.contents import Contents
    from vallecli.codec.select import Codecs
    from vallecli.text.reader import TextReader

OPTIONS = {
    "tokenizer": Option(
        kind="file",
        help="The vocabulary of the checkpoint, if it is not next to the weights: vocab.txt or tokenizer.json.",
    ),
    "heads": Option(kind="int", minimum=1, help="Number of attention heads, if it is not stored."),
    "history": Option(
        kind="choice",
        choices=("preset", "running"),
        help="Voice of the sentences after the first: that of the prompt, or what the first sentence sounded like.",
    ),
    "min_eos_p": Option(
        kind="float", minimum=0, help="Probability of the end at which a sentence ends; 0 leaves it to chance."
    ),
    "fine_temperature": Option(
        kind="float", minimum=0, help="Sampling temperature of codebooks 3 to 8; 0 chooses the most likely codes."
    ),
    "hubert": Option(kind="file", help="Weights of HuBERT for cloning, in place of those of the registry."),
    "quantizer": Option(kind="file", help="Weights of the quantizer for cloning, in place of those of the registry."),
}


class BarkFamily:
    """All published layouts of Bark, a `families.base.Family`."""

    name = "bark"
    languages = LANGUAGES
    accents = ()
    sizes = ("bark", "bark-small")
    options = OPTIONS

    def _import(self, part: str) -> Any:
        return import_module(f"vallecli.families.bark.{part}")

    def recognise(self, contents: Contents) -> bool:
        """Return whether the contents are of this family. Raises CheckpointError."""
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
        """Return what the backend uses to read texts. Raises CheckpointError and DependencyMissing."""
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
        """Return the preset in an .npz file, None if it is of another family. Raises PresetError."""
        preset: Preset | None = self._import("presets").read_preset(path)
        return preset

    def presets(self, folder: Path | None) -> dict[str, Path | None]:
        """Return the presets in the folder of a checkpoint, and those that the hub has. Raises OSError."""
        found: dict[str, Path | None] = self._import("presets").presets(folder)
        return found

    def fetch_preset(self, name: str, *, offline: bool) -> Path:
        """Return the file of a preset of the hub, downloaded once. Raises CheckpointError."""
        path: Path = self._import("presets").fetch(name, offline=offline)
        return path


FAMILIES = (BarkFamily(),)
