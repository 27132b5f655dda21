"""Samples without compression: 16-bit PCM and G.711 (mu-law, A-law), after a WAV header or alone."""

from __future__ import annotations

import errno
import io
import os
import struct
from functools import cache
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from vallecli.audio.formats import G711, TELEPHONE_RATE
from vallecli.audio.labels import Labels
from vallecli.audio.provenance import Provenance, riff_chunks
from vallecli.errors import NotFinite

Wav = npt.NDArray[np.float32]
"""Mono float audio (N,), full scale is -1..1."""

SAMPLE_BYTES = 2  # bytes of a 16-bit sample
FULL_SCALE = 32_767  # the 16-bit value of 1.0
WAVE_FORMATS = {"wav": 1, "alaw": 6, "ulaw": 7}  # format -> its number in a WAV header
HEADER_BYTES = 44  # RIFF, fmt and data headers of a WAV file
# The header of a pipe is sent before the length is known. sox writes this number of bytes in that case; sox, ffmpeg,
# libsndfile and Python's wave module then read up to the end. Most programs take 0 for an empty file, and sox warns of
# 0xFFFFFFFF.
UNKNOWN_BYTES = 0x7FFFF000


class Writer(Protocol):
    """An output for audio in pieces."""

    def write(self, wav_N: Wav) -> None:
        """Append float audio (N,); values outside of -1..1 are clipped."""


class Encoder(Writer, Protocol):
    """A writer to a file that has to be finished. Errors of the file are raised as OSError."""

    def finish(self) -> None:
        """Write what is buffered and complete the headers; the file stays open."""

    def check(self) -> None:
        """Raise OSError unless the finished file has all samples."""


def pcm16(wav_N: Wav) -> npt.NDArray[np.int16]:
    """Given float audio (N,), return little-endian 16-bit samples (N,), clipped to full scale.

    Raises NotFinite for NaN and infinite samples, which come from overflows in a model.
    """
    if not np.isfinite(wav_N).all():
        raise NotFinite("the generated audio")
    samples: npt.NDArray[np.int16] = np.clip(np.rint(wav_N * float(FULL_SCALE)), -32768, 32767).astype("<i2")
    return samples


@cache
def _g711_table(format: str) -> npt.NDArray[np.uint8]:
    """Return the G.711 byte of each 16-bit sample (65536,), indexed by the sample as an unsigned number."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    encoded = io.BytesIO()
    soundfile.write(encoded, every, TELEPHONE_RATE, subtype=format.upper(), format="RAW")
    return np.frombuffer(encoded.getvalue(), np.uint8)


def g711(samples_N: npt.NDArray[np.int16], format: str) -> npt.NDArray[np.uint8]:
    """Given 16-bit samples (N,), return their bytes (N,) in G.711; `format` is ulaw or alaw."""
    return _g711_table(format)[samples_N.astype(np.int16).view(np.uint16)]


def wav_header(data_bytes: int, sample_rate: int, format: str = "wav", chunks: bytes = b"") -> bytes:
    """Return the header of a mono WAV file with `data_bytes` of samples at `sample_rate` in Hz.

    For 16-bit samples, the format wav, it has 44 bytes; for ulaw and alaw 58. `chunks` are further ones.
    """
    width = 1 if format in G711 else SAMPLE_BYTES
    chunk = struct.pack(
        "<HHIIHH", WAVE_FORMATS[format], 1, sample_rate, sample_rate * width, width, 8 * width
    )  # channels, bytes per second, bytes per frame, bits
    fact = b""
    if format in G711:
        chunk += struct.pack("<H", 0)
        fact = struct.pack("<4sII", b"fact", 4, data_bytes)
    body = struct.pack("<4s4sI", b"WAVE", b"fmt ", len(chunk)) + chunk + fact + chunks
    body += struct.pack("<4sI", b"data", data_bytes)
    padding = data_bytes % 2
    return struct.pack("<4sI", b"RIFF", len(body) + data_bytes + padding) + body


class PcmEncoder:
    """16-bit little-endian or G.711 samples, optionally after a WAV header; each piece is flushed."""

    def __init__(
        self,
        file: BinaryIO,
        format: str,
        sample_rate: int,
        *,
        header: bool,
        provenance: Provenance | None = None,
        labels: Labels | None = None,
    ) -> None:
        self.file, self.format, self.sample_rate = file, format, sample_rate
        self.header = header
        self.chunks = riff_chunks(provenance, labels)
        self.header_bytes = 0
        self.data_bytes = 0
        if header:
            self.header_bytes = file.write(wav_header(UNKNOWN_BYTES, sample_rate, format, self.chunks))
            file.flush()  # a player can start before the first piece

    def write(self, wav_N: Wav) -> None:
        """Append float audio (N,)."""
        samples_N = pcm16(wav_N)
        data = (g711(samples_N, self.format) if self.format in G711 else samples_N).tobytes()
        self.file.write(data)
        self.file.flush()
        self.data_bytes += len(data)

    def finish(self) -> None:
        """Write the final length to the header."""
        if self.header and self.data_bytes < UNKNOWN_BYTES:
            self.file.write(bytes(self.data_bytes % 2))  # chunks have an even length
            self.file.seek(0)
            self.file.write(wav_header(self.data_bytes, self.sample_rate, self.format, self.chunks))
        self.file.flush()

    def check(self) -> None:
        """Raise OSError unless the file has the right length."""
        padding = self.data_bytes % 2 if self.header else 0
        check_count(self.file.seek(0, os.SEEK_END), self.header_bytes + self.data_bytes + padding, "bytes")


def check_count(found: int, written: int, unit: str, *, extra: int = 0) -> None:
    """Raise OSError if a finished file has not as many samples or bytes as were written, or up to `extra` more."""
    if not written <= found <= written + extra:
        raise OSError(errno.EIO, f"the file has {found} of {written} {unit}")
