"""Errors of checkpoints: exit code 4."""

from __future__ import annotations

from vallecli.errors.base import VallecliError


class CheckpointError(VallecliError):
    """A checkpoint that is missing, damaged or unreachable."""

    exit_code = 4


class UnknownCheckpoint(CheckpointError):
    """A name that is neither in the registry nor a path."""


class MissingCheckpoint(CheckpointError):
    """A known checkpoint, or the weights of its codec, that is not on this machine."""

    def __init__(self, *names: str, offline: bool = False) -> None:
        pull, add = f"valle checkpoints pull {' '.join(names)}", f"valle checkpoints add FILE --as {names[0]}"
        super().__init__(
            f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not on this machine",
            f"With a network: {pull}; or with a copy of its file: {add}" if offline else pull,
        )


class UnknownFormat(CheckpointError):
    """A file or folder of no family that can be read."""


class DamagedCheckpoint(CheckpointError):
    """A checkpoint whose files are incomplete, damaged or malicious."""


class NotFinite(CheckpointError):
    """A model that computes NaN or infinity: its numbers overflow."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} has values that are NaN or infinite",
            "Compute in float32. If that does not help, the checkpoint is damaged.",
        )


class SourceError(CheckpointError):
    """A server that did not deliver the files of a checkpoint."""


class SourceGone(SourceError):
    """A repository, a revision or a file that no longer exists."""

    def __init__(self, name: str, source: str, reason: str) -> None:
        super().__init__(
            f"{source} does not have it: {reason}",
            f"If you have a copy of the file: valle checkpoints add FILE --as {name}",
        )


class AccessDenied(SourceError):
    """A repository that needs authentication."""

    def __init__(self, name: str, source: str, status: int) -> None:
        super().__init__(
            f"{source} refuses access (HTTP {status}): it is private, or gone",
            f"Set HF_TOKEN to a token that may read it: HF_TOKEN=hf_... valle checkpoints pull {name}",
        )


class Unreachable(SourceError):
    """A server that does not answer, or whose answer was interrupted."""

    def __init__(self, name: str, source: str, reason: str) -> None:
        super().__init__(
            f"{source} cannot be reached: {reason}",
            f"Check the network, then try again: valle checkpoints pull {name}",
        )
