"""A dialogue as it is spoken: the sentences of each speech, their places on a track, and the stem of each speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from vallecli.errors import ScriptError
from vallecli.jobs.prompts import Prompt, PromptChecker
from vallecli.longform.assemble import Clip, Placed, Source, Track
from vallecli.longform.cast import PROMPT, VOICE, Cast, Member
from vallecli.longform.dialogue import EXAMPLE, Pause, Speech
from vallecli.longform.excerpts import Excerpt
from vallecli.longform.narration import LEAD, MAX_SENTENCE, TAIL, has_words
from vallecli.longform.subtitles import Cue
from vallecli.longform.work import Utterance
from vallecli.settings import Settings
from vallecli.text.base import AUTO
from vallecli.text.split import split_written
from vallecli.voices import policy

PAUSE = 0.6  # seconds between speeches
SENTENCE_PAUSE = 0.3  # seconds between sentences of a speech, unless speeches are nearer to each other


@dataclass(frozen=True)
class Turn:
    """A speech of a speaker of the cast: at least one sentence."""

    name: str
    sentences: tuple[Utterance, ...]
    line: int


@dataclass(frozen=True)
class Said:
    """A sentence of a speaker on a track."""

    name: str
    sentence: Utterance
    placed: Placed


@dataclass(frozen=True)
class Scene:
    """Sentences on a track."""

    track: Track
    said: tuple[Said, ...]

    @property
    def names(self) -> list[str]:
        """Return the names of those who say something, in the order of their first words."""
        return list(dict.fromkeys(entry.name for entry in self.said))

    def stem(self, name: str) -> Track:
        """Return a track of the same length with one speaker only."""
        stem = Track(self.track.sample_rate)
        for entry in self.said:
            if entry.name == name:
                stem.place(entry.placed.clip, entry.placed.start, factor=entry.placed.factor)
        stem.extend(self.track.samples)
        return stem

    def cues(self) -> list[Cue]:
        """Return a subtitle for each sentence."""
        rate = self.track.sample_rate
        cues = []
        for entry in self.said:
            start, end = (round(1000 * sample / rate) for sample in (entry.placed.start, entry.placed.end))
            cues.append(Cue(start, max(start + 1, end), entry.sentence.text, speaker=entry.name))
        return cues


def check_voices(members: Sequence[Member], settings: Settings) -> None:
    """Check the voices of speakers before anything is spoken. Raises InputError and CheckpointError."""
    checker = PromptChecker()
    for member in members:
        checkpoint = member.columns.get("checkpoint", settings.checkpoint)
        voice: Prompt = (
            Path(member.columns[PROMPT])
            if PROMPT in member.columns
            else policy.resolve(member.columns[VOICE], checkpoint, offline=settings.offline)
        )
        checker.check(voice)


def turns_of(
    parts: Sequence[Speech | Pause], cast: Cast, source: str | PathLike[str], *, language: str
) -> list[Turn | Pause]:
    """Return the speeches as sentences. Raises ScriptError if there are none.

    `language` is that of speakers without one, which decides where sentences end.
    """
    turns: list[Turn | Pause] = []
    for part in parts:
        if isinstance(part, Pause):
            turns.append(part)
            continue
        columns = cast.members[part.name].columns
        spoken = columns.get("language", language)
        texts = split_written(part.text, MAX_SENTENCE, language="en" if spoken == AUTO else spoken)
        sentences = tuple(Utterance(text, columns) for text in texts if has_words(text))
        if sentences:
            turns.append(Turn(part.name, sentences, part.line))
    if not any(isinstance(turn, Turn) for turn in turns):
        raise ScriptError(source, None, "nobody says anything in it", EXAMPLE)
    return turns


def lay_out(
    turns: Sequence[Turn | Pause],
    clips: Mapping[str, Clip],
    cast: Cast,
    *,
    sample_rate: int,
    pause: float = PAUSE,
    opening: Source | None = None,
) -> Scene:
    """Place the clip of each sentence, by its id, on a track. A sentence without one is left out.

    `pause` is the silence between speeches in seconds; the pauses of the script are added to it. `opening` comes first.
    """
    track = Track(sample_rate)
    said: list[Said] = []
    track.pause(LEAD)
    if opening is not None:
        track.append(opening)
        track.pause(pause)
    waiting = 0.0
    for turn in turns:
        if isinstance(turn, Pause):
            waiting += turn.seconds
            continue
        for index, sentence in enumerate(turn.sentences):
            if sentence.id not in clips:
                continue
            if said:
                waiting += min(pause, SENTENCE_PAUSE) if index else pause
            track.pause(waiting)
            waiting = 0.0
            excerpt = Excerpt.speech_in(clips[sentence.id], sample_rate)
            factor = 10 ** (cast.members[turn.name].gain / 20)
            said.append(Said(turn.name, sentence, track.append(excerpt, factor=factor)))
    track.pause(max(TAIL, waiting))
    return Scene(track, tuple(said))
