"""The guard: good speech passes, and each kind of spoilt speech is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.quality.guard import Problem, problems
from vallecli.synthesizer import Synthesizer
from vallecli.text.pace import Pace, letters_of

RATE = 24_000
EXAMPLE = Path(__file__).parents[2] / "examples" / "reference.wav"
Spoil = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def looped(wav_N: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the audio with a loud part of 0.15 to 0.6 s that is heard five times."""
    length = int(RATE * random.uniform(0.15, 0.6))
    energy = np.convolve(wav_N**2, np.ones(length), "valid")
    start = int(energy.argmax())
    part = wav_N[start : start + length]
    return np.concatenate([wav_N[:start], *[part] * 5, wav_N[start + length :]])


def truncated(wav_N: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the audio up to a loud moment in its first half."""
    end = int(len(wav_N) * random.uniform(0.3, 0.5))
    window = np.abs(wav_N[end - RATE // 5 : end])
    return wav_N[: end - RATE // 5 + int(np.convolve(window, np.ones(480), "same").argmax())]


def silent(wav_N: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return (wav_N * 10 ** (-random.uniform(60, 90) / 20)).astype(np.float32)


def noise(wav_N: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.normal(0, random.uniform(0.01, 0.2), len(wav_N)).astype(np.float32)


def paused(wav_N: np.ndarray, random: np.random.Generator) -> np.ndarray:
    middle = len(wav_N) // 2
    return np.concatenate([wav_N[:middle], np.zeros(int(RATE * random.uniform(1.7, 4)), np.float32), wav_N[middle:]])


SPOILT: dict[Spoil, set[Problem]] = {
    looped: {Problem.LOOP},
    truncated: {Problem.ABRUPT, Problem.SHORT},
    silent: {Problem.SILENT},
    noise: {Problem.NOISE},
    paused: {Problem.PAUSE},
}
TEXTS = (
    "The ferry leaves the harbour at dawn.",
    "Nobody expected the old clock to start again.",
    "If you turn left, the library is on the right.",
    "My brother plants potatoes behind the barn.",
    "Water.",
    "We sailed for three days without seeing land.",
    "The train to the coast was late again.",
    "Keep the letter until I come back.",
)


@pytest.fixture(scope="module")
def spoken() -> list[tuple[str, np.ndarray]]:
    """Sentences of nano, with their audio."""
    nano = Synthesizer.load("nano", device="cpu", watermark=False)
    voice = nano.voice(EXAMPLE)
    return [(text, piece.audio) for text in TEXTS for piece in nano.speak(text, voice)]


def found(text: str, wav_N: np.ndarray, pace: Pace) -> set[Problem]:
    short = pace.is_too_short(len(wav_N) / RATE, pace.seconds(letters_of(text)))
    long = pace.is_too_long(len(wav_N) / RATE, pace.seconds(letters_of(text)))
    return {*problems(wav_N, RATE), *([Problem.SHORT] if short else []), *([Problem.LONG] if long else [])}


def test_good_speech_has_no_problems(spoken: list[tuple[str, np.ndarray]]) -> None:
    for text, wav_N in spoken:
        assert found(text, wav_N, Pace()) == set(), text
    recording, rate = soundfile.read(EXAMPLE, dtype="float32")
    assert problems(recording, rate) == []


@pytest.mark.parametrize("spoil", SPOILT)
def test_spoilt_speech_is_found(spoken: list[tuple[str, np.ndarray]], spoil: Spoil) -> None:
    random = np.random.default_rng(1)
    for text, wav_N in spoken:
        if spoil is truncated and len(wav_N) < RATE:
            continue
        assert SPOILT[spoil] & found(text, spoil(wav_N, random), Pace()), text


def test_codes_that_repeat_are_a_loop_although_their_audio_differs(spoken: list[tuple[str, np.ndarray]]) -> None:
    _, wav_N = spoken[0]
    frames = len(wav_N) * 75 // RATE
    random = np.random.default_rng(0)
    codes_T = random.integers(0, 1024, frames).astype(np.int16)
    assert problems(wav_N, RATE, codes_T=codes_T, frame_rate=75) == []
    cycle = random.integers(0, 1024, 9)
    looped_T = codes_T.copy()
    looped_T[20:80] = np.resize(cycle, 60)
    looped_T[50] = 3  # one code differs
    assert problems(wav_N, RATE, codes_T=looped_T, frame_rate=75) == [Problem.LOOP]


def test_codes_of_silence_may_repeat() -> None:
    speech = np.sin(np.arange(RATE) ** 1.5 * 0.001).astype(np.float32) * 0.3  # a rising tone
    wav_N = np.concatenate([speech, np.zeros(RATE, np.float32)])
    codes_T = np.concatenate([np.arange(75), np.zeros(75)]).astype(np.int16)
    assert Problem.LOOP not in problems(wav_N, RATE, codes_T=codes_T, frame_rate=75)


@pytest.mark.parametrize("wav_N", [np.zeros(0, np.float32), np.zeros(100, np.float32), np.zeros(RATE, np.float32)])
def test_silence_of_any_length(wav_N: np.ndarray) -> None:
    assert problems(wav_N, RATE, codes_T=np.zeros(0, np.int16), frame_rate=75) == [Problem.SILENT]


@pytest.mark.parametrize("seconds", [0.005, 0.02, 0.1, 0.3])
def test_very_short_audio_is_judged_without_an_error(seconds: float) -> None:
    wav_N = np.random.default_rng(0).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)
    codes_T = np.arange(int(seconds * 75)).astype(np.int16)
    assert isinstance(problems(wav_N, RATE, codes_T=codes_T, frame_rate=75), list)
