"""The header of WAV files: does its length agree with the file?

Programs that write to a pipe cannot know the length beforehand, and a recorder that was switched off too early has not
written it.
"""

from __future__ import annotations

import os
from typing import BinaryIO

CHUNK = 8  # bytes of a chunk header: type and length
FIRST_CHUNK = 12  # after RIFF, a length and WAVE
MAX_CHUNKS = 1_000  # before the samples
# Lengths from here on stand for "unknown". sox writes 0x7FFFF000, FFmpeg 0xFFFFFFFF; so do RF64 files.
UNKNOWN_BYTES = 0x7FFFF000


def data_chunk(file: BinaryIO) -> tuple[int, int] | None:
    """Return the bytes of samples that the header of a WAV file states and those that the file has; None if unknown."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    header = file.read(FIRST_CHUNK)
    if header[:4] not in (b"RIFF", b"RF64") or header[8:] != b"WAVE":
        return None
    position = FIRST_CHUNK
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        chunk = file.read(CHUNK)
        if len(chunk) < CHUNK:
            return None
        length = int.from_bytes(chunk[4:], "little")
        position += CHUNK
        if chunk[:4] == b"data":
            return None if length >= UNKNOWN_BYTES else (length, size - position)
        position += length + length % 2
    return None


def ends_early(file: BinaryIO) -> bool:
    """Return whether a WAV file has fewer samples than its header states."""
    found = data_chunk(file)
    return found is not None and found[0] > found[1] + 1  # a padding byte is often left out


def is_unfinished(file: BinaryIO) -> bool:
    """Return whether the header of a WAV file states no samples, but the file goes on."""
    found = data_chunk(file)
    return found is not None and found[0] == 0 and found[1] > 0
