"""Speaker similarity: the cosine of the embeddings of two recordings.

Resemblyzer's encoder is always used. WavLM's is used, too, if its checkpoint is on this machine.
Their scales differ, and papers mostly use a third model (WavLM Large with ECAPA-TDNN), so figures of different models
cannot be compared.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vallecli.audio import prompt
from vallecli.audio.pcm import Wav
from vallecli.quality.pretrained import RATE, Embedding, Pretrained
from vallecli.voices import speaker

WAVLM = "wavlm-base-plus-sv"  # its entry in the registry
MIN_SECONDS = 0.4  # of audio for WavLM: the windows of its head need some frames


class Resemblyzer:
    """The encoder of voices.speaker, for recordings with silence in them."""

    def __init__(self) -> None:
        """Raises SpeakerEncoderMissing and DamagedCheckpoint."""
        speaker.encoder()

    def embed(self, wav_N: Wav, source: str | Path) -> Embedding:
        """Given a recording (N,) at RATE, return the embedding (E,) of its speech. Raises SilentPrompt."""
        return speaker.embed(prompt.speech(wav_N, source, sample_rate=RATE), RATE)


class Wavlm:
    """WavLM Base+ fine-tuned for speaker verification (arXiv 2110.13900), with its x-vector head."""

    def __init__(self, folder: Path) -> None:
        """Raises ExtraMissing and DamagedCheckpoint."""
        self.pretrained = Pretrained(folder, "WavLMForXVector")

    def embed(self, wav_N: Wav, source: str | Path) -> Embedding:
        """Given a recording (N,) at RATE, return its embedding (E,); a short one is padded with silence."""
        padded_N = np.pad(wav_N, (0, max(0, int(MIN_SECONDS * RATE) - len(wav_N))))
        embedding: Embedding = self.pretrained.run(padded_N).embeddings[0].numpy()
        return embedding
