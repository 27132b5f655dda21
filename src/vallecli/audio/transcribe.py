"""What a recording says, by a Whisper model in faster-whisper."""

from __future__ import annotations

import soxr

from vallecli.audio.stream import Wav
from vallecli.errors import CheckpointError, EmptyTranscript
from vallecli.extras import extra

MODEL = "small"  # of the multilingual ones: smaller ones mishear names, larger ones take minutes on a CPU
WHISPER_RATE = 16_000  # samples a second
ENDINGS = ".,!?-…~。，！？"


def transcribe(wav_N: Wav, sample_rate: int) -> str:
    """Given speech (N,), return its words, with a punctuation mark at the end.

    The model is fetched once, by faster-whisper into the cache it shares with huggingface_hub. Raises ExtraMissing,
    CheckpointError if the model can be had neither here nor there, and EmptyTranscript if no words are heard.
    """
    with extra("asr", "--transcribe"):
        from faster_whisper import WhisperModel

    try:
        model = WhisperModel(MODEL, device="cpu", compute_type="int8")
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"the model that transcribes, faster-whisper {MODEL}, cannot be loaded: {reason}",
            "Connect once to fetch it, or give --prompt-text.",
        ) from error
    resampled = soxr.resample(wav_N, sample_rate, WHISPER_RATE)
    segments, _ = model.transcribe(resampled, condition_on_previous_text=False)
    said = " ".join(segment.text.strip() for segment in segments).strip()
    if not any(char.isalnum() for char in said):
        raise EmptyTranscript
    return said if said[-1] in ENDINGS else f"{said}."
