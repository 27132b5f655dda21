"""Several speakers in one recording: what is measured, and what `valle voices add` says. The encoder is replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from conftest import Valle

from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.voices import speaker
from vallecli.voices.names import stored_names

RATE = 24_000  # Hz
EXAMPLE = Path(__file__).parents[2] / "examples" / "reference.wav"
LOW, HIGH = 110.0, 190.0  # Hz, pitches of two speakers


def voice(pitch: float, seconds: float, rate: int = RATE) -> Wav:
    """Return syllables of a harmonic tone."""
    at = np.arange(int(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * pitch * k * at) / k for k in range(1, 9))
    return (0.1 * np.clip(np.sin(2 * np.pi * 3 * at) + 0.5, 0.01, 1) * buzz).astype(np.float32)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the encoder by one that knows two pitches; return the seconds of what it gets."""
    seconds: list[float] = []

    def windows(wav_N: Wav) -> speaker.Embedding:
        seconds.append(len(wav_N) / speaker.RATE)
        size = speaker.WINDOW * speaker.HOP
        starts = range(0, max(1, len(wav_N) - size), speaker.STEP * speaker.HOP)
        return np.stack([embedding(wav_N[start : start + size]) for start in starts])

    def embedding(wav_N: Wav) -> speaker.Embedding:
        power_F = np.abs(np.fft.rfft(wav_N, speaker.RATE)) ** 2  # a bin is one Hz
        found_E = np.array([power_F[int(pitch) - 10 : int(pitch) + 10].sum() for pitch in (LOW, HIGH)])
        return (found_E / np.linalg.norm(found_E)).astype(np.float32)

    monkeypatch.setattr(speaker, "encoder", lambda: SimpleNamespace(windows=windows))
    return seconds


MIXTURES: dict[str, Callable[[], Wav]] = {
    "halves": lambda: np.concatenate([voice(LOW, 6), voice(HIGH, 6)]),
    "turns": lambda: np.concatenate([voice(pitch, 3) for pitch in (LOW, HIGH) * 3]),
    "a fifth": lambda: np.concatenate([voice(LOW, 8), voice(HIGH, 3)]),
    "the end of two minutes": lambda: np.concatenate([voice(LOW, 90), voice(HIGH, 30)]),
}


@pytest.mark.parametrize("kind", MIXTURES)
def test_two_speakers_are_found(heard: list[float], kind: str) -> None:
    assert speaker.seems_mixed(MIXTURES[kind](), RATE)


@pytest.mark.parametrize("seconds", [3.5, 12, 120])
def test_one_speaker_is_not_mixed(heard: list[float], seconds: float) -> None:
    assert speaker.seems_mixed(voice(LOW, seconds), RATE) is False


def test_half_a_minute_is_encoded_and_no_pauses(heard: list[float]) -> None:
    speaker.seems_mixed(voice(LOW, 600), RATE)
    speaker.seems_mixed(np.concatenate([voice(LOW, 4), np.zeros(2 * RATE, np.float32), voice(LOW, 4)]), RATE)
    assert heard == [pytest.approx(30, abs=0.1), pytest.approx(8.2, abs=0.2)]


def test_too_little_speech(heard: list[float]) -> None:
    assert speaker.seems_mixed(voice(LOW, 1.5), RATE) is None


def add(valle: Valle, wav_N: Wav) -> tuple[str, object]:
    """Add a voice, and return the messages and what --json says of several speakers."""
    soundfile.write("voice.wav", wav_N, RATE)
    ran = valle("voices", "add", "anna", "voice.wav", "--force", "--json")
    assert ran.code == 0, ran.err
    return ran.err, json.loads(ran.out)["several_speakers"]


@pytest.mark.parametrize(("kind", "mixed"), [("halves", True), ("the end of two minutes", True), ("one", False)])
def test_the_user_is_warned(valle: Valle, heard: list[float], kind: str, mixed: bool) -> None:
    said, found = add(valle, voice(LOW, 12) if kind == "one" else MIXTURES[kind]())
    assert (found, "voice.wav seems to have several speakers" in said) == (mixed, mixed)
    assert stored_names() == ["anna"]


def test_without_the_encoder_it_is_said(valle: Valle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker, "PACKAGE", "no_such_package")
    speaker.encoder.cache_clear()
    said, mixed = add(valle, voice(LOW, 5))
    assert mixed is None
    assert "it is not known whether voice.wav has several speakers" in said
    assert "pip install --no-deps Resemblyzer" in said
    assert valle("voices", "add", "anna", "voice.wav", "--force", "--quiet").err == ""


def test_another_encoder_than_the_published_one_is_refused(
    valle: Valle, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pretrained.pt").write_bytes(b"other weights")
    monkeypatch.setattr(speaker, "weights_file", lambda: tmp_path / "pretrained.pt")
    speaker.encoder.cache_clear()
    ran = valle("voices", "add", "anna", reference)
    assert (ran.code, "is not the file of Resemblyzer" in ran.err) == (4, True)
    assert stored_names() == []


@pytest.mark.skipif(speaker.weights_file() is None, reason="Resemblyzer is not installed")
def test_the_encoder_hears_a_change_of_the_voice() -> None:
    speaker.encoder.cache_clear()
    wav_N, rate = soundfile.read(EXAMPLE, dtype="float32")
    other_N = resample(wav_N, rate, int(rate / 0.6))  # slower and lower
    assert speaker.seems_mixed(np.concatenate([wav_N, wav_N]), rate) is False
    assert speaker.seems_mixed(np.concatenate([wav_N, other_N]), rate)
