"""Films: their length, and a copy with one more track of speech. All other streams are copied as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np

from vallecli import inputs
from vallecli.atomic import replace_file
from vallecli.audio.encoders import ENCODER_BLOCK
from vallecli.audio.ffmpeg import BIT_RATES, DECODERS, SeekableOutput, Unreadable, open_media
from vallecli.audio.files import check_writable
from vallecli.audio.guard import Guard
from vallecli.audio.pcm import Wav, pcm16
from vallecli.errors import FilmError, OutputExists, OutputNotWritable, UsageError

MAX_HOURS = 100  # of a film
LEAD = 1.0  # seconds by which the speech is written before the pictures of the same time
# To find out what is in a film, FFmpeg decodes its first pictures.
FILM_DECODERS = (*DECODERS, "h264", "hevc", "mpeg4", "mpeg2video", "vp8", "vp9", "libdav1d", "av1", "mjpeg", "png")
# File ending -> container, encoder, its format, options of the container. FLAC has no delay in Matroska.
CONTAINERS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    ".mp4": ("mp4", "aac", "m4a", {"movflags": "+faststart"}),
    ".m4v": ("mp4", "aac", "m4a", {"movflags": "+faststart"}),
    ".mov": ("mov", "aac", "m4a", {"movflags": "+faststart"}),
    ".mkv": ("matroska", "flac", "flac", {}),
    ".webm": ("webm", "libopus", "opus", {}),
}
COPIED = ("video", "audio", "subtitle", "attachment")  # types of streams; others are data of a camera or an editor

OnProgress = Callable[[float], object]


@dataclass(frozen=True)
class Film:
    """A film, from `start` in seconds of its own clock; most films start at 0."""

    path: Path
    seconds: float
    start: float


@dataclass(frozen=True, kw_only=True)
class NewTrack:
    """The speech that is added to a film: blocks (N,) at a sample rate in Hz, and what players show of it."""

    blocks: Iterable[Wav]
    sample_rate: int
    title: str
    language: str | None = None
    """By ISO 639-2, such as eng."""
    comment: str | None = None


def read_film(path: Path) -> Film:
    """Return what is known of a film. Raises FilmError."""
    with _opened(path) as container:
        ends = [
            stream.duration * stream.time_base + (stream.start_time or 0) * stream.time_base
            for stream in container.streams
            if stream.duration is not None and stream.time_base is not None
        ]
        start = max(0.0, (container.start_time or 0) / 1e6)
        seconds = float(max(ends, default=0)) - start if container.duration is None else container.duration / 1e6
        if not container.streams.video:
            raise FilmError(path, "it has no pictures")
        if not 0 < seconds <= MAX_HOURS * 3600:
            raise FilmError(path, "its length is not known" if seconds <= 0 else f"it has more than {MAX_HOURS} hours")
        return Film(path, seconds, start)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield the container of a film. Raises FilmError."""
    try:
        file = inputs.open_regular(path)
    except OSError as error:
        raise FilmError(path, f"it cannot be opened: {_reason(error)}") from error
    with file:
        try:
            with open_media(file, FILM_DECODERS) as (container, _):
                yield container
        except Unreadable as error:
            raise FilmError(path, error.reason) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()


def check_film_output(path: PurePath) -> None:
    """Raise UsageError for a file ending of no film."""
    if path.suffix.lower() not in CONTAINERS:
        raise UsageError(f"{path} is not the name of a film", f"Supported endings: {', '.join(CONTAINERS)}.")


def film_format(path: PurePath) -> str:
    """Return the format of the new track in a film of this name, as in formats.FORMATS."""
    return CONTAINERS[path.suffix.lower()][2]


def add_track(
    film: Film,
    path: Path,
    track: NewTrack,
    *,
    force: bool,
    finish: Callable[[BinaryIO], object] = lambda file: None,
    on_progress: OnProgress = lambda seconds: None,
) -> list[str]:
    """Write a copy of a film with one more track, which becomes its default one; return notes about what is left out.

    The file appears when it is complete; `finish` may read it before. Raises FilmError for a film whose streams the
    container cannot have, OutputExists and OutputNotWritable. Errors of the speech are passed on as they are.
    """
    check_writable(path, force=force)
    with _opened(film.path) as source:
        body_error: BaseException | None = None
        try:
            with replace_file(path, overwrite=force) as file:
                try:
                    notes = _copy(source, file, film, path, track, on_progress)
                    finish(file)
                except BaseException as error:
                    body_error = error
                    raise
        except FileExistsError as error:
            if error is body_error:
                raise
            raise OutputExists(path) from error
        except OSError as error:
            raise OutputNotWritable(path, _reason(error), error.errno) from error
    return notes


def _copy(source: Any, file: BinaryIO, film: Film, path: Path, track: NewTrack, on_progress: OnProgress) -> list[str]:
    import av

    guard = Guard(file)
    name, _, _, options = CONTAINERS[path.suffix.lower()]
    output = av.open(
        SeekableOutput(guard),
        "w",
        format=name,
        # Matroska states the delay of an encoder; FFmpeg would delay all other streams by it, too.
        container_options={"fflags": "+bitexact", "avoid_negative_ts": "disabled", **options},
        io_open=lambda url, flags, options: SeekableOutput(guard),
    )
    try:
        with output:
            copies, notes = _add_streams(source, output, film, path)
            speech = _Speech(output, path, track, start=film.start)
            output.metadata.update(_metadata(source.metadata, track))
            output.set_chapters(source.chapters())
            _start(output, film, path)
            for packet in source.demux([source.streams[index] for index in copies]):
                if packet.size == 0:
                    continue  # the end of a stream
                stamp = packet.pts if packet.dts is None else packet.dts
                if stamp is not None and packet.time_base is not None:
                    at = float(stamp * packet.time_base) - film.start
                    speech.write_up_to(at + LEAD)
                    on_progress(min(max(at, 0.0), film.seconds))
                packet.stream = copies[packet.stream.index]
                output.mux_one(packet)
                guard.check()
            speech.finish()
    except av.error.FFmpegError as error:
        guard.check()
        raise FilmError(film.path, f"it cannot be copied: {_reason(error)}", "It may be damaged.") from error
    guard.check()
    return notes


def _start(output: Any, film: Film, path: Path) -> None:
    """Write the header. Raises FilmError."""
    import av

    try:
        output.start_encoding()
    except (av.error.FFmpegError, ValueError) as error:
        raise _unsuitable(film, path) from error


def _unsuitable(film: Film, path: Path) -> FilmError:
    return FilmError(
        film.path,
        f"not all of its streams can be in a file that ends in {path.suffix}",
        f"Choose a name that ends in {film.path.suffix if film.path.suffix.lower() in CONTAINERS else '.mkv'}.",
    )


def _add_streams(source: Any, output: Any, film: Film, path: Path) -> tuple[dict[int, Any], list[str]]:
    """Add a copy of each stream; return them by the number of the original, and notes. Raises FilmError."""
    import av
    from av.stream import Discard, Disposition

    copies: dict[int, Any] = {}
    notes = []
    for stream in source.streams:
        if stream.discard == Discard.all:
            continue  # the titles of chapters in MP4, which are written again
        if stream.type not in COPIED:
            notes.append(f"stream {stream.index} of {film.path} is {stream.type}, which is left out")
            continue
        try:
            copy = output.add_stream_from_template(stream)
        except (av.error.FFmpegError, ValueError) as error:
            raise _unsuitable(film, path) from error
        copy.metadata.update(stream.metadata)
        disposition = Disposition(stream.disposition)
        copy.disposition = disposition & ~Disposition.default if stream.type == "audio" else disposition
        copies[stream.index] = copy
    return copies, notes


def _metadata(found: Mapping[str, str], track: NewTrack) -> dict[str, str]:
    """Return the tags of a film, and that its speech is synthetic; those of its container are written by FFmpeg."""
    own = ("major_brand", "minor_version", "compatible_brands", "encoder")
    tags = {name: value for name, value in found.items() if name.lower() not in own}
    if track.comment is not None:
        before = next((name for name in tags if name.lower() == "comment"), "comment")
        tags[before] = f"{tags[before]}; {track.comment}" if before in tags else track.comment
    return tags


class _Speech:
    """The stream of a new track, whose audio is read as far as the pictures are copied."""

    def __init__(self, output: Any, path: Path, track: NewTrack, *, start: float) -> None:
        from av.stream import Disposition

        _, encoder, format, _ = CONTAINERS[path.suffix.lower()]
        rate = track.sample_rate
        rates = BIT_RATES.get(format, {}).items()
        self.output, self.rate = output, rate
        self.stream = output.add_stream(
            encoder,
            rate=rate,
            layout="mono",
            options={"flags": "+bitexact"},
            **({"bit_rate": next(bits for limit, bits in rates if rate <= limit)} if rates else {}),
        )
        self.stream.disposition = Disposition.default | Disposition.dub
        tags = {"title": track.title, "handler_name": track.title, "language": track.language, "comment": track.comment}
        self.stream.metadata.update({name: value for name, value in tags.items() if value})
        self.blocks = _equal_blocks(track.blocks)
        self.first = round(start * rate)
        self.samples = 0

    def write_up_to(self, seconds: float) -> None:
        """Write the audio up to a time from the begin of the film, if there is any left."""
        while self.samples < seconds * self.rate and (block_N := next(self.blocks, None)) is not None:
            self._write(block_N)

    def finish(self) -> None:
        """Write the rest."""
        for block_N in self.blocks:
            self._write(block_N)
        self.output.mux(self.stream.encode(None))

    def _write(self, block_N: Wav) -> None:
        from av import AudioFrame

        frame = AudioFrame.from_ndarray(np.ascontiguousarray(pcm16(block_N))[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = self.rate, Fraction(1, self.rate)
        frame.pts = self.first + self.samples
        self.samples += len(block_N)
        self.output.mux(self.stream.encode(frame))


def _equal_blocks(blocks: Iterable[Wav]) -> Iterator[Wav]:
    """Yield audio in blocks of one size, whatever those are that it comes in; the last one may be shorter."""
    buffer: list[Wav] = []
    size = 0
    for wav_N in blocks:
        buffer.append(wav_N)
        size += len(wav_N)
        if size >= ENCODER_BLOCK:
            joined_N = np.concatenate(buffer)
            whole = size // ENCODER_BLOCK * ENCODER_BLOCK
            yield from joined_N[:whole].reshape(-1, ENCODER_BLOCK)
            buffer, size = [joined_N[whole:]], size - whole
    if size:
        yield np.concatenate(buffer)
