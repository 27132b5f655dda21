"""Speech out, piece by piece: 16-bit samples as WAV, FLAC, OGG or raw, into a file or down a pipe."""

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

SAMPLE_BYTES = 2  # 16 bits
HEADER_BYTES = 44  # RIFF, fmt and data headers
# A pipe's header is gone before its length is known. This is what sox writes then: sox, ffmpeg, libsndfile and Python's
# wave module all read on to the end; 0 means an empty file to most, and 0xFFFFFFFF makes sox warn.
UNKNOWN_BYTES = 0x7FFFF000
SUBTYPES = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}  # format -> libsndfile's names for it
OGG_SERIAL = 1  # any number will do
# Samples encoded at once: Vorbis needs a whole call on the stack in libsndfile, and its bytes depend on the calls.
BLOCK = 24_000


class Writer(Protocol):
    """Where pieces of audio go."""

    def write(self, wav_N: Wav) -> None:
        """Add float audio (N,) in -1..1; what lies beyond is clipped."""


class Encoder(Writer, Protocol):
    """A writer into a file that has something left to do at the end."""

    def finish(self) -> None:
        """Write what comes last; the file itself stays open."""


def pcm16(wav_N: Wav) -> npt.NDArray[np.int16]:
    """Given float audio (N,), return 16-bit samples (N,), clipped to their range and never wrapped.

    Raises VallecliError for NaN and infinite samples, which only a model whose numbers overflow can make.
    """
    if not np.isfinite(wav_N).all():
        raise VallecliError("the audio that was made holds samples that are NaN or infinite", "Try --dtype float32.")
    samples: npt.NDArray[np.int16] = np.clip(np.rint(wav_N * 32767.0), -32768, 32767).astype("<i2")
    return samples


def wav_header(data_bytes: int, sample_rate: int) -> bytes:
    """Return the 44 bytes that begin a WAV file of mono 16-bit samples."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", data_bytes + HEADER_BYTES - 8, b"WAVE"),
        *(b"fmt ", 16, 1, 1, sample_rate, sample_rate * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES),
        *(b"data", data_bytes),
    )


class _Samples:
    """16-bit little-endian samples, after a WAV header if one is wanted; every piece is sent at once."""

    def __init__(self, file: BinaryIO, sample_rate: int, *, header: bool) -> None:
        self.file, self.sample_rate = file, sample_rate
        self.header = header
        self.data_bytes = 0
        if header:
            file.write(wav_header(UNKNOWN_BYTES, sample_rate))
            file.flush()  # a player at the other end may open its window

    def write(self, wav_N: Wav) -> None:
        data = pcm16(wav_N).tobytes()
        self.file.write(data)
        self.file.flush()
        self.data_bytes += len(data)

    def finish(self) -> None:
        """Put the length, now that it is known, into the header of a file."""
        if self.header and self.data_bytes < UNKNOWN_BYTES:
            self.file.seek(0)
            self.file.write(wav_header(self.data_bytes, self.sample_rate))


class _Compressed:
    """FLAC or Ogg Vorbis by libsndfile, into a real file."""

    def __init__(self, file: BinaryIO, form: str, sample_rate: int) -> None:
        self.file = file
        self.rest = np.zeros(0, np.int16)
        self.container, subtype = SUBTYPES[form]
        # By descriptor: libsndfile cannot report what goes wrong inside a Python file object.
        self.sound: Any = soundfile.SoundFile(
            file.fileno(), "w", sample_rate, 1, subtype, format=self.container, closefd=False
        )

    def write(self, wav_N: Wav) -> None:
        samples = np.concatenate([self.rest, pcm16(wav_N)])
        whole = len(samples) // BLOCK * BLOCK
        for block in samples[:whole].reshape(-1, BLOCK):
            self.sound.write(block)
        self.rest = samples[whole:]

    def finish(self) -> None:
        try:
            self.sound.write(self.rest)
        finally:
            self.sound.close()
        if self.container == "OGG":
            ogg.set_serial(self.file, OGG_SERIAL)


def encoder_into(file: BinaryIO, form: str, *, sample_rate: int) -> Encoder:
    """Return an encoder of wav, flac, ogg or raw into an empty file that is open for reading, writing and seeking."""
    if form in SUBTYPES:
        return _Compressed(file, form, sample_rate)
    return _Samples(file, sample_rate, header=form == "wav")


@contextmanager
def open_stream(pipe: BinaryIO, *, sample_rate: int, form: str = "wav") -> Iterator[Writer]:
    """Give a writer into a pipe, such as sys.stdout.buffer: wav and raw go out piece by piece, flac and ogg at the end.

    A reader that closes early raises BrokenPipeError, Python's own: `cli/app.py` ends quietly with 141 on it, as
    a shell reports a program that SIGPIPE ended.
    """
    if form not in SUBTYPES:
        yield _Samples(pipe, sample_rate, header=form == "wav")
        return
    with tempfile.TemporaryFile() as file:  # their encoders go back to the start when they are done
        encoder = encoder_into(file, form, sample_rate=sample_rate)
        try:
            yield encoder
        finally:  # whatever happens: libsndfile holds the descriptor
            encoder.finish()
        file.seek(0)
        shutil.copyfileobj(file, pipe)
        pipe.flush()
