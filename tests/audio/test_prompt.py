"""Prompt preparation: what is kept of a recording, how loud it is, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.audio import prompt
from vallecli.audio.stream import Wav
from vallecli.constants import SAMPLE_RATE
from vallecli.errors import PromptTooShort, SilentPrompt


def silence(seconds: float) -> Wav:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def noise(seconds: float, decibels: float, seed: int = 1) -> Wav:
    drawn = np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE))
    return (drawn * 10 ** (decibels / 20)).astype(np.float32)


def speech(seconds: float, seed: int = 0) -> Wav:
    """Give something with the rhythm of speech: four syllables a second of a buzz and a hiss."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    syllables = np.clip(np.sin(2 * np.pi * 4 * time) + 0.6, 0, None)
    buzz = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20))
    hiss = np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * syllables * (buzz + 0.3 * hiss)).astype(np.float32)


def join(*pieces: Wav) -> Wav:
    return np.concatenate(pieces)


def prepare(wav_N: Wav, max_seconds: float = 10.0) -> prompt.PreparedPrompt:
    prepared = prompt.prepare(wav_N, "voice.wav", max_seconds=max_seconds)
    assert prepared.wav.dtype == np.float32
    assert prepared.seconds == len(prepared.wav) / SAMPLE_RATE
    return prepared


@pytest.mark.parametrize("background", [-200.0, -70.0, -50.0, -40.0])
def test_silence_around_the_speech_goes(background: float) -> None:
    wav_N = join(silence(1.5), speech(5.0), silence(2.5))
    prepared = prepare(wav_N + noise(9.0, background))
    assert prepared.seconds == pytest.approx(5.0, abs=0.45)
    assert prepared.notes == []


def test_speech_without_silence_is_kept_whole() -> None:
    assert prepare(speech(5.0)).seconds == pytest.approx(5.0, abs=0.1)


def test_pauses_inside_the_speech_stay_and_long_ones_shrink() -> None:
    assert prepare(join(speech(2.0), silence(0.7), speech(2.0))).seconds == pytest.approx(4.7, abs=0.2)
    assert prepare(join(speech(2.0), silence(6.0), speech(2.0))).seconds == pytest.approx(4.3, abs=0.3)


def test_a_click_is_no_speech() -> None:
    click = silence(1.0)
    click[1_000:1_010] = 1.0
    assert prepare(join(click, speech(4.0), click)).seconds == pytest.approx(4.0, abs=0.3)
    with pytest.raises(SilentPrompt):
        prepare(join(silence(2.0), click, silence(2.0)))


@pytest.mark.parametrize("gain", [1e-2, 0.1, 1.0, 3.0])
def test_the_level_does_not_depend_on_the_recording(gain: float) -> None:
    reference = prepare(join(silence(1.0), speech(4.0), silence(1.0)))
    prepared = prepare(np.float32(gain) * join(silence(1.0), speech(4.0), silence(1.0)))
    np.testing.assert_allclose(prepared.wav, reference.wav, rtol=1e-3, atol=1e-5)
    assert 0.03 < np.sqrt(np.mean(prepared.wav**2)) < 0.2


def test_peaks_are_never_beyond_full_scale() -> None:
    wav_N = speech(4.0)
    wav_N[::6_000] = 30.0
    assert np.abs(prepare(wav_N).wav).max() <= 0.96


def test_an_offset_is_taken_out() -> None:
    plain, offset = (prepare(join(silence(1.0), speech(4.0), silence(1.0)) + np.float32(dc)) for dc in (0, 0.3))
    assert offset.seconds == pytest.approx(plain.seconds, abs=0.05)
    assert abs(offset.wav.mean()) < 1e-2
    with pytest.raises(SilentPrompt):
        prepare(silence(4.0) + np.float32(0.5))


@pytest.mark.parametrize("max_seconds", [4.0, 10.0])
def test_long_recordings_are_cut_at_a_pause(max_seconds: float) -> None:
    until = 0.85 * max_seconds
    prepared = prepare(join(speech(until), silence(0.3), speech(12.0)), max_seconds)
    assert prepared.seconds == pytest.approx(until + 0.15, abs=0.15)
    assert len(prepared.notes) == 1
    assert "voice.wav" in prepared.notes[0]
    assert f"{prepared.seconds:.1f} s" in prepared.notes[0]


def test_recordings_without_a_pause_are_cut_all_the_same() -> None:
    buzz = np.sign(np.sin(np.arange(20 * SAMPLE_RATE) * 0.05)).astype(np.float32)
    assert 7.0 <= prepare(buzz).seconds <= 10.0


def test_ends_are_faded() -> None:
    wav_N = prepare(join(speech(30.0) + noise(30.0, -40))).wav
    assert wav_N[0] == wav_N[-1] == 0.0


@pytest.mark.parametrize("seconds", [1.2, 2.0, 2.8])
def test_little_speech_is_warned_of(seconds: float) -> None:
    notes = prepare(join(silence(1.0), speech(seconds - 0.25), silence(1.0))).notes
    assert len(notes) == 1
    assert "3 to 10 s" in notes[0]


@pytest.mark.parametrize("seconds", [0.01, 0.2, 0.7])
@pytest.mark.parametrize("around", [0.0, 2.0])
def test_less_than_a_second_of_speech_is_refused(seconds: float, around: float) -> None:
    buzz = np.sign(np.sin(np.arange(int(seconds * SAMPLE_RATE)) * 0.05)).astype(np.float32)
    if seconds * SAMPLE_RATE < prompt.SHORTEST_SOUND * prompt.STEP:
        with pytest.raises(SilentPrompt):
            prepare(join(silence(around), buzz, silence(around)))
        return
    with pytest.raises(PromptTooShort, match=r"voice\.wav holds 0\.\d s of speech, at least 1 s"):
        prepare(join(silence(around), buzz, silence(around)))


@pytest.mark.parametrize("wav_N", [silence(0), silence(0.001), silence(4.0), noise(4.0, -80.0)])
def test_silence_is_refused(wav_N: Wav) -> None:
    with pytest.raises(SilentPrompt, match=r"voice\.wav is silent"):
        prepare(wav_N)


def test_the_recording_itself_is_left_as_it_was() -> None:
    wav_N = join(silence(1.0), speech(4.0))
    before = wav_N.copy()
    prepare(wav_N)
    np.testing.assert_array_equal(wav_N, before)


def test_a_recording_of_hours_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt, "READ_SECONDS", 6.0)
    soundfile.write("long.wav", join(speech(5.0), silence(20.0), speech(5.0)), SAMPLE_RATE)
    prepared = prompt.load("long.wav")
    assert prepared.seconds == pytest.approx(5.0, abs=0.3)
    assert any("first 6 s of long.wav" in note for note in prepared.notes)


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(192_000, 2, "PCM_24"), (16_000, 6, "PCM_16"), (8_000, 1, "PCM_U8")]
)
def test_uncommon_recordings_make_the_same_prompt(rate: int, channels: int, subtype: str) -> None:
    import soxr

    wav_N = join(silence(1.0), speech(4.0), silence(1.0))
    several = np.repeat(soxr.resample(wav_N, SAMPLE_RATE, rate)[:, None], channels, axis=1)
    soundfile.write("voice.wav", several, rate, subtype=subtype)
    assert prompt.load(Path("voice.wav")).seconds == pytest.approx(4.2, abs=0.25)
