"""From a voice and a text to audio: `Synthesizer.load().speak(text, voice)` yields each sentence as it is done.

synthesizer = Synthesizer.load("nano")
voice = synthesizer.voice("reference.wav")
for piece in synthesizer.speak("Hello, this is my voice.", voice):
    play(piece.audio)  # 24 kHz float32
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vallecli import device as devices
from vallecli.checkpoints import registry
from vallecli.audio import prompt
from vallecli.audio import transcribe as listening
from vallecli.audio.prompt import PreparedPrompt
from vallecli.codec.select import CodecWeights, codec_of
from vallecli.codec import equalizer
from vallecli.codec.base import Codec
from vallecli.codec.equalizer import Spectrum
from vallecli.constants import FRAME_RATE, SAMPLE_RATE
from vallecli.decoding import batch
from vallecli.decoding.overlap import one_thread_each
from vallecli.decoding.sampling import Sampling
from vallecli.decoding.utterance import Utterance
from vallecli.errors import (
    CheckpointError,
    DamagedCheckpoint,
    EmptyText,
    ForeignPreset,
    PromptTooLong,
    TranscriptMissing,
    explain,
)
from vallecli.families.valle import detect, preset
from vallecli.families.valle.checkpoint import Checkpoint
from vallecli.families.valle.preset import Preset
from vallecli.text.english.arpabet import ArpabetFrontEnd
from vallecli.text.base import AUTO, FrontEnd, Phonemes
from vallecli.text.espeak import EspeakFrontEnd
from vallecli.text.vallex import VallexFrontEnd
from vallecli.families.valle.backend import TokenModel

PAUSE = 0.25  # seconds of silence between the sentences of a text
FRONT_ENDS = (ArpabetFrontEnd.name, VallexFrontEnd.name, EspeakFrontEnd.name)  # as checkpoints call them

Source = str | os.PathLike[str]
Progress = Callable[[int, int, int], None]  # (sentence, sentences, frames of this sentence so far)


@dataclass(frozen=True)
class Voice:
    """A speaker as the models hear one: prompt codes (P, 8), what they say if that is known, where they came from."""

    codes_PQ: npt.NDArray[np.int16]
    source: str
    transcript: str | None = None
    phonemes: Phonemes | None = None  # in place of a transcript, if it is from a preset
    spectrum_C: Spectrum | None = None  # on average, of the recording, if the checkpoint equalizes


@dataclass(frozen=True)
class Piece:
    """One spoken sentence. Pieces can be joined as they are: all but the first begin with a pause."""

    text: str
    audio: npt.NDArray[np.float32]  # (N,) at 24 kHz
    codes_TQ: npt.NDArray[np.int16]
    stop_reason: str  # "eos", or "max_frames" for one that did not end by itself and was cut off
    notes: tuple[str, ...] = ()  # what of the text was left out

    @property
    def frames(self) -> int:
        """Return how many frames the models made; the pause is not among them."""
        return len(self.codes_TQ)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A text to be spoken by `speak_many`, and all that `speak` would be told about it."""

    key: Hashable
    """By which the caller knows it again."""
    text: str
    voice: Voice
    sampling: Sampling | None = None
    language: str = AUTO
    accent: str | None = None


@dataclass(frozen=True)
class Spoken:
    """What has become of a job: its pieces in order, or, with none of them, the error that `speak` would raise."""

    job: Job
    pieces: tuple[Piece, ...] = ()
    error: Exception | None = None


@dataclass(eq=False)
class _Sentence:
    """A sentence on its way through the models."""

    text: str
    notes: tuple[str, ...]
    index: int
    sentences: int
    """How many its text has."""
    pause: float
    """Seconds of silence before it."""
    spectrum_C: Spectrum | None
    """Towards which it is equalized."""
    utterance: Utterance


@dataclass(eq=False)
class _Running:
    """A job some of whose sentences are on their way."""

    job: Job
    sentences: int
    """How many pieces it will have."""
    pieces: dict[int, Piece] = field(default_factory=dict)
    error: Exception | None = None


class Synthesizer(TokenModel):
    """A checkpoint ready to speak, on one device and in one precision.

    Codec and front end are made when they are first used, so that one whose codec weights are not on this machine can
    still compute on token ids; see TokenModel.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: torch.device,
        dtype: torch.dtype,
        decoder: str | None = None,
        codec_weights: CodecWeights = registry.codec_weights,
    ) -> None:
        """Build the models. DamagedCheckpoint if the checkpoint makes no sense, UsageError if the decoder does not.

        `decoder` chooses between "encodec" and "vocos" where the codes are EnCodec's. `codec_weights` is where the
        weights of a codec come from that are not in the checkpoint.
        """
        super().__init__(checkpoint, device=device, dtype=dtype)
        if checkpoint.front_end not in FRONT_ENDS:
            raise DamagedCheckpoint(
                f"{checkpoint.path} wants the unknown text front end {checkpoint.front_end!r}",
                f"Known are: {', '.join(FRONT_ENDS)}. A newer valle may know it.",
            )
        self._checkpoint, self._make_codec = checkpoint, codec_of(checkpoint, decoder, codec_weights)

    @classmethod
    def load(
        cls,
        checkpoint: Source = "nano",
        *,
        device: str = "auto",
        dtype: str = "auto",
        symbols: Source | None = None,
        heads: int | None = None,
        prefix_mode: int | None = None,
        decoder: str | None = None,
        codec_weights: CodecWeights = registry.codec_weights,
    ) -> Self:
        """Read a checkpoint given by name, file or folder. Raises CheckpointError, DeviceError and UsageError.

        `symbols`, `heads` and `prefix_mode` are told where the checkpoint does not, or otherwise than it does: see
        formats.detect.load. For `decoder` and `codec_weights` see the class.
        """
        path, where = registry.find(os.fspath(checkpoint)), devices.pick(device)
        table = None if symbols is None else Path(symbols)
        read = detect.load(path, symbols=table, heads=heads, prefix_mode=prefix_mode)
        precision = devices.pick_dtype(dtype, where, read.parameters)
        return cls(read, device=where, dtype=precision, decoder=decoder, codec_weights=codec_weights)

    @cached_property
    def front_end(self) -> FrontEnd:
        """Return what makes text ids of texts. Raises CheckpointError where its table of symbols is not there."""
        kind, symbols = self._checkpoint.front_end, self._checkpoint.symbols
        if kind == ArpabetFrontEnd.name:
            return ArpabetFrontEnd()
        if kind == VallexFrontEnd.name:
            return VallexFrontEnd()
        if symbols is None:
            raise CheckpointError(
                f"{self._checkpoint.path} does not tell what its text ids stand for",
                "Give the table of symbols that was published with it: --symbols FILE",
            )
        return EspeakFrontEnd(symbols)

    @cached_property
    def codec(self) -> Codec:
        """Return the codec, in float32: audio has finer steps than logits. Raises CheckpointError."""
        codec = self._make_codec()
        codec.eval().to(self.device)
        return codec

    @property
    def wants_transcript(self) -> bool:
        """Return whether a voice needs to know what its recording says."""
        return self.config.bos != "after_prompt"

    def voice(
        self,
        source: Source | PreparedPrompt | Preset | Voice,
        transcript: str | None = None,
        *,
        name: str = "",
        transcribe: bool = False,
    ) -> Voice:
        """Return the voice of a recording, as long as this checkpoint can hear; a Voice is returned as it is.

        Where a checkpoint wants a transcript and none is given, the recording is transcribed if that is asked for, or
        else ref.txt beside ref.wav is read; TranscriptMissing tells of these ways, and PromptTooLong of a transcript
        that says more than can be heard. A VALL-E X preset brings its own. `name` is where a PreparedPrompt or Preset
        came from. Raises AudioError, InputError, and with `transcribe` ExtraMissing and CheckpointError.
        """
        if isinstance(source, Voice):
            return source
        if isinstance(source, str | os.PathLike) and preset.is_preset(source):
            name, source = name or os.fspath(source), preset.read_preset(source)
        if isinstance(source, Preset):
            if self.front_end.name != VallexFrontEnd.name:
                raise ForeignPreset
            return Voice(source.codes_PQ, name or "a preset", phonemes=source.phonemes)
        prepared = source if isinstance(source, PreparedPrompt) else prompt.load(source)
        name = name or ("a recording" if isinstance(source, PreparedPrompt) else os.fspath(source))
        spectrum_C = equalizer.average_spectrum(prepared.wav) if self._checkpoint.equalize else None
        cut, seconds = prepared.cut, self.limits.max_prompt_frames / FRAME_RATE
        if prepared.seconds > seconds:
            cut, prepared = True, prompt.prepare(prepared.wav, name, max_seconds=seconds)
        if self.wants_transcript:
            transcript = self._transcript(prepared, name, transcript, transcribe=transcribe, cut=cut)
        wav_BN = torch.from_numpy(prepared.wav)[None].to(self.device)
        codes_PQ = self.codec.encode(wav_BN)[0, : self.limits.max_prompt_frames]
        told = transcript if self.wants_transcript else None
        return Voice(_int16(codes_PQ), name, told, spectrum_C=spectrum_C)

    def _transcript(
        self, prepared: PreparedPrompt, name: str, given: str | None, *, transcribe: bool, cut: bool
    ) -> str:
        """Return what is said in the part of a recording that the models will hear, not in what was cut off."""
        if given is None and transcribe:
            return listening.transcribe(prepared.wav)
        transcript = prompt.read_transcript(name) if given is None else given
        if transcript is None:
            raise TranscriptMissing(name, prompt.transcript_file(name))
        if cut:
            raise PromptTooLong(name, prepared.seconds)
        return transcript

    def speak(
        self,
        text: str,
        voice: Voice,
        sampling: Sampling | None = None,
        *,
        language: str = AUTO,
        accent: str | None = None,
        on_progress: Progress | None = None,
    ) -> Iterator[Piece]:
        """Yield the sentences of a text as they are done. Raises what `sentences` and `encode` of a front end raise.

        `language` is the text's, and `accent` the one it is spoken with, if not its own. `sampling` is the
        checkpoint's own by default. Each sentence draws from its own generator, seeded by `sampling.seed` and the
        sentence's number, so its take does not hang on what was spoken before it.
        """
        job = Job(key=None, text=text, voice=voice, sampling=sampling, language=language, accent=accent)
        pairs = ((sentence, sentence.utterance) for sentence in self._sentences(job))

        def on_frame(sentence: _Sentence, frames: int) -> None:
            if on_progress is not None:
                on_progress(sentence.index, sentence.sentences, frames)

        with self.stepper(1) as stepper:
            for sentence, codes_TQ, stop_reason in batch.decode(stepper, self.nar, pairs, on_frame=on_frame):
                yield self._piece(sentence, codes_TQ, stop_reason)

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[Spoken]:
        """Yield what has become of each job as it is done, while up to `slots` sentences are spoken at the same time.

        Jobs are asked for as slots become free, and the same job gives what `speak` gives, whatever the others are. An
        error in a job, such as a lack of memory for it alone, is what has become of it; the others go on. Raises what
        is no job's own fault, and ValueError for less than one slot.
        """
        if slots < 1:
            raise ValueError(f"{slots} slots speak nothing")
        failed: deque[Spoken] = deque()

        def fail(running: _Running, error: Exception) -> None:
            if isinstance(error, RuntimeError) and explain(error) is None:  # torch's word for a device that has failed
                raise error
            if running.error is None:
                running.error = error
                failed.append(Spoken(running.job, error=error))

        pairs = ((tag, tag[1].utterance) for tag in self._under_way(jobs, fail))
        with self.stepper(slots) as stepper, self._helpers() as helpers:
            done = batch.decode(
                stepper,
                self.nar,
                pairs,
                group=self.group(slots),
                helpers=helpers,
                on_error=lambda tag, error: fail(tag[0], error),
            )
            for (running, sentence), codes_TQ, stop_reason in done:
                try:
                    running.pieces[sentence.index] = self._piece(sentence, codes_TQ, stop_reason)
                except Exception as error:
                    fail(running, error)
                if len(running.pieces) == running.sentences:
                    yield Spoken(running.job, tuple(piece for _, piece in sorted(running.pieces.items())))
                while failed:
                    yield failed.popleft()
        yield from failed

    def _helpers(self) -> AbstractContextManager[int]:
        """Give how many threads can refine while another takes the steps of the AR."""
        small = sum(tensor.numel() for tensor in self.ar.parameters()) < devices.FULL_SIZE
        return one_thread_each() if small and self.device.type == "cpu" else nullcontext(0)

    def _under_way(
        self, jobs: Iterable[Job], fail: Callable[[_Running, Exception], None]
    ) -> Iterator[tuple[_Running, _Sentence]]:
        """Yield the sentences of all jobs; `fail` hears of those with an error instead."""
        for job in jobs:
            try:
                sentences = list(self._sentences(job))
            except Exception as error:
                fail(_Running(job, 0), error)
                continue
            running = _Running(job, len(sentences))
            for sentence in sentences:
                if running.error is None:
                    yield running, sentence

    def _sentences(self, job: Job) -> Iterator[_Sentence]:
        """Yield the sentences of a job, ready for the models. Raises what `speak` raises."""
        sampling, voice = job.sampling or self.sampling, job.voice
        prompt_PQ = torch.from_numpy(voice.codes_PQ).long().to(self.device)
        said = (voice.phonemes or voice.transcript or "") if self.wants_transcript else None
        pause = 0.0
        pieces = self.front_end.sentences(job.text, self.limits.max_text_chars, language=job.language)
        for index, piece in enumerate(pieces):
            try:
                tokens = self.front_end.encode(piece.text, language=piece.language, said=said, accent=job.accent)
            except EmptyText:  # one sentence of dashes is no reason to say nothing of the others
                continue
            utterance = Utterance(
                torch.tensor(tokens.ids, device=self.device),
                prompt_PQ,
                replace(sampling, seed=piece_seed(sampling.seed, index)),
                None if tokens.languages is None else torch.tensor(tokens.languages, device=self.device),
                tokens.prompt_tokens,
            )
            yield _Sentence(piece.text, tokens.notes, index, len(pieces), pause, voice.spectrum_C, utterance)
            pause = PAUSE
        if not pause:
            raise EmptyText

    def _piece(self, sentence: _Sentence, codes_TQ: Tensor, stop_reason: str) -> Piece:
        """Return a sentence as it is heard."""
        wav_N = self.codec.decode(codes_TQ[None])[0].float().cpu().numpy()
        if sentence.spectrum_C is not None:
            wav_N = equalizer.equalize(wav_N, sentence.spectrum_C, self._checkpoint.equalize)
        pause_N = np.zeros(int(sentence.pause * SAMPLE_RATE), np.float32)
        return Piece(
            text=sentence.text,
            audio=np.concatenate([pause_N, wav_N]),
            codes_TQ=_int16(codes_TQ),
            stop_reason=str(stop_reason),
            notes=sentence.notes,
        )


def piece_seed(seed: int, index: int) -> int:
    """Return the seed of sentence number `index`: 63 bits, unrelated from one sentence to the next."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _int16(codes: Tensor) -> npt.NDArray[np.int16]:
    return codes.cpu().numpy().astype(np.int16)
