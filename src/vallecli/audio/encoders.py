"""Encoders of all formats. What they wrote is decoded again: an encoder can fail without an error on a full disk."""

from __future__ import annotations

import errno
from contextlib import closing
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from vallecli.audio import ogg
from vallecli.audio.decode import SndfileSource
from vallecli.audio.ffmpeg import ENCODERS, FfmpegEncoder, FfmpegSource, Unreadable
from vallecli.audio.formats import FORMATS
from vallecli.audio.guard import Guard
from vallecli.audio.labels import Labels
from vallecli.audio.pcm import Encoder, PcmEncoder, Wav, check_count, pcm16
from vallecli.audio.provenance import SOFTWARE, Provenance

SNDFILE_FORMATS = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}  # format -> container, subtype
SNDFILE_TAGS = {"track": "tracknumber"}  # names of tags -> libsndfile's, where that is another one
COMPRESSED = (*SNDFILE_FORMATS, *ENCODERS)  # formats whose encoders need to seek
OGG_SERIAL = 1  # stream number; any constant works
# Samples per call of an encoder: libsndfile's Vorbis encoder copies a whole call to the stack, and its output depends
# on how the samples are divided into calls.
ENCODER_BLOCK = 24_000


class _SndfileEncoder:
    """FLAC or Ogg Vorbis by libsndfile, from 16-bit samples."""

    def __init__(
        self, file: BinaryIO, format: str, sample_rate: int, provenance: Provenance | None, labels: Labels | None
    ) -> None:
        self.file, self.guard = file, Guard(file)
        self.container, subtype = SNDFILE_FORMATS[format]
        self.sound: Any = soundfile.SoundFile(self.guard, "w", sample_rate, 1, subtype, format=self.container)
        if provenance is not None:
            self.sound.comment, self.sound.software = provenance.statement, SOFTWARE
            self.sound.date = provenance.date
        for name, value in ({} if labels is None else labels.tags).items():
            setattr(self.sound, SNDFILE_TAGS.get(name, name), value)
        self.guard.check()

    def write(self, samples_N: npt.NDArray[np.int16]) -> None:
        try:
            self.sound.write(samples_N)
        except (soundfile.LibsndfileError, AssertionError) as error:  # the latter if it wrote fewer samples
            raise self.guard.error or OSError(errno.EIO, str(error)) from error
        self.guard.check()

    def finish(self) -> None:
        self.sound.close()
        self.guard.check()
        if self.container == "OGG":
            ogg.set_serial(self.file, OGG_SERIAL)
        self.file.flush()


class _CompressedEncoder:
    """Float audio in any pieces to an encoder of 16-bit samples in blocks of one size."""

    def __init__(
        self, file: BinaryIO, format: str, sample_rate: int, provenance: Provenance | None, labels: Labels | None
    ) -> None:
        self.file, self.format, self.sample_rate = file, format, sample_rate
        self.samples = 0
        self.buffer_N = np.zeros(0, np.int16)
        kind = _SndfileEncoder if format in SNDFILE_FORMATS else FfmpegEncoder
        self.encoder: _SndfileEncoder | FfmpegEncoder = kind(file, format, sample_rate, provenance, labels)

    def write(self, wav_N: Wav) -> None:
        samples_N = np.concatenate([self.buffer_N, pcm16(wav_N)])
        whole = len(samples_N) // ENCODER_BLOCK * ENCODER_BLOCK
        for block_N in samples_N[:whole].reshape(-1, ENCODER_BLOCK):
            self.encoder.write(block_N)
        self.buffer_N = samples_N[whole:]
        self.samples += len(wav_N)

    def finish(self) -> None:
        try:
            if len(self.buffer_N):
                self.encoder.write(self.buffer_N)
        finally:
            self.encoder.finish()
        self.file.flush()

    def check(self) -> None:
        if self.samples == 0:  # not every decoder reads a file without samples
            return
        source = (SndfileSource if self.format in SNDFILE_FORMATS else FfmpegSource)(self.file)
        found = 0.0
        try:
            with closing(source.blocks()) as blocks:
                for rate, samples_NC in blocks:
                    found += len(samples_NC) * self.sample_rate / rate  # Opus is always decoded at 48 kHz
        except Unreadable as error:
            raise OSError(errno.EIO, f"the file cannot be decoded, {error.reason}") from error
        check_count(round(found), self.samples, "samples", extra=FORMATS[self.format].extra_frames)


def new_encoder(
    file: BinaryIO,
    format: str,
    *,
    sample_rate: int,
    header: bool,
    provenance: Provenance | None = None,
    labels: Labels | None = None,
) -> Encoder:
    """Return an encoder of a format in formats.FORMATS to an empty file, open for reading, writing and seeking.

    `header` is whether samples without compression follow a WAV header; without one, they have no provenance
    and no labels.
    """
    if format in COMPRESSED:
        return _CompressedEncoder(file, format, sample_rate, provenance, labels)
    return PcmEncoder(file, format, sample_rate, header=header, provenance=provenance, labels=labels)
