"""All errors that users can meet: a message, a hint that says what to do next, and the exit code for scripts.

VallecliError                       1  a bug, or nothing more specific is known
├── UsageError                      2  contradictory or unknown arguments
│   ├── RegistryError                  in a list of checkpoints
│   └── PolicyError                    a setting that the system-wide policy forbids
├── InputError                      3  a file or a text that cannot be used
│   ├── AudioError                     recordings
│   │   ├── AudioNotFound
│   │   ├── NotAudio
│   │   ├── PromptTooShort
│   │   ├── PromptTooLong              to use all of its transcript
│   │   ├── SilentPrompt
│   │   └── DamagedAudio               NaN, infinite or absurd samples
│   ├── TextError                      texts
│   │   ├── EmptyText
│   │   │   └── ForeignText             only letters that an English checkpoint cannot read
│   │   ├── NothingSpoken              the model generated no speech for it
│   │   ├── TranscriptMissing          for checkpoints that need the words of the prompt
│   │   ├── EmptyTranscript
│   │   └── TextEncodingError
│   ├── PresetError                    published voice presets
│   ├── ForeignPreset
│   ├── VoiceError                     the library of voices
│   │   ├── InvalidVoiceName
│   │   ├── UnknownVoice
│   │   ├── VoiceExists
│   │   ├── DamagedVoice
│   │   ├── ConsentMissing                 which a policy requires
│   │   └── ConsentRefused                 a statement that was not accepted
│   ├── TableError                     a CSV or JSONL file as a whole
│   │   ├── UnknownColumn
│   │   └── PromptColumnMissing
│   ├── SigningError                   certificates and keys
│   ├── RowError                       one row of it
│   │   ├── DuplicateRow
│   │   └── UnsafeName                     of an output
│   └── OutputError                    outputs
│       ├── OutputExists
│       ├── OutputNotWritable
│       ├── FolderInUse                    of a batch, by another run
│       ├── ForeignResults                 results.jsonl of another program
│       ├── FolderGone                     removed during the run
│       └── FolderNotWritable
├── CheckpointError                 4  missing, damaged or offline
│   ├── UnknownCheckpoint
│   ├── MissingCheckpoint              known, but not on this machine
│   ├── UnknownFormat                  of no family that valle reads
│   ├── DamagedCheckpoint
│   ├── NotFinite                      its numbers overflow
│   └── SourceError                    a server that did not deliver the files
│       ├── SourceGone
│       ├── AccessDenied
│       └── Unreachable
├── DeviceError                     5  no such device, or out of memory
│   ├── OutOfMemory
│   ├── PlayerError                    the audio player failed
│   └── WorkerLost                     of a cluster
├── RowsFailed                      6  rows of a batch; all others are done
├── NotMarked                       7  files without a watermark, in valle detect
└── DependencyMissing               7  an optional package or program is not installed
    ├── ExtraMissing                   Python packages of an extra
    ├── EspeakMissing
    ├── PlayerMissing
    └── WatermarkMissing               the package of the watermark
        └── DamagedWatermark

Ctrl-C exits with 130. This module imports no other module of the package. Hints name no command-line option: the
command line adds those (cli/hints.py).
"""

from __future__ import annotations

import errno
import os
import reprlib
import sys
from os import PathLike

Path = str | PathLike[str]

# Errors of the disk, not of one file.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)

WRITING_HINTS = {  # by errno
    errno.ENOSPC: "Free some space, or choose another disk.",
    errno.EDQUOT: "Your disk quota is used up: delete some files, or choose another disk.",
    errno.EFBIG: "The disk allows no larger file: choose another disk, or raise the limit (ulimit -f).",
    errno.EIO: "The disk is damaged or was removed: choose another disk.",
    errno.EACCES: "Choose another folder, or change its permissions.",
    errno.EPERM: "Choose another folder, or change its permissions.",
    errno.EROFS: "Choose another folder: this disk is read-only.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENOTDIR: "Choose another folder: a part of this name is a file.",
    errno.EEXIST: "Choose another folder: this name is a file.",
}


def writing_hint(code: int | None) -> str:
    """Return what to do when writing fails with an errno."""
    return WRITING_HINTS.get(code or 0, "Choose another place.")


class VallecliError(Exception):
    """A message, a hint that says what to do next, and an exit code for scripts."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(VallecliError):
    """Contradictory or unknown arguments."""

    exit_code = 2


class CannotContinue(UsageError):
    """A checkpoint that does not read the words of a prompt, and so cannot speak the rest of a text."""

    def __init__(self, checkpoint: str) -> None:
        super().__init__(
            f"{checkpoint} cannot go on from a prompt: it does not read the words of the prompt",
            "Use a checkpoint that does, or give only the text that is to be spoken.",
        )


class RegistryError(UsageError):
    """An invalid entry in a list of checkpoints."""

    def __init__(self, path: Path, entry: str, problem: str) -> None:
        super().__init__(
            f"{path}{f', entry {entry!r}' if entry else ''}: {problem}", "Correct the file or move it away."
        )


class PolicyError(UsageError):
    """A setting that is less strict than the system-wide file requires."""

    def __init__(self, name: str, value: str, source: str, required: str, policy: Path) -> None:
        super().__init__(
            f"{source}: {name} is {value}, but the policy in {policy} requires {required}",
            "Remove that setting. Only an administrator can change the policy.",
        )


class InputError(VallecliError):
    """A file or text that cannot be used."""

    exit_code = 3


class AudioError(InputError):
    """A recording that cannot serve as a voice prompt."""


class AudioNotFound(AudioError):
    """A recording that does not exist or cannot be opened."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot open {path}: {reason}", "Check the name of the recording and its permissions.")


class NotAudio(AudioError):
    """A file that libsndfile cannot read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not readable as audio: {reason}", "Give a WAV, FLAC, OGG, MP3 or Opus file.")


class PromptTooShort(AudioError):
    """A recording with too little speech for a voice."""

    def __init__(self, path: Path, seconds: float, minimum: float) -> None:
        super().__init__(
            f"{path} has {seconds:.1f} s of speech, at least {minimum:g} s are needed",
            "Record 3 to 10 seconds of one speaker.",
        )


class PromptTooLong(AudioError):
    """A recording whose transcript covers more than the models can use."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__(
            f"{path} is too long: only its first {seconds:.1f} s of speech can be used, but its transcript covers more",
            "Shorten both, or have the part that is used transcribed.",
        )


class SilentPrompt(AudioError):
    """A recording without audible sound."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is silent", "Check the microphone, or choose a passage with speech in it.")


class DamagedAudio(AudioError):
    """A recording with samples that are not finite numbers."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} has samples that are NaN, infinite or absurd", "Export the recording again as 16-bit PCM."
        )


class TextError(InputError):
    """A text that cannot be spoken."""


class EmptyText(TextError):
    """A text without a single word in it."""

    def __init__(self) -> None:
        super().__init__("the text has no words", "Give a text with letters or numbers.")


class MarkupError(TextError):
    """Marks in a text, or SSML, that mean nothing; lines and columns are counted from 1."""

    def __init__(self, problem: str, line: int, column: int, hint: str = "Correct the text.") -> None:
        super().__init__(f"the markup of the text is wrong in line {line}, column {column}: {problem}", hint)


class NoContinuation(TextError):
    """A text that does not begin with the words of the prompt, from which it should go on."""

    def __init__(self, spoken: str, written: str) -> None:
        if not spoken:
            problem = "the text has no words behind those of the prompt"
        elif not written:
            problem = f"the text ends before the word {spoken!r} of the prompt"
        else:
            problem = f"the text has {short(written)} where the prompt has {short(spoken)}"
        super().__init__(problem, "Give the words of the prompt and then what is to be spoken, in one text.")


class ForeignText(EmptyText):
    """A text of letters that an English checkpoint cannot read; `language` is None if several have these letters."""

    def __init__(self, script: str, language: str | None = None) -> None:
        other = "Write the text in English, or in Latin letters."
        super(EmptyText, self).__init__(
            f"this checkpoint speaks English, and the text has only {script} letters",
            other if language is None else f"Use a checkpoint that speaks {script}.",
        )
        self.language = language


class NothingSpoken(TextError):
    """A text for which the model ended before it had generated any speech."""

    def __init__(self, text: str) -> None:
        super().__init__(f"the model generated no speech for: {text}", "Use another seed, or write it differently.")


class TranscriptMissing(TextError):
    """A prompt without a transcript, for a checkpoint that needs one."""

    def __init__(self, recording: Path, beside: Path | None) -> None:
        write = "" if beside is None else f", write it to {beside},"
        super().__init__(
            f"this checkpoint needs the words of {recording}",
            f"Give a transcript{write} or have the recording transcribed.",
        )


class EmptyTranscript(TextError):
    """A transcript without a single word in it."""

    def __init__(self) -> None:
        super().__init__("the transcript of the prompt has no words", "Write what is said in the recording.")


class TextEncodingError(TextError):
    """Bytes that are not UTF-8; `kind` is what they probably are, `encoding` a name for iconv."""

    def __init__(self, source: Path, kind: str = "", encoding: str | None = "windows-1252") -> None:
        hint = "Save it as plain text in UTF-8." if encoding is None else f"Convert it: iconv -f {encoding} -t utf-8"
        super().__init__(f"{source} is not UTF-8 text{f', but probably {kind}' if kind else ''}", hint)


class PresetError(InputError):
    """A file that is not a published voice preset, or a damaged one."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not a voice preset: {reason}", "Give a preset's .npz file, or a recording.")


class ForeignPreset(InputError):
    """A preset of another family than the checkpoint, with other phonemes and codes."""

    def __init__(self, family: str) -> None:
        super().__init__(
            f"this is a voice of {family} checkpoints, and this checkpoint has other phonemes or codes",
            f"Give a recording, or use a {family} checkpoint.",
        )


class VoiceError(InputError):
    """A voice of the library that cannot be used, stored or removed."""


class InvalidVoiceName(VoiceError):
    """A name that cannot be the name of a folder on every system; `name` is printable."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"a voice cannot have the name {name}: {reason}", "Use letters, digits, - and _.")


class UnknownVoice(VoiceError):
    """A name that no voice of the library has."""


class VoiceExists(VoiceError):
    """A name that a voice of the library has already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a voice {name} already", "Choose another name, or allow it to be replaced.")


class DamagedVoice(VoiceError):
    """A voice, or a .voice file, that is damaged or has been tampered with."""

    def __init__(self, source: Path, reason: str, hint: str = "Export it again, or add its recording again.") -> None:
        super().__init__(f"{source} is refused: {reason}", hint)


class ConsentMissing(VoiceError):
    """A voice without the consent that the policy requires."""


class ConsentRefused(VoiceError):
    """A spoken statement that is not accepted; the message has the reason."""


class TableError(InputError):
    """A table of rows that cannot be read as one."""


class UnknownColumn(TableError):
    """A column, or a name in a JSON object, that is not one of the table's columns."""


class PromptColumnMissing(TableError):
    """A table that says for no row whose voice it should have."""


class RowError(InputError):
    """An invalid row of a table."""


class DuplicateRow(RowError):
    """A row with the id or output of an earlier one."""

    def __init__(self, what: str, value: str, row: int) -> None:
        super().__init__(f"{what} {value!r} is already used by row {row}", f"Each row needs a different {what}.")


class UnsafeName(RowError):
    """An output whose name is not portable, or that is outside the output folder."""

    def __init__(self, output: str, reason: str) -> None:
        super().__init__(
            f"{output!r} cannot be an output: {reason}", "Use letters, digits, dots, - and _, and / for a subfolder."
        )


class SigningError(InputError):
    """A certificate or a key that cannot sign."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "C2PA needs a certificate chain and a private key without a password, both in PEM.")


class OutputError(InputError):
    """An output that cannot be written."""


class OutputExists(OutputError):
    """An output that already exists."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} already exists", "Choose another name.")


class OutputNotWritable(OutputError):
    """An output whose folder is missing or read-only; `code` is the errno, if there is one."""

    def __init__(self, path: Path, reason: str, code: int | None = None) -> None:
        super().__init__(f"cannot write {path}: {reason}", writing_hint(code))


class FolderInUse(OutputError):
    """An output folder that another run is writing to."""

    def __init__(self, folder: Path, results: str) -> None:
        super().__init__(
            f"another run is writing {results} in {folder}", "Wait for it, or choose another output folder."
        )


class ForeignResults(OutputError):
    """A file under the name of a results file that no batch has written, or that is a link."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is not the results of a batch: {reason}", "Choose another output folder, or move this file away."
        )


class FolderGone(OutputError):
    """An output folder that was removed or replaced during the run."""

    def __init__(self, results: Path) -> None:
        super().__init__(
            f"{results} was removed while it was being written to",
            "Run the same command again: it makes what is missing.",
        )


class FolderNotWritable(OutputError):
    """An output folder that nothing more can be written to."""

    def __init__(self, path: Path, error: OSError) -> None:
        hint = writing_hint(error.errno)
        if error.errno in DISK and error.errno != errno.EROFS:
            hint += " Then run the same command again: it resumes."
        super().__init__(f"cannot write {path}: {(error.strerror or str(error)).lower()}", hint)


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


_shortener = reprlib.Repr()
_shortener.maxlevel, _shortener.maxstring, _shortener.maxother, _shortener.maxlong = 2, 60, 60, 60


def short(value: object) -> str:
    """Return the repr of a value that came from a file, shortened: it may have any length."""
    try:
        return _shortener.repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of thousands of digits"


def explain(error: Exception) -> VallecliError | None:
    """Return the meaning of any library's error for the user, or None if it can only be a bug in valle."""
    if isinstance(error, VallecliError):
        return error
    if (short := shortage(error)) is not None:
        return short
    if isinstance(error, OSError) and error.errno in DISK:
        return OutputError(f"cannot write: {os.strerror(error.errno).lower()}", writing_hint(error.errno))
    if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):  # of tempfile
        return OutputError("no temporary file can be written", "Set TMPDIR to a folder on a disk with free space.")
    if isinstance(error, UnicodeEncodeError) and error.encoding == sys.getfilesystemencoding() != "utf-8":
        return InputError(
            f"a name has a character that this locale does not have ({error.encoding})", "Set LC_ALL=C.UTF-8."
        )
    if is_near_limit():
        first_line = (str(error).splitlines() or [""])[0]
        return OutOfMemory(
            f"there is not enough memory ({type(error).__name__}: {first_line})",
            "The memory of this process is limited (ulimit -v). Raise the limit.",
        )
    return None


# How libraries without classes for it, the kernel and the dynamic loader say that memory, handles or threads ran out.
NO_MEMORY = (
    *("can't allocate memory", "Cannot allocate memory", "failed to map segment", "std::bad_alloc", "bad allocation"),
    *("(os error 12)", "[Errno 12]"),
)
NEAR_LIMIT = 0.8  # of the address space; a large allocation that failed is not part of what was used
NO_HANDLES = ("Too many open files", "(os error 24)", "[Errno 24]")
NO_THREADS = ("can't start new thread", "Resource temporarily unavailable", "pthread_create")


def shortage(error: Exception) -> DeviceError | None:
    """Return the meaning of an error if it says that memory, file handles or threads ran out, else None."""
    text = str(error) if isinstance(error, RuntimeError | OSError | ImportError) or _is_safetensors(error) else ""
    if _out_of_memory(error) or any(phrase in text for phrase in NO_MEMORY):
        return OutOfMemory(
            "there is not enough memory",
            "Use the CPU, a smaller checkpoint, shorter sentences or fewer of them at the same time.",
        )
    if any(phrase in text for phrase in NO_HANDLES):
        return DeviceError("too many files are open", "Raise the limit, for example: ulimit -n 1024")
    if any(phrase in text for phrase in NO_THREADS):
        return DeviceError("no more threads can be started", "Raise the limit of processes: ulimit -u")
    return None


def is_near_limit() -> bool:
    """Return whether this process has used most of its address space, if that is limited: then libraries fail oddly."""
    try:
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return False
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123  # Linux only
            peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmPeak:"))
    except (ImportError, OSError, StopIteration, ValueError):
        return False
    return peak > NEAR_LIMIT * limit


def _is_safetensors(error: Exception) -> bool:
    return type(error).__name__ == "SafetensorError"  # its library is not imported for this


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # it is not imported for this: an error of torch needs torch
    out_of_memory: type | None = getattr(torch, "OutOfMemoryError", None)
    return out_of_memory is not None and isinstance(error, out_of_memory)
