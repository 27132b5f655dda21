"""Manner: a sound that is changed in one way differs in that measure, by as much, and not in the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.errors import SilentPrompt
from vallecli.quality import manner
from vallecli.quality.manner import Measures, differences, measure, reverberation
from vallecli.quality.pretrained import RATE

SPEECH = Path(__file__).parents[2] / "examples" / "reference.wav"


@pytest.fixture(scope="module")
def speech() -> Wav:
    wav_N, rate = soundfile.read(SPEECH, dtype="float32")
    return resample(wav_N, rate, RATE)


def changed(before: Wav, after: Wav) -> dict[str, float]:
    found = differences(measure(before, "before", 3.0), measure(after, "after", 3.5))
    assert None not in found.values()
    return {name: value for name, value in found.items() if value is not None}


def test_the_same_sound_has_no_differences(speech: Wav) -> None:
    assert changed(speech, speech) == {
        **dict.fromkeys(("pitch_median", "pitch_range", "rate", "level", "reverberation"), 0),
        "background": 0.5,
    }


def test_half_the_amplitude_is_6_dB_less_and_nothing_else(speech: Wav) -> None:
    found = changed(speech, 0.5 * speech)
    assert found["level"] == pytest.approx(-6.02, abs=0.05)
    assert found["pitch_median"] == pytest.approx(0, abs=0.05)
    assert found["rate"] == pytest.approx(0, abs=5)


def test_played_faster_the_pitch_and_the_rate_rise(speech: Wav) -> None:
    found = changed(speech, resample(speech, RATE, round(RATE / 1.2)))
    assert found["pitch_median"] == pytest.approx(12 * np.log2(1.2), abs=0.3)  # 3.2 semitones
    assert found["pitch_range"] == pytest.approx(0, abs=1)
    assert found["rate"] == pytest.approx(20, abs=10)


@pytest.mark.parametrize("hertz", [90, 150, 250])
def test_the_pitch_of_a_known_voice(hertz: int) -> None:
    at = np.arange(3 * RATE) / RATE
    buzz = sum(np.sin(2 * np.pi * hertz * k * at) / k for k in range(1, 20))
    wav_N = (0.1 * buzz * np.clip(np.sin(2 * np.pi * 2 * at), 0, 1)).astype(np.float32)
    found = measure(wav_N, "buzz", None)
    assert found.pitch_median == pytest.approx(hertz, rel=0.01)
    assert found.pitch_range == pytest.approx(0, abs=0.5)
    assert found.rate == pytest.approx(2, abs=0.5)  # two pulses a second


def test_a_room_makes_the_reverberation_longer(speech: Wav) -> None:
    generator = np.random.default_rng(0)
    times = [reverberation(speech)]
    for seconds in (0.2, 0.5, 1.0):
        at = np.arange(int(seconds * RATE))
        room = generator.standard_normal(len(at)) * 10 ** (-3 * at / len(at))
        room[0] = np.sqrt((room[1:] ** 2).sum())
        times.append(reverberation(np.convolve(speech, room)[: len(speech)].astype(np.float32)))
    assert None not in times
    assert times == sorted(times)
    assert len(set(times)) == 4


def test_silence_is_refused_and_too_little_speech_is_unknown(speech: Wav) -> None:
    with pytest.raises(SilentPrompt):
        measure(np.zeros(RATE, np.float32), "silence", None)
    short = measure(speech[int(0.5 * RATE) : int(0.6 * RATE)], "short", None)
    assert (short.pitch_median, short.rate, short.reverberation) == (None, None, None)
    assert reverberation(np.zeros(10, np.float32)) is None


def test_what_is_unknown_in_one_of_both_has_no_difference() -> None:
    known = Measures(pitch_median=100, pitch_range=5, rate=3, level=-20, background=None, reverberation=0.1)
    found = differences(known, replace(known, pitch_median=None, background=3.0, rate=4.5))
    assert (found["pitch_median"], found["background"], found["rate"]) == (None, None, 50)
    assert set(found) == set(vars(known)) == set(manner.Measures.__dataclass_fields__)
