"""Audio files: read anything that libsndfile reads, as mono; write speech, whole or not at all."""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr

from vallecli.audio.stream import Wav, Writer, encoder_into
from vallecli.errors import AudioNotFound, DamagedAudio, NotAudio, OutputExists, OutputNotWritable, UsageError

FORMATS = {".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".raw": "raw"}  # file ending -> format
RATES = range(4_000, 768_001)  # sample rates that recorders have; others are damaged headers
BLOCK = 1 << 20  # samples read at once, over all channels: 4 MB
PIPE_BYTES = 1 << 28  # most that is read from a pipe, which cannot be rewound: 256 MB


def read(path: str | os.PathLike[str], *, sample_rate: int, max_seconds: float | None = None) -> Wav:
    """Return an audio file as mono float32 (N,) at `sample_rate`: the mean of its channels, resampled by soxr.

    Of a file longer than `max_seconds` only that much is read. Raises AudioNotFound if it cannot be opened, NotAudio
    if libsndfile finds no audio in it, and DamagedAudio for samples that are NaN or infinite.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            source = file.fileno() if file.seekable() else io.BytesIO(file.read(PIPE_BYTES))
            with soundfile.SoundFile(source, closefd=False) as sound:
                rate = sound.samplerate
                if rate not in RATES:
                    raise NotAudio(path, f"its sample rate is given as {rate} Hz")
                frames = sound.frames if max_seconds is None else min(sound.frames, int(max_seconds * rate))
                mono_N = _read_mono(sound, frames)
    except OSError as error:
        raise AudioNotFound(path, _reason(error)) from error
    except soundfile.LibsndfileError as error:
        raise NotAudio(path, _reason(error)) from error
    if len(mono_N) == 0:
        raise NotAudio(path, "it holds no samples")
    if not np.isfinite(mono_N).all():
        raise DamagedAudio(path)
    return mono_N if rate == sample_rate else soxr.resample(mono_N, rate, sample_rate, quality="HQ")


def _read_mono(sound: Any, frames: int) -> Wav:
    """Return the mean over channels (N,), N up to `frames`, with only a block of all channels in memory at a time."""
    blocks = [np.zeros(0, np.float32)]
    while frames > 0:
        block = sound.read(min(frames, max(1, BLOCK // sound.channels)), dtype="float32", always_2d=True)
        if len(block) == 0:  # the header promised more than there is
            break
        blocks.append(block.mean(axis=1))
        frames -= len(block)
    return np.concatenate(blocks)


def _reason(error: OSError | soundfile.LibsndfileError) -> str:
    """Return what went wrong, fit for the middle of a sentence."""
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else error.strerror or str(error)
    return str(text).rstrip(".").lower()


def format_of(path: Path) -> str:
    """Return the format that a file's ending names, or raise UsageError."""
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UsageError(
            f"{path}: the ending {path.suffix or '(none)'} names no format that can be written",
            f"End the name in {', '.join(FORMATS)}.",
        )
    return form


def check_writable(path: Path, *, force: bool) -> None:
    """Raise OutputExists or OutputNotWritable if a file cannot be put there."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise OutputNotWritable(path, _reason(error)) from error
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise OutputNotWritable(path, "it is a folder")
        if not stat.S_ISREG(mode):  # renaming onto it would replace it
            raise OutputNotWritable(path, "it is not a file but a device or a pipe")
        if not force:
            raise OutputExists(path)
    if not path.parent.is_dir():
        raise OutputNotWritable(path, f"there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputNotWritable(path, f"the folder {path.parent} is read-only")


class _Named:
    """An encoder whose troubles carry the name of the file that was asked for."""

    def __init__(self, file: BinaryIO, form: str, path: Path, sample_rate: int) -> None:
        self.path = path
        with _naming(path):
            self.encoder = encoder_into(file, form, sample_rate=sample_rate)

    def write(self, wav_N: Wav) -> None:
        with _naming(self.path):
            self.encoder.write(wav_N)

    def finish(self) -> None:
        with _naming(self.path):
            self.encoder.finish()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, soundfile.LibsndfileError) as error:
        raise OutputNotWritable(path, _reason(error)) from error


@contextmanager
def open_output(
    path: str | os.PathLike[str], *, sample_rate: int, form: str | None = None, force: bool = False
) -> Iterator[Writer]:
    """Give a writer of pieces to a file that appears, whole, when the body has ended well, and not otherwise.

    The format is that of the file's ending, or `form`: wav, flac, ogg or raw. The pieces go to a temporary file in the
    same folder, which is renamed at the end and removed on any exception, Ctrl-C too. Raises OutputExists (without
    `force`), OutputNotWritable, or UsageError for an unknown ending.
    """
    path = Path(path)
    form = form or format_of(path)
    check_writable(path, force=force)
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary = target.with_name(f".valle-{secrets.token_hex(8)}.part")
    try:
        with _naming(path):
            file = temporary.open("x+b")
        try:
            encoder = _Named(file, form, path, sample_rate)
            try:
                yield encoder
            except BaseException:
                with suppress(Exception):
                    encoder.finish()  # libsndfile has to let go of the descriptor before it is closed
                raise
            encoder.finish()
            with _naming(path):
                file.flush()
                os.fsync(file.fileno())  # a loss of power must not leave an empty file under this name
        finally:
            with suppress(OSError):  # it would try once more to write what could not be written
                file.close()
        if not force and target.exists():  # it came while we were busy
            raise OutputExists(path)
        with _naming(path):
            temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write(
    path: str | os.PathLike[str], wav_N: Wav, *, sample_rate: int, form: str | None = None, force: bool = False
) -> None:
    """Write float audio (N,) in -1..1 to a file; see `open_output` for formats and errors."""
    with open_output(path, sample_rate=sample_rate, form=form, force=force) as out:
        out.write(wav_N)
