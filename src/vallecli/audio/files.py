"""Audio files: reads recordings in any common format as mono; writes complete files or none."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vallecli import inputs
from vallecli.atomic import replace_file
from vallecli.audio.decode import Decoded, decode
from vallecli.audio.effects import resample
from vallecli.audio.encoders import new_encoder
from vallecli.audio.ffmpeg import Unreadable
from vallecli.audio.formats import check_rate, format_of, has_header
from vallecli.audio.labels import Labels
from vallecli.audio.pcm import Encoder, Wav, Writer
from vallecli.audio.provenance import Provenance
from vallecli.errors import AudioNotFound, DamagedAudio, NotAudio, OutputExists, OutputNotWritable

LARGEST = 1e12  # full scale is 1; above this, squares and filters overflow in float32
MAX_PIPE_BYTES = 1 << 28  # 256 MiB: a pipe cannot be rewound, so it is read into memory


@dataclass(frozen=True)
class Recording:
    """A recording as mono float32 audio (N,), and messages for the user about its defects."""

    wav: Wav
    notes: tuple[str, ...] = ()


def read_recording(path: str | os.PathLike[str], *, sample_rate: int, max_seconds: float | None = None) -> Recording:
    """Read an audio file as mono float32 (N,) at `sample_rate` in Hz: the mean of its channels, resampled.

    At most `max_seconds` are read. Of channels that cancel each other out, only the strongest is used. Raises
    AudioNotFound for a file that cannot be opened, NotAudio for one that cannot be decoded or that has no samples, and
    DamagedAudio for samples that are NaN, infinite or absurdly large.
    """
    path = Path(path)
    try:
        with inputs.open_input(path) as file:
            source = file if file.seekable() else io.BytesIO(file.read(MAX_PIPE_BYTES))
            return decode_recording(source, path, sample_rate=sample_rate, max_seconds=max_seconds)
    except OSError as error:
        raise AudioNotFound(path, _reason(error)) from error


def decode_recording(
    file: BinaryIO, name: str | os.PathLike[str], *, sample_rate: int, max_seconds: float | None = None
) -> Recording:
    """Decode an open file that can seek, which messages call `name`; see `read_recording`, also for the errors."""
    try:
        decoded = decode(file, max_seconds=max_seconds)
    except Unreadable as error:
        raise NotAudio(name, error.reason) from error
    if not (np.abs(decoded.wav_N) <= LARGEST).all():
        raise DamagedAudio(name)
    return Recording(resample(decoded.wav_N, decoded.sample_rate, sample_rate), tuple(_notes(decoded, name)))


def _notes(decoded: Decoded, path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield messages about the defects of a recording."""
    if decoded.unfinished:
        yield f"the header of {path} states no length: the file is read to its end"
    if decoded.damaged:
        yield f"{path} is incomplete or damaged: only what can be decoded is used"
    if decoded.channel is not None:
        yield f"the channels of {path} cancel each other out: only channel {decoded.channel + 1} is used"
    if decoded.clipped:
        yield f"{path} is clipped: it was recorded too loud, and the voice may sound distorted"


def read_audio(path: str | os.PathLike[str], *, sample_rate: int, max_seconds: float | None = None) -> Wav:
    """Return the audio of `read_recording` without its notes."""
    return read_recording(path, sample_rate=sample_rate, max_seconds=max_seconds).wav


def _reason(error: OSError) -> str:
    """Return the reason of an error, in lower case and without a final dot."""
    return str(error.strerror or error).rstrip(".").lower()


def check_writable(path: Path, *, force: bool) -> None:
    """Raise OutputExists or OutputNotWritable if a file cannot be written at `path`."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise OutputNotWritable(path, _reason(error), error.errno) from error
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
        except OSError as error:
            raise OutputNotWritable(self.path, _reason(error), error.errno) from error


@contextmanager
def open_output(
    path: str | os.PathLike[str],
    *,
    sample_rate: int,
    format: str | None = None,
    force: bool = False,
    follow_links: bool = True,
    provenance: Provenance | None = None,
    labels: Labels | None = None,
    finish: Callable[[BinaryIO], object] | None = None,
) -> Iterator[Writer]:
    """Yield a writer to a file that appears when the body has succeeded; see `atomic.replace_file`, also for links.

    `sample_rate` is in Hz. The format is `format` (a name in formats.FORMATS) or that of the file's ending; ulaw and
    alaw have a WAV header in a file that ends in .wav. `provenance` and `labels` become tags. The finished file is
    decoded, and `finish` may change it, before it appears. Raises OutputExists without `force`, also for a file that
    appeared during the body; OutputNotWritable; and UsageError for an unknown ending or a sample rate that the format
    does not have. Errors of the body are passed on as they are.
    """
    path = Path(path)
    format = format or format_of(path)
    check_rate(format, sample_rate)
    check_writable(path, force=force)
    body_error: BaseException | None = None
    try:
        with replace_file(path, overwrite=force, follow_links=follow_links) as file:
            header = has_header(format, path)
            encoder = new_encoder(
                file, format, sample_rate=sample_rate, header=header, provenance=provenance, labels=labels
            )
            try:
                yield _NamedWriter(encoder, path)
            except BaseException as error:
                body_error = error
                with suppress(Exception):
                    encoder.finish()  # releases the encoder before the file is closed
                raise
            encoder.finish()
            encoder.check()
            if finish is not None:
                finish(file)
    except OSError as error:
        if error is body_error:
            raise
        if isinstance(error, FileExistsError):
            raise OutputExists(path) from error
        raise OutputNotWritable(path, _reason(error), error.errno) from error


def write_audio(
    path: str | os.PathLike[str], wav_N: Wav, *, sample_rate: int, format: str | None = None, force: bool = False
) -> None:
    """Write float audio (N,) in -1..1 to a file; see `open_output` for formats and errors."""
    with open_output(path, sample_rate=sample_rate, format=format, force=force) as output:
        output.write(wav_N)
