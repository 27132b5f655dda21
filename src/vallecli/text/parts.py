"""The parts of a text that its author has marked, each of which is read on its own, and what makes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vallecli.errors import short
from vallecli.settings import MAX_PAUSE
from vallecli.text.continuation import rest_of
from vallecli.text.lexicon import Marked, placeholder
from vallecli.text.phones import Pronunciation
from vallecli.text.placeholders import pattern_of

STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 0.75, "x-strong": 1.25}  # seconds
NUMBER = r"\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}"
TIME = re.compile(rf"\s*\+?({NUMBER})\s?(ms|s)\s*", re.IGNORECASE | re.ASCII)
SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’」』)）\]]*\s*$")
ENDING = 20  # characters in which the end of a sentence is looked for
TAG = re.compile(r"\[(EN|ZH|JA)\]")  # of a text in several languages
PREFIX = "qy"  # of placeholders; those of a lexicon have another one


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a text that is read on its own."""

    text: str
    """With placeholders for words whose pronunciation is given."""
    pause: float | None = None
    """Seconds of silence before it; None: as between any two sentences or paragraphs."""
    paragraph: bool = False
    """Whether it begins a paragraph."""
    speed: float = 1.0
    written: Mapping[str, str] = field(default_factory=dict)
    pronunciations: Mapping[str, Pronunciation] = field(default_factory=dict)
    """Those of the placeholders, and what they stand for; see lexicon.Marked."""

    @property
    def marked(self) -> Marked:
        """Return the text as a reader gets it."""
        return Marked(self.text, dict(self.written), dict(self.pronunciations))

    @property
    def words(self) -> str:
        """Return the text without placeholders."""
        return self.marked.unmark(self.text)


@dataclass(frozen=True, kw_only=True)
class Markup:
    """A text in parts; a text without marks is one part, as it was written."""

    parts: tuple[Part, ...]
    end: float | None = None
    """Seconds of silence behind the last part."""
    notes: tuple[str, ...] = ()
    """Messages for the user: what has no effect."""

    @property
    def words(self) -> str:
        """Return the text without marks."""
        return " ".join(part.words for part in self.parts)

    def after(self, transcript: str) -> Markup:
        """Return what follows the words of a transcript, with which the text begins. Raises NoContinuation."""
        words = self.words
        skip = len(words) - len(rest_of(words, transcript))
        left = []
        for part in self.parts:
            if skip <= 0:
                left.append(part)
            elif skip < len(part.words):
                left.append(replace(part, text=part.text[_place(part, skip) :], pause=None, paragraph=False))
            skip -= len(part.words) + 1
        return replace(self, parts=tuple(left))


def _place(part: Part, skip: int) -> int:
    """Return where a number of characters of the words of a part end in its text."""
    pattern = pattern_of(part.pronunciations)
    for match in pattern.finditer(part.text) if pattern is not None else ():
        if skip <= match.start():
            break
        skip += len(match[0]) - len(part.written[match[0].lower()])
    return max(0, skip)


def break_seconds(attributes: Mapping[str, str]) -> float:
    """Return the pause of a break with some attributes, a medium one without any. Raises ValueError."""
    if "time" in attributes:
        return seconds_of(attributes["time"])
    strength = attributes.get("strength", "medium").strip().lower()
    if strength not in STRENGTHS:
        raise ValueError(f"the strength is {short(strength)}, it should be one of {', '.join(STRENGTHS)}")
    return STRENGTHS[strength]


def seconds_of(time: str) -> float:
    """Return the seconds of "0.5s" or "500ms". Raises ValueError."""
    match = TIME.fullmatch(time)
    if match is None:
        raise ValueError(f"the time is {short(time)}, it should be like 0.5s or 500ms")
    seconds = float(match[1]) * (0.001 if match[2].lower() == "ms" else 1)
    if seconds > MAX_PAUSE:
        raise ValueError(f"a pause of {seconds:g} s is longer than {MAX_PAUSE:g} s")
    return seconds


class Builder:
    """Makes parts from the words and marks of a text, in their order."""

    def __init__(self, source: str) -> None:
        """`source` is the whole text, of which placeholders must be no part."""
        self.parts: list[Part] = []
        self.speed = 1.0
        self._prefix = PREFIX
        while self._prefix in source.lower():
            self._prefix += PREFIX[-1]
        self._count = 0  # of placeholders
        self._chunks: list[str] = []
        self._written: dict[str, str] = {}
        self._pronunciations: dict[str, Pronunciation] = {}
        self._pause: float | None = None  # before the next part
        self._sentence = self._paragraph = False  # whether the next part begins one

    def add(self, text: str) -> None:
        """Add words as they are written."""
        self._chunks.append(text)

    def pronounce(self, written: str, pronunciation: Pronunciation) -> None:
        """Add words with their pronunciation."""
        key = placeholder(self._prefix, self._count, len(written))
        self._count += 1
        self._written[key], self._pronunciations[key] = written, pronunciation
        self._chunks.append(key[0].upper() + key[1:] if written[:1].isupper() else key)

    def pause(self, seconds: float) -> None:
        """Add a pause to those at this place. Raises ValueError if they are too long."""
        self.begin()
        self._pause = seconds + (self._pause or 0.0)
        if self._pause > MAX_PAUSE:
            raise ValueError(f"the pauses at this place are longer than {MAX_PAUSE:g} s")

    def begin(self, *, paragraph: bool = False) -> None:
        """Begin a sentence, or a paragraph."""
        self._close()
        self._sentence = True
        self._paragraph |= paragraph

    def change_speed(self, speed: float) -> None:
        """Set the speed of what follows."""
        if speed != self.speed:
            self._close()
            self.speed = speed

    def finish(self, *, notes: Iterable[str] = ()) -> Markup:
        """Return the parts. Without any words, the text is one part, which no reader accepts."""
        self._close()
        if not self.parts:
            self.parts.append(Part(text="".join(self._chunks)))
        return Markup(parts=_with_tags(self.parts), end=self._pause, notes=tuple(notes))

    def _close(self) -> None:
        """Make a part of the words since the last one; marks without words stay with the words before them."""
        text = "".join(self._chunks)
        words = text.strip()
        if not any(char.isalnum() for char in text):
            if self.parts:
                self.parts[-1] = replace(self.parts[-1], text=self.parts[-1].text + text.rstrip())
                self._chunks.clear()
            return
        pause = self._pause
        if pause is None and not self._sentence and self.parts and not _ends_sentence(self.parts[-1].text):
            pause = 0.0
        self.parts.append(
            Part(
                text=words,
                pause=pause,
                paragraph=self._paragraph,
                speed=self.speed,
                written=self._written,
                pronunciations=self._pronunciations,
            )
        )
        self._chunks.clear()
        self._written, self._pronunciations = {}, {}
        self._pause, self._sentence, self._paragraph = None, False, False


def _ends_sentence(text: str) -> bool:
    return SENTENCE_END.search(text[-ENDING:]) is not None


def _with_tags(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return parts that close the language tags that are open at their ends: [EN]a[EN], [EN]b[EN] for [EN]a, b[EN]."""
    done, open_tag = [], ""
    for part in parts:
        text = open_tag + part.text
        for match in TAG.finditer(part.text):
            open_tag = "" if open_tag == match[0] else open_tag or match[0]
        done.append(part if text + open_tag == part.text else replace(part, text=text + open_tag))
    return tuple(done) if not open_tag else tuple(parts)
