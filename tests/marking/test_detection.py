"""Detection: marked sounds, parts of recordings, other speeds, and sounds that are not marked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from voiced import voiced

from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.marking import perth
from vallecli.marking.detection import MARKED, NOT_MARKED, UNKNOWN, Detection, detect

CPU, RATE = torch.device("cpu"), 24_000
DETECTOR = perth.Detector(CPU)


def marked(seconds: float, seed: int = 0) -> Wav:
    return perth.marker(CPU).mark(voiced(seconds, RATE, seed), RATE).wav


def find(wav_N: Wav, *, thorough: bool = False) -> Detection:
    return detect(wav_N, RATE, DETECTOR, thorough=thorough)


@pytest.mark.parametrize("seed", range(4))
def test_marked_and_unmarked_sounds(seed: int) -> None:
    found = find(marked(4, seed))
    assert (found.verdict, found.speed) == (MARKED, 1)
    assert found.score is not None
    assert found.score > 0.9
    assert found.marked == ((0.0, 4.0),)
    clean = find(voiced(4, RATE, seed))
    assert (clean.verdict, clean.marked) == (NOT_MARKED, ())
    assert clean.score is not None
    assert clean.score < 0.3


@pytest.mark.parametrize("kind", ["white", "pink", "square", "chord"])
def test_noise_and_chords_are_not_marked(kind: str) -> None:
    generator, time_N = np.random.default_rng(0), np.arange(4 * RATE) / RATE
    wav_N = {
        "white": 0.1 * generator.standard_normal(len(time_N)),
        "pink": 0.001 * np.cumsum(generator.standard_normal(len(time_N))),
        "square": 0.2 * np.sign(np.sin(2 * np.pi * 220 * time_N)),
        "chord": sum(0.1 * np.sin(2 * np.pi * pitch * time_N) for pitch in (220, 277, 330, 440)),
    }[kind]
    assert find(wav_N.astype(np.float32)).verdict == NOT_MARKED


def test_a_score_is_that_of_the_specification() -> None:
    """Of a recording that fits into a window: averages over active frames, joined by a softmax of the networks."""
    wav_N = resample(0.5 * marked(2.5) + 0.5 * voiced(2.5, RATE), RATE, perth.SAMPLE_RATE)
    frames = DETECTOR.frames(wav_N)
    weights, marks = ([getattr(of, name)[of.active_T].mean() for of in frames] for name in ("weight_T", "mark_T"))
    expected = np.clip(np.exp(weights) @ np.array(marks) / np.exp(weights).sum(), 0, 1)
    found = detect(wav_N, perth.SAMPLE_RATE, DETECTOR)
    assert found.score == pytest.approx(expected, abs=1e-9)
    assert found.best_score == pytest.approx(expected, abs=1e-9)


def test_a_marked_sentence_is_found_in_a_long_recording() -> None:
    """It is beyond the first block that the networks see, and its windows begin at a second."""
    before, after = np.tile(voiced(7, RATE), 10), voiced(9.4, RATE, 3)
    found = find(np.concatenate([before, marked(5, 2), after]))
    assert found.verdict == MARKED
    assert found.score is not None
    assert found.score < 0.3
    [(start, end)] = found.marked
    assert start == pytest.approx(70, abs=1.1)
    assert end == pytest.approx(75, abs=1.1)


def test_marked_sentences_apart_are_two_parts() -> None:
    found = find(np.concatenate([marked(4), voiced(8, RATE, 3), marked(4, 2)]))
    [(first, _), (_, last)] = found.marked
    assert (first, last) == (0.0, 16.0)


@pytest.mark.parametrize(("start", "seconds"), [(0, 1), (1.3, 2), (0.7, 1.0), (2.4, 0.8)])
def test_crops(start: float, seconds: float) -> None:
    crop = slice(round(start * RATE), round((start + seconds) * RATE))
    assert find(marked(4)[crop]).verdict == MARKED
    assert find(voiced(4, RATE)[crop]).verdict != MARKED


@pytest.mark.parametrize("gain", [0.05, 0.5, 2])
def test_other_levels(gain: float) -> None:
    assert find(np.clip(gain * marked(3), -1, 1).astype(np.float32)).verdict == MARKED


@pytest.mark.parametrize("wav_N", [np.zeros(2 * RATE, np.float32), marked(0.3), marked(4)[:500], np.zeros(0, "f4")])
def test_too_short_or_silent_to_say(wav_N: Wav) -> None:
    for thorough in (False, True):
        found = find(wav_N, thorough=thorough)
        assert (found.verdict, found.score, found.best_score, found.marked) == (UNKNOWN, None, None, ())


@pytest.mark.parametrize("speed", [0.93, 1.06])
def test_other_speeds_are_found_by_a_thorough_search_only(speed: float) -> None:
    changed_N = resample(marked(4), RATE, round(RATE / speed))
    assert find(changed_N).verdict == NOT_MARKED
    found = find(changed_N, thorough=True)
    assert (found.verdict, found.speed) == (MARKED, pytest.approx(speed, abs=0.015))
    [(start, end)] = found.marked
    assert (start, end) == (0, pytest.approx(4 / speed, abs=0.02))  # seconds of the recording as it is


def test_a_thorough_search_does_not_find_what_is_not_there() -> None:
    found = find(voiced(4, RATE, 1), thorough=True)
    assert (found.verdict, found.speed, found.marked) == (NOT_MARKED, 1, ())
