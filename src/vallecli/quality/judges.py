"""How candidates are compared, beside the guard: by the model's own probability, by what is heard, or by the voice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from vallecli.audio.effects import resample
from vallecli.audio.pcm import Wav
from vallecli.audio.transcribe import Recognizer
from vallecli.errors import InputError
from vallecli.families.base import Backend, Generated, Request, Voice
from vallecli.quality import similarity, wer
from vallecli.quality.guard import HOP, Problem, levels
from vallecli.quality.pretrained import RATE, Embedding
from vallecli.settings import ASR, SIMILARITY

GARBLED = 0.5  # at least this share of wrong words is another text
MAX_VOICES = 256  # whose embeddings are kept
FADE = 0.01  # seconds at the end of speech that was cut
LEAST_GAP = 0.12  # seconds behind the last word in which the quietest moment is looked for, or more


@dataclass(frozen=True)
class Verdict:
    """What a judge found: a score, the larger the better, and what belongs in the record of the candidate."""

    score: float
    problems: tuple[Problem, ...] = ()
    heard: str | None = None
    errors: int | None = None
    similarity: float | None = None


Judge = Callable[[Backend, Request, Generated, Wav], Verdict]


@cache
def judge_for(pick: str, asr: str) -> Judge:
    """Return the judge of a Choice. Raises ExtraMissing, CheckpointError and SpeakerEncoderMissing."""
    if pick == ASR:
        return Hearing(Recognizer(asr))
    return Likeness() if pick == SIMILARITY else by_likelihood


def by_likelihood(backend: Backend, request: Request, generated: Generated, wav_N: Wav) -> Verdict:
    """Judge by the mean log-probability of the codes."""
    return Verdict(generated.log_probability or 0.0)


class Hearing:
    """Judges by the words that a speech recognizer hears; of equals, the likelier candidate is better."""

    def __init__(self, recognizer: Recognizer) -> None:
        """Raises ExtraMissing."""
        self.recognizer = recognizer
        wer.normalize("", wer.ENGLISH)  # so that a missing package is known before anything is spoken

    def __call__(self, backend: Backend, request: Request, generated: Generated, wav_N: Wav) -> Verdict:
        """Return how many words are wrong; a share of GARBLED is a problem."""
        language = wer.language_of(request.text)
        heard = self.recognizer.hear(wav_N, backend.grid.sample_rate, language=language)
        found = wer.word_errors(request.text, heard, language)
        share = found.errors / max(1, found.words)
        problems = (Problem.OTHER_WORDS,) if share >= GARBLED else ()
        tie = np.tanh((generated.log_probability or 0.0) / 100)  # in -1..0, below the weight of a word
        return Verdict(-found.errors + float(tie) * 0.5, problems, heard=found.heard, errors=found.errors)

    def without_babble(self, request: Request, wav_N: Wav, rate: int) -> Wav:
        """Return the audio up to the last word of the text, if other words are heard behind it."""
        language = wer.language_of(request.text)
        words = self.recognizer.words(wav_N, rate, language=language)
        errors = [
            wer.word_errors(request.text, " ".join(word.text for word in words[:count]), language).errors
            for count in range(len(words) + 1)
        ]
        count = max(count for count, number in enumerate(errors) if number == min(errors))
        if count in (0, len(words)):
            return wav_N
        last = words[count - 1].end
        return _cut_between(wav_N, rate, last, max(words[count].start, last + LEAST_GAP))


def _cut_between(wav_N: Wav, rate: int, first: float, last: float) -> Wav:
    """Return the audio up to its quietest moment between two times in seconds, faded out."""
    level_F = levels(wav_N, rate)
    begin, end = int(first / HOP), max(int(first / HOP) + 1, int(last / HOP))
    if begin >= len(level_F):
        return wav_N
    place = begin + int(level_F[begin:end].argmin())
    cut_N = wav_N[: round((place + 1) * HOP * rate)].copy()
    fade = min(len(cut_N), round(FADE * rate))
    cut_N[len(cut_N) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return cut_N


class Likeness:
    """Judges by the similarity of the speaker to that of the prompt, as its codes sound."""

    def __init__(self) -> None:
        """Raises SpeakerEncoderMissing and DamagedCheckpoint."""
        self._encoder = similarity.Resemblyzer()
        self._prompts: dict[int, tuple[Voice, Embedding]] = {}  # id of a voice -> the voice, its embedding

    def __call__(self, backend: Backend, request: Request, generated: Generated, wav_N: Wav) -> Verdict:
        """Return the cosine of the embeddings; speech in which none is found has the lowest."""
        prompt_E = self._prompt(backend, request.voice)
        try:
            cosine = float(self._embed(backend, wav_N) @ prompt_E)
        except InputError:  # no speech
            return Verdict(-1.0, similarity=None)
        return Verdict(cosine, similarity=round(cosine, 4))

    def _prompt(self, backend: Backend, voice: Voice) -> Embedding:
        """Return the embedding of the codes of a prompt."""
        if id(voice) not in self._prompts:
            if len(self._prompts) >= MAX_VOICES:
                self._prompts.pop(next(iter(self._prompts)))
            codes_PQ = torch.from_numpy(voice.codes_PQ).long().to(backend.device)
            prompt_N = backend.decode(Generated(codes_PQ, "eos", None), voice)
            self._prompts[id(voice)] = voice, self._embed(backend, prompt_N)
        return self._prompts[id(voice)][1]

    def _embed(self, backend: Backend, wav_N: Wav) -> Embedding:
        resampled_N = resample(wav_N, backend.grid.sample_rate, RATE)
        return self._encoder.embed(resampled_N, "the prompt")
