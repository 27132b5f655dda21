"""From the name of a checkpoint to its files on this machine. The network is never used."""

from __future__ import annotations

from pathlib import Path

from vallecli.checkpoints import disk, registry
from vallecli.checkpoints.local import InstalledCheckpoint
from vallecli.checkpoints.spec import CheckpointSpec
from vallecli.errors import MissingCheckpoint, UnknownCheckpoint
from vallecli.settings import suggest

CODECS = {  # kind of a codec -> its entry in the registry
    "encodec": "encodec-24khz",
    "vocos": "vocos-encodec-24khz",
    "speechtokenizer": "speechtokenizer",
}


def find(name: str, *, offline: bool = False) -> Path:
    """Return the file or the folder of a checkpoint given by name or path.

    UnknownCheckpoint suggests a similar name, MissingCheckpoint the command that downloads a known checkpoint, and
    DamagedCheckpoint says why downloaded files are refused. RegistryError is for an invalid entry of that name.
    """
    if name in registry.BUILT_IN:
        return registry.BUILT_IN[name]
    entries = registry.load()
    spec = entries.get(name)
    if spec is not None:
        return _installed(spec, offline=offline).path
    if disk.exists(Path(name)):
        return Path(name)
    raise UnknownCheckpoint(
        f"there is no checkpoint called {name!r}, and no file or folder of that name",
        suggest(name, [*registry.BUILT_IN, *entries.specs]),
    )


def codec_weights(kind: str) -> Path:
    """Return the weight file of a codec or decoder that is not stored with its checkpoints. Raises CheckpointError."""
    from vallecli.checkpoints.weights import SUFFIXES

    paths = [item.path for item in _installed(registry.get(CODECS[kind]), offline=False).files]
    return next((path for path in paths if path.suffix in SUFFIXES), paths[0])


def _installed(spec: CheckpointSpec, *, offline: bool) -> InstalledCheckpoint:
    from vallecli.checkpoints import hub  # its import takes a tenth of a second, which nano and paths do not need

    installed = hub.locate(spec)
    if installed is None:
        raise MissingCheckpoint(spec.name, offline=offline)
    return installed
