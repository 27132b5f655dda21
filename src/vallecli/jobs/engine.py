"""What a run asks of a synthesizer: the one place that changes with how it speaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vallecli.audio.prompt import PreparedPrompt
from vallecli.audio.stream import Wav
from vallecli.families.base import Preset
from vallecli.jobs.results import Failure


class Piece(Protocol):
    """One spoken sentence; see synthesizer.Piece."""

    @property
    def audio(self) -> Wav:
        """Return its samples (N,), with the pause before it."""

    @property
    def sample_rate(self) -> int:
        """Return its sample rate in Hz."""

    @property
    def frames(self) -> int:
        """Return how many frames the models made."""

    @property
    def stop_reason(self) -> str:
        """Return "eos" or "max_frames"."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what of the text was left out."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One text to speak; the voice and the sampling are the engine's own."""

    key: str
    text: str
    voice: Any
    sampling: Any
    language: str
    accent: str | None


@dataclass(frozen=True)
class Spoken:
    """What became of a job: its pieces, or why there are none."""

    key: str
    pieces: Sequence[Piece]
    error: Failure | None = None


class Voices(Protocol):
    """What makes voices of recordings."""

    sampling: Any
    """The checkpoint's default sampling, a Sampling."""
    sample_rate: int
    frame_rate: float

    def voice(self, source: PreparedPrompt | Preset, transcript: str | None, *, name: str, transcribe: bool) -> Any:
        """Return the voice of a prompt; see Synthesizer.voice."""


class Engine(Voices, Protocol):
    """What speaks many texts at once."""

    description: str
    """What it is: the checkpoint, where it computes, and how."""

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[Spoken]:
        """Yield each job as it is done, up to `slots` of them in flight; the next is taken when one has room.

        What goes wrong with a job is told by what it yields, and does not end the others.
        """


class Speaker(Voices, Protocol):
    """What speaks many texts and tells errors as they are; see Synthesizer."""

    def speak_many(self, jobs: Iterable[Any], *, slots: int) -> Iterator[Any]:
        """Yield each `job` with its `pieces`, or the `error` that ended it."""


class LocalEngine:
    """An engine of a synthesizer, in this process."""

    def __init__(self, speaker: Speaker, description: str = "") -> None:
        self.speaker, self.description = speaker, description
        self.sampling = speaker.sampling
        self.sample_rate, self.frame_rate = speaker.sample_rate, speaker.frame_rate
        self.voice = speaker.voice

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[Spoken]:
        """Yield each job as it is done. Raises what is no job's fault, such as a lack of memory."""
        for spoken in self.speaker.speak_many(jobs, slots=slots):
            error = None if spoken.error is None else Failure.of(spoken.error)
            yield Spoken(spoken.job.key, spoken.pieces, error)
