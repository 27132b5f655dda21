"""Audio output in pieces: 16-bit samples as WAV, FLAC, Ogg Vorbis or raw PCM, to a file or a pipe."""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from vallecli.audio import ogg
from vallecli.errors import VallecliError

Wav = npt.NDArray[np.float32]
"""Mono float audio (N,), full scale is -1..1."""

SAMPLE_BYTES = 2  # bytes of a 16-bit sample
FULL_SCALE = 32_767  # the 16-bit value of 1.0
HEADER_BYTES = 44  # RIFF, fmt and data headers of a WAV file
# The header of a pipe is sent before the length is known. sox writes this number of bytes in that case; sox, ffmpeg,
# libsndfile and Python's wave module then read up to the end. Most programs take 0 for an empty file, and sox warns of
# 0xFFFFFFFF.
UNKNOWN_BYTES = 0x7FFFF000
SNDFILE_FORMATS = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}  # format -> container, subtype
OGG_SERIAL = 1  # stream number; any constant works
# Samples per call of libsndfile: its Vorbis encoder copies a whole call to the stack, and its output depends on how
# the samples are divided into calls.
ENCODER_BLOCK = 24_000


class Writer(Protocol):
    """An output for audio in pieces."""

    def write(self, wav_N: Wav) -> None:
        """Append float audio (N,); values outside of -1..1 are clipped."""


class Encoder(Writer, Protocol):
    """A writer to a file that has to be finished."""

    def finish(self) -> None:
        """Write what is buffered and complete the headers; the file stays open."""


def pcm16(wav_N: Wav) -> npt.NDArray[np.int16]:
    """Given float audio (N,), return little-endian 16-bit samples (N,), clipped to full scale.

    Raises VallecliError for NaN and infinite samples, which come from overflows in a model.
    """
    if not np.isfinite(wav_N).all():
        raise VallecliError("the generated audio has samples that are NaN or infinite", "Compute in float32.")
    samples: npt.NDArray[np.int16] = np.clip(np.rint(wav_N * float(FULL_SCALE)), -32768, 32767).astype("<i2")
    return samples


def wav_header(data_bytes: int, sample_rate: int) -> bytes:
    """Return the 44 bytes of header of a mono 16-bit WAV file with `data_bytes` of samples at `sample_rate` in Hz."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", data_bytes + HEADER_BYTES - 8, b"WAVE"),
        *(b"fmt ", 16, 1, 1, sample_rate, sample_rate * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES),
        *(b"data", data_bytes),
    )


class _PcmEncoder:
    """16-bit little-endian samples, optionally after a WAV header; each piece is flushed."""

    def __init__(self, file: BinaryIO, sample_rate: int, *, header: bool) -> None:
        self.file, self.sample_rate = file, sample_rate
        self.header = header
        self.data_bytes = 0
        if header:
            file.write(wav_header(UNKNOWN_BYTES, sample_rate))
            file.flush()  # a player can start before the first piece

    def write(self, wav_N: Wav) -> None:
        data = pcm16(wav_N).tobytes()
        self.file.write(data)
        self.file.flush()
        self.data_bytes += len(data)

    def finish(self) -> None:
        """Write the final length to the header."""
        if self.header and self.data_bytes < UNKNOWN_BYTES:
            self.file.seek(0)
            self.file.write(wav_header(self.data_bytes, self.sample_rate))


class _SndfileEncoder:
    """FLAC or Ogg Vorbis by libsndfile, to a file with a descriptor."""

    def __init__(self, file: BinaryIO, format: str, sample_rate: int) -> None:
        self.file = file
        self.buffer_N = np.zeros(0, np.int16)
        self.container, subtype = SNDFILE_FORMATS[format]
        # By descriptor: libsndfile does not report errors of a Python file object.
        self.sound: Any = soundfile.SoundFile(
            file.fileno(), "w", sample_rate, 1, subtype, format=self.container, closefd=False
        )

    def write(self, wav_N: Wav) -> None:
        samples_N = np.concatenate([self.buffer_N, pcm16(wav_N)])
        whole = len(samples_N) // ENCODER_BLOCK * ENCODER_BLOCK
        for block_N in samples_N[:whole].reshape(-1, ENCODER_BLOCK):
            self.sound.write(block_N)
        self.buffer_N = samples_N[whole:]

    def finish(self) -> None:
        try:
            self.sound.write(self.buffer_N)
        finally:
            self.sound.close()
        if self.container == "OGG":
            ogg.set_serial(self.file, OGG_SERIAL)


def new_encoder(file: BinaryIO, format: str, *, sample_rate: int) -> Encoder:
    """Return an encoder of wav, flac, ogg or raw to an empty file that is open for reading, writing and seeking."""
    if format in SNDFILE_FORMATS:
        return _SndfileEncoder(file, format, sample_rate)
    return _PcmEncoder(file, sample_rate, header=format == "wav")


@contextmanager
def open_stream(pipe: BinaryIO, *, sample_rate: int, format: str = "wav") -> Iterator[Writer]:
    """Yield a writer to a pipe such as sys.stdout.buffer, at `sample_rate` in Hz.

    wav and raw are sent piece by piece; flac and ogg are sent when the body has succeeded, because their encoders
    need to seek. Raises BrokenPipeError when the reader has closed the pipe.
    """
    if format not in SNDFILE_FORMATS:
        yield _PcmEncoder(pipe, sample_rate, header=format == "wav")
        return
    with tempfile.TemporaryFile() as file:
        encoder = new_encoder(file, format, sample_rate=sample_rate)
        try:
            yield encoder
        finally:  # on errors, too: libsndfile holds the descriptor
            encoder.finish()
        file.seek(0)
        shutil.copyfileobj(file, pipe)
        pipe.flush()
