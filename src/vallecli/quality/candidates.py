"""Candidates of each sentence: they are decoded together, and one is kept; what the guard rejects is decoded again.

A candidate is a request with a derived seed. So the one that is kept depends on the sentence, its seed and these
options alone, not on other sentences, on how many are decoded together, or on an interruption.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic

import numpy as np

from vallecli.audio.pcm import Wav
from vallecli.decoding.request import Source
from vallecli.decoding.sampling import Sampling
from vallecli.errors import UsageError
from vallecli.families.base import Backend, Generated, Request, Tag
from vallecli.families.causal import codes_to_int16
from vallecli.quality.guard import Problem, problems
from vallecli.quality.judges import Hearing, Judge, judge_for
from vallecli.settings import LIKELIHOOD, MAX_CANDIDATES, MAX_RETRIES, PICKS, suggest
from vallecli.text.pace import letters_of


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How many candidates of each sentence are decoded, and which one is kept."""

    best_of: int = 1
    """Candidates that are decoded together; the best one without problems is kept."""
    pick: str = LIKELIHOOD
    """What is best: see `judges`. With "asr", a sentence of which other words are heard is rejected, too."""
    asr: str = "base"
    """The Whisper model of "asr", a name that faster-whisper knows, or a folder."""
    retries: int = 2
    """How often a sentence is decoded again, with other seeds, if all candidates have problems; see guard.Problem."""

    def __post_init__(self) -> None:
        """Raise UsageError for values that are out of range."""
        for name, least, most in (("best_of", 1, MAX_CANDIDATES), ("retries", 0, MAX_RETRIES)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise UsageError(f"{name} is {value!r}", f"It should be a whole number from {least} to {most}.")
        if self.pick not in PICKS:
            raise UsageError(f"pick is {self.pick!r}", suggest(str(self.pick), PICKS))

    def check(self, sampling: Sampling, *, independent: bool) -> None:
        """Raise UsageError if there can be no candidates: equal ones, or sentences that are not independent."""
        if self.best_of > 1 and not independent:
            raise UsageError("sentences that depend on each other have no candidates", "Decode one candidate.")
        if self.best_of > 1 and sampling.greedy:
            raise UsageError("greedy decoding makes equal candidates", "Sample, or decode one candidate.")


@dataclass(frozen=True)
class Tried:
    """A candidate of a sentence: what was found, and whether it was kept."""

    seed: int
    problems: tuple[str, ...]
    log_probability: float | None
    heard: str | None = None
    errors: int | None = None
    """Words that were heard otherwise."""
    similarity: float | None = None
    """Of its speaker to that of the prompt."""
    kept: bool = False


@dataclass(frozen=True, eq=False)
class Spoken:
    """The candidate of a sentence that was kept, its audio (N,), and all that were tried, in order."""

    request: Request
    generated: Generated
    wav_N: Wav
    tried: tuple[Tried, ...]


@dataclass(frozen=True, eq=False)
class _Candidate:
    generated: Generated
    wav_N: Wav
    tried: Tried
    score: float


@dataclass(eq=False)
class _Sentence(Generic[Tag]):
    tag: Tag
    request: Request
    choice: Choice
    rounds: int = 0  # of candidates that were begun
    found: dict[int, _Candidate] = field(default_factory=dict)  # number of the candidate -> what came of it
    failed: Exception | None = None

    @property
    def begun(self) -> int:
        """Return the number of candidates that were begun."""
        return self.rounds * self.choice.best_of

    @property
    def retries(self) -> int:
        """Return how many more rounds there can be: another greedy one would be equal."""
        return 0 if self.request.sampling.greedy else self.choice.retries

    def candidates(self) -> Iterator[tuple[int, Request]]:
        """Begin another round: yield the number and the request of each candidate."""
        first, self.rounds = self.begun, self.rounds + 1
        for number in range(first, self.begun):
            seed = candidate_seed(self.request.sampling.seed, number)
            yield number, replace(self.request, sampling=replace(self.request.sampling, seed=seed))

    @property
    def rejected(self) -> bool:
        """Return whether all candidates of all rounds have problems."""
        return all(candidate.tried.problems for candidate in self.found.values())

    def best(self) -> Spoken:
        """Return the candidate with the fewest problems and, of these, the best one; the first of equals."""

        def rank(number: int) -> tuple[int, float, int]:
            candidate = self.found[number]
            return len(candidate.tried.problems), -candidate.score, number

        best = min(self.found, key=rank)
        tried = tuple(replace(candidate.tried, kept=number == best) for number, candidate in sorted(self.found.items()))
        return Spoken(self.request, self.found[best].generated, self.found[best].wav_N, tried)

    def judge(self) -> Judge:
        """Return what compares the candidates. Raises ExtraMissing, CheckpointError and SpeakerEncoderMissing."""
        return judge_for(self.choice.pick, self.choice.asr)


def candidate_seed(seed: int, number: int) -> int:
    """Return the seed of a candidate: that of the sentence for the first one, unrelated ones for the others."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence([seed % 2**64, 2, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def speak(
    backend: Backend,
    requests: Iterable[tuple[Tag, Request, Choice]],
    *,
    slots: int,
    on_frame: Callable[[Tag, int], None] | None = None,
    on_error: Callable[[Tag, Exception], None] | None = None,
) -> Iterator[tuple[Tag, Spoken]]:
    """Yield the best candidate of each request as it is found; see Backend.generate for the other arguments."""
    again: deque[_Sentence[Tag]] = deque()
    begun: deque[tuple[tuple[_Sentence[Tag], int], Request]] = deque()  # candidates of the last sentence
    waiting = iter(requests)

    def fetch() -> tuple[tuple[_Sentence[Tag], int], Request] | None:
        if not begun:
            if again:
                sentence = again.popleft()
            elif (found := next(waiting, None)) is not None:
                tag, request, choice = found
                sentence = _Sentence(tag, request, choice if backend.independent else replace(choice, retries=0))
            else:
                return None
            begun.extend(((sentence, number), request) for number, request in sentence.candidates())
        return begun.popleft()

    def report(place: tuple[_Sentence[Tag], int], frames: int) -> None:
        sentence, number = place
        if sentence.failed is not None:
            raise sentence.failed
        if on_frame is not None and number == sentence.begun - sentence.choice.best_of:
            on_frame(sentence.tag, frames)

    def fail(place: tuple[_Sentence[Tag], int], error: Exception) -> None:
        if on_error is None:
            raise error
        if place[0].failed is None:
            place[0].failed = error
            on_error(place[0].tag, error)

    while True:
        done = backend.generate(
            Source(fetch), slots=slots, on_frame=report, on_error=None if on_error is None else fail
        )
        for (sentence, number), generated in done:
            try:
                sentence.found[number] = _judged(backend, sentence, number, generated)
                if sentence.failed is not None or len(sentence.found) < sentence.begun:
                    continue
                if sentence.rejected and sentence.rounds <= sentence.retries:
                    again.append(sentence)
                    continue
                spoken = _trimmed(backend, sentence)
            except Exception as error:
                fail((sentence, number), error)
                continue
            yield sentence.tag, spoken
        if not again:
            return


def _judged(backend: Backend, sentence: _Sentence[Tag], number: int, generated: Generated) -> _Candidate:
    """Return a candidate with its audio, and what is wrong with it."""
    request = sentence.request
    wav_N = backend.decode(generated, request.voice)
    verdict = sentence.judge()(backend, request, generated, wav_N)
    found = (*_problems(backend, request, generated, wav_N), *verdict.problems)
    tried = Tried(
        candidate_seed(request.sampling.seed, number),
        tuple(str(problem) for problem in found),
        generated.log_probability,
        heard=verdict.heard,
        errors=verdict.errors,
        similarity=verdict.similarity,
    )
    return _Candidate(generated, wav_N, tried, verdict.score)


def _problems(backend: Backend, request: Request, generated: Generated, wav_N: Wav) -> list[Problem]:
    """Return what the guard finds, and whether the length fits the text or what the user wants."""
    codes_T = codes_to_int16(generated.codes_TQ[:, 0])
    found = problems(wav_N, backend.grid.sample_rate, codes_T=codes_T, frame_rate=backend.grid.frame_rate)
    seconds = len(wav_N) / backend.grid.sample_rate
    expected = request.seconds or backend.pace.seconds(letters_of(request.text))
    if generated.stop_reason != "max_frames":
        found += [Problem.SHORT] if backend.pace.is_too_short(seconds, expected) else []
        found += [Problem.LONG] if backend.pace.is_too_long(seconds, expected) else []
        return found
    if request.seconds is None and request.sampling.max_frames is not None and seconds < expected:
        return [problem for problem in found if problem is not Problem.ABRUPT]  # the user wants no more
    return [*found, Problem.CUT_OFF]


def _trimmed(backend: Backend, sentence: _Sentence[Tag]) -> Spoken:
    """Return the best candidate of a sentence, without what a recognizer hears behind its last word."""
    best, judge = sentence.best(), sentence.judge()
    kept = next(tried for tried in best.tried if tried.kept)
    if not isinstance(judge, Hearing) or not kept.errors or kept.problems:
        return best
    rate, hop = backend.grid.sample_rate, backend.grid.hop
    wav_N = judge.without_babble(best.request, best.wav_N, rate)
    codes_TQ = best.generated.codes_TQ[: -(-len(wav_N) // hop)]
    return replace(best, wav_N=wav_N, generated=replace(best.generated, codes_TQ=codes_TQ))
