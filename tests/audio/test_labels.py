"""Labels of files: title, author, track, cover and chapters, in each format that has them."""

from __future__ import annotations

from pathlib import Path

import av
import books
import numpy as np
import pytest

from vallecli.audio.ffmpeg import FfmpegSource
from vallecli.audio.files import open_output, read_audio
from vallecli.audio.labels import MAX_COVER_BYTES, Chapter, Labels, cover_codec
from vallecli.audio.provenance import Provenance

RATE = 24_000
WAV_N = (0.3 * np.sin(0.05 * np.arange(3 * RATE))).astype(np.float32)
MADE = Provenance("nano", "2026-11-30")
CHAPTERS = (Chapter("Où?", 0, 30_001), Chapter("Zwei; #2 = {x}\\", 30_001, 60_000), Chapter("三", 60_000, 3 * RATE))
LABELS = Labels(
    title="Tïtle; = #1",
    author="A. Ü",
    album="Album",
    track=(2, 12),
    genre="Audiobook",
    cover=books.png(),
    chapters=CHAPTERS,
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))


def write(path: Path, labels: Labels) -> Path:
    with open_output(path, sample_rate=RATE, force=True, provenance=MADE, labels=labels) as output:
        output.write(WAV_N)
    return path


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3", "opus", "m4a", "m4b"])
def test_tags_are_read_back_beside_the_provenance_and_the_audio_is_the_same(tmp_path: Path, format: str) -> None:
    path = write(tmp_path / f"made.{format}", LABELS)
    with path.open("rb") as file:
        tags = FfmpegSource(file).tags()
    assert (tags["title"], tags["artist"], tags["album"], tags["genre"]) == (
        "Tïtle; = #1",
        "A. Ü",
        "Album",
        "Audiobook",
    )
    assert tags["track"] == "2/12"
    assert (tags["comment"], tags["date"]) == (MADE.statement, MADE.date)
    plain = write(tmp_path / f"plain.{format}", Labels())
    np.testing.assert_array_equal(read_audio(path, sample_rate=RATE), read_audio(plain, sample_rate=RATE))
    assert write(tmp_path / f"again.{format}", LABELS).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("format", ["mp3", "opus", "m4a", "m4b"])
def test_chapters_are_read_back(tmp_path: Path, format: str) -> None:
    with av.open(write(tmp_path / f"made.{format}", LABELS)) as file:
        found = file.chapters()
    assert [chapter["metadata"]["title"] for chapter in found] == [chapter.title for chapter in CHAPTERS]
    for chapter, expected in zip(found, CHAPTERS, strict=True):
        assert float(chapter["start"] * chapter["time_base"]) == pytest.approx(expected.start / RATE, abs=0.001)
        if format != "opus":  # whose comments have begins only
            assert float(chapter["end"] * chapter["time_base"]) == pytest.approx(expected.end / RATE, abs=0.001)


@pytest.mark.parametrize("format", ["mp3", "m4b"])
@pytest.mark.parametrize("image", [books.png(), JPEG], ids=["png", "jpeg"])
def test_a_cover_is_an_attached_picture_with_the_same_bytes(tmp_path: Path, format: str, image: bytes) -> None:
    with av.open(write(tmp_path / f"made.{format}", Labels(cover=image))) as file:
        [stream] = file.streams.video
        assert int(stream.disposition) == int(av.stream.Disposition.attached_pic.value)
        assert stream.codec_context.name == cover_codec(image)
        [packet] = [packet for packet in file.demux(stream) if packet.size]
        assert bytes(packet) == image


@pytest.mark.parametrize(
    "image", [b"GIF89a" + bytes(9), b"", JPEG + bytes(MAX_COVER_BYTES)], ids=["gif", "empty", "large"]
)
def test_other_images_are_left_out(tmp_path: Path, image: bytes) -> None:
    assert cover_codec(image) is None
    with av.open(write(tmp_path / "made.m4b", Labels(cover=image))) as file:
        assert not file.streams.video
        assert len(file.streams.audio) == 1


def test_an_m4b_is_an_audiobook(tmp_path: Path) -> None:
    content = write(tmp_path / "made.m4b", LABELS).read_bytes()
    assert content[4:12] == b"ftypM4B "
    with av.open(tmp_path / "made.m4b") as file:
        assert file.metadata["media_type"] == "2"
        assert file.duration == 3 * av.time_base
