"""A book as it is spoken: chapters of passages of sentences, each sentence an utterance, with pauses between them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vallecli.errors import EmptyText, MarkupError
from vallecli.longform.assemble import Clip, Source, Track
from vallecli.longform.books.model import Chapter
from vallecli.longform.work import Utterance
from vallecli.text.markup import read_markup
from vallecli.text.normalize import check_words
from vallecli.text.split import split_written

MAX_SENTENCE = 300  # characters: 20 seconds of speech; longer sentences are divided at clauses
HEADING = "heading"
LEAD, TAIL = 0.5, 1.0  # seconds of silence at the begin and the end of a file


@dataclass(frozen=True)
class Pauses:
    """Seconds of silence: between sentences, around paragraphs, after headings, and between chapters."""

    sentence: float = 0.3
    paragraph: float = 0.7
    heading: float = 1.2
    chapter: float = 2.0


@dataclass(frozen=True)
class Passage:
    """A paragraph, a heading or another block of a chapter."""

    heading: bool
    sentences: tuple[Utterance, ...]
    """At least one."""


@dataclass(frozen=True)
class Narration:
    """A chapter that is spoken. Its number is its place in the book, from 1."""

    number: int
    title: str
    passages: tuple[Passage, ...]

    @property
    def sentences(self) -> Iterator[Utterance]:
        """Yield the sentences in order."""
        for passage in self.passages:
            yield from passage.sentences

    @property
    def words(self) -> int:
        """Return the number of words, by white space."""
        return sum(len(sentence.text.split()) for sentence in self.sentences)

    @property
    def letters(self) -> int:
        """Return the number of characters."""
        return sum(len(sentence.text) for sentence in self.sentences)


def narrate(number: int, chapter: Chapter, *, language: str, columns: Mapping[str, Any]) -> Narration:
    """Return a chapter as it is spoken.

    `language` is a tag such as "en", for the ends of sentences, and `columns` are those of all utterances. Parts
    without words, such as a line of asterisks, become a pause. A chapter of such parts alone has no passages.
    """
    passages = []
    for block in chapter.blocks:
        texts = split_written(block.text, MAX_SENTENCE, language=language)
        sentences = tuple(Utterance(text, columns) for text in texts if has_words(text))
        if sentences:
            passages.append(Passage(block.kind == HEADING, sentences))
    return Narration(number, chapter.title, tuple(passages))


def has_words(text: str) -> bool:
    """Return whether a text has anything to speak, apart from marks of pauses."""
    try:
        check_words(read_markup(text).words)
    except EmptyText:
        return False
    except MarkupError:
        return True  # an error of the sentence, which its row reports
    return True


@dataclass(frozen=True)
class Read:
    """A sentence on a track, from sample `start` to `end`."""

    sentence: Utterance
    start: int
    end: int


@dataclass(frozen=True)
class Layout:
    """Chapters on a track: where each begins, and each of their sentences."""

    track: Track
    starts: tuple[int, ...]
    """The sample at which the first sentence of each chapter begins."""
    read: tuple[Read, ...]


def lay_out(
    chapters: Sequence[Narration],
    clips: Mapping[str, Clip],
    sample_rate: int,
    pauses: Pauses,
    *,
    opening: Source | None,
) -> Layout:
    """Return a file of chapters, given the clip of each sentence by its id; a sentence without one is left out.

    `opening` is spoken first: the notice that the speech is synthetic.
    """
    track, read, starts = Track(sample_rate), [], []
    track.pause(LEAD)
    if opening is not None:
        track.append(opening)
        track.pause(pauses.heading)
    for index, chapter in enumerate(chapters):
        if index:
            track.pause(pauses.chapter)
        starts.append(track.samples)
        before: Passage | None = None
        for passage in chapter.passages:
            spoken = [sentence for sentence in passage.sentences if sentence.id in clips]
            if before is not None and spoken:
                track.pause(pauses.heading if before.heading else pauses.paragraph)
            for place, sentence in enumerate(spoken):
                if place:
                    track.pause(pauses.sentence)
                placed = track.append(clips[sentence.id])
                read.append(Read(sentence, placed.start, placed.end))
            before = passage if spoken else before
    track.pause(TAIL)
    return Layout(track, tuple(starts), tuple(read))


def silence_of(chapters: Collection[Narration], pauses: Pauses) -> float:
    """Return the seconds of all pauses in a file of chapters."""
    passages = [passage for chapter in chapters for passage in chapter.passages]
    inside = sum(pauses.sentence * (len(passage.sentences) - 1) for passage in passages)
    after = sum(
        pauses.heading if passage.heading else pauses.paragraph
        for chapter in chapters
        for passage in chapter.passages[:-1]
    )
    return LEAD + TAIL + inside + after + pauses.chapter * max(0, len(chapters) - 1)
