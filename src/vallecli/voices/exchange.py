"""A voice as one file, NAME.voice: a zip of manifest.json, voice.json and recording.flac, without compression.

The manifest has the size and the sha256 of the other two. The same voice always gives the same bytes. A file that
others made is checked before anything is stored: its size before it is read, its layout byte by byte (three entries,
one after the other, nothing before, between or behind them), its hashes, its JSON (strict_json), and its recording,
which is decoded to the end and encoded again.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vallecli import atomic, inputs
from vallecli.checkpoints import disk, strict_json
from vallecli.errors import DamagedVoice, InvalidVoiceName, OutputExists, OutputNotWritable, VoiceError
from vallecli.printable import printable
from vallecli.voices.library import RECORD, RECORDING, StoredVoice, store
from vallecli.voices.names import check_name
from vallecli.voices.record import (
    IMPORTED,
    MAX_JSON,
    MAX_RECORDING,
    RATE,
    VERIFIED,
    VERSION,
    VoiceRecord,
    decode_recording,
    encode_recording,
    samples_sha256,
)

FORMAT = "vallecli voice file"
SUFFIX = ".voice"
MANIFEST = "manifest.json"
LIMITS = {MANIFEST: 4096, RECORD: MAX_JSON, RECORDING: MAX_RECORDING}  # in the order of the file; bytes
MAX_FILE = sum(LIMITS.values()) + 4096
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can have
MODE = stat.S_IFREG | 0o644
LOCAL_HEADER, CENTRAL_HEADER, END = 30, 46, 22  # bytes, without names
LOCAL = struct.Struct("<4s5H3I2H")


def export(voice: StoredVoice, path: Path, *, overwrite: bool = False) -> None:
    """Write a voice to a file. Raises OutputExists without `overwrite`, OutputNotWritable and DamagedVoice."""
    data = pack(voice.name, voice.record, encode_recording(voice.wav()))
    try:
        if not overwrite and path.exists():
            raise OutputExists(path)
        with atomic.replace_file(path, overwrite=overwrite) as file:
            file.write(data)
    except FileExistsError as error:
        raise OutputExists(path) from error
    except OSError as error:
        raise OutputNotWritable(path, (error.strerror or str(error)).lower(), error.errno) from error


def import_(path: Path, name: str | None = None, *, overwrite: bool = False) -> StoredVoice:
    """Store the voice in a file, under its own or another name.

    A consent that was verified elsewhere becomes IMPORTED. Raises DamagedVoice for a file that is not as `export`
    writes it, VoiceError if it cannot be read, and as `library.add`.
    """
    try:
        data = inputs.read_small(path, MAX_FILE)
    except OSError as error:
        raise VoiceError(f"cannot read {printable(str(path))}: {disk.reason(error)}", "Give a .voice file.") from error
    stored_name, record, recording = unpack(data, path)
    if record.consent is not None and record.consent.kind == VERIFIED:
        record = replace(record, consent=replace(record.consent, kind=IMPORTED))
    return store(stored_name if name is None else name, record, recording, overwrite=overwrite)


def pack(name: str, record: VoiceRecord, recording: bytes) -> bytes:
    """Return the bytes of a .voice file."""
    contents = {RECORD: record.to_json().encode(), RECORDING: recording}
    files = {key: {"size": len(value), "sha256": _sha256(value)} for key, value in contents.items()}
    manifest = {"format": FORMAT, "version": VERSION, "name": name, "files": files}
    written = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for key, value in {MANIFEST: written.encode(), **contents}.items():
            entry = zipfile.ZipInfo(key, DATE)
            entry.create_system, entry.external_attr = 3, MODE << 16  # Unix
            archive.writestr(entry, value)
    return out.getvalue()


def unpack(data: bytes, source: Path) -> tuple[str, VoiceRecord, bytes]:
    """Return the name, the record and the recording, encoded again, in the bytes of a .voice file.

    Raises DamagedVoice for anything that `pack` does not write.
    """
    try:
        contents = _entries(data)
        manifest = strict_json.loads_object(contents[MANIFEST].decode(), max_chars=LIMITS[MANIFEST])
        _check_manifest(manifest, contents)
        name = check_name(manifest["name"])
        if name != manifest["name"]:
            raise ValueError("its name is not in Unicode's form NFC")
        record = VoiceRecord.from_json(contents[RECORD].decode())
        wav_N = decode_recording(contents[RECORDING])
        if samples_sha256(wav_N) != record.sha256:
            raise ValueError("its recording is not the one that its description is of")
        if abs(len(wav_N) / RATE - record.seconds) > 0.001:
            raise ValueError("its recording has another length than its description says")
    except InvalidVoiceName as error:
        raise DamagedVoice(printable(str(source)), error.message) from error
    except (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error) as error:
        raise DamagedVoice(printable(str(source)), printable(str(error)) or "it is damaged") from error
    return name, record, encode_recording(wav_N)


def _entries(data: bytes) -> dict[str, bytes]:
    """Return the contents of the three entries. Raises ValueError and zipfile's errors for any other layout."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        if [info.filename for info in infos] != list(LIMITS):
            names = ", ".join(info.filename[:40] for info in infos[:4])
            raise ValueError(f"it should have {', '.join(LIMITS)}, and has {names or 'nothing'}")
        place = 0
        for info in infos:
            _check_entry(info, data, place)
            place += LOCAL_HEADER + len(info.filename) + info.file_size
        listed = sum(CENTRAL_HEADER + len(info.filename) for info in infos)
        if archive.comment or archive.start_dir != place or len(data) != place + listed + END:
            raise ValueError("it has more bytes than its entries need")
        return {info.filename: archive.read(info) for info in infos}


def _check_entry(info: zipfile.ZipInfo, data: bytes, place: int) -> None:
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise ValueError(f"{info.filename} is compressed")
    if info.file_size > LIMITS[info.filename]:
        raise ValueError(f"{info.filename} is too large")
    if info.external_attr != MODE << 16 or info.create_system != 3:
        raise ValueError(f"{info.filename} is a link, or no regular file")
    if info.flag_bits or info.extra or info.comment or info.internal_attr or info.volume or info.date_time != DATE:
        raise ValueError(f"{info.filename} has properties that no voice has, such as encryption or a comment")
    if info.header_offset != place:
        raise ValueError("it has bytes before or between its entries")
    _, _, flags, method, _, _, crc, compressed, size, name, extra = LOCAL.unpack_from(data, place)
    header = (flags, method, crc, compressed, size, name, extra)
    if header != (0, zipfile.ZIP_STORED, info.CRC, info.file_size, info.file_size, len(info.filename), 0):
        raise ValueError(f"{info.filename} has two headers that differ")


def _check_manifest(manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    if manifest.keys() != {"format", "version", "name", "files"} or manifest["format"] != FORMAT:
        raise ValueError("it is not a .voice file")
    if manifest["version"] != VERSION or isinstance(manifest["version"], bool):
        raise ValueError(f"it has version {manifest['version']!r}, and this version of valle reads {VERSION}")
    if not isinstance(manifest["name"], str):
        raise ValueError("its name is no text")
    files = manifest["files"]
    if not isinstance(files, dict) or files.keys() != {RECORD, RECORDING}:
        raise ValueError("its manifest lists other files")
    for key, entry in files.items():
        if entry != {"size": len(contents[key]), "sha256": _sha256(contents[key])}:
            raise ValueError(f"{key} has not the size and the hash that the manifest says")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
