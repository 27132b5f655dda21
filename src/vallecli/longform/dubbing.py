"""Subtitles spoken in time: where the speech of each cue is on the track, how much faster it is, and what is too long.

A cue has a slot, from its first to its last sample. Speech that is longer is made faster, up to a limit; if that does
not suffice, it goes on in the gap before the next cue. If that is too short, too, the next cue begins later: no word is
lost, and two cues are never spoken at once. Only the end of the film cuts speech off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from typing import Any

from vallecli.errors import SubtitleError, short
from vallecli.longform.assemble import Track
from vallecli.longform.cast import find_name, folded, nearest
from vallecli.longform.excerpts import Excerpt
from vallecli.longform.subtitles import Cue, Line, format_time, lines_of

MAX_SPEED = 1.25  # from which speech sounds hurried
BETWEEN = 0.1  # seconds between two speakers in a cue
FITS, STRETCHED, OVERFLOWS, TOO_LONG = "fits", "stretched", "overflows", "too long"


@dataclass(frozen=True)
class SpokenCue:
    """A cue that has something to say; `number` counts all cues from 1, in the order of their times."""

    number: int
    cue: Cue
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """Return what is said."""
        return " ".join(line.text for line in self.lines)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a cue is spoken. Times are seconds of the track."""

    number: int
    line: int
    text: str
    cue_start: float
    cue_end: float
    start: float
    end: float
    spoken: float
    """Duration of the speech as it was spoken."""
    speed: float
    status: str
    """FITS, STRETCHED, OVERFLOWS into the gap before the next cue, or TOO_LONG for both."""
    late: float
    """How much later than the cue it begins."""
    excess: float
    """How much too long it is, after the change of speed: it ends after the next cue begins, or is cut off."""
    cut: bool
    """Whether the end of the track cuts it off."""

    def to_json(self) -> dict[str, Any]:
        """Return all fields, with times to a millisecond."""
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(self).items()}


def spoken_cues(cues: Sequence[Cue]) -> list[SpokenCue]:
    """Return the cues of a file that have something to say."""
    found = (SpokenCue(number, cue, tuple(lines_of(cue))) for number, cue in enumerate(cues, start=1))
    return [spoken for spoken in found if spoken.lines]


def with_cast(
    spoken: Sequence[SpokenCue], names: Sequence[str], source: str | PathLike[str], *, default: bool
) -> list[SpokenCue]:
    """Return the cues with the names of the cast for their speakers.

    A speaker is a voice span of WebVTT, or a name of the cast and a colon before the text. Raises SubtitleError for a
    speaker that is not in the cast and, unless there is a `default` voice, for a line without one.
    """
    known = {folded(name): name for name in names}
    return [
        replace(cue, lines=tuple(_in_cast(line, cue.cue, known, source, default=default) for line in cue.lines))
        for cue in spoken
    ]


def _in_cast(line: Line, cue: Cue, known: Mapping[str, str], source: str | PathLike[str], *, default: bool) -> Line:
    if line.speaker is None:
        before, colon, after = line.text.partition(":")
        name = find_name(before, known) if colon and after.strip() else None
        if name is not None:
            return Line(name, after.strip())
        if default:
            return line
        problem = f"nobody is named for {short(line.text)}"
        raise SubtitleError(source, cue.line, problem, "Give a voice for lines without a name, too.")
    name = find_name(line.speaker, known)
    if name is None:
        hint = nearest(line.speaker, list(known.values()))
        raise SubtitleError(source, cue.line, f"{short(line.speaker)} is not in the cast", hint)
    return Line(name, line.text)


def check_length(spoken: Sequence[SpokenCue], seconds: float, source: str | PathLike[str]) -> None:
    """Check that all cues begin before the end of the film, in seconds. Raises SubtitleError."""
    for cue in spoken:
        if cue.cue.start >= seconds * 1000:
            problem = f"this cue begins at {format_time(cue.cue.start)}, after the end of the film"
            hint = f"The film ends at {format_time(round(seconds * 1000))}: check that the subtitles belong to it."
            raise SubtitleError(source, cue.cue.line, problem, hint)


def lay_out(
    spoken: Sequence[SpokenCue],
    sounds: Sequence[Sequence[Excerpt]],
    *,
    sample_rate: int,
    length: int | None = None,
    last_end: int = 0,
    max_speed: float = MAX_SPEED,
    factors: Mapping[str | None, float] | None = None,
) -> tuple[Track, list[Fit]]:
    """Place the sounds of each cue on a track; return it, and how each cue is spoken.

    `sounds` are those of each cue's lines, at `sample_rate` in Hz; `factors` are gains of speakers. The track has
    `length` samples and, without one, at least `last_end`, the end of the last cue in milliseconds.
    """
    track = Track(sample_rate)
    fits: list[Fit] = []
    for index, (cue, parts) in enumerate(zip(spoken, sounds, strict=True)):
        limit = length
        if index + 1 < len(spoken):
            following = samples_at(spoken[index + 1].cue.start, sample_rate)
            limit = following if limit is None else min(limit, following)
        fits.append(_place(track, cue, parts, limit=limit, length=length, max_speed=max_speed, factors=factors or {}))
    track.extend(samples_at(last_end, sample_rate) if length is None else length)
    return track, fits


def samples_at(milliseconds: int, sample_rate: int) -> int:
    """Return the number of samples up to a time, rounded."""
    return round(milliseconds * sample_rate / 1000)


def _place(
    track: Track,
    cue: SpokenCue,
    sounds: Sequence[Excerpt],
    *,
    limit: int | None,
    length: int | None,
    max_speed: float,
    factors: Mapping[str | None, float],
) -> Fit:
    """Append the sounds of a cue to a track, which has `length` samples; `limit` is where its gap ends."""
    rate = track.sample_rate
    cue_start, cue_end = samples_at(cue.cue.start, rate), samples_at(cue.cue.end, rate)
    start = max(cue_start, track.samples)
    between = round(BETWEEN * rate) * (len(sounds) - 1)
    natural = sum(sound.samples(rate) for sound in sounds)
    room = cue_end - start - between
    speed = 1.0 if natural <= room else min(max_speed, natural / room) if room > 0 else max_speed
    position = start
    wanted = between
    for line, sound in zip(cue.lines, sounds, strict=True):
        faster = sound if speed == 1 else sound.faster(speed)
        wanted += faster.samples(rate)
        if length is not None and position + faster.samples(rate) > length:
            faster = replace(faster, cut=max(0, length - position))
        if faster.samples(rate):
            track.place(faster, position, factor=factors.get(line.speaker, 1.0))
            position = track.samples + round(BETWEEN * rate)
    end = start + wanted
    excess = 0 if limit is None else max(0, end - limit)
    status = FITS if speed == 1 else STRETCHED
    if end > cue_end:
        status = TOO_LONG if excess else OVERFLOWS
    return Fit(
        number=cue.number,
        line=cue.cue.line,
        text=cue.text,
        cue_start=cue.cue.start / 1000,
        cue_end=cue.cue.end / 1000,
        start=start / rate,
        end=max(start, end if length is None else min(end, length)) / rate,
        spoken=(natural + between) / rate,
        speed=speed,
        status=status,
        late=(start - cue_start) / rate,
        excess=excess / rate,
        cut=length is not None and end > length,
    )
