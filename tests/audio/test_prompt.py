"""Prompt preparation: which part of a recording is kept, at which level, and which recordings are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.audio import prompt
from vallecli.audio.effects import resample
from vallecli.audio.prompt import PreparedPrompt
from vallecli.audio.stream import Wav
from vallecli.errors import InputError, PromptTooShort, SilentPrompt, TextEncodingError


@dataclass(frozen=True)
class Synth:
    """Makes test signals at one sample rate, and prepares prompts at that rate."""

    rate: int

    def silence(self, seconds: float) -> Wav:
        return np.zeros(int(seconds * self.rate), np.float32)

    def noise(self, seconds: float, decibels: float, seed: int = 1) -> Wav:
        samples = np.random.default_rng(seed).standard_normal(int(seconds * self.rate))
        return (samples * 10 ** (decibels / 20)).astype(np.float32)

    def speech(self, seconds: float, seed: int = 0) -> Wav:
        """Return a signal with the rhythm of speech: four syllables per second of a harmonic tone with noise."""
        time = np.arange(int(seconds * self.rate)) / self.rate
        syllables = np.clip(np.sin(2 * np.pi * 4 * time) + 0.6, 0, None)
        harmonics = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20))
        noise = np.random.default_rng(seed).standard_normal(len(time))
        return (0.1 * syllables * (harmonics + 0.3 * noise)).astype(np.float32)

    def square_wave(self, seconds: float) -> Wav:
        """Return a steady square wave of 191 Hz."""
        time = np.arange(int(seconds * self.rate)) / self.rate
        return np.sign(np.sin(1_200 * time)).astype(np.float32)

    def click(self) -> Wav:
        """Return a second of silence with 0.4 ms of full scale."""
        wav_N = self.silence(1.0)
        start = self.rate // 24
        wav_N[start : start + self.rate // 2_400] = 1.0
        return wav_N

    def prepare(self, *parts: Wav, max_seconds: float = 10.0, best: bool = False) -> PreparedPrompt:
        wav_N = np.concatenate(parts)
        prepared = prompt.prepare(wav_N, "voice.wav", sample_rate=self.rate, max_seconds=max_seconds, best=best)
        assert prepared.wav.dtype == np.float32
        assert prepared.sample_rate == self.rate
        assert prepared.seconds == len(prepared.wav) / self.rate
        return prepared


@pytest.fixture(params=[16_000, 24_000])
def synth(request: pytest.FixtureRequest) -> Synth:
    """Test signals at the sample rates of the codecs."""
    return Synth(request.param)


# What is kept


@pytest.mark.parametrize("background", [-200.0, -70.0, -50.0, -40.0])  # dB
def test_silence_around_the_speech_is_removed(synth: Synth, background: float) -> None:
    wav_N = np.concatenate([synth.silence(1.5), synth.speech(5.0), synth.silence(2.5)])
    prepared = synth.prepare(wav_N + synth.noise(9.0, background))
    assert prepared.seconds == pytest.approx(5.0, abs=0.45)
    assert prepared.notes == []
    assert not prepared.cut


def test_speech_without_silence_is_kept_whole(synth: Synth) -> None:
    assert synth.prepare(synth.speech(5.0)).seconds == pytest.approx(5.0, abs=0.1)


def test_short_pauses_inside_the_speech_are_kept_and_long_ones_are_removed(synth: Synth) -> None:
    short_pause = synth.prepare(synth.speech(2.0), synth.silence(0.7), synth.speech(2.0))
    long_pause = synth.prepare(synth.speech(2.0), synth.silence(6.0), synth.speech(2.0))
    assert short_pause.seconds == pytest.approx(4.7, abs=0.2)
    assert long_pause.seconds == pytest.approx(4.3, abs=0.3)


def test_clicks_are_not_speech(synth: Synth) -> None:
    click = synth.click()
    assert synth.prepare(click, synth.speech(4.0), click).seconds == pytest.approx(4.0, abs=0.3)
    with pytest.raises(SilentPrompt):
        synth.prepare(synth.silence(2.0), click, synth.silence(2.0))


@pytest.mark.parametrize("max_seconds", [4.0, 10.0])
def test_long_recordings_are_cut_at_a_pause(synth: Synth, max_seconds: float) -> None:
    pause_at = 0.85 * max_seconds
    parts = synth.speech(pause_at), synth.silence(0.3), synth.speech(12.0)
    prepared = synth.prepare(*parts, max_seconds=max_seconds)
    assert prepared.seconds == pytest.approx(pause_at + 0.15, abs=0.15)
    assert prepared.cut
    assert prepared.notes == []
    found = pause_at + 12.3
    used = f"the first {prepared.seconds:.1f} s of {prepared.found_seconds:.1f} s of speech in voice.wav are used"
    assert prepared.found_seconds == pytest.approx(found, abs=0.2)
    assert prompt.used_part(prepared, "voice.wav", prepared.seconds) == used


def test_recordings_without_a_pause_are_cut(synth: Synth) -> None:
    prepared = synth.prepare(synth.square_wave(20.0))
    assert 7.0 <= prepared.seconds <= 10.0
    assert prepared.cut


DEFECTS: dict[str, Callable[[Synth, Wav], Wav]] = {
    "noise": lambda synth, wav_N: wav_N + synth.noise(len(wav_N) / synth.rate, -35),
    "clipping": lambda synth, wav_N: np.clip(wav_N, -0.25, 0.25) * 4,
    "low level": lambda synth, wav_N: wav_N * 0.1,
}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("defect", DEFECTS)
def test_the_best_part_is_the_one_without_a_defect(synth: Synth, defect: str, place: int) -> None:
    parts = []
    for number in range(3):
        part_N = synth.speech(9.0, seed=number)
        parts += [part_N if number == place else DEFECTS[defect](synth, part_N), synth.silence(0.5)]
    wav_N = np.concatenate(parts) + synth.noise(28.5, -75)
    prepared = synth.prepare(wav_N, best=True)
    assert prepared.cut
    assert prepared.found_seconds == pytest.approx(28.2, abs=0.5)
    assert prepared.seconds == pytest.approx(9.5, abs=0.6)
    expected_N = wav_N[int(9.5 * place * synth.rate) :][: 9 * synth.rate]
    assert max_correlation(prepared.wav, expected_N) > 0.98


def max_correlation(one_N: Wav, other_N: Wav) -> float:
    """Return the cosine of two signals at the shift where they are most similar."""
    size = len(one_N) + len(other_N)
    products = np.fft.irfft(np.fft.rfft(one_N, size) * np.fft.rfft(other_N, size).conj(), size)
    return float(products.max() / (np.linalg.norm(one_N) * np.linalg.norm(other_N)))


def test_the_best_part_begins_and_ends_in_pauses(synth: Synth) -> None:
    sentences = [part for seed in range(6) for part in (synth.speech(3.9, seed), synth.silence(0.4))]
    wav_N = np.concatenate(sentences)
    prepared = synth.prepare(synth.silence(1.0), wav_N + synth.noise(len(wav_N) / synth.rate, -80), best=True)
    assert prepared.seconds == pytest.approx(8.6, abs=0.3)  # two sentences, the pause between them, and half of two
    edge = int(0.08 * synth.rate)
    assert max(np.abs(prepared.wav[:edge]).max(), np.abs(prepared.wav[-edge:]).max()) < 0.01


def test_the_best_part_of_a_recording_without_pauses(synth: Synth) -> None:
    prepared = synth.prepare(synth.square_wave(20.0) * 0.1, best=True)
    assert 7.0 <= prepared.seconds <= 10.0
    assert prepared.cut


def test_all_speech_is_kept_beside_the_best_part(synth: Synth) -> None:
    parts = synth.speech(12.0), synth.silence(3.0), synth.speech(12.0) * 0.5
    best = synth.prepare(*parts, best=True)
    assert best.all_speech is not None
    assert len(best.all_speech) / synth.rate == best.found_seconds
    assert max_correlation(best.all_speech, best.wav) * np.linalg.norm(best.all_speech) == pytest.approx(
        np.linalg.norm(best.wav), rel=0.1
    )  # at the same level
    assert synth.prepare(*parts).all_speech is None
    assert synth.prepare(synth.speech(5.0), best=True).all_speech is None


@pytest.mark.parametrize("noise", [-90, -60])
def test_pauses_are_left_out_for_measurements(synth: Synth, noise: float) -> None:
    wav_N = np.concatenate([synth.speech(3.0), synth.silence(0.8), synth.speech(2.0), synth.silence(0.6)])
    left_N = prompt.without_pauses(wav_N + synth.noise(6.4, noise), synth.rate)
    assert len(left_N) / synth.rate == pytest.approx(5.2, abs=0.15)
    speech_N = synth.speech(3.0)
    np.testing.assert_array_equal(prompt.without_pauses(speech_N, synth.rate), speech_N)


def test_a_short_recording_has_no_better_part(synth: Synth) -> None:
    wav_N = synth.speech(9.0)
    np.testing.assert_array_equal(synth.prepare(wav_N, best=True).wav, synth.prepare(wav_N).wav)


def test_both_ends_are_faded(synth: Synth) -> None:
    wav_N = synth.prepare(synth.speech(30.0) + synth.noise(30.0, -40)).wav
    assert wav_N[0] == wav_N[-1] == 0.0


def test_shorten_cuts_prepared_prompts_that_are_too_long(synth: Synth) -> None:
    prepared = synth.prepare(synth.speech(3.5), synth.silence(0.3), synth.speech(4.0))
    assert prompt.shorten(prepared, "voice.wav", prepared.seconds) is prepared
    shorter = prompt.shorten(prepared, "voice.wav", 4.0)
    assert shorter.seconds == pytest.approx(3.65, abs=0.15)
    assert shorter.sample_rate == synth.rate
    assert shorter.cut


def test_the_message_about_the_used_part_has_the_number_of_the_models(synth: Synth) -> None:
    whole, long = synth.prepare(synth.speech(5.0)), synth.prepare(synth.speech(25.0))
    assert prompt.used_part(whole, "a.wav", whole.seconds) is None
    assert prompt.used_part(whole, "a.wav", whole.seconds + 0.05) is None  # codes have a whole number of frames
    assert prompt.used_part(whole, "a.wav", 3.0) == "the first 3.0 s of 5.0 s of speech in a.wav are used"
    assert prompt.used_part(long, "a.wav", 3.0) == "the first 3.0 s of 25.0 s of speech in a.wav are used"


# The level


@pytest.mark.parametrize("gain", [1e-2, 0.1, 1.0, 3.0])
def test_the_level_does_not_depend_on_the_recording(synth: Synth, gain: float) -> None:
    wav_N = np.concatenate([synth.silence(1.0), synth.speech(4.0), synth.silence(1.0)])
    reference, prepared = synth.prepare(wav_N), synth.prepare(np.float32(gain) * wav_N)
    np.testing.assert_allclose(prepared.wav, reference.wav, rtol=1e-3, atol=1e-5)
    assert 0.03 < np.sqrt(np.mean(prepared.wav**2)) < 0.2


def test_peaks_never_exceed_full_scale(synth: Synth) -> None:
    wav_N = synth.speech(4.0)
    wav_N[:: synth.rate // 4] = 30.0
    assert np.abs(synth.prepare(wav_N).wav).max() <= 0.96


def test_a_dc_offset_is_removed(synth: Synth) -> None:
    wav_N = np.concatenate([synth.silence(1.0), synth.speech(4.0), synth.silence(1.0)])
    plain, offset = (synth.prepare(wav_N + np.float32(dc)) for dc in (0, 0.3))
    assert offset.seconds == pytest.approx(plain.seconds, abs=0.05)
    assert abs(offset.wav.mean()) < 1e-2
    with pytest.raises(SilentPrompt):
        synth.prepare(synth.silence(4.0) + np.float32(0.5))


def test_the_input_is_not_modified(synth: Synth) -> None:
    wav_N = np.concatenate([synth.silence(1.0), synth.speech(4.0)])
    before = wav_N.copy()
    synth.prepare(wav_N)
    np.testing.assert_array_equal(wav_N, before)


@pytest.mark.parametrize("level", [-40.0, -60.0])  # dB, in addition to the 25 dB of the signal
def test_quiet_speech_is_used_if_it_stands_out(synth: Synth, level: float) -> None:
    gain = np.float32(10 ** (level / 20))
    wav_N = np.concatenate([synth.silence(1.0), gain * synth.speech(4.0), synth.silence(1.0)])
    prepared = synth.prepare(wav_N + synth.noise(6.0, level - 60))
    assert prepared.seconds == pytest.approx(4.2, abs=0.3)
    assert 0.03 < np.sqrt(np.mean(prepared.wav**2)) < 0.2
    assert prepared.notes == ([] if level == -40 else ["voice.wav is very quiet: the voice may sound noisy"])
    with pytest.raises(SilentPrompt):
        synth.prepare(synth.noise(6.0, -70.0))  # a quiet room


# Too little speech


@pytest.mark.parametrize("seconds", [1.2, 2.0, 2.8])
def test_little_speech_gives_a_note(synth: Synth, seconds: float) -> None:
    [note] = synth.prepare(synth.silence(1.0), synth.speech(seconds - 0.25), synth.silence(1.0)).notes
    assert "3 to 10 s" in note


@pytest.mark.parametrize("seconds", [0.2, 0.7])
@pytest.mark.parametrize("around", [0.0, 2.0])  # seconds
def test_less_than_a_second_of_speech_is_refused(synth: Synth, seconds: float, around: float) -> None:
    with pytest.raises(PromptTooShort, match=r"voice\.wav has 0\.\d s of speech, at least 1 s"):
        synth.prepare(synth.silence(around), synth.square_wave(seconds), synth.silence(around))


@pytest.mark.parametrize("around", [0.0, 2.0])  # seconds
def test_a_sound_of_10_ms_is_silence(synth: Synth, around: float) -> None:
    with pytest.raises(SilentPrompt):
        synth.prepare(synth.silence(around), synth.square_wave(0.01), synth.silence(around))


def test_silence_is_refused(synth: Synth) -> None:
    for wav_N in (synth.silence(0), synth.silence(0.001), synth.silence(4.0), synth.noise(4.0, -80.0)):
        with pytest.raises(SilentPrompt, match=r"voice\.wav is silent"):
            synth.prepare(wav_N)


# Files


def test_only_the_first_minute_of_a_file_is_read(synth: Synth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt, "MAX_READ_SECONDS", 6.0)
    wav_N = np.concatenate([synth.speech(5.0), synth.silence(20.0), synth.speech(5.0)])
    soundfile.write("long.wav", wav_N, synth.rate)
    prepared = prompt.load("long.wav", sample_rate=synth.rate)
    assert prepared.seconds == pytest.approx(5.0, abs=0.3)
    assert prepared.cut
    message = prompt.used_part(prepared, "long.wav", 4.0)
    assert message == f"the first 4.0 s of speech in long.wav are used, of more than {prepared.seconds:.1f} s"


def test_the_best_part_is_searched_after_the_first_minute(synth: Synth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt, "MAX_READ_SECONDS", 6.0)
    monkeypatch.setattr(prompt, "MAX_SEARCHED_SECONDS", 30.0)
    good_N, noisy_N = synth.speech(9.0), synth.speech(12.0) + synth.noise(12.0, -35)
    soundfile.write("long.wav", np.concatenate([noisy_N, synth.silence(0.5), good_N, synth.silence(20.0)]), synth.rate)
    prepared = prompt.load("long.wav", sample_rate=synth.rate, best=True)
    assert prepared.more
    assert max_correlation(prepared.wav, good_N) > 0.98


@pytest.mark.parametrize(
    ("file_rate", "channels", "subtype"), [(192_000, 2, "PCM_24"), (11_025, 6, "PCM_16"), (8_000, 1, "PCM_U8")]
)
def test_unusual_files_give_the_same_prompt(synth: Synth, file_rate: int, channels: int, subtype: str) -> None:
    wav_N = np.concatenate([synth.silence(1.0), synth.speech(4.0), synth.silence(1.0)])
    wav_NC = np.repeat(resample(wav_N, synth.rate, file_rate)[:, None], channels, axis=1)
    soundfile.write("voice.wav", wav_NC, file_rate, subtype=subtype)
    prepared = prompt.load(Path("voice.wav"), sample_rate=synth.rate)
    assert prepared.sample_rate == synth.rate
    assert prepared.seconds == pytest.approx(4.2, abs=0.25)


def test_a_transcript_is_read_next_to_the_recording() -> None:
    assert prompt.read_transcript("voice.wav") is None
    Path("voice.txt").write_text("\ufeffWhat I said.\n", encoding="utf-8")
    assert prompt.read_transcript("voice.wav") == "What I said."
    for encoding in ("utf-8", "utf-16"):
        Path("voice.txt").write_bytes("What I\r\nsaid.\r\n".encode(encoding))
        assert prompt.read_transcript("voice.wav") == "What I\nsaid."
    Path("voice.txt").write_bytes("Café.".encode("latin1"))
    with pytest.raises(TextEncodingError, match="probably windows-1252"):
        prompt.read_transcript("voice.wav")
    Path("other.txt").mkdir()
    with pytest.raises(InputError, match=r"cannot read other\.txt"):
        prompt.read_transcript("other.wav")
