"""Reading of all libsndfile formats, and output files that are complete or absent."""

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

from vallecli.audio import decode
from vallecli.audio.files import open_output, read_audio, write_audio
from vallecli.audio.formats import ENDINGS
from vallecli.audio.ogg import set_serial
from vallecli.audio.stream import Wav
from vallecli.errors import (
    AudioNotFound,
    DamagedAudio,
    NotAudio,
    OutputExists,
    OutputNotWritable,
    UsageError,
    VallecliError,
)

RATE = 24_000  # Hz, where a test does not depend on the rate
RATES = [16_000, 24_000]  # Hz, of the codecs


def tone(seconds: float = 0.5, rate: int = RATE, hertz: float = 440.0) -> Wav:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def written(path: Path, wav_N: Wav, rate: int = RATE, **options: str) -> Path:
    soundfile.write(path, wav_N, rate, **options)
    return path


# Reading


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
    wav_N = read_audio(written(Path(name), tone(), subtype=subtype), sample_rate=RATE)
    assert wav_N.dtype == np.float32
    assert wav_N.shape == tone().shape
    np.testing.assert_allclose(wav_N, tone(), atol=tolerance)


@pytest.mark.parametrize(("name", "container"), [("a.opus", "OGG"), ("a.mp3", "MP3")])
def test_reads_formats_with_encoder_delay(name: str, container: str) -> None:
    subtype = "OPUS" if container == "OGG" else "MPEG_LAYER_III"
    wav_N = read_audio(written(Path(name), tone(), format=container, subtype=subtype), sample_rate=RATE)
    assert abs(len(wav_N) - len(tone())) < 3_000
    spectrum = np.abs(np.fft.rfft(wav_N, RATE))
    assert abs(int(spectrum.argmax()) - 440) <= 3  # Hz


def test_file_ending_does_not_matter_for_reading() -> None:
    path = written(Path("a.wav"), tone()).rename("voice.raw")
    assert len(read_audio(path, sample_rate=RATE)) == len(tone())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("file_rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_resamples_any_rate(file_rate: int, rate: int) -> None:
    wav_N = read_audio(written(Path("a.wav"), tone(rate=file_rate), file_rate), sample_rate=rate)
    assert wav_N.dtype == np.float32
    assert abs(len(wav_N) - len(tone(rate=rate))) <= 1
    middle = slice(rate // 20, rate * 2 // 5)  # the filter rings at both ends
    np.testing.assert_allclose(wav_N[middle], tone(rate=rate)[middle], atol=2e-3)


@pytest.mark.parametrize("channels", [1, 2, 6, 16])
def test_returns_the_mean_of_all_channels(channels: int) -> None:
    wav_NC = np.stack([tone() * gain for gain in np.linspace(0, 1, channels)], axis=1)
    wav_N = read_audio(written(Path("a.wav"), wav_NC, subtype="FLOAT"), sample_rate=RATE)
    np.testing.assert_allclose(wav_N, wav_NC.mean(axis=1), atol=1e-6)


def test_reading_in_blocks_equals_reading_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(Path("a.wav"), np.stack([tone(), -tone(hertz=300)], axis=1))
    whole = read_audio(path, sample_rate=RATE)
    monkeypatch.setattr(decode, "READ_BLOCK", 1_001)
    np.testing.assert_array_equal(read_audio(path, sample_rate=RATE), whole)


@pytest.mark.parametrize("rate", RATES)
def test_reads_at_most_max_seconds(rate: int) -> None:
    path = written(Path("a.wav"), tone(2.0, 48_000), 48_000)
    assert len(read_audio(path, sample_rate=rate, max_seconds=0.5)) == rate // 2
    assert len(read_audio(path, sample_rate=rate, max_seconds=9.0)) == 2 * rate


def test_reads_a_pipe() -> None:
    content = written(Path("a.flac"), tone()).read_bytes()
    os.mkfifo("pipe")
    sender = threading.Thread(target=lambda: Path("pipe").write_bytes(content))
    sender.start()
    wav_N = read_audio("pipe", sample_rate=RATE)
    sender.join()
    assert len(wav_N) == len(tone())


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioNotFound, match=r"cannot open missing\.wav: no such file"):
        read_audio("missing.wav", sample_rate=RATE)
    with pytest.raises(AudioNotFound, match="is a directory"):
        read_audio(tmp_path, sample_rate=RATE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_files_without_read_permission_are_refused() -> None:
    path = written(Path("a.wav"), tone())
    path.chmod(0)
    with pytest.raises(AudioNotFound, match="permission denied"):
        read_audio(path, sample_rate=RATE)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"This is a letter, not a recording.\n" * 50, bytes(5_000)])
def test_other_files_are_refused(content: bytes) -> None:
    Path("a.wav").write_bytes(content)
    with pytest.raises(NotAudio, match=r"a\.wav is not readable as audio: \w"):
        read_audio("a.wav", sample_rate=RATE)


def test_audio_without_samples_is_refused() -> None:
    with pytest.raises(NotAudio, match="it has no samples"):
        read_audio(written(Path("a.wav"), tone(0)), sample_rate=RATE)


@pytest.mark.parametrize("kept", [12, 40, 44])  # bytes
def test_a_header_without_samples_is_refused(kept: int) -> None:
    path = written(Path("a.wav"), tone(), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(NotAudio, match=r"a\.wav"):
        read_audio(path, sample_rate=RATE)


def test_a_truncated_wav_is_read_to_its_end() -> None:
    path = written(Path("a.wav"), tone(), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: 44 + 2 * 1_000 + 1])
    np.testing.assert_allclose(read_audio(path, sample_rate=RATE), tone()[:1_000], atol=4e-5)


@pytest.mark.parametrize(("name", "container"), [("a.flac", "FLAC"), ("a.ogg", "OGG"), ("a.mp3", "MP3")])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_compressed_file_is_read_in_part_or_refused(name: str, container: str, part: float) -> None:
    path = written(Path(name), np.tile(tone(), 4), format=container)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    try:
        samples = len(read_audio(path, sample_rate=RATE))
    except NotAudio:
        return
    assert 0 < samples <= 4 * len(tone()) + 3_000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, -1e13])
def test_samples_that_are_no_audio_are_refused(bad: float) -> None:
    wav_N = tone()
    wav_N[77] = bad
    with pytest.raises(DamagedAudio, match="NaN, infinite or absurd"):
        read_audio(written(Path("a.wav"), wav_N, subtype="FLOAT"), sample_rate=RATE)


def test_an_impossible_sample_rate_is_refused() -> None:
    with pytest.raises(NotAudio, match="2000000 Hz"):
        read_audio(written(Path("a.wav"), tone(), 2_000_000), sample_rate=RATE)


# Writing


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("name", "tolerance"), [("a.wav", 4e-5), ("a.FLAC", 4e-5), ("a.ogg", 5e-2)])
def test_written_audio_can_be_read(name: str, tolerance: float, rate: int) -> None:
    write_audio(name, tone(1.5, rate), sample_rate=rate)
    info = soundfile.info(name)
    assert (info.samplerate, info.channels, info.frames) == (rate, 1, int(1.5 * rate))
    np.testing.assert_allclose(read_audio(name, sample_rate=rate), tone(1.5, rate), atol=tolerance)


EVERY_FORMAT = [f"a{ending}" for ending in ENDINGS]


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_pieces_give_the_same_bytes_as_the_whole(name: str) -> None:
    with open_output(name, sample_rate=RATE) as output:
        for piece in np.split(tone(), [0, 1, 777, 9_000]):
            output.write(piece)
    whole = Path("whole").with_suffix(Path(name).suffix)
    write_audio(whole, tone(), sample_rate=RATE)
    assert Path(name).read_bytes() == whole.read_bytes()


def test_set_serial_updates_the_checksum_of_every_ogg_page() -> None:
    soundfile.write("sndfile.ogg", np.tile(tone(), 20), RATE, format="OGG", subtype="VORBIS")
    original = Path("sndfile.ogg").read_bytes()
    serial = int.from_bytes(original[14:18], "little")
    with Path("sndfile.ogg").open("r+b") as file:
        set_serial(file, serial ^ 0x55AA)
    assert Path("sndfile.ogg").read_bytes() != original
    assert len(read_audio("sndfile.ogg", sample_rate=RATE)) == 20 * len(tone())  # libogg skips pages with a wrong one
    with Path("sndfile.ogg").open("r+b") as file:
        set_serial(file, serial)
    assert Path("sndfile.ogg").read_bytes() == original


@pytest.mark.parametrize("rate", RATES)
def test_wav_files_equal_those_of_libsndfile(rate: int) -> None:
    write_audio("ours.wav", tone(rate=rate), sample_rate=rate)
    soundfile.write("sndfile.wav", read_audio("ours.wav", sample_rate=rate), rate, subtype="PCM_16")
    assert Path("ours.wav").read_bytes() == Path("sndfile.wav").read_bytes()


def test_an_explicit_format_replaces_the_file_ending() -> None:
    write_audio("output", tone(), sample_rate=RATE, format="flac")
    assert soundfile.info("output").format == "FLAC"


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.raw"])
def test_loud_samples_are_clipped_and_never_wrap(name: str) -> None:
    loud = np.array([0.0, 1.0, 1.5, 40.0, -1.0, -1.5, -40.0, 1e30], np.float32)
    write_audio(name, loud, sample_rate=RATE)
    samples = np.fromfile(name, "<i2") if name == "a.raw" else soundfile.read(name, dtype="int16")[0]
    assert samples.tolist() == [0, 32767, 32767, 32767, -32767, -32768, -32768, 32767]


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_non_finite_samples_are_never_written(name: str, own_folder: Path) -> None:
    with pytest.raises(VallecliError, match="NaN"):
        write_audio(name, np.array([0.0, np.nan], np.float32), sample_rate=RATE)
    assert not list(own_folder.iterdir())


@pytest.mark.parametrize("name", ["a", "a.mp4", "a.wav.txt"])
def test_unsupported_file_endings_are_refused(name: str, own_folder: Path) -> None:
    with pytest.raises(UsageError, match="unsupported file ending") as caught:
        write_audio(name, tone(), sample_rate=RATE)
    assert all(ending in caught.value.hint for ending in ENDINGS)
    assert not list(own_folder.iterdir())


def test_overwrites_only_by_force() -> None:
    Path("a.wav").write_text("precious")
    with pytest.raises(OutputExists):
        write_audio("a.wav", tone(), sample_rate=RATE)
    assert Path("a.wav").read_text() == "precious"
    write_audio("a.wav", tone(), sample_rate=RATE, force=True)
    assert len(read_audio("a.wav", sample_rate=RATE)) == len(tone())


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.raw"])
def test_a_file_that_appears_during_writing_is_not_overwritten(name: str, own_folder: Path) -> None:
    output = open_output(name, sample_rate=RATE)
    output.__enter__().write(tone())
    Path(name).write_text("precious")
    with pytest.raises(OutputExists):
        output.__exit__(None, None, None)
    assert [path.name for path in own_folder.iterdir()] == [name]
    assert Path(name).read_text() == "precious"


def test_places_that_cannot_hold_a_file_are_refused(own_folder: Path) -> None:
    Path("folder.wav").mkdir()
    Path("file").write_text("")
    os.mkfifo("pipe.wav")
    for name in ("no/folder/a.wav", "folder.wav", "file/a.wav", "pipe.wav", "x" * 300 + ".wav", "/proc/a.wav"):
        with pytest.raises(OutputNotWritable, match=name.rpartition("/")[2]):
            write_audio(name, tone(), sample_rate=RATE, force=True)
    assert {path.name for path in own_folder.iterdir()} == {"folder.wav", "file", "pipe.wav"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused() -> None:
    Path("locked").mkdir(mode=0o500)
    with pytest.raises(OutputNotWritable, match="read-only"):
        write_audio("locked/a.wav", tone(), sample_rate=RATE)


def write_and_raise(name: str, error: BaseException, *, force: bool = False) -> None:
    existed = Path(name).exists()
    with open_output(name, sample_rate=RATE, force=force) as output:
        output.write(tone(0.1))
        assert Path(name).exists() == existed
        raise error


ERRORS = [KeyboardInterrupt, ZeroDivisionError, OSError, FileExistsError, SystemExit, soundfile.LibsndfileError]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.raw"])
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_the_body_changes_nothing_and_is_passed_on(
    name: str, error: type[BaseException], own_folder: Path
) -> None:
    raised = error(1)
    with pytest.raises(error) as caught:
        write_and_raise(name, raised)
    assert caught.value is raised
    assert not list(own_folder.iterdir())
    write_audio(name, tone(), sample_rate=RATE)
    before = Path(name).read_bytes()
    with pytest.raises(error) as caught:
        write_and_raise(name, raised, force=True)
    assert caught.value is raised
    assert [path.name for path in own_folder.iterdir()] == [name]
    assert Path(name).read_bytes() == before


@contextlib.contextmanager
def small_disk() -> Iterator[None]:
    """Limit files to 20 kB, so that writing fails as on a full disk.

    Not a fixture: the limit would also apply to a report file of pytest.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_a_full_disk_is_reported_with_the_name_of_the_output(name: str, own_folder: Path) -> None:
    noise_N = np.random.default_rng(0).uniform(-1, 1, 5 * RATE).astype(np.float32)
    with small_disk(), pytest.raises(OutputNotWritable, match=rf"cannot write {name}: \w"):
        write_audio(name, noise_N, sample_rate=RATE)
    assert not list(own_folder.iterdir())


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_no_descriptor_stays_open(name: str) -> None:
    open_before = sorted(Path("/proc/self/fd").iterdir())
    write_audio(name, tone(), sample_rate=RATE)
    with pytest.raises(ZeroDivisionError):
        write_and_raise(name, ZeroDivisionError(), force=True)
    assert sorted(Path("/proc/self/fd").iterdir()) == open_before


def test_a_file_has_the_usual_permissions() -> None:
    write_audio("a.wav", tone(), sample_rate=RATE)
    Path("usual").touch()
    assert stat.S_IMODE(Path("a.wav").stat().st_mode) == stat.S_IMODE(Path("usual").stat().st_mode)


def test_a_link_stays_a_link() -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/a.wav").touch()
    Path("a.wav").symlink_to("elsewhere/a.wav")
    write_audio("a.wav", tone(), sample_rate=RATE, force=True)
    assert Path("a.wav").is_symlink()
    assert len(read_audio("elsewhere/a.wav", sample_rate=RATE)) == len(tone())
