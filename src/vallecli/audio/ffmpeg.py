"""FFmpeg through PyAV: reads what phones record, and writes MP3, Opus and AAC. PyAV is imported at the first use.

FFmpeg can open much more than recordings: playlists and session descriptions that name other files and servers. Only
the formats listed here are opened, from an open file, and no demuxer may open anything else.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vallecli.audio import mp4
from vallecli.audio.guard import Guard
from vallecli.audio.labels import Chapter, Labels, chapter_comments, cover_codec
from vallecli.audio.provenance import Provenance
from vallecli.errors import DependencyMissing

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Samples = npt.NDArray[np.float32]
Blocks = Generator[tuple[int, Samples], None, None]
"""Blocks of audio: the sample rate in Hz, and float samples (N, channels)."""

# Recorders, phones, messengers, cameras and meeting programs write these. None of them refers to other files.
DEMUXERS = (
    *("mov", "matroska", "ogg", "aac", "amr", "caf", "asf", "flv", "avi", "mpegts", "mp3", "flac", "wv"),
    *("wav", "w64", "aiff", "au"),
)
DECODERS = (
    *("aac", "aac_latm", "alac", "amrnb", "amrwb", "ac3", "eac3", "opus", "vorbis", "flac", "speex", "libspeex"),
    *("mp3", "mp3float", "mp2", "mp2float", "wmav1", "wmav2", "wmapro", "wmalossless", "wavpack", "g722"),
    *("gsm", "gsm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_ms", "pcm_mulaw", "pcm_alaw", "pcm_u8", "pcm_s8"),
    *("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"),
    *("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be"),
)
NO_PROTOCOL = "none"  # FFmpeg takes an empty list for "any protocol"
MAX_BAD_PACKETS = 0.25  # of all packets; with more, a file counts as damaged
INTEGERS = {"u1": (128, 2.0**7), "i2": (0, 2.0**15), "i4": (0, 2.0**31)}  # sample type -> (offset, full scale)

# format -> container, encoder, options of the container
ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "mp3": ("mp3", "libmp3lame", {}),
    "opus": ("ogg", "libopus", {}),
    "m4a": ("ipod", "aac", {"movflags": "+faststart"}),  # the index first: a pipe cannot be rewound
    "m4b": ("mp4", "aac", {"movflags": "+faststart", "brand": "M4B "}),  # in PyAV, ipod has no covers
}
MP4 = ("m4a", "m4b")
WITH_COVER = ("mp3", "m4b")
PIXEL_FORMATS = {
    "mjpeg": "yuvj420p",
    "png": "rgb24",
}  # codec of a cover -> what its encoder needs, though it is not used
COVER_SIZE = 16  # pixels: players read the size from the image itself
AUDIOBOOK = "2"  # in the field stik of MP4, FFmpeg's tag media_type
# The same for a stream that cannot seek. AAC is then in ADTS frames, without MP4; FLAC states no length.
STREAM_ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "mp3": ("mp3", "libmp3lame", {}),
    "opus": ("ogg", "libopus", {"page_duration": "200000"}),  # microseconds that are sent at once
    "m4a": ("adts", "aac", {"write_id3v2": "1"}),  # for the tags
    "flac": ("flac", "flac", {}),
}
# format -> bits per second for sample rates up to a limit in Hz. Speech in mono is transparent or nearly so.
BIT_RATES = {
    "mp3": {12_000: 32_000, 24_000: 64_000, 48_000: 96_000},
    "m4a": {12_000: 32_000, 24_000: 64_000, 48_000: 96_000},
    "m4b": {12_000: 32_000, 24_000: 64_000, 48_000: 96_000},
    "opus": {12_000: 24_000, 16_000: 32_000, 48_000: 48_000},
}


class Unreadable(Exception):
    """The reason why a file, or the rest of it, cannot be decoded."""

    def __init__(self, reason: str, *, known: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.known = known
        """Whether the file is audio in a known format."""


def import_av() -> Any:
    """Return the module av. Raises DependencyMissing."""
    try:
        import av
    except ImportError as error:
        raise DependencyMissing(f"this audio format needs PyAV: {error}", "Run: pip install av") from error
    return av


class _Input:
    """The part of an open file that demuxers use: PyAV would pass on its name, whose ending can be misleading."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Return the new position, or for one that no file has, as in damaged files, an error as FFmpeg expects it."""
        try:
            return self.file.seek(offset, whence)
        except (OSError, ValueError):
            return -errno.EINVAL


def _refuse(url: str, flags: int, options: Any) -> Any:
    raise PermissionError(f"a recording must not open other files: {url}")


@contextmanager
def open_media(file: BinaryIO, codecs: Sequence[str]) -> Iterator[tuple[Any, type[Exception]]]:
    """Yield the container in an open file, and the class of FFmpeg's errors; only `codecs` are used.

    Raises Unreadable.
    """
    try:
        av = import_av()
    except DependencyMissing as error:
        raise Unreadable(error.message) from error
    is_mp4 = mp4.is_mp4(file)
    if is_mp4 and not mp4.index_fits(file):
        raise Unreadable("its index is damaged")
    demuxers = [name for name in DEMUXERS if is_mp4 or name != "mov"]  # no index that was not checked
    file.seek(0)
    try:
        container = av.open(
            _Input(file),
            container_options={
                "format_whitelist": ",".join(demuxers),
                "codec_whitelist": ",".join(codecs),
                "protocol_whitelist": NO_PROTOCOL,
            },
            metadata_errors="replace",
            io_open=_refuse,
        )
    except av.error.FFmpegError as error:
        raise Unreadable("it is damaged or incomplete", known=is_mp4) from error
    with closing(container):
        yield container, av.error.FFmpegError


class FfmpegSource:
    """The audio of an open file that FFmpeg can decode."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.damaged = False
        """Whether a part could not be decoded; known at the end of `blocks`."""

    def blocks(self) -> Blocks:
        """Yield (sample rate in Hz, samples (N, channels)) of the first audio stream. Raises Unreadable."""
        with open_media(self.file, DECODERS) as (container, decoding_error):
            yield from self._decode(container, decoding_error)

    def tags(self) -> dict[str, str]:
        """Return the tags of the file and of its first audio stream, names in lower case. Raises Unreadable."""
        with open_media(self.file, DECODERS) as (container, _):
            stream = container.streams.best("audio")
            found = {**container.metadata, **({} if stream is None else stream.metadata)}
        return {name.lower(): value for name, value in found.items()}

    def _decode(self, container: Any, decoding_error: type[Exception]) -> Blocks:
        stream = container.streams.best("audio")
        if stream is None:
            raise Unreadable("it has no audio")
        codec = None if stream.codec_context is None else stream.codec_context.codec.name
        if codec not in DECODERS:
            raise Unreadable(f"its audio is in an unsupported format{f', {codec}' if codec else ''}")
        rate = None
        good = bad = 0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)  # None also after an error: the file cannot be read further
                if packet is None:
                    break
                frames = packet.decode()
            except decoding_error:
                bad += 1
                continue
            good += 1
            for frame in frames:
                rate = rate or frame.sample_rate
                if frame.sample_rate != rate:
                    raise Unreadable(f"its sample rate changes from {rate} to {frame.sample_rate} Hz")
                yield rate, _samples(frame)
        self.damaged = bad > 0
        if bad > MAX_BAD_PACKETS * (good + bad):
            raise Unreadable(f"it is damaged: {bad} of {good + bad} blocks cannot be decoded")


def _samples(frame: AudioFrame) -> Samples:
    """Return the samples of a decoded frame as float (N, channels). Raises Unreadable."""
    try:
        array = frame.to_ndarray()
    except (KeyError, ValueError) as error:
        raise Unreadable(f"its samples have an unsupported type, {frame.format.name}") from error
    samples_NC = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    if samples_NC.dtype.kind == "f":
        return samples_NC.astype(np.float32)
    offset, full_scale = INTEGERS[samples_NC.dtype.str[1:]]
    return ((samples_NC.astype(np.float64) - offset) / full_scale).astype(np.float32)


class SeekableOutput:
    """A view of an output file with its own position: to move the index to the front, a file is read and written."""

    def __init__(self, file: Guard) -> None:
        self.file = file
        self.position = 0

    @property
    def closed(self) -> bool:
        """Return whether the file is closed."""
        return self.file.closed

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        self.file.seek(self.position, os.SEEK_SET)
        data = self.file.read(size)
        self.position += len(data)
        return data

    def write(self, data: bytes) -> int:
        """Return the number of bytes, which are written or lost to an error of the file."""
        self.file.seek(self.position, os.SEEK_SET)
        self.file.write(data)
        self.position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Return the new position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.position}.get(whence)
        self.position = offset + (self.file.seek(0, os.SEEK_END) if start is None else start)
        return self.position

    def tell(self) -> int:
        """Return the position."""
        return self.position


class _Stream:
    """An output that FFmpeg can only write to."""

    def __init__(self, file: Guard) -> None:
        self._file = file
        self.write = file.write

    @property
    def closed(self) -> bool:
        return self._file.closed


def bit_rate(format: str, sample_rate: int) -> int:
    """Return the bits per second of a format in BIT_RATES at a sample rate in Hz."""
    return next(rate for limit, rate in BIT_RATES[format].items() if sample_rate <= limit)


class FfmpegEncoder:
    """MP3, Opus, AAC or FLAC from 16-bit samples, to a file that is open for reading, writing and seeking, or a stream.

    Equal samples give equal bytes: the containers have no random numbers, and no date except for that of `provenance`.
    """

    def __init__(
        self,
        file: BinaryIO,
        format: str,
        sample_rate: int,
        provenance: Provenance | None,
        labels: Labels | None = None,
        *,
        stream: bool = False,
    ) -> None:
        """Begin a file of ENCODERS or, with `stream`, one of STREAM_ENCODERS: then `file` needs only to be writable."""
        av = import_av()
        labels = labels or Labels()
        self.encoding_error = av.error.FFmpegError
        self.guard = Guard(file)
        container, encoder, options = (STREAM_ENCODERS if stream else ENCODERS)[format]
        self.sample_rate = sample_rate
        self.time_base = Fraction(1, sample_rate)
        self.samples = 0
        if format in MP4 and not stream:
            options = {**options, "movie_timescale": str(sample_rate)}  # else the duration is rounded to milliseconds
        self.container = av.open(
            _Stream(self.guard) if stream else SeekableOutput(self.guard),
            "w",
            format=container,
            container_options={"fflags": "+bitexact", **options},
            io_open=lambda url, flags, options: SeekableOutput(self.guard),
        )
        tags = {**({} if provenance is None else provenance.tags), **labels.tags}
        if format == "m4b":
            tags["media_type"] = AUDIOBOOK
        lossy = {"bit_rate": bit_rate(format, sample_rate)} if format in BIT_RATES else {}
        self.stream = self.container.add_stream(
            encoder, rate=sample_rate, layout="mono", options={"flags": "+bitexact"}, **lossy
        )
        if format == "opus":
            tags |= chapter_comments(labels.chapters, sample_rate)
        self.container.metadata.update(tags)
        if labels.chapters and format != "opus":
            self.container.set_chapters(
                [self._chapter(index, chapter) for index, chapter in enumerate(labels.chapters)]
            )
        image = labels.cover if format in WITH_COVER else None
        cover = None if image is None else self._cover_stream(image)
        self.container.start_encoding()  # also for audio without samples
        if image is not None and cover is not None:
            self._write_cover(cover, image)
        self.guard.check()

    def _chapter(self, index: int, chapter: Chapter) -> dict[str, Any]:
        return {
            "id": index,
            "start": chapter.start,
            "end": chapter.end,
            "time_base": self.time_base,
            "metadata": {"title": chapter.title},
        }

    def _cover_stream(self, image: bytes) -> Any:
        """Add a stream of one image, which players show as the cover; None for an image of another kind."""
        from av.stream import Disposition

        codec = cover_codec(image)
        if codec is None:
            return None
        stream = self.container.add_stream(codec, rate=1)
        stream.width = stream.height = COVER_SIZE
        stream.pix_fmt = PIXEL_FORMATS[codec]
        stream.disposition = Disposition.attached_pic.value
        return stream

    def _write_cover(self, stream: Any, image: bytes) -> None:
        from av.packet import Packet

        packet = Packet(image)
        packet.stream, packet.time_base, packet.pts, packet.dts, packet.is_keyframe = stream, self.time_base, 0, 0, True
        with self._errors():
            self.container.mux(packet)

    def write(self, samples_N: npt.NDArray[np.int16]) -> None:
        """Encode samples (N,); the last ones may be written by `finish`."""
        from av import AudioFrame

        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples_N)[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = self.sample_rate, self.time_base, self.samples
        self.samples += len(samples_N)
        with self._errors():
            self.container.mux(self.stream.encode(frame))

    def finish(self) -> None:
        """Write what is buffered and the index; the file stays open."""
        with self._errors():
            try:
                self.container.mux(self.stream.encode(None))
            finally:
                self.container.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise errors of the body and of the file as OSError."""
        try:
            yield
        except self.encoding_error as error:
            raise self.guard.error or OSError(errno.EIO, error.strerror) from error
        self.guard.check()
