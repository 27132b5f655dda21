"""Transcription with a fake faster-whisper: the tests neither install it nor load a model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vallecli.audio.stream import Wav
from vallecli.audio.transcribe import transcribe
from vallecli.errors import CheckpointError, EmptyTranscript, ExtraMissing

RATE = 24_000  # Hz, where a test does not depend on the rate
SECOND = np.zeros(RATE, np.float32)
FakeWhisper = Callable[..., list[Wav]]


@pytest.fixture
def fake_whisper(monkeypatch: pytest.MonkeyPatch) -> FakeWhisper:
    """Install a fake faster-whisper that recognizes the given segments; its audio inputs are appended to a list."""

    def install(*segments: str, error: Exception | None = None) -> list[Wav]:
        inputs: list[Wav] = []

        class WhisperModel:
            def __init__(self, name: str, *, device: str, compute_type: str) -> None:
                if error is not None:
                    raise error

            def transcribe(self, wav_N: Wav, **options: Any) -> tuple[Iterator[Any], None]:
                inputs.append(wav_N)
                return (SimpleNamespace(text=segment) for segment in segments), None

        module = ModuleType("faster_whisper")
        vars(module).update(WhisperModel=WhisperModel)
        monkeypatch.setitem(sys.modules, "faster_whisper", module)
        return inputs

    return install


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
def test_segments_are_joined_and_get_a_final_punctuation_mark(fake_whisper: FakeWhisper, rate: int) -> None:
    inputs = fake_whisper(" What I said", " was this")
    assert transcribe(np.zeros(rate, np.float32), rate) == "What I said was this."
    assert [len(wav_N) for wav_N in inputs] == [16_000]  # one second at Whisper's rate
    assert inputs[0].dtype == np.float32


@pytest.mark.parametrize("transcript", ["Done!", "好吗？", "So…"])
def test_an_existing_punctuation_mark_is_kept(fake_whisper: FakeWhisper, transcript: str) -> None:
    fake_whisper(f" {transcript}")
    assert transcribe(SECOND, RATE) == transcript


@pytest.mark.parametrize("segments", [[], [" ..."]])
def test_a_recording_without_words(fake_whisper: FakeWhisper, segments: list[str]) -> None:
    fake_whisper(*segments)
    with pytest.raises(EmptyTranscript):
        transcribe(SECOND, RATE)


@pytest.mark.parametrize("error", [OSError("no route\nand more"), RuntimeError("no model.bin"), ValueError("no size")])
def test_a_model_that_cannot_be_loaded(fake_whisper: FakeWhisper, error: Exception) -> None:
    fake_whisper(error=error)
    with pytest.raises(CheckpointError) as caught:
        transcribe(SECOND, RATE)
    assert caught.value.message.endswith(str(error).splitlines()[0])
    assert "give the transcript" in caught.value.hint


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ExtraMissing) as caught:
        transcribe(SECOND, RATE)
    assert "vallecli[asr]" in caught.value.hint
