"""From the name of a checkpoint to its files on this machine. The network is never used."""

from __future__ import annotations

from pathlib import Path

from vallecli.checkpoints import registry
from vallecli.errors import MissingCheckpoint, UnknownCheckpoint
from vallecli.settings import suggest

CODECS = {  # kind of a codec -> its entry in the registry
    "encodec": "encodec-24khz",
    "vocos": "vocos-encodec-24khz",
    "speechtokenizer": "speechtokenizer",
}


def find(name: str, *, offline: bool = False) -> Path:
    """Return the file or the folder of a checkpoint given by name or path.

    UnknownCheckpoint suggests a near name, MissingCheckpoint the command that fetches a known one, and
    DamagedCheckpoint tells what is wrong with files that were fetched. The network is never asked.
    """
    if name in registry.BUILT_IN:
        return registry.BUILT_IN[name]
    specs = registry.load()
    if name not in specs:
        if Path(name).exists():
            return Path(name)
        raise UnknownCheckpoint(
            f"there is no checkpoint called {name!r}, and no file or folder of that name",
            suggest(name, [*registry.BUILT_IN, *specs]),
        )
    from vallecli.checkpoints import hub  # its import takes a tenth of a second, which nano and paths do not need

    present = hub.locate(specs[name])
    if present is None:
        raise MissingCheckpoint(name, offline=offline)
    return present.path


def codec_weights(kind: str) -> Path:
    """Return the weights of a codec or decoder that does not come with its checkpoints. Raises CheckpointError."""
    return find(CODECS[kind])
