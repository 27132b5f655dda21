"""Audio files: reads every format of libsndfile as mono; writes complete files or none."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from vallecli.atomic import replace_file
from vallecli.audio.effects import resample
from vallecli.audio.stream import Encoder, Wav, Writer, new_encoder
from vallecli.errors import AudioNotFound, DamagedAudio, NotAudio, OutputExists, OutputNotWritable, UsageError

FORMATS = {".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".raw": "raw"}  # file ending -> format
SAMPLE_RATES = range(4_000, 768_001)  # Hz, of all recorders; others come from damaged headers
READ_BLOCK = 1 << 20  # samples of all channels that are read at once: 4 MiB in float32
MAX_PIPE_BYTES = 1 << 28  # 256 MiB: a pipe cannot be rewound, so it is read into memory


def read_audio(path: str | os.PathLike[str], *, sample_rate: int, max_seconds: float | None = None) -> Wav:
    """Read an audio file as mono float32 (N,) at `sample_rate` in Hz: the mean of its channels, resampled.

    At most `max_seconds` are read. Raises AudioNotFound for a file that cannot be opened, NotAudio for one that
    libsndfile cannot read or that has no samples, and DamagedAudio for samples that are NaN or infinite.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            source = file.fileno() if file.seekable() else io.BytesIO(file.read(MAX_PIPE_BYTES))
            with soundfile.SoundFile(source, closefd=False) as sound:
                file_rate = sound.samplerate
                if file_rate not in SAMPLE_RATES:
                    raise NotAudio(path, f"its header has a sample rate of {file_rate} Hz")
                frames = sound.frames if max_seconds is None else min(sound.frames, int(max_seconds * file_rate))
                mono_N = _read_mono(sound, frames)
    except OSError as error:
        raise AudioNotFound(path, _reason(error)) from error
    except soundfile.LibsndfileError as error:
        raise NotAudio(path, _reason(error)) from error
    if len(mono_N) == 0:
        raise NotAudio(path, "it has no samples")
    if not np.isfinite(mono_N).all():
        raise DamagedAudio(path)
    return resample(mono_N, file_rate, sample_rate)


def _read_mono(sound: Any, frames: int) -> Wav:
    """Return the mean of all channels (N,), N <= frames, with one block of all channels in memory at a time."""
    blocks = [np.zeros(0, np.float32)]
    while frames > 0:
        block = sound.read(min(frames, max(1, READ_BLOCK // sound.channels)), dtype="float32", always_2d=True)
        if len(block) == 0:  # a truncated file has fewer samples than its header states
            break
        blocks.append(block.mean(axis=1))
        frames -= len(block)
    return np.concatenate(blocks)


def _reason(error: OSError | soundfile.LibsndfileError) -> str:
    """Return the reason of an error, in lower case and without a final dot."""
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else error.strerror or str(error)
    return str(text).rstrip(".").lower()


def format_of(path: Path) -> str:
    """Return the output format for a file's ending: wav, flac, ogg or raw. Raises UsageError for another ending."""
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise UsageError(
            f"{path}: unsupported file ending {path.suffix or '(none)'}", f"Supported endings: {', '.join(FORMATS)}."
        )
    return format


def check_writable(path: Path, *, force: bool) -> None:
    """Raise OutputExists or OutputNotWritable if a file cannot be written at `path`."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise OutputNotWritable(path, _reason(error)) from error
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise OutputNotWritable(path, "it is a folder")
        if not stat.S_ISREG(mode):  # the final rename would replace it
            raise OutputNotWritable(path, "it is a device or a pipe")
        if not force:
            raise OutputExists(path)
    if not path.parent.is_dir():
        raise OutputNotWritable(path, f"the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputNotWritable(path, f"the folder {path.parent} is read-only")


class _NamedWriter:
    """A writer that raises OutputNotWritable with the path of the output, not of the temporary file."""

    def __init__(self, encoder: Encoder, path: Path) -> None:
        self.encoder, self.path = encoder, path

    def write(self, wav_N: Wav) -> None:
        try:
            self.encoder.write(wav_N)
        except (OSError, soundfile.LibsndfileError) as error:
            raise OutputNotWritable(self.path, _reason(error)) from error


@contextmanager
def open_output(
    path: str | os.PathLike[str], *, sample_rate: int, format: str | None = None, force: bool = False
) -> Iterator[Writer]:
    """Yield a writer to a file that appears when the body has succeeded; see `atomic.replace_file`.

    `sample_rate` is in Hz. The format is `format` (wav, flac, ogg or raw) or that of the file's ending. Raises
    OutputExists without `force`, also for a file that appeared during the body; OutputNotWritable; and UsageError for
    an unknown ending. Errors of the body are passed on as they are.
    """
    path = Path(path)
    format = format or format_of(path)
    check_writable(path, force=force)
    body_error: BaseException | None = None
    try:
        with replace_file(path, overwrite=force) as file:
            encoder = new_encoder(file, format, sample_rate=sample_rate)
            try:
                yield _NamedWriter(encoder, path)
            except BaseException as error:
                body_error = error
                with suppress(Exception):
                    encoder.finish()  # libsndfile has to release the descriptor before the file is closed
                raise
            encoder.finish()
    except (OSError, soundfile.LibsndfileError) as error:
        if error is body_error:
            raise
        if isinstance(error, FileExistsError):
            raise OutputExists(path) from error
        raise OutputNotWritable(path, _reason(error)) from error


def write_audio(
    path: str | os.PathLike[str], wav_N: Wav, *, sample_rate: int, format: str | None = None, force: bool = False
) -> None:
    """Write float audio (N,) in -1..1 to a file; see `open_output` for formats and errors."""
    with open_output(path, sample_rate=sample_rate, format=format, force=force) as output:
        output.write(wav_N)
