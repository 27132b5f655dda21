"""Subtitle files, SubRip (SRT) and WebVTT, as pure data: cues with times in milliseconds, and what is spoken of them.

Formats: https://www.w3.org/TR/webvtt1/ and, as SubRip has no specification, what programs write. Times may have any
number of hours. Both readers accept commas and points, missing numbers and any line ends. A cue keeps its text as it
is written; `lines_of` returns the spoken part, without markup, remarks for deaf viewers, and music signs.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from vallecli import inputs
from vallecli.encoding import decode
from vallecli.errors import InputError, OverlappingCues, SubtitleError, short
from vallecli.longform.remarks import without_remarks

MAX_BYTES = 2**24  # of a file: a film has about 100 kB
MAX_CUES = 100_000
MAX_CUE = 10_000  # characters of the text of a cue
SRT, VTT = ".srt", ".vtt"
SUFFIXES = (SRT, VTT)
ARROW = "-->"
EXAMPLES = {SRT: "00:01:02,500 --> 00:01:05,000", VTT: "00:01:02.500 --> 00:01:05.000"}

_LINE_END = re.compile(r"\r\n|\r|\n")
_TIME = r"(?:(\d{1,6}):)?([0-5]?\d):([0-5]?\d)(?:[,.](\d{3}))?"
_TIMES = re.compile(rf"{_TIME}\s{{0,9}}-->\s{{0,9}}{_TIME}(?:\s.{{0,999}})?", re.ASCII)  # then positions on the screen
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_NOT_CUES = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")  # blocks of WebVTT

_VOICE = re.compile(r"<v(?:\.[^\s<>]{0,99})?\s{1,9}([^<>]{1,200})>|</v>")
_RUBY = re.compile(r"<rt(?:\.[^\s<>]{0,99})?>[^<>]{0,999}(?:</rt>|(?=</?ruby))")  # pronunciation beside the word
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,999}>|<[\d:.]{1,20}>|\{\\[^{}]{0,999}\}|\{/?[A-Za-z](?::[^{}]{0,99})?\}")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,31});")
_MUSIC = re.compile("[\u2669-\u266c\U0001f3b5\U0001f3b6]\ufe0f?")
_MUSIC_LINE = re.compile(r"#(?=\s)(.{0,2000})(?<=\s)#")  # of teletext
_DASH = re.compile(r"[-\u2010-\u2015]\s{0,9}(?=\S)")  # of a line by another speaker
_ENDS = tuple(".,;:!?…\"'”’)»。！？、，；：」』-\u2013\u2014")
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")


@dataclass(frozen=True)
class Cue:
    """What is shown from `start` to `end`, in milliseconds; `line` is the number of the line with these times."""

    start: int
    end: int
    text: str
    line: int = 0
    speaker: str | None = None
    """Who says it, for the writers: what is read has voice spans in its text, see `lines_of`."""


@dataclass(frozen=True)
class Line:
    """What one speaker says in a cue; `speaker` is the name of a voice span of WebVTT, None without one."""

    speaker: str | None
    text: str


def read_subtitles(path: Path) -> list[Cue]:
    """Return the cues of a file in SRT or WebVTT, in order of their times.

    Raises SubtitleError with the number of the line, TextEncodingError, and InputError for a file that cannot be read.
    """
    try:
        data = inputs.read_input(path, MAX_BYTES)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read {path}: {reason}", "Give a file of subtitles, in SRT or WebVTT.") from error
    return parse(decode(data, path), path)


def parse(text: str, source: str | PathLike[str]) -> list[Cue]:
    """Return the cues of a text, in order of their times. Raises SubtitleError, which names `source` and a line."""
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    is_vtt = re.match(r"WEBVTT(?:\s|$)", lines[0]) is not None
    cues: list[Cue] = []
    for cue in _vtt(lines, source) if is_vtt else _srt(lines, source):
        if len(cue.text) > MAX_CUE:
            raise SubtitleError(source, cue.line, f"this cue has more than {MAX_CUE} characters")
        if len(cues) == MAX_CUES:
            raise SubtitleError(source, cue.line, f"there are more than {MAX_CUES} cues", "Split the file.")
        cues.append(cue)
    if not cues:
        raise SubtitleError(source, None, "it has no subtitles", f"A subtitle begins with its times: {EXAMPLES[SRT]}")
    return sorted(cues, key=lambda cue: cue.start)


def check_overlaps(cues: Sequence[Cue], source: str | PathLike[str]) -> None:
    """Check that each cue ends before the next one begins. Raises OverlappingCues for the first that does not."""
    for cue, following in itertools.pairwise(cues):
        if following.start < cue.end:
            raise OverlappingCues(
                source,
                following.line,
                f"this cue begins at {format_time(following.start)}, before the one of line {cue.line} ends at "
                f"{format_time(cue.end)}",
                "Correct the times: only one cue can be spoken at once.",
            )


def _srt(lines: Sequence[str], source: str | PathLike[str]) -> Iterator[Cue]:
    """Yield cues. A blank line does not end one, only the times of the next cue do: some texts have blank lines."""
    times: tuple[int, int] | None = None
    at = 0
    block: list[str] = []  # of the lines since the last times
    for number, line in enumerate([*lines, None], start=1):
        if line is not None and ARROW not in line:
            block.append(line)
            continue
        if line is not None and block and _NUMBER.fullmatch(block[-1].strip()):
            block.pop()  # the number of the next cue
        content = "\n".join(block).strip()
        if times is not None:
            yield Cue(*times, content, at)
        elif content:
            first = next(index for index, text in enumerate(block, start=1) if text.strip())
            raise _no_cue(source, first, SRT)
        if line is not None:
            times, at, block = _parse_times(line, number, source, SRT), number, []


def _vtt(lines: Sequence[str], source: str | PathLike[str]) -> Iterator[Cue]:
    """Yield cues of blocks, which blank lines separate. The first block is the header."""
    for number, block in _blocks(lines):
        if number == 1:  # the header, after which a blank line may be missing
            start = next((index for index, line in enumerate(block) if ARROW in line), len(block))
            number, block = number + start, block[start:]
            if not block:
                continue
        if _NOT_CUES.match(block[0]) and not any(ARROW in line for line in block[:2]):
            continue
        at = next((index for index, line in enumerate(block[:2]) if ARROW in line), None)
        if at is None:
            raise _no_cue(source, number, VTT)
        times = _parse_times(block[at], number + at, source, VTT)
        for index, line in enumerate(block[at + 1 :], start=number + at + 1):
            if ARROW in line:
                raise SubtitleError(
                    source, index, f"{ARROW} within a cue", "Put an empty line before the times of the next cue."
                )
        yield Cue(*times, "\n".join(block[at + 1 :]).strip(), number + at)


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, lines) of each block."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _no_cue(source: str | PathLike[str], line: int, suffix: str) -> SubtitleError:
    return SubtitleError(
        source, line, "this is not part of a subtitle", f"A subtitle begins with its times: {EXAMPLES[suffix]}"
    )


def _parse_times(line: str, number: int, source: str | PathLike[str], suffix: str) -> tuple[int, int]:
    """Return the times of a cue in milliseconds. Raises SubtitleError."""
    written = line.strip()
    match = _TIMES.fullmatch(written)
    if match is None:
        problem = "a time is negative" if re.search(r"(?:^|-->\s*)-\d", written) else "invalid times"
        raise SubtitleError(source, number, f"{problem}: {short(written)}", f"Write them so: {EXAMPLES[suffix]}")
    numbers = [int(group or 0) for group in match.groups()]
    start, end = (
        ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds
        for hours, minutes, seconds, milliseconds in (numbers[:4], numbers[4:])
    )
    if end <= start:
        problem = "this cue ends before it begins" if end < start else "this cue has no duration"
        raise SubtitleError(source, number, f"{problem}: {short(written)}", "Correct its times.")
    return start, end


def lines_of(cue: Cue) -> list[Line]:
    """Return what is spoken in a cue, by one speaker after the other; [] for remarks and signs only."""
    said: list[Line] = []
    speaker: str | None = None
    start = 0
    for match in _VOICE.finditer(cue.text):
        said.append(Line(speaker, spoken_text(cue.text[start : match.start()])))
        speaker, start = (None if match[1] is None else _plain(match[1]) or None), match.end()
    said.append(Line(speaker, spoken_text(cue.text[start:])))
    return [line for line in said if line.text]


def spoken_text(written: str) -> str:
    """Return the spoken part of the text of a cue, in one line; "" if there is none.

    Not spoken are tags and styles, remarks in brackets or parentheses, and signs that mark music. A line that begins
    with a dash is by another speaker, and so the line before it ends with a stop.
    """
    text = _TAG.sub("", _RUBY.sub("", written))
    text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    text = _INVISIBLE.sub("", text)
    text = without_remarks(text)
    spoken = ""
    for line in text.split("\n"):
        line = _MUSIC.sub(" ", line).strip()
        music = _MUSIC_LINE.fullmatch(line)
        line = " ".join((line if music is None else music[1]).split())
        if not any(map(str.isalnum, line)):
            continue  # what remarks leave, such as a dash
        dash = _DASH.match(line)
        if dash is not None:
            line = line[dash.end() :]
            spoken += "" if not spoken or spoken.endswith(_ENDS) else "."
        spoken += f" {line}" if spoken else line
    return spoken


def _plain(name: str) -> str:
    return " ".join(_ENTITY.sub(lambda match: html.unescape(match[0]), name).split())


def format_time(milliseconds: int, *, point: str = ",") -> str:
    """Return a time as HH:MM:SS,mmm, with at least two digits of hours."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{rest:03d}"


def format_srt(cues: Iterable[Cue]) -> str:
    """Return cues of plain text in SRT."""
    return "\n".join(
        f"{number}\n{format_time(cue.start)} --> {format_time(cue.end)}\n"
        f"{'' if cue.speaker is None else f'{_name(cue.speaker)}: '}{_shown(cue.text)}\n"
        for number, cue in enumerate(cues, start=1)
    )


def format_vtt(cues: Iterable[Cue]) -> str:
    """Return cues of plain text in WebVTT."""
    return "WEBVTT\n" + "".join(
        f"\n{format_time(cue.start, point='.')} --> {format_time(cue.end, point='.')}\n"
        f"{'' if cue.speaker is None else f'<v {html.escape(_name(cue.speaker))}>'}"
        f"{html.escape(_shown(cue.text), quote=False)}\n"
        for cue in cues
    )


FORMATS = {SRT: format_srt, VTT: format_vtt}  # suffix of a file -> writer


def _name(speaker: str) -> str:
    return " ".join(_shown(speaker).split())


def _shown(text: str) -> str:
    """Return a text without what would end a cue: blank lines and arrows."""
    lines = (" ".join(line.replace(ARROW, "->").split()) for line in _LINE_END.split(text))
    return "\n".join(line for line in lines if line)
