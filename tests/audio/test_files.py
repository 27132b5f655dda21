"""Files in: everything libsndfile reads. Files out: whole, or not there at all."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.audio import files
from vallecli.audio.ogg import set_serial
from vallecli.audio.stream import Wav
from vallecli.constants import SAMPLE_RATE
from vallecli.errors import (
    AudioNotFound,
    DamagedAudio,
    NotAudio,
    OutputExists,
    OutputNotWritable,
    UsageError,
    VallecliError,
)


def tone(seconds: float = 0.5, rate: int = SAMPLE_RATE, hertz: float = 440.0) -> Wav:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def written(path: Path, wav_N: Wav, rate: int = SAMPLE_RATE, **options: str) -> Path:
    soundfile.write(path, wav_N, rate, **options)
    return path


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 1e-2),
        ("a.wav", "PCM_16", 1e-4),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "PCM_32", 1e-6),
        ("a.wav", "FLOAT", 0),
        ("a.wav", "DOUBLE", 0),
        ("a.wav", "ULAW", 3e-2),
        ("a.flac", "PCM_16", 1e-4),
        ("a.flac", "PCM_24", 1e-6),
        ("a.ogg", "VORBIS", 5e-2),
        ("a.aiff", "PCM_16", 1e-4),
    ],
)
def test_reads_formats(name: str, subtype: str, tolerance: float) -> None:
    wav_N = files.read(written(Path(name), tone(), subtype=subtype))
    assert wav_N.dtype == np.float32
    assert wav_N.shape == tone().shape
    np.testing.assert_allclose(wav_N, tone(), atol=tolerance)


@pytest.mark.parametrize(("name", "form"), [("a.opus", "OGG"), ("a.mp3", "MP3")])
def test_reads_formats_that_shift_time(name: str, form: str) -> None:
    subtype = "OPUS" if form == "OGG" else "MPEG_LAYER_III"
    wav_N = files.read(written(Path(name), tone(), format=form, subtype=subtype))
    assert abs(len(wav_N) - len(tone())) < 3_000
    spectrum = np.abs(np.fft.rfft(wav_N, SAMPLE_RATE))
    assert abs(int(spectrum.argmax()) - 440) <= 3  # Hz


def test_the_ending_says_nothing_about_the_content() -> None:
    path = written(Path("a.wav"), tone()).rename("voice.raw")
    assert len(files.read(path)) == len(tone())


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_resamples_any_rate(rate: int) -> None:
    wav_N = files.read(written(Path("a.wav"), tone(rate=rate), rate))
    assert abs(len(wav_N) - len(tone())) <= 1
    middle = slice(1_000, 10_000)  # a filter rings at the ends
    np.testing.assert_allclose(wav_N[middle], tone()[middle], atol=2e-3)


@pytest.mark.parametrize("channels", [1, 2, 6, 16])
def test_takes_the_mean_of_all_channels(channels: int) -> None:
    several = np.stack([tone() * gain for gain in np.linspace(0, 1, channels)], axis=1)
    wav_N = files.read(written(Path("a.wav"), several, subtype="FLOAT"))
    np.testing.assert_allclose(wav_N, several.mean(axis=1), atol=1e-6)


def test_reads_in_blocks_what_it_would_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(Path("a.wav"), np.stack([tone(), -tone(hertz=300)], axis=1))
    whole = files.read(path)
    monkeypatch.setattr(files, "BLOCK", 1_001)
    np.testing.assert_array_equal(files.read(path), whole)


def test_reads_no_more_than_asked_for() -> None:
    path = written(Path("a.wav"), tone(2.0, 48_000), 48_000)
    assert len(files.read(path, max_seconds=0.5)) == SAMPLE_RATE // 2
    assert len(files.read(path, max_seconds=9.0)) == 2 * SAMPLE_RATE


def test_reads_a_pipe() -> None:
    content = written(Path("a.flac"), tone()).read_bytes()
    os.mkfifo("pipe")
    sender = threading.Thread(target=lambda: Path("pipe").write_bytes(content))
    sender.start()
    wav_N = files.read("pipe")
    sender.join()
    assert len(wav_N) == len(tone())


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AudioNotFound, match=r"cannot open missing\.wav: no such file"):
        files.read("missing.wav")
    with pytest.raises(AudioNotFound, match="is a directory"):
        files.read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_refuses_what_may_not_be_read() -> None:
    path = written(Path("a.wav"), tone())
    path.chmod(0)
    with pytest.raises(AudioNotFound, match="permission denied"):
        files.read(path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"This is a letter, not a recording.\n" * 50, bytes(5_000)])
def test_refuses_what_is_not_audio(content: bytes) -> None:
    Path("a.wav").write_bytes(content)
    with pytest.raises(NotAudio, match=r"a\.wav is not readable as audio: \w"):
        files.read("a.wav")


def test_refuses_audio_without_samples() -> None:
    with pytest.raises(NotAudio, match="it holds no samples"):
        files.read(written(Path("a.wav"), tone(0)))


@pytest.mark.parametrize("kept", [12, 40, 44])
def test_refuses_a_header_alone(kept: int) -> None:
    path = written(Path("a.wav"), tone(), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(NotAudio, match=r"a\.wav"):
        files.read(path)


def test_a_truncated_wav_is_read_as_far_as_it_goes() -> None:
    path = written(Path("a.wav"), tone(), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: 44 + 2 * 1_000 + 1])
    np.testing.assert_allclose(files.read(path), tone()[:1_000], atol=4e-5)


@pytest.mark.parametrize(("name", "form"), [("a.flac", "FLAC"), ("a.ogg", "OGG"), ("a.mp3", "MP3")])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_compressed_file_is_audio_or_refused(name: str, form: str, part: float) -> None:
    path = written(Path(name), np.tile(tone(), 4), format=form)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    try:
        samples = len(files.read(path))
    except NotAudio:
        return
    assert 0 < samples <= 4 * len(tone()) + 3_000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_samples_that_are_no_numbers(bad: float) -> None:
    wav_N = tone()
    wav_N[77] = bad
    with pytest.raises(DamagedAudio, match="NaN or infinite"):
        files.read(written(Path("a.wav"), wav_N, subtype="FLOAT"))


def test_refuses_a_sample_rate_out_of_this_world() -> None:
    with pytest.raises(NotAudio, match="2000000 Hz"):
        files.read(written(Path("a.wav"), tone(), 2_000_000))


@pytest.mark.parametrize(("name", "tolerance"), [("a.wav", 4e-5), ("a.FLAC", 4e-5), ("a.ogg", 5e-2)])
def test_what_was_written_is_read_again(name: str, tolerance: float) -> None:
    files.write(name, tone(1.5))
    info = soundfile.info(name)
    assert (info.samplerate, info.channels, info.frames) == (SAMPLE_RATE, 1, int(1.5 * SAMPLE_RATE))
    np.testing.assert_allclose(files.read(name), tone(1.5), atol=tolerance)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.raw"])
def test_pieces_make_the_same_bytes_as_the_whole(name: str) -> None:
    with files.open_output(name) as out:
        for piece in np.split(tone(), [0, 1, 777, 9_000]):
            out.write(piece)
    files.write(Path("whole").with_suffix(Path(name).suffix), tone())
    assert Path(name).read_bytes() == Path("whole").with_suffix(Path(name).suffix).read_bytes()


def test_ogg_pages_have_their_checksums_and_one_serial() -> None:
    soundfile.write("theirs.ogg", np.tile(tone(), 20), SAMPLE_RATE, format="OGG", subtype="VORBIS")
    theirs = Path("theirs.ogg").read_bytes()
    serial = int.from_bytes(theirs[14:18], "little")
    with Path("theirs.ogg").open("r+b") as file:
        set_serial(file, serial ^ 0x55AA)
    assert Path("theirs.ogg").read_bytes() != theirs
    assert len(files.read("theirs.ogg")) == 20 * len(tone())  # libogg skips pages with a wrong checksum
    with Path("theirs.ogg").open("r+b") as file:
        set_serial(file, serial)
    assert Path("theirs.ogg").read_bytes() == theirs


def test_a_wav_is_what_libsndfile_writes() -> None:
    files.write("ours.wav", tone())
    soundfile.write("theirs.wav", files.read("ours.wav"), SAMPLE_RATE, subtype="PCM_16")
    assert Path("ours.wav").read_bytes() == Path("theirs.wav").read_bytes()


def test_a_format_may_be_said_instead_of_an_ending() -> None:
    files.write("take", tone(), form="flac")
    assert soundfile.info("take").format == "FLAC"


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.raw"])
def test_loud_samples_are_clipped_and_never_wrap(name: str) -> None:
    loud = np.array([0.0, 1.0, 1.5, 40.0, -1.0, -1.5, -40.0, 1e30], np.float32)
    files.write(name, loud)
    samples = np.fromfile(name, "<i2") if name == "a.raw" else soundfile.read(name, dtype="int16")[0]
    assert samples.tolist() == [0, 32767, 32767, 32767, -32767, -32768, -32768, 32767]


def test_samples_that_are_no_numbers_are_never_written(own_folder: Path) -> None:
    with pytest.raises(VallecliError, match="NaN"):
        files.write("a.wav", np.array([0.0, np.nan], np.float32))
    assert not list(own_folder.iterdir())


@pytest.mark.parametrize("name", ["a", "a.mp4", "a.wav.txt"])
def test_refuses_an_ending_it_does_not_know(name: str, own_folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        files.write(name, tone())
    assert all(ending in caught.value.hint for ending in (".wav", ".flac", ".ogg"))
    assert not list(own_folder.iterdir())


def test_overwrites_only_by_force() -> None:
    Path("a.wav").write_text("precious")
    with pytest.raises(OutputExists):
        files.write("a.wav", tone())
    assert Path("a.wav").read_text() == "precious"
    files.write("a.wav", tone(), force=True)
    assert len(files.read("a.wav")) == len(tone())


def test_does_not_overwrite_what_came_in_the_meantime(own_folder: Path) -> None:
    output = files.open_output("a.wav")
    output.__enter__().write(tone())
    Path("a.wav").write_text("precious")
    with pytest.raises(OutputExists):
        output.__exit__(None, None, None)
    assert [path.name for path in own_folder.iterdir()] == ["a.wav"]
    assert Path("a.wav").read_text() == "precious"


def test_refuses_places_that_cannot_hold_a_file(own_folder: Path) -> None:
    Path("folder.wav").mkdir()
    Path("file").write_text("")
    os.mkfifo("pipe.wav")
    for name in ("no/folder/a.wav", "folder.wav", "file/a.wav", "pipe.wav", "x" * 300 + ".wav", "/proc/a.wav"):
        with pytest.raises(OutputNotWritable):
            files.write(name, tone(), force=True)
    assert {path.name for path in own_folder.iterdir()} == {"folder.wav", "file", "pipe.wav"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_refuses_a_read_only_folder() -> None:
    Path("locked").mkdir(mode=0o500)
    with pytest.raises(OutputNotWritable, match="read-only"):
        files.write("locked/a.wav", tone())


def write_and_raise(name: str, error: type[BaseException], *, force: bool = False) -> None:
    there = Path(name).exists()
    with files.open_output(name, force=force) as out:
        out.write(tone(0.1))
        assert Path(name).exists() == there
        raise error


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.raw"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, OSError, SystemExit])
def test_an_exception_leaves_nothing_and_is_passed_on(name: str, error: type[BaseException], own_folder: Path) -> None:
    with pytest.raises(error):
        write_and_raise(name, error)
    assert not list(own_folder.iterdir())
    files.write(name, tone())
    before = Path(name).read_bytes()
    with pytest.raises(error):
        write_and_raise(name, error, force=True)
    assert [path.name for path in own_folder.iterdir()] == [name]
    assert Path(name).read_bytes() == before


@contextlib.contextmanager
def small_disk() -> Iterator[None]:
    """Let no file grow beyond 20 kB: to the program that is a full disk.

    Not a fixture: pytest's own report, if it goes to a file, would be cut short by the same limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.raw"])
def test_a_full_disk_is_told_and_leaves_nothing(name: str, own_folder: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, 5 * SAMPLE_RATE).astype(np.float32)
    with small_disk(), pytest.raises(OutputNotWritable, match=rf"cannot write {name}: \w"):
        files.write(name, noise)
    assert not list(own_folder.iterdir())


def test_a_file_has_the_usual_permissions() -> None:
    files.write("a.wav", tone())
    Path("usual").touch()
    assert stat.S_IMODE(Path("a.wav").stat().st_mode) == stat.S_IMODE(Path("usual").stat().st_mode)


def test_a_link_stays_a_link() -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/a.wav").touch()
    Path("a.wav").symlink_to("elsewhere/a.wav")
    files.write("a.wav", tone(), force=True)
    assert Path("a.wav").is_symlink()
    assert len(files.read("elsewhere/a.wav")) == len(tone())
