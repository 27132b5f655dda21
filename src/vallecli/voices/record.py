"""What is known of a voice, in voice.json: transcript, notes, consent, date, and the hash of its recording."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from vallecli.audio.pcm import FULL_SCALE, Wav, pcm16
from vallecli.audio.prompt import DEFAULT_RATE, MAX_SECONDS, MIN_SECONDS
from vallecli.checkpoints import strict_json

FORMAT = "vallecli voice"
VERSION = 1
RATE = DEFAULT_RATE  # Hz
MAX_RECORDING = 2**20  # bytes; ten seconds without compression have less than half of it
MAX_JSON = 2**17  # bytes
MAX_TEXT = 10_000  # characters of a transcript or of notes
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SHA256 = re.compile(r"[0-9a-f]{64}")
# Metadata of a FLAC file that an encoder writes: properties, padding, seek table, name of the encoder.
FLAC_BLOCKS = (0, 1, 3, 4)

VERIFIED, DECLARED, IMPORTED = "verified", "declared", "imported"


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What is on record of a speaker's consent."""

    kind: str
    """VERIFIED: a spoken statement was checked on this machine; DECLARED: somebody wrote it, nothing was checked;
    IMPORTED: it came with a file that says that it was verified elsewhere, which was not checked here."""
    date: str
    """When it was checked or declared."""
    basis: str = ""
    """The text of a declaration."""
    statement: str = ""
    """The statement that was to be read aloud."""
    heard: str = ""
    """What the speech recognizer has heard."""
    words: float | None = None
    """Share of the statement's words that were heard."""
    similarity: float | None = None
    """Cosine of the speaker embeddings of statement and recording."""
    threshold: float | None = None
    """The lowest similarity that was accepted."""
    statement_sha256: str = ""
    """Hash of the samples of the spoken statement."""
    recording_sha256: str = ""
    """Hash of the samples of the voice's recording: the consent is for these alone."""


@dataclass(frozen=True, kw_only=True)
class VoiceRecord:
    """The content of voice.json."""

    created: str
    sha256: str
    """Hash of the recording's samples, as 16-bit little-endian numbers."""
    seconds: float
    """Duration of the recording."""
    snr: float | None = None
    """Estimated distance of speech and noise in dB."""
    transcript: str | None = None
    notes: str = ""
    consent: Consent | None = None

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> VoiceRecord:
        """Return the record in JSON. Raises ValueError for other keys, types and values than `to_json` writes."""
        values = strict_json.loads_object(text, max_chars=MAX_JSON)
        if values.pop("format", None) != FORMAT:
            raise ValueError("it is not the description of a voice")
        if (version := values.pop("version", None)) != VERSION or isinstance(version, bool):
            raise ValueError(f"it has version {version!r}, and this version of valle reads {VERSION}")
        _check_keys(values, cls)
        consent = values.pop("consent")
        record = cls(**values, consent=None if consent is None else _consent(consent))
        _check(TIMESTAMP.fullmatch(_text(record.created, "created")) is not None, "created")
        _check(SHA256.fullmatch(_text(record.sha256, "sha256")) is not None, "sha256")
        _check(_is_number(record.seconds) and MIN_SECONDS * 0.9 <= record.seconds <= MAX_SECONDS + 1, "seconds")
        _check(record.snr is None or _is_number(record.snr), "snr")
        _check(record.transcript is None or bool(_text(record.transcript, "transcript").strip()), "transcript")
        _text(record.notes, "notes")
        return record


def _consent(values: Any) -> Consent:
    if not isinstance(values, dict):
        raise ValueError("its consent is no JSON object")
    _check_keys(values, Consent)
    consent = Consent(**values)
    _check(consent.kind in (VERIFIED, DECLARED, IMPORTED), "consent's kind")
    _check(TIMESTAMP.fullmatch(_text(consent.date, "consent's date")) is not None, "consent's date")
    for name in ("basis", "statement", "heard", "statement_sha256", "recording_sha256"):
        _text(getattr(consent, name), f"consent's {name}")
    for name in ("words", "similarity", "threshold"):
        value = getattr(consent, name)
        _check(value is None or _is_number(value), f"consent's {name}")
    if consent.kind == DECLARED:
        _check(bool(consent.basis.strip()), "consent's basis")
    else:
        _check(None not in (consent.words, consent.similarity, consent.threshold), "consent's scores")
        hashes = (consent.statement_sha256, consent.recording_sha256)
        _check(all(SHA256.fullmatch(value) for value in hashes), "consent's hashes")
    return consent


def _check_keys(values: Mapping[str, Any], kind: type[VoiceRecord] | type[Consent]) -> None:
    known = {entry.name for entry in fields(kind)}
    if missing := sorted(known - values.keys()):
        raise ValueError(f"it has no {', '.join(missing)}")
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"it has the unknown key {unknown[0][:40]!r}")


def _text(value: Any, name: str) -> str:
    _check(isinstance(value, str) and len(value) <= MAX_TEXT, name)
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check(holds: bool, name: str) -> None:
    if not holds:
        raise ValueError(f"its {name} is invalid")


# Recordings


def samples_sha256(wav_N: Wav) -> str:
    """Return the hash of float audio (N,) as it is stored, in 16-bit samples: the same in every file format."""
    return hashlib.sha256(pcm16(wav_N).tobytes()).hexdigest()


def encode_recording(wav_N: Wav) -> bytes:
    """Return float audio (N,) at RATE as a FLAC file with 16-bit samples."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, pcm16(wav_N), RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def decode_recording(data: bytes) -> Wav:
    """Return the audio (N,) of a FLAC file as `encode_recording` writes it.

    Raises ValueError for any other format, rate or length, other metadata, and samples that do not match its checksum.
    """
    import soundfile

    digest = _flac_digest(data)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            if (sound.format, sound.subtype, sound.channels) != ("FLAC", "PCM_16", 1) or sound.samplerate != RATE:
                raise ValueError(f"its recording is not mono FLAC with 16 bits at {RATE} Hz")
            frames = sound.frames
            if not MIN_SECONDS * 0.9 <= frames / RATE <= MAX_SECONDS + 1:
                raise ValueError("its recording is too short or too long")
            samples_N = sound.read(frames + 1, dtype="int16")
    except soundfile.LibsndfileError as error:
        raise ValueError("its recording cannot be decoded") from error
    found = hashlib.md5(samples_N.astype("<i2").tobytes(), usedforsecurity=False).digest()
    if len(samples_N) != frames or found != digest:
        raise ValueError("its recording is damaged")
    if not samples_N.any():
        raise ValueError("its recording is silent")
    return np.asarray(samples_N / np.float32(FULL_SCALE), np.float32)


def _flac_digest(data: bytes) -> bytes:
    """Return the checksum of the samples in the header of a FLAC file. Raises ValueError for other metadata."""
    if data[:4] != b"fLaC":
        raise ValueError("its recording is not FLAC")
    place, last, digest = 4, False, b""
    while not last:
        header = data[place : place + 4]
        if len(header) < 4:
            raise ValueError("its recording is damaged")
        last, kind, size = bool(header[0] & 0x80), header[0] & 0x7F, int.from_bytes(header[1:], "big")
        if (kind == 0) != (place == 4) or kind not in FLAC_BLOCKS:
            raise ValueError("its recording has metadata other than that of the encoder")
        if kind == 0:
            digest = data[place + 4 : place + 4 + size][-16:]
        place += 4 + size
    return digest
