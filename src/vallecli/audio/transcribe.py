"""Transcription of a recording by a Whisper model in faster-whisper, which this module alone imports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.errors import CheckpointError, EmptyTranscript
from vallecli.extras import extra

MODEL = "small"  # multilingual; smaller models misspell names, larger ones take minutes on a CPU
WHISPER_RATE = 16_000  # Hz
ENDINGS = ".,!?-…~。，！？"


class HeardWord(NamedTuple):
    """A word, and when it begins and ends, in seconds."""

    text: str
    start: float
    end: float


class Recognizer:
    """A Whisper model on the CPU in int8: loaded once, for many recordings."""

    def __init__(
        self,
        model: str = MODEL,
        *,
        offline: bool = False,
        extra_name: str = "asr",
        otherwise: str = "name a folder that has its config.json, model.bin, tokenizer.json and vocabulary",
    ) -> None:
        """`model` is a name that faster-whisper knows, or a folder with a model for it.

        faster-whisper downloads a named model once, into the cache of huggingface_hub; with `offline`, only that cache
        is searched. Raises ExtraMissing, with the extra that is to be installed, and CheckpointError if the model
        cannot be loaded, with `otherwise` as the other thing to do.
        """
        with extra(extra_name, "transcription"):
            from faster_whisper import WhisperModel

        only_local = {"local_files_only": True} if offline else {}
        try:
            self._model = WhisperModel(model, device="cpu", compute_type="int8", **only_local)
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise CheckpointError(
                f"the transcription model, faster-whisper {model}, cannot be loaded: {reason}",
                f"Connect to the network once to download it, or {otherwise}.",
            ) from error

    def words(self, wav_N: Wav, sample_rate: int, *, language: str | None = None) -> list[HeardWord]:
        """Return the words of speech (N,) with their times, as `hear` finds them."""
        return [
            HeardWord(word.word.strip(), float(word.start), float(word.end))
            for segment in self._segments(wav_N, sample_rate, language, word_timestamps=True)
            for word in segment.words or ()
        ]

    def hear(self, wav_N: Wav, sample_rate: int, *, language: str | None = None) -> str:
        """Given speech (N,) at `sample_rate` in Hz, return its words, "" if there are none.

        The model detects the language if it is None. Each segment of up to 30 s is decoded with a beam of 5,
        independently of the words before it.
        """
        segments = self._segments(wav_N, sample_rate, language, word_timestamps=False)
        return " ".join(segment.text.strip() for segment in segments).strip()

    def _segments(self, wav_N: Wav, sample_rate: int, language: str | None, *, word_timestamps: bool) -> Iterable[Any]:
        segments, _ = self._model.transcribe(
            resample(wav_N, sample_rate, WHISPER_RATE),
            language=language,
            beam_size=5,
            condition_on_previous_text=False,
            word_timestamps=word_timestamps,
        )
        return cast("Iterable[Any]", segments)


def transcribe(wav_N: Wav, sample_rate: int) -> str:
    """Given speech (N,) at `sample_rate` in Hz, return its words, with a punctuation mark at the end.

    Raises ExtraMissing and CheckpointError, see Recognizer, and EmptyTranscript if no words are recognized.
    """
    transcript = Recognizer(otherwise="give the transcript").hear(wav_N, sample_rate)
    if not any(char.isalnum() for char in transcript):
        raise EmptyTranscript
    return transcript if transcript[-1] in ENDINGS else f"{transcript}."
