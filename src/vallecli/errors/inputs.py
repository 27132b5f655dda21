"""Errors of files and texts that are read: exit code 3."""

from __future__ import annotations

import os

from vallecli.errors.base import Path, VallecliError, short


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


class SubtitleError(InputError):
    """A file of subtitles that cannot be used; `line` is None for the file as a whole."""

    def __init__(self, source: Path, line: int | None, problem: str, hint: str = "") -> None:
        super().__init__(f"{_place(source, line)}: {problem}", hint)


class OverlappingCues(SubtitleError):
    """A cue that begins before the one before it ends."""


class ScriptError(InputError):
    """A dialogue that cannot be spoken; `line` is None for the file as a whole."""

    def __init__(self, source: Path, line: int | None, problem: str, hint: str = "") -> None:
        super().__init__(f"{_place(source, line)}: {problem}", hint)


def _place(source: Path, line: int | None) -> str:
    return os.fspath(source) if line is None else f"{os.fspath(source)}, line {line}"


class CastError(InputError):
    """A file with the voices of speakers that cannot be used."""

    def __init__(self, source: Path, problem: str, hint: str = "") -> None:
        super().__init__(f"{os.fspath(source)} {problem}", hint)


class FilmError(InputError):
    """A film that cannot be read, or that a track cannot be added to."""

    def __init__(self, path: Path, problem: str, hint: str = "") -> None:
        super().__init__(f"{os.fspath(path)}: {problem}", hint or "Give a film in MP4, MOV, MKV or WebM.")


class DocumentError(InputError):
    """A book that cannot be read."""


class DocumentNotFound(DocumentError):
    """A book that does not exist or cannot be opened."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot open {path}: {reason}", "Check the name of the book and its permissions.")


class UnknownDocument(DocumentError):
    """A file of a format that is not read; `kind` is what it is."""

    def __init__(self, path: Path, kind: str, hint: str) -> None:
        super().__init__(f"{path} is {kind}, which is not read", hint)


class EncryptedDocument(DocumentError):
    """A book whose text is encrypted."""

    def __init__(self, path: Path, by: str) -> None:
        super().__init__(f"{path} is encrypted ({by})", "Use an edition without copy protection or password.")


class DamagedDocument(DocumentError):
    """A book whose file is incomplete, damaged or malicious."""

    def __init__(self, path: Path, reason: str, hint: str = "Download or export it again.") -> None:
        super().__init__(f"{path} is damaged: {reason}", hint)


class DocumentTooLarge(DocumentError):
    """A book that has, or claims to have, more than any book has."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is too large: {reason}", "Divide it into several books.")


class EmptyDocument(DocumentError):
    """A book without any text to read."""

    def __init__(self, path: Path, left_out: str = "") -> None:
        super().__init__(
            f"{path} has no text to read{f', except what is left out: {left_out}' if left_out else ''}",
            "Keep some of that." if left_out else "If its pages are images, convert it with text recognition (OCR).",
        )


class SigningError(InputError):
    """A certificate or a key that cannot sign."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "C2PA needs a certificate chain and a private key without a password, both in PEM.")
