"""What phones record and what telephones play: files that libsndfile cannot read or write, and their defects."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from vallecli.audio.encoders import new_encoder
from vallecli.audio.files import Wav, read_audio, read_recording, write_audio
from vallecli.audio.formats import FORMATS, MPEG_RATES, OPUS_RATES, output_rate
from vallecli.errors import NotAudio, OutputNotWritable, UsageError

RATE = 24_000  # Hz


def tone(seconds: float = 1.0, rate: int = RATE, hertz: float = 440.0) -> Wav:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def recorded(path: Path, codec: str, container: str, rate: int, *, channels: int = 1, picture: bool = False) -> Path:
    """Write a tone of a second as a recorder does."""
    layout = "stereo" if channels == 2 else "mono"
    samples = np.ascontiguousarray(np.tile(tone(rate=rate), (channels, 1)))
    with av.open(str(path), "w", format=container) as output:
        video = output.add_stream("mpeg4", rate=5, width=16, height=16, pix_fmt="yuv420p") if picture else None
        audio = output.add_stream(codec, rate=rate, layout=layout, bit_rate=64_000)
        output.start_encoding()
        for number in range(5 if video else 0):
            frame = av.VideoFrame.from_ndarray(np.zeros((24, 16), np.uint8), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            output.mux(video.encode(frame))
        if video:
            output.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        sound.sample_rate, sound.pts = rate, 0
        blocks = av.AudioResampler(audio.format, audio.layout, rate, frame_size=audio.codec_context.frame_size)
        for block in (*blocks.resample(sound), *blocks.resample(None)):
            output.mux(audio.encode(block))
        output.mux(audio.encode(None))
    return path


def noise(seed: int) -> Wav:
    return 0.12 * np.random.default_rng(seed).standard_normal(RATE).astype(np.float32)


def assert_is_the_tone(wav_N: Wav, rate: int = RATE, *, seconds: float = 1.0, hertz: float = 440.0) -> None:
    assert abs(len(wav_N) / rate - seconds) < 0.15  # delays of encoders
    spectrum = np.abs(np.fft.rfft(wav_N, 4 * rate))
    assert abs(np.argmax(spectrum) / 4 - hertz) < 2
    assert 0.4 < np.abs(wav_N[rate // 4 : rate // 2]).max() < 0.6


@pytest.mark.parametrize(
    ("name", "codec", "container", "rate", "channels"),
    [
        ("memo.m4a", "aac", "ipod", 44_100, 2),  # iPhone
        ("lossless.m4a", "alac", "ipod", 48_000, 1),
        ("voice.aac", "aac", "adts", 16_000, 1),  # Android
        ("browser.webm", "libopus", "webm", 48_000, 1),
        ("meeting.mka", "libopus", "matroska", 48_000, 2),
        ("phone.3gp", "aac", "3gp", 16_000, 1),
        ("windows.wma", "wmav2", "asf", 44_100, 1),
        ("named.wav", "aac", "ipod", 44_100, 1),  # an ending that is not true
    ],
)
def test_reads_what_phones_record(name: str, codec: str, container: str, rate: int, channels: int) -> None:
    assert_is_the_tone(read_audio(recorded(Path(name), codec, container, rate, channels=channels), sample_rate=RATE))


@pytest.mark.parametrize(("name", "container"), [("film.mp4", "mp4"), ("film.mkv", "matroska"), ("film.mov", "mov")])
def test_reads_the_sound_of_a_film(name: str, container: str) -> None:
    assert_is_the_tone(read_audio(recorded(Path(name), "aac", container, 48_000, picture=True), sample_rate=RATE))


def test_at_most_max_seconds_of_a_phone_recording_are_read() -> None:
    path = recorded(Path("a.m4a"), "aac", "ipod", 44_100)
    assert len(read_audio(path, sample_rate=RATE, max_seconds=0.25)) == RATE // 4


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize(("name", "codec", "container"), [("a.m4a", "aac", "ipod"), ("a.webm", "libopus", "webm")])
def test_a_cut_recording_is_read_in_part_or_refused(name: str, codec: str, container: str, part: float) -> None:
    path = recorded(Path(name), codec, container, 48_000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    try:
        recording = read_recording(path, sample_rate=RATE)
    except NotAudio:
        return
    assert len(recording.wav) <= 1.1 * RATE


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nsecret.wav\n"),
        ("list.m4a", b"ffconcat version 1.0\nfile secret.wav\n"),
        ("session.sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n"),
        ("list.mpd", b'<?xml version="1.0"?><MPD><Period><BaseURL>secret.wav</BaseURL></Period></MPD>'),
    ],
)
def test_a_recording_cannot_refer_to_other_files(name: str, content: bytes) -> None:
    soundfile.write("secret.wav", tone(), RATE)
    Path(name).write_bytes(content)
    with pytest.raises(NotAudio):
        read_recording(name, sample_rate=RATE)


def test_an_index_of_billions_of_samples_is_refused_before_it_is_read() -> None:
    path = recorded(Path("a.m4a"), "aac", "ipod", 44_100)
    content = path.read_bytes()
    at = content.index(b"stsz") + 12
    path.write_bytes(content[:at] + struct.pack(">I", 2**31 - 1) + content[at + 4 :])
    with pytest.raises(NotAudio, match="index is damaged"):
        read_recording(path, sample_rate=RATE)


# Defects that are named


def test_channels_that_cancel_are_not_averaged() -> None:
    soundfile.write("a.wav", np.column_stack([noise(1), -0.9 * noise(1)]), RATE)
    recording = read_recording("a.wav", sample_rate=RATE)
    np.testing.assert_allclose(recording.wav, noise(1), atol=1e-4)
    assert recording.notes == ("the channels of a.wav cancel each other out: only channel 1 is used",)


def test_a_silent_channel_and_two_voices_are_averaged() -> None:
    for other_N in (noise(2), 0 * noise(2)):
        soundfile.write("a.wav", np.column_stack([noise(1), other_N]), RATE)
        recording = read_recording("a.wav", sample_rate=RATE)
        np.testing.assert_allclose(recording.wav, (noise(1) + other_N) / 2, atol=1e-4)
        assert recording.notes == ()


def test_a_header_that_states_no_samples_is_not_believed() -> None:
    soundfile.write("a.wav", noise(1), RATE, subtype="PCM_16")
    content = bytearray(Path("a.wav").read_bytes())
    content[40:44] = bytes(4)
    Path("a.wav").write_bytes(content)
    recording = read_recording("a.wav", sample_rate=RATE)
    np.testing.assert_allclose(recording.wav, noise(1), atol=1e-4)
    assert recording.notes == ("the header of a.wav states no length: the file is read to its end",)


@pytest.mark.parametrize("volume", [1.0, 0.6])  # the second was made quieter after it was clipped
def test_clipping_is_named(volume: float) -> None:
    soundfile.write("a.wav", noise(1), RATE)
    soundfile.write("b.wav", volume * np.clip(5 * noise(1), -1, 1), RATE)
    assert read_recording("a.wav", sample_rate=RATE).notes == ()
    assert read_recording("b.wav", sample_rate=RATE).notes == (
        "b.wav is clipped: it was recorded too loud, and the voice may sound distorted",
    )


# Formats of output


@pytest.mark.parametrize(
    ("name", "rate"),
    [(f"a.{format}", rate) for format, rates in (("mp3", MPEG_RATES), ("m4a", MPEG_RATES), ("opus", OPUS_RATES))
     for rate in rates],
)  # fmt: skip
def test_compressed_output_is_the_same_audio_at_every_rate(name: str, rate: int) -> None:
    write_audio(name, tone(rate=rate), sample_rate=rate)
    with av.open(name) as container:
        stream = container.streams.audio[0]
        assert stream.sample_rate == (48_000 if name == "a.opus" else rate)
        assert stream.channels == 1
        assert abs(container.duration / av.time_base - 1.0) < 0.15
    assert_is_the_tone(read_audio(name, sample_rate=rate), rate)


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.opus"])
def test_an_empty_output_and_one_of_a_sample_are_files(name: str) -> None:
    for samples in (0, 1):
        write_audio(name, tone()[:samples], sample_rate=RATE, force=True)
        assert Path(name).stat().st_size > 0


@pytest.mark.parametrize(("name", "rate"), [("a.mp3", 44_000), ("a.opus", 44_100), ("a.m4a", 96_000)])
def test_rates_that_a_format_lacks_are_refused(name: str, rate: int, own_folder: Path) -> None:
    with pytest.raises(UsageError, match=f"cannot have a sample rate of {rate} Hz"):
        write_audio(name, tone(rate=rate), sample_rate=rate)
    assert not list(own_folder.iterdir())


@pytest.mark.parametrize(
    ("format", "given", "native", "rate"),
    [
        ("wav", None, 16_000, 16_000),
        ("wav", 11_025, 24_000, 11_025),
        ("opus", None, 24_000, 24_000),
        ("opus", None, 22_050, 24_000),
        ("opus", None, 44_100, 48_000),
        ("mp3", None, 96_000, 48_000),
        ("ulaw", None, 24_000, 8_000),
        ("alaw", 16_000, 24_000, 16_000),
    ],
)
def test_the_default_rate_is_the_best_that_the_format_has(
    format: str, given: int | None, native: int, rate: int
) -> None:
    assert output_rate(format, given, native) == rate


@pytest.mark.parametrize(("format", "subtype"), [("ulaw", "ULAW"), ("alaw", "ALAW")])
def test_telephone_formats_have_a_header_in_wav_files_alone(format: str, subtype: str) -> None:
    write_audio("a.wav", tone(rate=8_000), sample_rate=8_000, format=format)
    write_audio("a.raw", tone(rate=8_000), sample_rate=8_000, format=format)
    info = soundfile.info("a.wav")
    assert (info.format, info.subtype, info.samplerate, info.frames) == ("WAV", subtype, 8_000, 8_000)
    raw, _ = soundfile.read("a.raw", samplerate=8_000, channels=1, format="RAW", subtype=subtype)
    np.testing.assert_array_equal(raw, soundfile.read("a.wav")[0])
    np.testing.assert_allclose(raw, tone(rate=8_000), atol=0.03)
    assert Path("a.raw").stat().st_size == 8_000


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_was_cut_off_behind_the_encoder_is_noticed(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder can lose samples without an error, for example when a full disk fails its last write."""

    class Lossy:
        def __init__(self, *arguments: object, **options: object) -> None:
            self.encoder = new_encoder(*arguments, **options)  # type: ignore[arg-type]
            self.file = arguments[0]

        def write(self, wav_N: Wav) -> None:
            self.encoder.write(wav_N)

        def finish(self) -> None:
            self.encoder.finish()
            self.file.truncate(self.file.seek(0, 2) * 2 // 3)  # type: ignore[attr-defined]

        def check(self) -> None:
            self.encoder.check()

    monkeypatch.setattr("vallecli.audio.files.new_encoder", Lossy)
    with pytest.raises(OutputNotWritable):
        write_audio("a.wav", tone(3.0), sample_rate=RATE, format=format)
    assert not Path("a.wav").exists()
