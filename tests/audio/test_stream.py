"""Audio sent to a pipe: every reader gets all samples, and the same ones as in a file."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.audio.files import read_audio, write_audio
from vallecli.audio.stream import UNKNOWN_BYTES, Wav, open_stream, wav_header


@pytest.fixture(params=[16_000, 24_000])
def rate(request: pytest.FixtureRequest) -> int:
    """Sample rates of the codecs, in Hz."""
    return int(request.param)


def pieces() -> list[Wav]:
    noise = np.random.default_rng(0).uniform(-1, 1, (3, 20_001)).astype(np.float32)
    return [noise[0], noise[1, :0], noise[1, :7], noise[2]]


def piped(format: str, rate: int) -> bytes:
    pipe = io.BytesIO()
    with open_stream(pipe, sample_rate=rate, format=format) as output:
        for piece in pieces():
            output.write(piece)
    return pipe.getvalue()


@pytest.fixture
def file_samples(rate: int) -> bytes:
    """The 16-bit samples of a WAV file with the same pieces."""
    write_audio("file.wav", np.concatenate(pieces()), sample_rate=rate)
    samples, _ = soundfile.read("file.wav", dtype="int16")
    return bytes(samples.astype("<i2").tobytes())


def test_wav_header_fields(rate: int) -> None:
    header = wav_header(1_000, rate)
    assert len(header) == 44
    assert struct.unpack("<4sI4s4sIHHIIHH4sI", header) == (
        *(b"RIFF", 1_036, b"WAVE"),
        *(b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16),  # PCM, mono, bytes per second, bytes per frame, bits
        *(b"data", 1_000),
    )


def test_a_stream_has_a_header_of_unknown_length_and_the_samples(rate: int, file_samples: bytes) -> None:
    assert piped("wav", rate) == wav_header(UNKNOWN_BYTES, rate) + file_samples


def test_soundfile_reads_the_whole_stream(rate: int, file_samples: bytes) -> None:
    samples, stream_rate = soundfile.read(io.BytesIO(piped("wav", rate)), dtype="int16")
    assert stream_rate == rate
    assert samples.tobytes() == file_samples


def test_the_wave_module_reads_the_whole_stream(rate: int, file_samples: bytes) -> None:
    with wave.open(io.BytesIO(piped("wav", rate))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (rate, 1, 2)
        assert sound.readframes(sound.getnframes()) == file_samples


@pytest.mark.parametrize(
    "command",
    [
        ["sox", "-t", "wav", "-", "-t", "s16", "-"],
        ["sox", "-", "-t", "s16", "-"],
        ["ffmpeg", "-loglevel", "fatal", "-i", "-", "-f", "s16le", "-"],
    ],
    ids=["sox-with-format", "sox", "ffmpeg"],
)
def test_programs_read_the_whole_stream(command: list[str], rate: int, file_samples: bytes) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, input=piped("wav", rate), capture_output=True, check=True)
    assert done.stdout == file_samples
    assert done.stderr == b""


def test_read_audio_reads_the_whole_stream(rate: int) -> None:
    Path("piped.wav").write_bytes(piped("wav", rate))
    assert len(read_audio("piped.wav", sample_rate=rate)) == sum(map(len, pieces()))


def test_raw_is_the_samples_alone(rate: int, file_samples: bytes) -> None:
    assert piped("raw", rate) == file_samples


@pytest.mark.parametrize("format", ["flac", "ogg"])
def test_compressed_streams_equal_files(format: str, rate: int) -> None:
    write_audio(f"file.{format}", np.concatenate(pieces()), sample_rate=rate)
    assert piped(format, rate) == Path(f"file.{format}").read_bytes()


def test_each_piece_is_sent_immediately(rate: int) -> None:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb", buffering=0) as receiver,
        os.fdopen(writer, "wb") as sender,
        open_stream(sender, sample_rate=rate) as output,
    ):
        assert receiver.read(1_000) == wav_header(UNKNOWN_BYTES, rate)
        output.write(np.ones(100, np.float32))
        assert receiver.read(1_000) == b"\xff\x7f" * 100


@pytest.fixture
def closed_pipe() -> Iterator[io.FileIO]:
    """The writing end of a pipe whose reader has closed it."""
    reader, writer = os.pipe()
    os.close(reader)
    with io.FileIO(writer, "wb") as pipe:
        yield pipe


@pytest.mark.parametrize("format", ["wav", "raw", "flac", "ogg"])
def test_a_closed_reader_is_a_broken_pipe(format: str, rate: int, closed_pipe: io.FileIO) -> None:
    with (
        pytest.raises(BrokenPipeError),
        open_stream(closed_pipe, sample_rate=rate, format=format) as output,  # type: ignore[arg-type]
    ):
        output.write(pieces()[0])


def send_and_raise(pipe: io.BytesIO, format: str, rate: int) -> None:
    with open_stream(pipe, sample_rate=rate, format=format) as output:
        output.write(pieces()[0])
        raise KeyboardInterrupt


@pytest.mark.parametrize("format", ["flac", "ogg"])
def test_after_an_exception_nothing_compressed_is_sent(format: str, rate: int) -> None:
    pipe = io.BytesIO()
    with pytest.raises(KeyboardInterrupt):
        send_and_raise(pipe, format, rate)
    assert pipe.getvalue() == b""
