"""The interface between a run and what speaks: jobs go in, results come out. LocalEngine adapts a Synthesizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vallecli.audio.prompt import PreparedPrompt
from vallecli.audio.stream import Wav
from vallecli.failures import Failure
from vallecli.families.base import Preset
from vallecli.voices.library import StoredVoice


class Piece(Protocol):
    """One spoken sentence; see synthesizer.Piece."""

    @property
    def text(self) -> str:
        """Return the sentence."""

    @property
    def audio(self) -> Wav:
        """Return the samples (N,), including the pauses around the sentence."""

    @property
    def sample_rate(self) -> int:
        """Return the sample rate in Hz."""

    @property
    def frames(self) -> int:
        """Return the number of generated frames."""

    @property
    def stop_reason(self) -> str:
        """Return "eos" or "max_frames"."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the parts of the text that were left out, and that it could not be marked."""

    @property
    def watermarked(self) -> bool:
        """Return whether the audio has the watermark."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what is wrong with it, as far as the guard knows."""

    @property
    def tried(self) -> tuple[Any, ...]:
        """Return all candidates, see candidates.Tried."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A text to speak; voice and sampling are in the engine's types."""

    key: str
    text: str
    voice: Any
    sampling: Any
    choice: Any
    language: str
    accent: str | None
    notice: str | None = None
    """A text that is spoken first."""
    seconds: float | None = None
    """The duration of the whole."""
    goes_on: bool = False
    """Whether the text begins with the words of the prompt, and only the rest of it is spoken."""
    ssml: bool = False
    """Whether the text is SSML."""
    speed: float = 1.0
    pause: float | None = None
    """Seconds of silence between sentences, and between paragraphs; None: see synthesizer.Job."""
    paragraph_pause: float | None = None


@dataclass(frozen=True)
class JobResult:
    """The pieces of a job in order or, without pieces, its error."""

    key: str
    pieces: Sequence[Piece]
    error: Failure | None = None


class VoiceMaker(Protocol):
    """Makes voices from recordings."""

    @property
    def sampling(self) -> Any:
        """Return the checkpoint's default sampling parameters, a Sampling."""

    @property
    def choice(self) -> Any:
        """Return how candidates are chosen by default, a candidates.Choice."""

    @property
    def sample_rate(self) -> int:
        """Return the sample rate in Hz."""

    @property
    def frame_rate(self) -> float:
        """Return the number of frames per second."""

    def voice(
        self, source: PreparedPrompt | Preset | StoredVoice, transcript: str | None, *, name: str, transcribe: bool
    ) -> Any:
        """Return the voice of a prompt; see Synthesizer.voice."""


class Engine(VoiceMaker, Protocol):
    """Speaks many texts at the same time."""

    @property
    def description(self) -> str:
        """Return the checkpoint, the device and the precision, for messages."""

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[JobResult]:
        """Yield the result of each job as it is done, with up to `slots` sentences at the same time.

        The next job is fetched when a slot is free. An error in a job is its result; the others continue.
        """


class SynthesizerLike(VoiceMaker, Protocol):
    """The part of Synthesizer that LocalEngine uses; errors are exceptions."""

    def speak_many(self, jobs: Iterable[Any], *, slots: int) -> Iterator[Any]:
        """Yield results with `job`, `pieces` and `error`; see Synthesizer.speak_many."""


class LocalEngine:
    """An engine that runs a synthesizer in this process."""

    def __init__(self, synthesizer: SynthesizerLike, description: str = "") -> None:
        self.synthesizer, self.description = synthesizer, description
        self.sampling: Any = synthesizer.sampling
        self.choice: Any = synthesizer.choice
        self.sample_rate, self.frame_rate = synthesizer.sample_rate, synthesizer.frame_rate
        self.voice = synthesizer.voice

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[JobResult]:
        """Yield the result of each job as it is done. Raises errors that do not belong to a job."""
        for result in self.synthesizer.speak_many(jobs, slots=slots):
            error = None if result.error is None else Failure.of(result.error)
            yield JobResult(result.job.key, result.pieces, error)
