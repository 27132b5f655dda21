"""Tags of synthetic speech in every format: read back by FFmpeg, equal in a file and a pipe, the same for one day."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli import __version__
from vallecli.audio.ffmpeg import FfmpegSource
from vallecli.audio.files import open_output, read_audio
from vallecli.audio.provenance import SOURCE_TYPE, Provenance, is_synthetic, says
from vallecli.audio.stream import open_stream
from vallecli.errors import UsageError

WAV_N = (0.3 * np.sin(0.05 * np.arange(24_000))).astype(np.float32)
MADE = Provenance("nano", "2026-11-30")
WITH_TAGS = ["wav", "flac", "ogg", "mp3", "opus", "m4a"]


def write(path: Path, provenance: Provenance | None, format: str | None = None) -> Path:
    with open_output(path, sample_rate=24_000, format=format, force=True, provenance=provenance) as output:
        output.write(WAV_N[:5_000])
        output.write(WAV_N[5_000:])
    return path


def piped(format: str, provenance: Provenance) -> bytes:
    pipe = io.BytesIO()
    with open_stream(pipe, sample_rate=24_000, format=format, provenance=provenance) as output:
        output.write(WAV_N)
    return pipe.getvalue()


def tags_of(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        return FfmpegSource(file).tags()


@pytest.mark.parametrize("format", WITH_TAGS)
def test_tags_are_read_back_and_the_audio_is_the_same(tmp_path: Path, format: str) -> None:
    path = write(tmp_path / f"made.{format}", MADE)
    tags = tags_of(path)
    statement = f"Synthetic speech (trainedAlgorithmicMedia), made by vallecli {__version__} with the checkpoint nano"
    assert tags["comment"] == statement
    assert tags["date"] == "2026-11-30"
    assert is_synthetic(tags)
    assert says(tags) == f"{statement}, 2026-11-30"
    plain = write(tmp_path / f"plain.{format}", None)
    assert not is_synthetic(tags_of(plain))
    np.testing.assert_array_equal(read_audio(path, sample_rate=24_000), read_audio(plain, sample_rate=24_000))


@pytest.mark.parametrize("format", WITH_TAGS)
def test_a_file_and_a_pipe_have_the_same_bytes_on_one_day_and_others_on_another(tmp_path: Path, format: str) -> None:
    made = write(tmp_path / f"made.{format}", MADE).read_bytes()
    assert made == write(tmp_path / f"again.{format}", MADE).read_bytes()
    assert made != write(tmp_path / f"later.{format}", Provenance("nano", "2026-12-01")).read_bytes()
    sent = piped(format, MADE)
    if format == "wav":  # a pipe does not know the length
        start = made.index(b"data")
        assert sent[8:start] == made[8:start]
        assert sent[start + 8 :] == made[start + 8 :]
    else:
        assert sent == made


def test_a_wav_file_is_a_broadcast_wave_file(tmp_path: Path) -> None:
    content = write(tmp_path / "made.wav", MADE).read_bytes()
    start = content.index(b"bext")
    (length,) = struct.unpack("<I", content[start + 4 : start + 8])
    assert length == 602
    fields = struct.unpack("<256s32s32s10s8sQH64s190s", content[start + 8 : start + 8 + length])
    texts = [field.rstrip(b"\0").decode() for field in fields[:5]]
    assert texts[0].startswith("Synthetic speech (")
    assert texts[1:] == [f"vallecli {__version__}", "", "2026-11-30", "00:00:00"]
    assert (fields[5], fields[6]) == (0, 1)
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
    assert content.index(b"LIST") < content.index(b"data") == len(content) - 8 - 2 * len(WAV_N)
    assert soundfile.info(tmp_path / "made.wav").frames == len(WAV_N)


@pytest.mark.parametrize("format", ["ulaw", "alaw"])
def test_g711_has_tags_after_a_header_only(tmp_path: Path, format: str) -> None:
    assert is_synthetic(tags_of(write(tmp_path / "made.wav", MADE, format)))
    assert write(tmp_path / "made.raw", MADE, format).stat().st_size == len(WAV_N)
    assert len(piped(format, MADE)) == len(WAV_N)
    assert len(piped("raw", MADE)) == 2 * len(WAV_N)


def test_a_checkpoint_is_named_without_its_folder(tmp_path: Path) -> None:
    assert Provenance.of("nano").checkpoint == "nano"
    assert Provenance.of(str(tmp_path / "mine.pt")).checkpoint == "mine.pt"
    odd = Provenance.of("a\nb\x1bß" + "x" * 500)
    assert odd.checkpoint == "a?b?ß" + "x" * 75
    tags = tags_of(write(tmp_path / "odd.wav", odd))
    assert tags["comment"].endswith(odd.checkpoint)


def test_the_day_is_that_of_source_date_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86399")
    assert Provenance.of("nano").date == "1970-01-01"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796083199")
    assert Provenance.of("nano").date == "2026-11-30"


@pytest.mark.parametrize("value", ["yesterday", "1e9", "9" * 30])
def test_an_invalid_source_date_epoch_is_an_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        Provenance.of("nano")


def test_tags_of_other_programs_count_and_are_printable() -> None:
    tags = {"title": "x", "digitalsourcetype": f"http://cv.iptc.org/newscodes/digitalsourcetype/{SOURCE_TYPE}\x1b[31m"}
    assert is_synthetic(tags)
    assert "\x1b" not in says(tags)
    assert not is_synthetic({"comment": "recorded at home"})
