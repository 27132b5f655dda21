"""Down a pipe: every reader gets all samples, and the same ones a file has."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.audio import files
from vallecli.audio.stream import Wav, open_stream
from vallecli.constants import SAMPLE_RATE


def pieces() -> list[Wav]:
    noise = np.random.default_rng(0).uniform(-1, 1, (3, 20_001)).astype(np.float32)
    return [noise[0], noise[1, :0], noise[1, :7], noise[2]]


def piped(form: str) -> bytes:
    pipe = io.BytesIO()
    with open_stream(pipe, form=form) as out:
        for piece in pieces():
            out.write(piece)
    return pipe.getvalue()


@pytest.fixture
def file_samples() -> bytes:
    """Give the samples that a WAV file of the same pieces holds."""
    files.write("file.wav", np.concatenate(pieces()))
    samples, _ = soundfile.read("file.wav", dtype="int16")
    return bytes(samples.astype("<i2").tobytes())


def test_soundfile_reads_the_stream_whole(file_samples: bytes) -> None:
    samples, rate = soundfile.read(io.BytesIO(piped("wav")), dtype="int16")
    assert rate == SAMPLE_RATE
    assert samples.tobytes() == file_samples


def test_the_wave_module_reads_the_stream_whole(file_samples: bytes) -> None:
    with wave.open(io.BytesIO(piped("wav"))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (SAMPLE_RATE, 1, 2)
        assert sound.readframes(sound.getnframes()) == file_samples


@pytest.mark.parametrize(
    "command",
    [
        ["sox", "-t", "wav", "-", "-t", "s16", "-"],
        ["sox", "-", "-t", "s16", "-"],
        ["ffmpeg", "-loglevel", "fatal", "-i", "-", "-f", "s16le", "-"],
    ],
    ids=["sox-told", "sox", "ffmpeg"],
)
def test_programs_read_the_stream_whole(command: list[str], file_samples: bytes) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, input=piped("wav"), capture_output=True, check=True)
    assert done.stdout == file_samples
    assert done.stderr == b""


def test_our_own_reader_takes_the_stream() -> None:
    Path("piped.wav").write_bytes(piped("wav"))
    assert len(files.read("piped.wav")) == sum(map(len, pieces()))


def test_raw_is_the_samples_alone(file_samples: bytes) -> None:
    assert piped("raw") == file_samples


@pytest.mark.parametrize("form", ["flac", "ogg"])
def test_flac_and_ogg_go_down_a_pipe_as_well(form: str) -> None:
    files.write(f"file.{form}", np.concatenate(pieces()))
    assert piped(form) == Path(f"file.{form}").read_bytes()


def test_each_piece_is_sent_at_once() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as far, os.fdopen(writer, "wb") as near, open_stream(near) as out:
        assert far.read(1_000)[:4] == b"RIFF"
        out.write(np.ones(100, np.float32))
        assert far.read(1_000) == b"\xff\x7f" * 100


@pytest.mark.parametrize("form", ["wav", "raw", "flac", "ogg"])
def test_a_reader_that_leaves_is_a_broken_pipe(form: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    near = os.fdopen(writer, "wb", buffering=0)
    with near, pytest.raises(BrokenPipeError), open_stream(near, form=form) as out:
        out.write(pieces()[0])


def send_and_raise(pipe: io.BytesIO, form: str) -> None:
    with open_stream(pipe, form=form) as out:
        out.write(pieces()[0])
        raise KeyboardInterrupt


@pytest.mark.parametrize("form", ["flac", "ogg"])
def test_an_exception_sends_no_half_file(form: str) -> None:
    pipe = io.BytesIO()
    with pytest.raises(KeyboardInterrupt):
        send_and_raise(pipe, form)
    assert pipe.getvalue() == b""
