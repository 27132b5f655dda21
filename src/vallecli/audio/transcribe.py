"""Transcription of a recording by a Whisper model in faster-whisper."""

from __future__ import annotations

from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.errors import CheckpointError, EmptyTranscript
from vallecli.extras import extra

MODEL = "small"  # multilingual; smaller models misspell names, larger ones take minutes on a CPU
WHISPER_RATE = 16_000  # Hz
ENDINGS = ".,!?-…~。，！？"


def transcribe(wav_N: Wav, sample_rate: int) -> str:
    """Given speech (N,) at `sample_rate` in Hz, return its words, with a punctuation mark at the end.

    faster-whisper downloads the model once, into the cache of huggingface_hub. Raises ExtraMissing, CheckpointError if
    the model is neither in the cache nor downloadable, and EmptyTranscript if no words are recognized.
    """
    with extra("asr", "transcription"):
        from faster_whisper import WhisperModel

    try:
        model = WhisperModel(MODEL, device="cpu", compute_type="int8")
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"the transcription model, faster-whisper {MODEL}, cannot be loaded: {reason}",
            "Connect to the network once to download it, or give the transcript.",
        ) from error
    segments, _ = model.transcribe(resample(wav_N, sample_rate, WHISPER_RATE), condition_on_previous_text=False)
    transcript = " ".join(segment.text.strip() for segment in segments).strip()
    if not any(char.isalnum() for char in transcript):
        raise EmptyTranscript
    return transcript if transcript[-1] in ENDINGS else f"{transcript}."
