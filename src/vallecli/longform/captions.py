"""Captions of a spoken text: one for each sentence, by the samples of its clip, or with the times of its words."""

from __future__ import annotations

import difflib
import html
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vallecli.audio.transcribe import HeardWord
from vallecli.longform.narration import Read
from vallecli.longform.subtitles import ARROW, FORMATS, VTT, Cue, format_time

LINE = 42  # characters, of subtitles on television


@dataclass(frozen=True)
class Word:
    """A word as it is written, and when it is spoken, in seconds from the begin of its clip."""

    text: str
    start: float
    end: float


def captions(
    read: Sequence[Read], sample_rate: int, ending: str, words: Mapping[str, Sequence[HeardWord]] | None = None
) -> str:
    """Return the subtitles of sentences on a track, in the format of a file's ending.

    `words` are those that were heard in the clip of each sentence, by its id. Then SRT has a cue for each word, and
    WebVTT has the time of each word within the cue of its sentence.
    """
    if words is None:
        return FORMATS[ending](Cue(*_times(entry, sample_rate), _wrapped(entry.sentence.text)) for entry in read)
    timed = [
        (entry, align(entry.sentence.text, words.get(entry.sentence.id, ()), (entry.end - entry.start) / sample_rate))
        for entry in read
    ]
    if ending == VTT:
        return "WEBVTT\n" + "".join(_vtt_cue(entry, spoken, sample_rate) for entry, spoken in timed)
    return FORMATS[ending](cue for entry, spoken in timed for cue in _word_cues(entry, spoken, sample_rate))


def align(text: str, heard: Sequence[HeardWord], seconds: float) -> list[Word]:
    """Return the words of a text with the times of those that were heard in a clip of so many seconds.

    A recognizer may hear other words than were written: these share the time of what was heard in their place, by their
    letters. Words in whose place nothing was heard share the time between their neighbours.
    """
    written = text.split()
    matcher = difflib.SequenceMatcher(None, [_plain(w) for w in written], [_plain(w.text) for w in heard], False)
    words: list[Word] = []
    for kind, first, last, heard_first, heard_last in matcher.get_opcodes():
        if kind == "equal":
            for word, spoken in zip(written[first:last], heard[heard_first:heard_last], strict=True):
                words += _shared([word], *_within(spoken.start, spoken.end, words, seconds))
        elif kind == "replace":
            start, end = heard[heard_first].start, heard[heard_last - 1].end
            words += _shared(written[first:last], *_within(start, end, words, seconds))
        elif kind == "delete":
            end = heard[heard_first].start if heard_first < len(heard) else seconds
            words += _shared(written[first:last], *_within(0.0, end, words, seconds))
    return words


def _within(start: float, end: float, words: Sequence[Word], seconds: float) -> tuple[float, float]:
    """Return times that are not before the words so far, and not after the end of the clip."""
    start = min(max(start, words[-1].end if words else 0.0), seconds)
    return start, min(max(end, start), seconds)


def _shared(words: Sequence[str], start: float, end: float) -> Iterator[Word]:
    total = sum(map(len, words))
    for word in words:
        length = (end - start) * len(word) / total
        yield Word(word, start, start + length)
        start, total = start + length, total - len(word)


def _plain(word: str) -> str:
    """Return a word without marks and the difference of small and capital letters."""
    return "".join(char for char in unicodedata.normalize("NFKC", word).casefold() if char.isalnum())


def _times(entry: Read, sample_rate: int) -> tuple[int, int]:
    """Return the begin and the end of a sentence in milliseconds, the end not before the begin."""
    start = _milliseconds(entry.start / sample_rate)
    return start, max(start + 1, _milliseconds(entry.end / sample_rate))


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, LINE)) or text


def _word_cues(entry: Read, words: Iterable[Word], sample_rate: int) -> Iterator[Cue]:
    begin = entry.start / sample_rate
    for word in words:
        start = _milliseconds(begin + word.start)
        yield Cue(start, max(start + 1, _milliseconds(begin + word.end)), word.text)


def _vtt_cue(entry: Read, words: Sequence[Word], sample_rate: int) -> str:
    """Return a cue in which each word but the first has the time at which it begins."""
    start, end = _times(entry, sample_rate)
    begin, last = entry.start / sample_rate, start
    parts: list[str] = []
    for word in words:
        at = _milliseconds(begin + word.start)
        mark = ""
        if parts and last < at < end:  # times in a cue have to increase
            mark, last = f"<{format_time(at, point='.')}>", at
        parts.append(mark + html.escape(word.text.replace(ARROW, "->"), quote=False))
    text = " ".join(parts)
    return f"\n{format_time(start, point='.')} --> {format_time(end, point='.')}\n{text}\n"
