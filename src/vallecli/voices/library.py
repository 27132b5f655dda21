"""The library: one folder a voice, with its recording, voice.json, and cached codes of checkpoints.

voices/anna/
    recording.flac   at most ten seconds of speech: mono, 24 kHz, 16 bits
    voice.json       transcript, notes, consent, and the hash of the recording's samples
    pending.json     a statement of consent that is to be read aloud
    codes/           the codes of the recording, one file a checkpoint; see codes.py

A folder appears whole and disappears whole.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from vallecli import atomic, inputs
from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.audio.prompt import PreparedPrompt
from vallecli.checkpoints import disk
from vallecli.errors import DamagedVoice, UnknownVoice, VoiceError, VoiceExists
from vallecli.printable import printable
from vallecli.settings import suggest
from vallecli.voices.names import check_name, find_name, fold, folder, stored_names
from vallecli.voices.record import (
    MAX_JSON,
    MAX_RECORDING,
    RATE,
    Consent,
    VoiceRecord,
    decode_recording,
    encode_recording,
    samples_sha256,
)

RECORDING, RECORD = "recording.flac", "voice.json"


@dataclass(frozen=True)
class StoredVoice:
    """A voice of the library. `Synthesizer.voice` accepts it in the place of a recording."""

    name: str
    path: Path
    """Its folder."""
    record: VoiceRecord
    recording: bytes | None = None
    """The content of recording.flac, for another machine."""

    def __str__(self) -> str:
        """Return its name in messages."""
        return f"the voice {self.name}"

    @property
    def transcript(self) -> str | None:
        """Return the words of the recording, if they are known."""
        return self.record.transcript

    @property
    def consent(self) -> Consent | None:
        """Return what is on record of the speaker's consent; None for that of another recording."""
        consent = self.record.consent
        if consent is not None and consent.recording_sha256 not in ("", self.record.sha256):
            return None
        return consent

    def wav(self) -> Wav:
        """Return the recording (N,) at record.RATE in Hz. Raises DamagedVoice."""
        try:
            wav_N = decode_recording(self._content())
            if samples_sha256(wav_N) != self.record.sha256:
                raise ValueError("its recording is not the one that was added")
        except (OSError, ValueError) as error:
            raise _damaged(self.name, error) from error
        return wav_N

    def with_recording(self) -> StoredVoice:
        """Return the voice with its recording in memory. Raises DamagedVoice."""
        try:
            loaded = replace(self, recording=self._content())
        except OSError as error:
            raise _damaged(self.name, error) from error
        loaded.wav()
        return loaded

    def _content(self) -> bytes:
        return _read(self.path / RECORDING, MAX_RECORDING) if self.recording is None else self.recording

    def prompt(self, sample_rate: int = RATE) -> PreparedPrompt:
        """Return the recording as a prompt at `sample_rate` in Hz. Raises DamagedVoice."""
        wav_N = resample(self.wav(), RATE, sample_rate)
        return PreparedPrompt(wav_N, sample_rate, len(wav_N) / sample_rate, snr=self.record.snr)


def timestamp() -> str:
    """Return the current time as in records."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def get(name: str) -> StoredVoice:
    """Return a voice by its name, in any case. Raises UnknownVoice, InvalidVoiceName and DamagedVoice."""
    stored = find_name(name)
    if stored is None:
        names = stored_names()
        hint = suggest(name, names) if names else "The library is empty: valle voices add NAME RECORDING"
        raise UnknownVoice(f"there is no voice {printable(name)}", hint)
    path = folder() / stored
    try:
        return StoredVoice(stored, path, VoiceRecord.from_json(_read(path / RECORD, MAX_JSON).decode()))
    except (OSError, ValueError) as error:
        raise _damaged(stored, error) from error


def voices() -> Iterator[tuple[str, StoredVoice | None]]:
    """Yield the names of the library, sorted, with the voice; None for one that is damaged."""
    for name in stored_names():
        try:
            yield name, get(name)
        except UnknownVoice:  # removed at this moment
            continue
        except DamagedVoice:
            yield name, None


def add(
    name: str,
    prompt: PreparedPrompt,
    *,
    transcript: str | None = None,
    notes: str = "",
    overwrite: bool = False,
) -> StoredVoice:
    """Store a prepared recording under a name; a voice that it replaces loses its consent.

    Raises InvalidVoiceName, VoiceExists without `overwrite`, and VoiceError for texts that are too long and if the
    folder cannot be written.
    """
    wav_N = resample(prompt.wav, prompt.sample_rate, RATE)
    data = encode_recording(wav_N)
    wav_N = decode_recording(data)
    record = VoiceRecord(
        created=timestamp(),
        sha256=samples_sha256(wav_N),
        seconds=round(len(wav_N) / RATE, 3),
        snr=None if prompt.snr is None else round(prompt.snr, 1),
        transcript=transcript.strip() or None if transcript is not None else None,
        notes=notes,
    )
    return store(name, record, data, overwrite=overwrite)


def store(name: str, record: VoiceRecord, recording: bytes, *, overwrite: bool) -> StoredVoice:
    """Store a voice that was checked; see `add`."""
    name = check_name(name)
    text = record.to_json()
    try:
        VoiceRecord.from_json(text)
    except ValueError as error:
        raise VoiceError(f"the voice {name} cannot be stored: {error}", "Shorten its texts.") from error
    with locked(name):
        existing = find_name(name)
        if existing is not None and not overwrite:
            raise VoiceExists(existing)
        name = existing or name
        with atomic.replace_folder(folder() / name) as stage:
            (stage / RECORDING).write_bytes(recording)
            (stage / RECORD).write_text(text, encoding="utf-8")
    return StoredVoice(name, folder() / name, record)


def update(voice: StoredVoice, record: VoiceRecord) -> StoredVoice:
    """Replace the record of a voice. Raises VoiceError, also if its recording was replaced in the meantime."""
    with locked(voice.name):
        if get(voice.name).record.sha256 != voice.record.sha256:
            raise VoiceError(f"the recording of {voice.name} was replaced in the meantime", "Try again.")
        with atomic.replace_file(voice.path / RECORD) as file:
            file.write(record.to_json().encode())
    return replace(voice, record=record)


def rename(old: str, new: str) -> StoredVoice:
    """Rename a voice. Raises UnknownVoice, InvalidVoiceName, VoiceExists and VoiceError."""
    new = check_name(new)
    with locked(new):
        voice = get(old)
        existing = find_name(new)
        if existing is not None and fold(existing) != fold(voice.name):
            raise VoiceExists(existing)
        if os.path.lexists(folder() / new) and existing is None:
            raise VoiceError(f"{printable(str(folder() / new))} is in the way", "Remove it, or choose another name.")
        voice.path.rename(folder() / new)
    return StoredVoice(new, folder() / new, voice.record)


def remove(name: str) -> str:
    """Remove a voice, even a damaged one, and nothing that links in it lead to. Return its name.

    Raises UnknownVoice, InvalidVoiceName and VoiceError.
    """
    with locked(name):
        stored = find_name(name)
        path = folder() / (stored or check_name(name))
        if stored is None:
            if not path.is_symlink():
                get(name)  # raises UnknownVoice
            path.unlink()
            return path.name
        gone = atomic.part_name(path)
        path.rename(gone)  # the voice disappears at once
        try:
            shutil.rmtree(gone)
        except OSError:
            if os.path.lexists(gone / RECORD):  # nothing was removed
                gone.rename(path)
            raise
    return stored


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of the library during the body. Raises VoiceError for errors of the disk."""
    from vallecli.errors import CheckpointError

    root = folder()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with disk.locked(root.with_name("voices.lock"), "the voices", lambda message: None):
            atomic.sweep(root)
            yield
    except OSError as error:
        raise VoiceError(f"cannot change the voice {printable(name)}: {disk.reason(error)}", _hint(root)) from error
    except CheckpointError as error:  # of the lock
        raise VoiceError(error.message, _hint(root)) from error


def _hint(root: Path) -> str:
    return f"Check the space on its disk, and the permissions of {printable(str(root))}."


def _read(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes, which is no link. Raises OSError."""
    if stat.S_ISLNK(path.lstat().st_mode):
        raise OSError(f"{path.name} is a link")
    return inputs.read_small(path, limit)


def _damaged(name: str, error: OSError | ValueError) -> DamagedVoice:
    reason = disk.reason(error) if isinstance(error, OSError) else printable(str(error))
    return DamagedVoice(f"the voice {name}", reason, "Add its recording again, or remove the voice.")
