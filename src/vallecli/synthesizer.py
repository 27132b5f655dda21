"""From a voice and a text to audio, for any family of checkpoints.

synthesizer = Synthesizer.load("nano")
voice = synthesizer.voice("reference.wav")
for piece in synthesizer.speak("Hello, this is my voice.", voice):
    play(piece.audio, piece.sample_rate)
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from vallecli import device as devices
from vallecli.audio import effects, prompt
from vallecli.audio import transcribe as asr
from vallecli.audio.prompt import PreparedPrompt
from vallecli.checkpoints import lookup
from vallecli.codec.select import Codecs, CodecWeights
from vallecli.decoding.sampling import Sampling
from vallecli.errors import CannotContinue, PromptTooLong, TranscriptMissing, UsageError, explain
from vallecli.families import detect
from vallecli.families.base import Backend, Preset, Request, Tag, Voice, sentence_seed
from vallecli.families.catalog import is_preset, read_preset
from vallecli.families.causal import codes_to_int16
from vallecli.marking import UNMARKED_NOTE, perth
from vallecli.quality import candidates
from vallecli.quality.candidates import Choice, Spoken, Tried
from vallecli.quality.judges import judge_for
from vallecli.settings import MAX_FRAMES, MAX_SPEED, MIN_SPEED, value_of
from vallecli.text.base import AUTO
from vallecli.text.lexicon import Lexicon, Marked, read_lexicon
from vallecli.text.markup import Placed, place, read_markup
from vallecli.text.pace import letters_of
from vallecli.text.parts import Markup
from vallecli.voices import codes
from vallecli.voices.library import StoredVoice

PAUSE_SECONDS = 0.25  # of silence between the sentences of a text
TOLERANCE = 0.1  # of a duration that is asked for
MIN_SECONDS = 0.2  # of a sentence, if the duration leaves it less

Source = str | os.PathLike[str]
Progress = Callable[[int, int, float], None]  # (sentence, sentences, seconds of this sentence so far)


@dataclass(frozen=True)
class Piece:
    """One spoken sentence. Pieces can be concatenated: they have the pauses between sentences."""

    text: str
    audio: npt.NDArray[np.float32]  # (N,)
    sample_rate: int
    codes_TQ: npt.NDArray[np.int16]
    stop_reason: str  # "eos", or "max_frames" for a sentence that did not end by itself and was cut off
    notes: tuple[str, ...] = ()  # parts of the text that were left out, and that it could not be marked
    watermarked: bool = False
    tried: tuple[Tried, ...] = ()  # all candidates, in order; one of them was kept

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what is wrong with the candidate that was kept, as far as the guard knows; see guard.Problem."""
        return next((tried.problems for tried in self.tried if tried.kept), ())

    @property
    def frames(self) -> int:
        """Return the number of generated frames, of which neither pauses nor the speed are a part."""
        return len(self.codes_TQ)

    @property
    def seconds(self) -> float:
        """Return the duration, including pauses."""
        return len(self.audio) / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class Job:
    """A text for `speak_many`, with all arguments of `speak`."""

    key: Hashable
    """Identifies the job for the caller."""
    text: str
    voice: Voice
    sampling: Sampling | None = None
    choice: Choice | None = None
    language: str = AUTO
    accent: str | None = None
    notice: str | None = None
    """A text that is spoken first; it does not change the audio of the others."""
    seconds: float | None = None
    """The duration of the whole, without the notice: each sentence has its share, by its letters, up to TOLERANCE."""
    goes_on: bool = False
    """Whether the text begins with the words of the prompt, and only the rest of it is spoken."""
    ssml: bool = False
    """Whether the text is SSML, see text.ssml; plain texts can have pauses, see text.markup."""
    speed: float = 1.0
    """Of the finished speech, 0.5 to 2 at the same pitch."""
    pause: float | None = None
    """Seconds of silence between sentences, PAUSE_SECONDS by default; marks in the text override it."""
    paragraph_pause: float | None = None
    """Seconds of silence between paragraphs, `pause` by default."""


@dataclass(frozen=True)
class JobResult:
    """The pieces of a job in order or, without pieces, the error that `speak` would raise."""

    job: Job
    pieces: tuple[Piece, ...] = ()
    error: Exception | None = None


@dataclass(eq=False)
class _Running:
    """A job some of whose sentences are being decoded."""

    job: Job
    sentences: int
    pieces: dict[int, Piece] = field(default_factory=dict)
    error: Exception | None = None


class Synthesizer:
    """A checkpoint that is ready to speak.

    `backend` is the loaded checkpoint; its family may offer more, such as computations on token ids.
    """

    def __init__(
        self, backend: Backend, *, watermark: bool = True, key: str | None = None, choice: Choice | None = None
    ) -> None:
        """`watermark` marks each sentence, see marking.perth. Raises WatermarkMissing if its package is missing.

        `key` identifies the checkpoint, for the codes of the library's voices; None: they are not cached. `choice` is
        how many candidates of each sentence are decoded by default.
        """
        self.backend, self._key, self.choice = backend, key, choice or Choice()
        self.marker = perth.marker(backend.device) if watermark else None

    @classmethod
    def load(
        cls,
        checkpoint: Source = "nano",
        *,
        device: str = "auto",
        dtype: str = "auto",
        options: Mapping[str, Any] | None = None,
        decoder: str | None = None,
        lexicon: Source | Lexicon | None = None,
        watermark: bool = True,
        choice: Choice | None = None,
        codec_weights: CodecWeights = lookup.codec_weights,
    ) -> Self:
        """Load a checkpoint by its name, file or folder. Raises CheckpointError, DeviceError and UsageError.

        `watermark` marks all speech as synthetic, see marking.perth; WatermarkMissing is raised if its package is
        missing or damaged.

        `lexicon` is a file of pronunciations for all texts; see text.lexicon. It raises InputError, with the line, if
        it is invalid or has a sound that the checkpoint does not have.

        `options` are loader options for values that the checkpoint does not store, such as {"heads": 16}. `decoder`
        selects "encodec" or "vocos" for EnCodec's codes. `choice` is how many candidates of each sentence are decoded
        by default; what compares them is loaded first, and raises ExtraMissing if its packages are missing.
        `codec_weights` finds the weights of separate codecs.
        """
        path, where = lookup.find(os.fspath(checkpoint)), devices.pick(device)
        if watermark:
            perth.marker(where)  # its error comes before the model is loaded
        if choice is not None:
            judge_for(choice.pick, choice.asr)  # likewise
        codecs = Codecs(weights=codec_weights, decoder=decoder)
        if lexicon is not None and not isinstance(lexicon, Lexicon):
            lexicon = read_lexicon(lexicon)
        backend = detect.load(path, options or {}, device=where, dtype=dtype, codecs=codecs)
        if lexicon is not None:
            backend.use_lexicon(lexicon)
        key = codes.checkpoint_key(path, options=options or {}, device=where.type)
        return cls(backend, watermark=watermark, key=key, choice=choice)

    @property
    def name(self) -> str:
        """Return the name of the checkpoint."""
        return self.backend.name

    @property
    def needs_transcript(self) -> bool:
        """Return whether the checkpoint needs the words of a recording."""
        return self.backend.needs_transcript

    @property
    def device(self) -> torch.device:
        """Return where the models compute."""
        return self.backend.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the precision of the models."""
        return self.backend.dtype

    @property
    def sampling(self) -> Sampling:
        """Return the checkpoint's default sampling parameters."""
        return self.backend.sampling

    @property
    def sample_rate(self) -> int:
        """Return the sample rate of the audio, in Hz."""
        return self.backend.grid.sample_rate

    @property
    def frame_rate(self) -> float:
        """Return the number of frames per second."""
        return self.backend.grid.frame_rate

    def voice(
        self,
        source: Source | PreparedPrompt | Preset | StoredVoice | Voice,
        transcript: str | None = None,
        *,
        name: str = "",
        transcribe: bool = False,
    ) -> Voice:
        """Return the voice of a recording, as much of it as this checkpoint can use; a Voice is returned unchanged.

        A voice of the library, from `vallecli.voices.library.get(name)`, has its own transcript.

        If the checkpoint needs a transcript and none is given, the recording is transcribed with `transcribe`, or
        else ref.txt next to ref.wav is read. Raises TranscriptMissing without any of these, PromptTooLong for a
        transcript of more than can be used, AudioError, InputError and, with `transcribe`, DependencyMissing and
        CheckpointError. `name` is the source of a PreparedPrompt or Preset, for messages.
        """
        if isinstance(source, Voice):
            return source
        if isinstance(source, StoredVoice):
            return self._stored_voice(source, transcript, transcribe=transcribe)
        if isinstance(source, str | os.PathLike):
            name = name or os.fspath(source)
            source = read_preset(source) if is_preset(source) else prompt.load(source, sample_rate=self.sample_rate)
        if isinstance(source, Preset):
            return self.backend.preset_voice(source, name or "a preset")
        recording, name = self._resampled(source), name or "a recording"
        if self.needs_transcript:
            transcript = self._transcript(
                recording, name, transcript, transcribe=transcribe, beside=prompt.transcript_file(name)
            )
        return self.backend.make_voice(recording, transcript, name)

    def _stored_voice(self, stored: StoredVoice, transcript: str | None, *, transcribe: bool) -> Voice:
        """Return a voice of the library: from its cached codes, or else made and cached."""
        name, recording = f"the voice {stored.name}", None
        transcript = stored.transcript if transcript is None else transcript
        if self.needs_transcript:
            recording = stored.prompt(self.sample_rate)
            transcript = self._transcript(recording, name, transcript, transcribe=transcribe, beside=None)
        else:
            transcript = None
        if self._key is not None and (cached := codes.load(stored, self._key, self.backend, transcript)):
            return cached
        made = self.backend.make_voice(recording or stored.prompt(self.sample_rate), transcript, stored.name)
        if self._key is not None:
            codes.save(stored, self._key, made)
        return made

    def _resampled(self, recording: PreparedPrompt) -> PreparedPrompt:
        """Return a recording at the rate of this checkpoint."""
        if recording.sample_rate == self.sample_rate:
            return recording
        wav_N = effects.resample(recording.wav, recording.sample_rate, self.sample_rate)
        return PreparedPrompt(wav_N, self.sample_rate, recording.seconds, recording.notes, cut=recording.cut)

    def _transcript(
        self, recording: PreparedPrompt, name: str, given: str | None, *, transcribe: bool, beside: Path | None
    ) -> str:
        """Return the words of the part of a recording that the models will use.

        `beside` is a file that may have them.
        """
        used = prompt.shorten(recording, name, self.backend.max_prompt_seconds)
        if given is None and transcribe:
            return asr.transcribe(used.wav, used.sample_rate)
        transcript = prompt.read_transcript(name) if given is None and beside is not None else given
        if transcript is None:
            raise TranscriptMissing(name, beside)
        if used.cut:
            raise PromptTooLong(name, used.seconds)
        return transcript

    def speak(
        self,
        text: str,
        voice: Voice,
        sampling: Sampling | None = None,
        *,
        choice: Choice | None = None,
        language: str = AUTO,
        accent: str | None = None,
        notice: str | None = None,
        seconds: float | None = None,
        goes_on: bool = False,
        ssml: bool = False,
        speed: float = 1.0,
        pause: float | None = None,
        paragraph_pause: float | None = None,
        on_progress: Progress | None = None,
    ) -> Iterator[Piece]:
        """Yield the sentences of a text as they are done. Raises TextError, and UsageError for an unknown language.

        `accent` is a language whose accent the speech gets; `notice` is a text that is spoken first; the others are
        those of Job. Each sentence has a random generator seeded by `sampling.seed` and its number, so
        its audio does not depend on the sentences before it.
        """
        job = Job(
            key=None,
            text=text,
            voice=voice,
            sampling=sampling,
            choice=choice,
            language=language,
            accent=accent,
            notice=notice,
            seconds=seconds,
            goes_on=goes_on,
            ssml=ssml,
            speed=speed,
            pause=pause,
            paragraph_pause=paragraph_pause,
        )
        requests = ((request, request, choice) for request, choice in self.requests(job))

        def on_frame(request: Request, frames: int) -> None:
            if on_progress is not None:
                on_progress(request.index, request.sentences, frames / self.frame_rate)

        done: dict[int, Piece] = {}
        following = 0
        for request, piece in self.pieces(requests, slots=(choice or self.choice).best_of, on_frame=on_frame):
            done[request.index] = piece
            while following in done:
                yield done.pop(following)
                following += 1

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[JobResult]:
        """Yield the result of each job as it is done, with up to `slots` sentences at the same time.

        Jobs are fetched as slots become free. A job gives the same audio as `speak`, whatever the other jobs. An error
        in a job, such as too little memory for it, is its result; the others continue. Raises errors that do not
        belong to a job, and ValueError for less than one slot.
        """
        if slots < 1:
            raise ValueError(f"slots is {slots}, it must be 1 or more")
        failed: deque[JobResult] = deque()

        def fail(running: _Running, error: Exception) -> None:
            if isinstance(error, RuntimeError) and explain(error) is None:  # torch's error for a failed device
                raise error
            if running.error is None:
                running.error = error
                failed.append(JobResult(running.job, error=error))

        done = self.pieces(
            self._all_requests(jobs, fail), slots=slots, on_error=lambda pair, error: fail(pair[0], error)
        )
        for (running, request), piece in done:
            running.pieces[request.index] = piece
            if len(running.pieces) == running.sentences:
                yield JobResult(running.job, tuple(piece for _, piece in sorted(running.pieces.items())))
            while failed:
                yield failed.popleft()
        yield from failed

    def pieces(
        self,
        requests: Iterable[tuple[Tag, Request, Choice]],
        *,
        slots: int,
        on_frame: Callable[[Tag, int], None] | None = None,
        on_error: Callable[[Tag, Exception], None] | None = None,
    ) -> Iterator[tuple[Tag, Piece]]:
        """Yield the piece of each request of `requests` as it is done; see Backend.generate for the arguments."""
        for tag, spoken in candidates.speak(self.backend, requests, slots=slots, on_frame=on_frame, on_error=on_error):
            try:
                piece = self._piece(spoken)
            except Exception as error:
                if on_error is None:
                    raise
                on_error(tag, error)
                continue
            yield tag, piece

    def _all_requests(
        self, jobs: Iterable[Job], fail: Callable[[_Running, Exception], None]
    ) -> Iterator[tuple[tuple[_Running, Request], Request, Choice]]:
        """Yield the requests of all jobs; `fail` receives the jobs with an error."""
        for job in jobs:
            try:
                requests = list(self.requests(job))
            except Exception as error:
                fail(_Running(job, 0), error)
                continue
            running = _Running(job, len(requests))
            for request, choice in requests:
                if running.error is None:
                    yield (running, request), request, choice

    def requests(self, job: Job) -> Iterator[tuple[Request, Choice]]:
        """Yield the sentences of a job. Raises the errors of its text, its language and its options."""
        sampling, choice = job.sampling or self.sampling, job.choice or self.choice
        choice.check(sampling, independent=self.backend.independent)

        _check(job)

        def read(text: str | Marked) -> Iterator[Request]:
            return self.backend.requests(text, job.voice, sampling, language=job.language, accent=job.accent)

        spoken = self._placed(job, place(self._markup(job), read), sampling.seed)
        if job.seconds is not None:
            spoken = self._bounded(list(spoken), job.seconds)
        if job.notice is None:
            yield from ((request, choice) for request in spoken)
            return
        all_spoken = list(spoken)  # its errors come first
        notices = list(read(job.notice))
        sentences = len(notices) + len(all_spoken)
        for index, request in enumerate([*notices, *all_spoken]):
            pause = job.pause if request.pause is None and index > 0 else request.pause
            yield replace(request, index=index, sentences=sentences, first=index == 0, pause=pause), choice

    def _markup(self, job: Job) -> Markup:
        """Return the parts of what is to be spoken. Raises MarkupError, CannotContinue and NoContinuation."""
        paragraphs = job.paragraph_pause is not None
        markup = read_markup(job.text, ssml=job.ssml, language=job.language, paragraphs=paragraphs)
        if not job.goes_on:
            return markup
        if not self.needs_transcript or job.voice.transcript is None:
            raise CannotContinue(self.name)
        return markup.after(job.voice.transcript)

    def _placed(self, job: Job, sentences: Iterable[Placed[Request]], seed: int) -> Iterator[Request]:
        """Yield the sentences of all parts of a text, with its pauses and speeds, numbered and seeded as one text."""
        first = True
        for placed in sentences:
            request, pause = placed.sentence, placed.pause
            if pause is None and not first:
                pause = job.paragraph_pause if placed.paragraph and job.paragraph_pause is not None else job.pause
            speed = job.speed * placed.part.speed
            limited = min(MAX_SPEED, max(MIN_SPEED, speed))
            notes = (*placed.notes, *request.tokens.notes)
            if placed.begins and limited != speed:
                notes = (f"its speed of {speed:.2f} is limited to {limited:g}", *notes)
            yield replace(
                request,
                tokens=replace(request.tokens, notes=notes),
                sampling=replace(request.sampling, seed=sentence_seed(seed, placed.index)),
                index=placed.index,
                sentences=placed.sentences,
                first=first,
                pause=pause,
                after=placed.after,
                speed=limited,
            )
            first = False

    def _bounded(self, requests: list[Request], seconds: float) -> Iterator[Request]:
        """Yield the requests with the least and the most frames of their share of a duration."""
        rate, letters = self.backend.step_rate, [max(1.0, letters_of(request.text)) for request in requests]
        pauses = sum(_silence(request) + request.after for request in requests)
        whole = sum(count / request.speed for request, count in zip(requests, letters, strict=True))
        for request, count in zip(requests, letters, strict=True):
            share = max(MIN_SECONDS, (seconds - pauses) * count / whole)
            most = max(1, round(min(MAX_FRAMES, share * (1 + TOLERANCE) * rate)))
            least = min(most, max(request.sampling.min_frames, int(min(MAX_FRAMES, share * (1 - TOLERANCE) * rate))))
            yield replace(request, seconds=share, sampling=replace(request.sampling, min_frames=least, max_frames=most))

    def _piece(self, spoken: Spoken) -> Piece:
        request, marked, notes = spoken.request, False, spoken.request.tokens.notes
        wav_N = effects.stretch(spoken.wav_N, self.sample_rate, request.speed)
        if self.marker is not None:
            wav_N, marked = self.marker.mark(wav_N, self.sample_rate)
            notes = notes if marked else (*notes, f"{UNMARKED_NOTE}: {request.text}")
        before_N, after_N = (
            np.zeros(round(seconds * self.sample_rate), np.float32) for seconds in (_silence(request), request.after)
        )
        return Piece(
            text=request.text,
            audio=np.concatenate([before_N, wav_N, after_N]),
            sample_rate=self.sample_rate,
            codes_TQ=codes_to_int16(spoken.generated.codes_TQ),
            stop_reason=spoken.generated.stop_reason,
            notes=notes,
            watermarked=marked,
            tried=spoken.tried,
        )


def _silence(request: Request) -> float:
    """Return the seconds of silence before a sentence."""
    if request.pause is not None:
        return request.pause
    return 0.0 if request.first else PAUSE_SECONDS


def _check(job: Job) -> None:
    """Raise UsageError for values that are out of range."""
    for name in ("speed", "pause", "paragraph_pause"):
        value = getattr(job, name)
        try:
            _ = value is None or value_of(name, value)
        except ValueError as error:
            raise UsageError(f"{name} is {value!r}", str(error)) from error
