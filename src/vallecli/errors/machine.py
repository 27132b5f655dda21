"""Errors of devices and of missing packages, and batches with failed rows: exit codes 5, 6 and 7."""

from __future__ import annotations

from vallecli.errors.base import VallecliError


class DeviceError(VallecliError):
    """A device that does not exist, or that has too little memory."""

    exit_code = 5


class OutOfMemory(DeviceError):
    """Too little memory, of the machine or of a GPU."""


class PlayerError(DeviceError):
    """An audio player that failed."""


class WorkerLost(DeviceError):
    """A worker of a cluster that died repeatedly on the same rows."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the worker died: {reason}", "Give it more memory, or split the row.")


class RowsFailed(VallecliError):
    """A batch with failed rows; all others are done."""

    exit_code = 6

    def __init__(self, failed: int, rows: int, hint: str) -> None:
        super().__init__(f"{failed} of {rows} rows failed", hint)


class NotMarked(VallecliError):
    """Files in which no watermark was found."""

    exit_code = 7

    def __init__(self, unmarked: int, files: int) -> None:
        super().__init__(f"{unmarked} of {files} files without a watermark", "That does not prove that they are real.")


class DependencyMissing(VallecliError):
    """An optional package or program that is not installed."""

    exit_code = 7


class ExtraMissing(DependencyMissing):
    """Python packages of an extra that are not installed."""

    def __init__(self, extra: str, purpose: str, module: str) -> None:
        super().__init__(
            f"{purpose} needs packages that are not installed ({module})", f'Run: pip install "vallecli[{extra}]"'
        )


class EspeakMissing(DependencyMissing):
    """The espeak-ng library, which is no Python package, is not installed."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"this checkpoint needs espeak-ng: {reason}",
            "Run: apt install espeak-ng (Debian, Ubuntu) or brew install espeak-ng (macOS). On Windows, install its "
            ".msi and set PHONEMIZER_ESPEAK_LIBRARY to its libespeak-ng.dll; the same for a library in another place.",
        )


class PlayerMissing(DependencyMissing):
    """No audio player is installed."""


class WatermarkMissing(DependencyMissing):
    """The package with the weights of the watermark is not installed; `version` is the one that is known."""

    def __init__(self, problem: str, version: str) -> None:
        super().__init__(
            f"the watermark of generated speech needs resemble-perth: {problem}",
            f"Run: pip install --no-deps --force-reinstall resemble-perth=={version}",
        )


class DamagedWatermark(WatermarkMissing):
    """The package of the watermark is incomplete, damaged or another version."""
