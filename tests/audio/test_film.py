"""Films: their length, and copies with one more track, in which all other streams are as they were."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from films import SECONDS, make_film

from vallecli.audio.film import CONTAINERS, NewTrack, add_track, check_film_output, film_format, read_film
from vallecli.audio.formats import FORMATS, check_rate
from vallecli.errors import FilmError, NotFinite, OutputExists, OutputNotWritable, UsageError

RATE = 24_000
TITLE, COMMENT = "Synthetic dub", "Synthetic speech (test)"


def with_text(path: Path, folder: Path) -> Path:
    """Return a copy of a film as MP4, whose subtitles are mov_text; PyAV cannot encode them."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(path), "-map", "0", "-c", "copy", "-c:s", "mov_text"]
    subprocess.run([*command, str(folder / "film.mp4")], check=True)
    return folder / "film.mp4"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_film(tmp_path / "film.mkv")


def speech(seconds: float = SECONDS, rate: int = RATE) -> Iterator[np.ndarray]:
    """Yield blocks of unequal lengths: silence, a tone from 1.5 s to 2.5 s, silence."""
    wav_N = np.zeros(round(seconds * rate), np.float32)
    wav_N[round(1.5 * rate) : round(2.5 * rate)] = 0.5 * np.sin(np.arange(rate) * 0.3)
    yield from np.split(wav_N, [10, 30_000, 30_001])


def track(**changes: object) -> NewTrack:
    known = {"blocks": speech(), "sample_rate": RATE, "title": TITLE, "language": "eng", "comment": COMMENT}
    return NewTrack(**{**known, **changes})  # type: ignore[arg-type]


def packets(path: Path, index: int) -> list[tuple[bytes, float | None]]:
    """Return the packets of a stream, and when they are shown."""
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [
            (bytes(packet), None if packet.pts is None else round(float(packet.pts * packet.time_base), 3))
            for packet in container.demux(stream)
            if packet.size
        ]


def decoded(path: Path, index: int) -> tuple[int, np.ndarray]:
    """Return the rate and the samples of an audio stream, from time 0 on."""
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams[index]))
        rate = frames[0].sample_rate
        wav_N = np.concatenate([np.atleast_2d(frame.to_ndarray())[0].astype(np.float64) for frame in frames])
        first = round(float(frames[0].pts * frames[0].time_base) * rate)
        return rate, wav_N[-first:] if first < 0 else np.pad(wav_N, (first, 0))


def probe(path: Path) -> dict:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-show_chapters", "-of", "json", str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_a_film_is_copied_with_one_more_track(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    known = read_film(film)
    assert known.seconds == pytest.approx(SECONDS, abs=0.05)
    assert known.start == 0
    assert add_track(known, out, track(), force=False) == []
    for index in range(3):
        assert packets(out, index) == packets(film, index)
    rate, wav_N = decoded(out, 3)
    expected_N = np.concatenate(list(speech()))
    assert (rate, len(wav_N)) == (RATE, SECONDS * RATE)
    np.testing.assert_allclose(wav_N / 32_768, expected_N, atol=1e-4)  # FLAC in Matroska


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".mov"])
def test_players_see_the_streams_the_chapters_and_a_new_default_track(film: Path, tmp_path: Path, ending: str) -> None:
    source = film if ending == ".mkv" else with_text(film, tmp_path)
    out = tmp_path / f"out{ending}"
    assert add_track(read_film(source), out, track(), force=False) == []
    found = probe(out)
    video, audio, text, dub = found["streams"][:4]  # MP4 has another one for the titles of chapters
    assert [stream["codec_type"] for stream in (video, audio, text, dub)] == ["video", "audio", "subtitle", "audio"]
    assert (video["codec_name"], audio["codec_name"]) == ("mpeg4", "aac")
    assert text["codec_name"] == ("subrip" if ending == ".mkv" else "mov_text")
    assert dub["codec_name"] == ("flac" if ending == ".mkv" else "aac")
    assert [stream["disposition"]["default"] for stream in (audio, dub)] == [0, 1]
    assert [stream["tags"]["language"] for stream in (audio, text, dub)] == ["fra", "fra", "eng"]
    assert TITLE in (dub["tags"].get("title"), dub["tags"].get("handler_name"))
    assert (dub["sample_rate"], dub["channels"]) == (str(RATE), 1)
    assert float(found["format"]["duration"]) == pytest.approx(SECONDS, abs=0.05)
    tags = {name.lower(): value for name, value in found["format"]["tags"].items()}
    assert (tags["title"], tags["comment"]) == ("A film", COMMENT)
    assert [chapter["tags"]["title"] for chapter in found["chapters"]] == ["The beginning"]
    _, wav_N = decoded(out, 3)
    heard = np.flatnonzero(np.abs(wav_N) > 0.1 * np.abs(wav_N).max())
    assert heard[0] / RATE == pytest.approx(1.5, abs=0.01)
    assert heard[-1] / RATE == pytest.approx(2.5, abs=0.01)


def test_the_same_film_and_speech_give_the_same_bytes(film: Path, tmp_path: Path) -> None:
    for name, blocks in (("a.mkv", list(speech())), ("b.mkv", [np.concatenate(list(speech()))])):
        add_track(read_film(film), tmp_path / name, track(blocks=blocks), force=False)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_a_film_without_sound_gets_its_first_track(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.webm", audio=False, subtitles=False, codec="libvpx")
    add_track(read_film(film), tmp_path / "out.webm", track(), force=False)
    with av.open(str(tmp_path / "out.webm")) as found:
        assert [stream.type for stream in found.streams] == ["video", "audio"]
        assert found.streams[1].codec_context.name in ("opus", "libopus")
    _, wav_N = decoded(tmp_path / "out.webm", 1)
    heard = np.flatnonzero(np.abs(wav_N) > 0.1 * np.abs(wav_N).max())
    assert heard[0] / 48_000 == pytest.approx(1.5, abs=0.01)  # Opus is always decoded at 48 kHz


def test_a_film_whose_clock_begins_later_has_the_track_at_its_begin(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.ts", subtitles=False, start=20)
    known = read_film(film)
    assert known.start == pytest.approx(20, abs=0.1)
    assert known.seconds == pytest.approx(SECONDS, abs=0.1)
    add_track(known, tmp_path / "out.mkv", track(), force=False)
    with av.open(str(tmp_path / "out.mkv")) as found:
        assert found.streams[2].start_time * found.streams[2].time_base == pytest.approx(known.start, abs=0.01)


def test_a_container_that_cannot_have_a_stream_is_an_error(film: Path, tmp_path: Path) -> None:
    for name in ("out.webm", "out.mp4"):
        with pytest.raises(FilmError, match="not all of its streams can be in a file that ends in") as caught:
            add_track(read_film(film), tmp_path / name, track(), force=False)
        assert caught.value.hint == "Choose a name that ends in .mkv."
        assert not (tmp_path / name).exists()
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_files_that_are_no_film(film: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("This is no film.")
    (tmp_path / "cut.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(99))
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    with av.open(str(tmp_path / "sound.mka"), "w", format="matroska") as sound:
        stream = sound.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        sound.mux(stream.encode(frame))
        sound.mux(stream.encode(None))
    for name in ("text.mp4", "cut.mp4", "list.mp4", "sound.mka", "none.mp4", "."):
        with pytest.raises(FilmError) as caught:
            read_film(tmp_path / name)
        assert caught.value.exit_code == 3
        assert str(tmp_path / name) in caught.value.message


def test_nothing_is_left_of_a_copy_that_fails(film: Path, tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield np.zeros(RATE, np.float32)
        yield np.full(RATE, np.nan, np.float32)

    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(NotFinite):
        add_track(read_film(film), tmp_path / "out.mkv", track(blocks=broken()), force=False)
    (tmp_path / "old.mkv").write_text("mine")
    with pytest.raises(OutputExists):
        add_track(read_film(film), tmp_path / "old.mkv", track(), force=False)
    with pytest.raises(OutputNotWritable):
        add_track(read_film(film), tmp_path / "none" / "out.mkv", track(), force=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "old.mkv"])


def test_a_damaged_film_gives_an_error_or_a_complete_file(film: Path, tmp_path: Path) -> None:
    data = film.read_bytes()
    outcomes = set()
    for position in range(40, len(data), len(data) // 12):
        (tmp_path / "bad.mkv").write_bytes(data[:position] + b"\xff" * 40 + data[position + 40 :])
        try:
            add_track(read_film(tmp_path / "bad.mkv"), tmp_path / "out.mkv", track(), force=True)
            outcomes.add("copied")
        except FilmError:
            outcomes.add("refused")
    assert "copied" in outcomes


def test_names_of_films() -> None:
    for ending in CONTAINERS:
        check_film_output(Path(f"film{ending.upper()}"))
        check_rate(film_format(Path(f"film{ending}")), RATE)
        assert film_format(Path(f"film{ending}")) in FORMATS
    with pytest.raises(UsageError, match="not the name of a film"):
        check_film_output(Path("film.wav"))
