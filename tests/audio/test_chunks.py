"""Audio as bytes that can be sent at once: complete, in order, with tags, in formats that other programs decode."""

from __future__ import annotations

import io

import numpy as np
import pytest

from vallecli.audio.chunks import MEDIA_TYPES, ChunkEncoder
from vallecli.audio.decode import decode
from vallecli.audio.ffmpeg import FfmpegSource
from vallecli.audio.pcm import Wav
from vallecli.audio.provenance import Provenance, is_synthetic
from vallecli.audio.stream import open_stream
from vallecli.errors import NotFinite, UsageError

RATE = 24_000  # Hz
PROVENANCE = Provenance("tiny", "2026-11-30")


def tone(seconds: float) -> Wav:
    at = np.arange(round(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * 220 * at)).astype(np.float32)


def encode(format: str, pieces: list[Wav]) -> list[bytes]:
    encoder = ChunkEncoder(format, sample_rate=RATE, provenance=PROVENANCE)
    return [*(encoder.encode(wav_N) for wav_N in pieces), encoder.finish()]


@pytest.mark.parametrize("format", ["wav", "raw"])
def test_samples_are_those_of_a_pipe(format: str) -> None:
    pipe = io.BytesIO()
    with open_stream(pipe, sample_rate=RATE, format=format, provenance=PROVENANCE) as out:
        out.write(tone(1))
        out.write(tone(0.3))
    assert b"".join(encode(format, [tone(1), tone(0.3)])) == pipe.getvalue()


@pytest.mark.parametrize("format", [name for name in MEDIA_TYPES if name != "raw"])
def test_each_piece_can_be_decoded_when_it_is_sent(format: str) -> None:
    pieces = [tone(1), tone(0.7), tone(0.3)]
    chunks = encode(format, pieces)
    assert all(chunks[: len(pieces)])
    whole = decode(io.BytesIO(b"".join(chunks)))
    assert not whole.damaged
    assert len(whole.wav_N) / whole.sample_rate == pytest.approx(2, abs=0.1)  # codecs have blocks
    first = decode(io.BytesIO(chunks[0]))
    assert len(first.wav_N) / first.sample_rate > 0.7  # of one second: the encoder keeps little
    assert is_synthetic(FfmpegSource(io.BytesIO(b"".join(chunks))).tags())


def test_what_cannot_be_encoded() -> None:
    with pytest.raises(UsageError, match="Opus"):
        ChunkEncoder("opus", sample_rate=44_100, provenance=None)
    with pytest.raises(NotFinite):
        encode("mp3", [np.full(100, np.nan, np.float32)])
