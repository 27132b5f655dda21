"""Recordings as prompts: what was written is read back; damaged files are refused, or read as far as they go."""

from __future__ import annotations

import functools
import io
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from fuzzing import Broken
from hypothesis import strategies as st
from mutations import mutated_bytes

from vallecli.audio import prompt
from vallecli.audio.files import read_recording, write_audio
from vallecli.errors import AudioNotFound

RATE = 24_000  # Hz
SUBTYPES = [  # containers and encodings of libsndfile
    *(("WAV", subtype) for subtype in ("PCM_16", "PCM_U8", "PCM_24", "FLOAT", "ULAW", "MS_ADPCM", "GSM610")),
    *((kind, "PCM_16") for kind in ("FLAC", "AIFF", "CAF", "W64", "RF64", "WAVEX", "NIST", "VOC")),
    *(("OGG", "VORBIS"), ("OGG", "OPUS"), ("AU", "ULAW"), ("MP3", "MPEG_LAYER_III")),
]


def tone(seconds: float, rate: int, channels: int = 1) -> Any:
    at = np.arange(int(seconds * rate)) / rate
    wav_N = 0.3 * np.sin(2 * np.pi * 150 * at) * np.clip(np.sin(2 * np.pi * 3 * at), 0, 1)
    return np.stack([wav_N * (1 - 0.1 * channel) for channel in range(channels)], axis=1).astype(np.float32)


def recordings() -> tuple[bytes, ...]:
    """Return a recording in each format."""
    made = []
    with tempfile.TemporaryDirectory() as place:
        for index, (kind, subtype) in enumerate(SUBTYPES):
            path = Path(place, f"r{index}")
            rate = 16_000 if kind in ("OGG", "MP3") else 8_000
            channels = 2 if index % 3 == 1 and subtype != "GSM610" else 1
            soundfile.write(path, tone(1.5, rate, channels), rate, format=kind, subtype=subtype)
            made.append(path.read_bytes())
        for ending in ("m4a", "mp3", "opus"):
            path = Path(place, f"x.{ending}")
            write_audio(path, tone(1.5, RATE)[:, 0], sample_rate=RATE)
            made.append(path.read_bytes())
    return tuple(made)


VALID = recordings()
TOKENS = (
    *b"RIFF WAVE fmt data LIST ds64 fLaC OggS OpusHead \x01vorbis ID3 FORM COMM SSND ftyp moov mdat stsz trak".split(),
    *(b"caff", b"\x7f\xf8\0\0", b"\0\0\xc0\x7f", b"\xff\xff\xff\xff", b"\xff\xfb\x90\x00", b"\x1a\x45\xdf\xa3"),
    *(b"\0\0\x01\xba", b"FLV\x01", b"\x30\x26\xb2\x75", b"#EXTM3U\n", b"<?xml", b"http://127.0.0.1/x\n"),
    b"ffconcat version 1.0\nfile /etc/passwd\n",
)
ENDINGS = ("wav", "flac", "ogg", "mp3", "opus", "m4a", "raw")
CAF = b"caff\0\1\0\0desc" + struct.pack(">qd4sIIIII", 32, 8_000.0, b"lpcm", 0, 2, 1, 1, 16)


def infinite() -> bytes:
    """Return a recording whose channels cancel, as far as infinite samples do."""
    file = io.BytesIO()
    soundfile.write(file, np.full((8_000, 2), [np.inf, -np.inf]), 8_000, format="WAV", subtype="FLOAT")
    return file.getvalue()


SAMPLES = st.one_of(
    st.tuples(st.just("bytes"), mutated_bytes(VALID, tokens=TOKENS)),
    st.tuples(st.just("bytes"), mutated_bytes(VALID, tokens=TOKENS, edits=2)),
    st.tuples(st.just("bytes"), st.tuples(st.sampled_from(TOKENS), st.binary(max_size=300)).map(b"".join)),
    st.tuples(st.sampled_from(ENDINGS[:-1]), st.integers(100, 20_000)),
)
FOUND = (
    ("bytes", CAF + b"free" + struct.pack(">q", 2**62) + bytes(64)),  # beyond the longest file
    ("bytes", infinite()),
)
noise = functools.cache(lambda: np.random.default_rng(0).uniform(-0.5, 0.5, 20_000).astype(np.float32))


def warm_up() -> None:
    """Load the codecs of both libraries."""
    for content in VALID:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            read_recording(file.name, sample_rate=RATE)


def check(sample: tuple[str, Any], folder: Path) -> None:
    kind, content = sample
    if kind != "bytes":
        check_round_trip(folder / f"x.{kind}", content)
        return
    path = folder / "reference.wav"
    path.write_bytes(content)
    try:
        recording = read_recording(path, sample_rate=RATE, max_seconds=prompt.MAX_READ_SECONDS)
    except AudioNotFound as error:
        raise Broken("a damaged file is not a missing one") from error
    assert recording.wav.dtype == np.float32
    assert recording.wav.ndim == 1
    assert np.isfinite(recording.wav).all(), "NaN or infinity"
    assert len(recording.wav) <= (prompt.MAX_READ_SECONDS + 1) * RATE, "longer than what was asked"
    assert all(len(note) < 1_000 for note in recording.notes)
    if content in VALID:
        assert abs(len(recording.wav) - 1.5 * RATE) < 0.2 * RATE
    prepared = prompt.load(path)
    assert np.isfinite(prepared.wav).all()
    assert 0 < prepared.seconds <= prompt.MAX_SECONDS + 0.1
    assert np.abs(prepared.wav).max() <= 1


def check_round_trip(path: Path, length: int) -> None:
    write_audio(path, noise()[:length], sample_rate=RATE)
    wav_N = read_recording(path, sample_rate=RATE).wav
    if path.suffix in (".wav", ".flac"):
        assert len(wav_N) == length
        assert np.abs(wav_N - noise()[:length]).max() < 1e-3, "other samples"
    else:
        assert abs(len(wav_N) - length) <= 3_000
