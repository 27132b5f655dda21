"""Transcription, with a stand-in for faster-whisper, which the tests neither install nor feed a model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vallecli.audio import transcribe
from vallecli.constants import SAMPLE_RATE
from vallecli.errors import CheckpointError, EmptyTranscript, ExtraMissing

SECOND = np.zeros(SAMPLE_RATE, np.float32)


@pytest.fixture
def whisper(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[npt.NDArray[np.float32]]]:
    """Put a stand-in in place that hears the given segments; the audio it is given ends up in the list returned."""

    def hear(*segments: str, error: Exception | None = None) -> list[npt.NDArray[np.float32]]:
        heard: list[npt.NDArray[np.float32]] = []

        class WhisperModel:
            def __init__(self, name: str, *, device: str, compute_type: str) -> None:
                if error is not None:
                    raise error

            def transcribe(self, wav_N: npt.NDArray[np.float32], **options: Any) -> tuple[Iterator[Any], None]:
                heard.append(wav_N)
                return (SimpleNamespace(text=segment) for segment in segments), None

        module = ModuleType("faster_whisper")
        vars(module).update(WhisperModel=WhisperModel)
        monkeypatch.setitem(sys.modules, "faster_whisper", module)
        return heard

    return hear


def test_a_transcript_is_one_line_with_a_mark_at_its_end(whisper) -> None:
    heard = whisper(" What I said", " was this")
    assert transcribe.transcribe(SECOND) == "What I said was this."
    assert [len(wav_N) for wav_N in heard] == [16_000]  # a second, as Whisper wants it
    assert heard[0].dtype == np.float32


@pytest.mark.parametrize("said", ["Done!", "好吗？", "So…"])
def test_a_mark_that_is_there_is_kept(whisper, said: str) -> None:
    whisper(f" {said}")
    assert transcribe.transcribe(SECOND) == said


@pytest.mark.parametrize("segments", [[], [" ..."]])
def test_a_recording_without_words(whisper, segments: list[str]) -> None:
    whisper(*segments)
    with pytest.raises(EmptyTranscript):
        transcribe.transcribe(SECOND)


@pytest.mark.parametrize("error", [OSError("no route\nand more"), RuntimeError("no model.bin"), ValueError("no size")])
def test_a_model_that_cannot_be_had(whisper, error: Exception) -> None:
    whisper(error=error)
    with pytest.raises(CheckpointError) as caught:
        transcribe.transcribe(SECOND)
    assert caught.value.message.endswith(str(error).splitlines()[0])
    assert "--prompt-text" in caught.value.hint


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ExtraMissing) as caught:
        transcribe.transcribe(SECOND)
    assert "vallecli[asr]" in caught.value.hint
