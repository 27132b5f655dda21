"""Audio in pieces as bytes that can be sent at once, in any format with an encoder that need not seek."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

from vallecli.audio.ffmpeg import STREAM_ENCODERS, FfmpegEncoder
from vallecli.audio.formats import check_rate, has_header
from vallecli.audio.pcm import PcmEncoder, Wav, pcm16
from vallecli.audio.provenance import Provenance

MEDIA_TYPES = {  # format -> the media type of its stream
    "wav": "audio/wav",
    "raw": "audio/pcm",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "m4a": "audio/aac",
    "flac": "audio/flac",
}


class _Pipe(io.RawIOBase):
    """A file that keeps what is written to it until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self._data += cast(bytes, data)
        return len(cast(bytes, data))

    def take(self) -> bytes:
        taken = bytes(self._data)
        self._data.clear()
        return taken


class ChunkEncoder:
    """Float audio in, bytes out: what has been encoded so far.

    WAV and raw are the bytes of `stream.open_stream`. MP3, Opus and FLAC have no length in their header, and m4a is AAC
    in ADTS frames.
    """

    def __init__(self, format: str, *, sample_rate: int, provenance: Provenance | None) -> None:
        """`format` is one of MEDIA_TYPES. Raises UsageError for a sample rate in Hz that it does not have."""
        check_rate(format, sample_rate)
        self._pipe = _Pipe()
        pipe = cast(BinaryIO, self._pipe)
        self._ffmpeg: FfmpegEncoder | None = None
        self._pcm: PcmEncoder | None = None
        if format in STREAM_ENCODERS:
            self._ffmpeg = FfmpegEncoder(pipe, format, sample_rate, provenance, stream=True)
        else:
            header = has_header(format, None)
            self._pcm = PcmEncoder(pipe, format, sample_rate, header=header, provenance=provenance)

    def encode(self, wav_N: Wav) -> bytes:
        """Return the bytes of float audio (N,), and what was buffered before; a little may stay in the encoder."""
        if self._ffmpeg is not None:
            self._ffmpeg.write(pcm16(wav_N))
        elif self._pcm is not None:
            self._pcm.write(wav_N)
        return self._pipe.take()

    def finish(self) -> bytes:
        """Return the rest; the encoder cannot be used any more."""
        if self._ffmpeg is not None:
            self._ffmpeg.finish()
        return self._pipe.take()
