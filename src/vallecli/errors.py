"""Every error a user can meet, with the next thing to do and the exit code scripts see.

VallecliError                       1  a bug, or nothing better is known
├── UsageError                      2  the command line itself is wrong
│   └── RegistryError                  a list of checkpoints is
├── InputError                      3  a file or a text we were given is unusable
│   ├── AudioError                     recordings
│   │   ├── AudioNotFound
│   │   ├── NotAudio
│   │   ├── PromptTooShort
│   │   ├── PromptTooLong              for its transcript
│   │   ├── SilentPrompt
│   │   └── DamagedAudio               NaN or infinite samples
│   ├── TextError                      texts
│   │   ├── EmptyText
│   │   ├── TranscriptMissing          what a prompt says, for checkpoints that need it
│   │   ├── EmptyTranscript
│   │   └── TextEncodingError
│   ├── PresetError                    published voice presets
│   ├── ForeignPreset
│   ├── TableError                     a CSV or JSONL file as a whole
│   ├── RowError                       one row of it
│   │   ├── DuplicateRow
│   │   └── UnsafeName                     of an output
│   └── OutputError                    outputs
│       ├── OutputExists
│       ├── OutputNotWritable
│       ├── FolderInUse                    of a batch, by another run
│       ├── FolderGone                     while it was being written to
│       └── FolderNotWritable              or no longer
├── CheckpointError                 4  missing, damaged or offline
│   ├── UnknownCheckpoint
│   ├── MissingCheckpoint              known, and not on this machine
│   ├── UnknownFormat                  in no layout that valle reads
│   ├── DamagedCheckpoint
│   └── SourceError                    a place that did not give its files
│       ├── SourceGone
│       ├── AccessDenied
│       └── Unreachable
├── DeviceError                     5  no such device, or out of memory
│   ├── PlayerError                    nothing that plays audio
│   ├── ExtraMissing                   packages that only some checkpoints need
│   ├── EspeakMissing
│   └── WorkerLost                     of a cluster
└── RowsFailed                      6  of a batch, all of whose other rows are done

Interrupted (Ctrl-C) leaves with 130. This module imports nothing of ours.
"""

from __future__ import annotations

import errno
import os
import sys
from os import PathLike

Path = str | PathLike[str]

# What a disk may say at any time, whichever file it is about.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


class VallecliError(Exception):
    """A message for people, a hint that says what to do next, and an exit code for scripts."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(VallecliError):
    """The command line asks for something contradictory or unknown."""

    exit_code = 2


class RegistryError(UsageError):
    """A list of checkpoints with something in it that cannot be meant."""

    def __init__(self, path: Path, entry: str, problem: str) -> None:
        super().__init__(
            f"{path}{f', entry {entry!r}' if entry else ''}: {problem}", "Correct the file or move it away."
        )


class InputError(VallecliError):
    """A file or text that was given cannot be used."""

    exit_code = 3


class AudioError(InputError):
    """A recording that cannot serve as a voice prompt."""


class AudioNotFound(AudioError):
    """A recording that is not there or cannot be opened."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot open {path}: {reason}", "Check the name of the recording and who may read it.")


class NotAudio(AudioError):
    """A file that libsndfile cannot read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not readable as audio: {reason}", "Give a WAV, FLAC, OGG, MP3 or Opus file.")


class PromptTooShort(AudioError):
    """A recording with less speech than a voice can be read from."""

    def __init__(self, path: Path, seconds: float, minimum: float) -> None:
        super().__init__(
            f"{path} holds {seconds:.1f} s of speech, at least {minimum:g} s are needed",
            "Record 3 to 10 seconds of one speaker.",
        )


class PromptTooLong(AudioError):
    """A recording with a transcript of all of it, of which the models can hear the beginning only."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__(
            f"{path} is too long: only its first {seconds:.1f} s of speech can be used, and its transcript says more",
            "Shorten both, or add --transcribe, which writes down what is used.",
        )


class SilentPrompt(AudioError):
    """A recording in which nothing can be heard."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is silent", "Check the microphone, or choose a passage with speech in it.")


class DamagedAudio(AudioError):
    """A recording with samples that are not finite numbers."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds samples that are NaN or infinite", "Export the recording again as 16-bit PCM.")


class TextError(InputError):
    """A text that cannot be spoken."""


class EmptyText(TextError):
    """A text without a single word in it."""

    def __init__(self) -> None:
        super().__init__("there is nothing to say: the text has no words", "Give a text with letters or numbers in it.")


class TranscriptMissing(TextError):
    """A prompt of which nobody told what it says, for a checkpoint that has to know."""

    def __init__(self, recording: Path, beside: Path) -> None:
        super().__init__(
            f"this checkpoint has to know what {recording} says",
            f"Give --prompt-text, or write it into {beside}, or add --transcribe.",
        )


class EmptyTranscript(TextError):
    """A transcript without a single word in it."""

    def __init__(self) -> None:
        super().__init__("the transcript of the prompt has no words", "Write down what is said in the recording.")


class TextEncodingError(TextError):
    """Bytes that are not UTF-8."""

    def __init__(self, source: Path) -> None:
        super().__init__(f"{source} is not UTF-8 text", "Convert it first, for example: iconv -f latin1 -t utf-8")


class PresetError(InputError):
    """A file that is not a published voice preset, or a damaged one."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not a VALL-E X preset: {reason}", "Give a preset's .npz file, or a recording.")


class ForeignPreset(InputError):
    """A VALL-E X preset for a checkpoint that has other phonemes and codes."""

    def __init__(self) -> None:
        super().__init__(
            "presets are for VALL-E X, and this checkpoint has other phonemes",
            "Give a recording as --prompt, or a VALL-E X checkpoint.",
        )


class TableError(InputError):
    """A table of rows that cannot be read as one."""


class RowError(InputError):
    """A row of a table with something in it that cannot be meant."""


class DuplicateRow(RowError):
    """A row with an id or an output that an earlier one has."""

    def __init__(self, what: str, value: str, row: int) -> None:
        super().__init__(f"{what} {value!r} is that of row {row} already", f"Give each row {what} of its own.")


class UnsafeName(RowError):
    """An output whose name some system would not take, or that leaves its folder."""

    def __init__(self, output: str, reason: str) -> None:
        super().__init__(
            f"{output!r} cannot be an output: {reason}", "Give letters, digits, dots, - and _, and / for a subfolder."
        )


class OutputError(InputError):
    """An output that cannot be written."""


class OutputExists(OutputError):
    """An output that is already there."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} already exists", "Choose another name, or add --force to overwrite it.")


class OutputNotWritable(OutputError):
    """An output whose folder is missing or read-only."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot write {path}: {reason}", "Choose another place with -o.")


class FolderInUse(OutputError):
    """An output folder to which another run writes just now."""

    def __init__(self, folder: Path, results: str) -> None:
        super().__init__(
            f"another run is writing {results} in {folder}", "Wait for it, or give another folder by --out-dir."
        )


class FolderGone(OutputError):
    """An output folder that was removed or replaced while it was being written to."""

    def __init__(self, results: Path) -> None:
        super().__init__(
            f"{results} was taken away while it was being written to",
            "Type the same command again: it does what is not there any more.",
        )


class FolderNotWritable(OutputError):
    """An output folder in which nothing more can be written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"cannot write {path}: {reason}", "Make room, and type the same command again: it goes on from there."
        )


class CheckpointError(VallecliError):
    """A checkpoint that is missing, damaged or out of reach."""

    exit_code = 4


class UnknownCheckpoint(CheckpointError):
    """A checkpoint name that is not in the registry and not a path."""


class MissingCheckpoint(CheckpointError):
    """A checkpoint, or the weights of its codec, that is known by name and not on this machine."""

    def __init__(self, name: str, *, offline: bool = False) -> None:
        pull, add = f"valle checkpoints pull {name}", f"valle checkpoints add FILE --as {name}"
        super().__init__(
            f"{name} is not on this machine",
            f"Once there is a network: {pull}, or bring its file: {add}" if offline else pull,
        )


class UnknownFormat(CheckpointError):
    """A file or folder in no layout that can be read."""


class DamagedCheckpoint(CheckpointError):
    """A checkpoint whose files do not hold what they should."""


class SourceError(CheckpointError):
    """A place on the network that did not give the files of a checkpoint."""


class SourceGone(SourceError):
    """A repository, a revision or a file that is no longer there."""

    def __init__(self, name: str, source: str, reason: str) -> None:
        super().__init__(
            f"{source} does not have it: {reason}",
            f"If you have the file from elsewhere: valle checkpoints add FILE --as {name}",
        )


class AccessDenied(SourceError):
    """A repository that wants to know who asks."""

    def __init__(self, name: str, source: str, status: int) -> None:
        super().__init__(
            f"{source} refuses access (HTTP {status}): it is private, or gone",
            f"Set HF_TOKEN to a token that may read it: HF_TOKEN=hf_... valle checkpoints pull {name}",
        )


class Unreachable(SourceError):
    """A place that does not answer, or whose answer broke off."""

    def __init__(self, name: str, source: str, reason: str) -> None:
        super().__init__(
            f"{source} cannot be reached: {reason}",
            f"Check the network, then type it again: valle checkpoints pull {name}",
        )


class DeviceError(VallecliError):
    """A device that is not there, or that has too little memory."""

    exit_code = 5


class PlayerError(DeviceError):
    """A player of audio that is missing or does not work."""


class ExtraMissing(DeviceError):
    """Packages that this machine lacks, because only some checkpoints need them."""

    def __init__(self, extra: str, purpose: str, module: str) -> None:
        super().__init__(
            f"{purpose} needs packages that are not installed ({module})", f'Type: pip install "vallecli[{extra}]"'
        )


class EspeakMissing(DeviceError):
    """The espeak-ng library, which is no Python package, is not on this machine."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"this checkpoint needs espeak-ng: {reason}",
            "Type: apt install espeak-ng (Debian, Ubuntu) or brew install espeak-ng (macOS). On Windows install its "
            ".msi and let PHONEMIZER_ESPEAK_LIBRARY name its libespeak-ng.dll; so too for a library elsewhere.",
        )


class WorkerLost(DeviceError):
    """A worker of a cluster that died again and again over the same rows."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the worker died: {reason}", "Give it more memory, or cut the row in pieces.")


class RowsFailed(VallecliError):
    """A batch of which all is done that could be, and some rows could not."""

    exit_code = 6

    def __init__(self, failed: int, rows: int, hint: str) -> None:
        super().__init__(f"{failed} of {rows} rows failed", hint)


def explain(error: Exception) -> VallecliError | None:
    """Return what an error of any library means to the user, or None where it can only be a bug of ours."""
    if isinstance(error, VallecliError):
        return error
    if _out_of_memory(error):
        return DeviceError(
            "there is not enough memory",
            "Try --device cpu, a smaller checkpoint, shorter sentences or a smaller --max-seconds.",
        )
    if isinstance(error, OSError) and error.errno in DISK:
        return OutputError(f"cannot write: {os.strerror(error.errno).lower()}", "Choose another disk, or make room.")
    return None


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # not imported for this: if it is not there, it is not to blame
    if torch is None or not isinstance(error, RuntimeError):
        return False
    # On a CPU torch has no class of its own for it.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
