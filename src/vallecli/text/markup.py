"""What an author writes beside words: pauses in a plain text, or SSML (see ssml.py). Both become parts of a text.

In a plain text, [pause:0.5s], [pause 500ms] and <break time="0.5s"/> are pauses. Each part is read on its own, so a
mark within a sentence divides it; but sentences are numbered through, as if the text had no marks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from vallecli.errors import EmptyText, MarkupError
from vallecli.settings import MAX_PAUSE
from vallecli.text.base import AUTO
from vallecli.text.lexicon import Marked
from vallecli.text.parts import NUMBER, Builder, Markup, Part, break_seconds, seconds_of
from vallecli.text.ssml import read_ssml

VERSION = 1  # of the marks in a plain text, for fingerprints
ATTRIBUTE = r"\s{1,9}(?:time|strength)\s{0,3}=\s{0,3}(?:\"[^\"<>\n]{0,40}\"|'[^'<>\n]{0,40}')"
PAUSE = re.compile(
    rf"\[pause(?:\s?:\s?|\s)(?P<time>(?:{NUMBER})\s?m?s)\s?\]"
    rf"|<break(?P<attributes>(?:{ATTRIBUTE}){{0,2}})\s{{0,9}}/?>(?:</break>)?",
    re.IGNORECASE | re.ASCII,
)
VALUE = re.compile(r"(time|strength)\s*=\s*[\"']([^\"']*)[\"']", re.IGNORECASE)
PARAGRAPH = re.compile(r"\n\s*\n")


def read_markup(text: str, *, ssml: bool = False, language: str = AUTO, paragraphs: bool = False) -> Markup:
    """Return the parts of a text; with `paragraphs`, blank lines of a plain text begin parts, too.

    `language` decides how SSML spells words. Raises MarkupError, with the line.
    """
    if ssml:
        return read_ssml(text, language=language)
    return _read_plain(text, paragraphs=paragraphs)


def has_pauses(text: str) -> bool:
    """Return whether a plain text has marks."""
    return PAUSE.search(text) is not None


def _read_plain(text: str, *, paragraphs: bool) -> Markup:
    """Return the parts of a plain text. Raises MarkupError for an impossible pause."""
    builder, at = Builder(text), 0
    for match in PAUSE.finditer(text):
        _add_plain(builder, text[at : match.start()], paragraphs)
        at = match.end()
        try:
            builder.pause(_seconds(match))
        except ValueError as error:
            raise _error(text, match.start(), str(error)) from error
    if not at and not (paragraphs and PARAGRAPH.search(text)):
        return Markup(parts=(Part(text=text),))
    _add_plain(builder, text[at:], paragraphs)
    return builder.finish()


def _add_plain(builder: Builder, text: str, paragraphs: bool) -> None:
    for number, paragraph in enumerate(PARAGRAPH.split(text) if paragraphs else [text]):
        if number:
            builder.begin(paragraph=True)
        builder.add(paragraph)


def _seconds(match: re.Match[str]) -> float:
    if match["time"] is not None:
        return seconds_of(match["time"])
    return break_seconds({name.lower(): value for name, value in VALUE.findall(match["attributes"])})


def _error(text: str, at: int, problem: str) -> MarkupError:
    line, begin = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
    return MarkupError(problem, line, at - begin + 1)


class Numbered(Protocol):
    """A sentence that was read: a Reading or a Request."""

    @property
    def index(self) -> int:
        """Position in its part."""

    @property
    def sentences(self) -> int:
        """Number of sentences of its part."""


NumberedT = TypeVar("NumberedT", bound=Numbered)


@dataclass(frozen=True, kw_only=True)
class Placed(Generic[NumberedT]):
    """A sentence at its place in a whole text."""

    sentence: NumberedT
    index: int
    sentences: int
    """Number of sentences of the text, as far as it has been read: parts that follow count as one."""
    part: Part
    begins: bool
    """Whether it begins its part."""
    pause: float | None = None
    """Seconds of silence before it, if marks say so."""
    paragraph: bool = False
    after: float = 0.0
    """Seconds of silence behind it, at the end of the text."""
    notes: tuple[str, ...] = ()


def place(markup: Markup, read: Callable[[Marked], Iterator[NumberedT]]) -> Iterator[Placed[NumberedT]]:
    """Yield the sentences of all parts, each of which `read` reads; parts without words are left out with a note.

    Raises the error of the first part if no part has words.
    """
    index, pause, paragraph, notes = 0, None, False, list(markup.notes)
    last: Placed[NumberedT] | None = None
    empty: EmptyText | None = None
    for number, part in enumerate(markup.parts):
        pause, paragraph = _both(pause, part.pause), paragraph or part.paragraph
        following = len(markup.parts) - number - 1
        begins, count = True, 1
        try:
            for sentence in read(part.marked):
                if last is not None:
                    yield last
                last = Placed(
                    sentence=sentence,
                    index=index + sentence.index,
                    sentences=index + sentence.sentences + following,
                    part=part,
                    begins=begins,
                    pause=pause,
                    paragraph=paragraph,
                    notes=tuple(notes),
                )
                begins, count, pause, paragraph = False, sentence.sentences, None, False
                notes.clear()
        except EmptyText as error:
            empty = empty or error
            notes.append(f"left out of the text, as it has no words for this checkpoint: {part.words}")
        index += count
    if last is None:
        raise empty or EmptyText()
    yield replace(last, after=_both(pause, markup.end) or 0.0, notes=(*last.notes, *notes))


def _both(first: float | None, second: float | None) -> float | None:
    """Return the sum of two pauses, within the limit; None if marks say nothing."""
    return None if first is None and second is None else min(MAX_PAUSE, (first or 0.0) + (second or 0.0))
