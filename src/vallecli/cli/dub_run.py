"""One run of `valle dub`: the cues are spoken as a batch, put in their time, and written as a track or into a film."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer

from vallecli.atomic import sweep
from vallecli.audio.files import check_writable
from vallecli.audio.film import CONTAINERS, Film, NewTrack, add_track, check_film_output, film_format, read_film
from vallecli.audio.formats import check_rate, format_of, output_rate
from vallecli.audio.labels import Labels
from vallecli.audio.provenance import Provenance
from vallecli.audio.signing import check_signable
from vallecli.checkpoints.local import sha256
from vallecli.cli import options, work_run
from vallecli.cli.output import check_distinct
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.cli.work_options import WorkOptions, batch_request
from vallecli.cli.work_run import Output, Writer, clock
from vallecli.errors import FilmError, SubtitleError, UsageError
from vallecli.jobs.plan import check_choice
from vallecli.longform.assemble import Clip, Track
from vallecli.longform.cast import Cast, read_cast
from vallecli.longform.dubbing import (
    FITS,
    OVERFLOWS,
    STRETCHED,
    TOO_LONG,
    Fit,
    SpokenCue,
    check_length,
    lay_out,
    spoken_cues,
    with_cast,
)
from vallecli.longform.excerpts import Excerpt
from vallecli.longform.made import Made
from vallecli.longform.master import LOUDNESS, find_level
from vallecli.longform.play import check_voices
from vallecli.longform.subtitles import Cue, Line, check_overlaps, format_time, read_subtitles
from vallecli.longform.work import Utterance, work_folder
from vallecli.printable import printable
from vallecli.settings import Settings
from vallecli.text.base import AUTO

STRETCH, NONE = "stretch", "none"
MAX_HOURS = 100  # of a track
LENGTH = re.compile(r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9})(?:[.,](\d{1,3}))?", re.ASCII)
SHOWN = 40  # characters of a cue in the list of those that do not fit
# Codes of films and discs (ISO 639-2) for those of languages (ISO 639-1).
LANGUAGE_TAGS = {
    **{"en": "eng", "zh": "zho", "ja": "jpn", "ko": "kor", "de": "deu", "fr": "fra", "es": "spa", "it": "ita"},
    **{"pt": "por", "pl": "pol", "tr": "tur", "ru": "rus", "nl": "nld", "cs": "ces", "ar": "ara", "hu": "hun"},
    "hi": "hin",
}


@dataclass(frozen=True, kw_only=True)
class DubRequest:
    """The command line, apart from the options that all works have."""

    subtitles: str
    output: str | None
    cast: str | None
    mux: str | None
    length: str | None
    fit: str
    max_speed: float
    allow_overlaps: bool


@dataclass(frozen=True)
class Dub:
    """What is spoken: the cues, their speakers, and the film with its length, as far as they are known."""

    cues: Sequence[Cue]
    spoken: Sequence[SpokenCue]
    cast: Cast | None
    film: Film | None
    seconds: float | None
    """Length of the track, if it does not depend on the speech."""

    def utterance(self, line: Line) -> Utterance:
        """Return what is spoken for a line."""
        member = None if self.cast is None or line.speaker is None else self.cast.members[line.speaker]
        return Utterance(line.text, {} if member is None else member.columns)

    @property
    def utterances(self) -> list[Utterance]:
        """Return all of them in order."""
        return [self.utterance(line) for cue in self.spoken for line in cue.lines]

    @property
    def factors(self) -> dict[str | None, float]:
        """Return the gain of each speaker, as a factor."""
        members = {} if self.cast is None else self.cast.members
        return {name: 10 ** (member.gain / 20) for name, member in members.items()}


def run(context: typer.Context, request: DubRequest, work: WorkOptions, reporter: Reporter) -> None:
    """Read the subtitles; print an estimate, or speak them and write the track or the film."""
    settings = options.settings(context)
    target = output_of(request)
    format = check_options(request, work.marks, target, settings)
    folder = work_folder(target) if work.work_dir is None else Path(work.work_dir)
    batch = batch_request(context, work, reporter, folder)
    signer = work.marks.signer()
    dub = read_dub(request, reporter, default_voice=batch.defaults.prompt is not None)
    made = Made(folder)
    check_outputs(request, target, made, force=work.rows.force)
    if dub.cast is None:
        work_run.check_language(work.reading.language, settings)
    else:
        names = dict.fromkeys(line.speaker for cue in dub.spoken for line in cue.lines if line.speaker is not None)
        check_voices([dub.cast.members[name] for name in names], settings)
    if work.rows.dry_run:
        return print_estimate(dub, request, batch, reporter)
    spoken = work_run.speak(dub.utterances, batch, reporter, skip_failed=work.skip_failed)
    if spoken is None:
        return None
    rate = output_rate(format, settings.sample_rate, spoken.sample_rate)
    track, fits = place(dub, request, spoken.clips, rate)
    loudness = None if work.keep_loudness else LOUDNESS if settings.loudness is None else settings.loudness
    writer = Writer(made, Provenance.of(settings.checkpoint), signer)
    output = Output(target, format, track, Labels(title=f"{Path(request.subtitles).stem} (dub)"))
    if dub.film is None:
        gain = settings.gain or 0.0
        level = work_run.write_outputs([output], writer, loudness=loudness, gain=gain, reporter=reporter)
    else:
        language = language_of(work.reading.language, settings)
        level = write_film(dub.film, output, language, writer, loudness, settings.gain or 0.0, reporter)
    report(dub, track, fits, target, {**level, **spoken.summary}, reporter, as_json=work.printed.as_json)
    return None


def output_of(request: DubRequest) -> Path:
    """Return the path of the result."""
    if request.output is not None:
        return Path(request.output)
    ending = ".wav" if request.mux is None else Path(request.mux).suffix
    if request.mux is not None and ending.lower() not in CONTAINERS:
        ending = ".mkv"
    return Path(f"{Path(request.subtitles).stem}.dub{ending}")


def check_options(request: DubRequest, marks: options.MarkOptions, target: Path, settings: Settings) -> str:
    """Return the format of the track. Raises UsageError for options that do not go together, or that are invalid."""
    check_choice("--fit", request.fit, (STRETCH, NONE))
    if marks.disclose is not None:
        raise UsageError("--disclose has no place among the times of a film", "Say it in the first subtitle.")
    if request.mux is None:
        format = format_of(target)
        if marks.sign is not None:
            check_signable(format)
    else:
        check_film_output(target)
        format = film_format(target)
        if request.length is not None:
            raise UsageError("--length and --mux both give a length", "Leave --length out.")
        if marks.sign is not None:
            raise UsageError("--sign is not for films", "Sign the track, without --mux.")
    check_rate(format, settings.sample_rate)
    return format


def read_dub(request: DubRequest, reporter: Reporter, *, default_voice: bool) -> Dub:
    """Return the cues that are spoken. Raises InputError and UsageError."""
    if request.cast is None and not default_voice:
        raise UsageError("there is no voice", "Give a voice by --voice, a recording by --prompt, or several by --cast.")
    cues = read_subtitles(Path(request.subtitles))
    if not request.allow_overlaps:
        check_overlaps(cues, request.subtitles)
    spoken = spoken_cues(cues)
    if not spoken:
        raise SubtitleError(request.subtitles, None, "nothing in it is spoken", "Remarks and signs are left out.")
    cast = None if request.cast is None else read_cast(Path(request.cast))
    if cast is not None:
        spoken = with_cast(spoken, cast.names, request.subtitles, default=default_voice)
    else:
        speakers = {line.speaker for cue in spoken for line in cue.lines if line.speaker is not None}
        if len(speakers) > 1:
            reporter.info(f"{request.subtitles} names {len(speakers)} speakers, who have one voice without --cast")
    film = None if request.mux is None else read_film(Path(request.mux))
    seconds = parse_length(request.length) if film is None else film.seconds
    if seconds is not None:
        check_length(spoken, seconds, request.subtitles)
    if max(cues[-1].end / 1000, seconds or 0) > MAX_HOURS * 3600:
        raise SubtitleError(request.subtitles, cues[-1].line, f"the track would have more than {MAX_HOURS} hours")
    if len(spoken) < len(cues):
        reporter.info(f"{len(cues) - len(spoken)} of {len(cues)} cues have nothing to speak")
    return Dub(cues, spoken, cast, film, seconds)


def parse_length(written: str | None) -> float | None:
    """Return the seconds of 1:30:00, 90:00 or 5400. Raises UsageError."""
    if written is None:
        return None
    match = LENGTH.fullmatch(written.strip())
    seconds = 0.0
    if match is not None:
        hours, minutes, rest = (int(group or 0) for group in match.groups()[:3])
        seconds = (hours * 60 + minutes) * 60 + rest + float(f"0.{match[4] or 0}")
    if not 0 < seconds <= MAX_HOURS * 3600:
        raise UsageError(f"--length is {written!r}", f"It should be a time up to {MAX_HOURS} hours: 1:30:00 or 5400.")
    return seconds


def check_outputs(request: DubRequest, target: Path, made: Made, *, force: bool) -> None:
    """Refuse a file that cannot be written, or that is not of this work. Raises OutputError and UsageError."""
    inputs = {"SUBTITLES": request.subtitles, "--cast": request.cast, "--mux": request.mux}
    check_distinct({"the output": target}, inputs)
    check_writable(target, force=True)
    sweep(target.parent)
    made.check(target, force=force)


def place(dub: Dub, request: DubRequest, clips: Mapping[str, Clip], rate: int) -> tuple[Track, list[Fit]]:
    """Return the track with the speech of all cues that have some. Raises AudioNotFound."""
    spoken, excerpts = [], []
    known: dict[str, Excerpt] = {}
    for cue in dub.spoken:
        names = [dub.utterance(line).id for line in cue.lines]
        if not all(name in clips for name in names):
            continue  # with --skip-failed
        for name in names:
            if name not in known:
                known[name] = Excerpt.speech_in(clips[name], rate)
        spoken.append(cue)
        excerpts.append([known[name] for name in names])
    return lay_out(
        spoken,
        excerpts,
        sample_rate=rate,
        length=None if dub.seconds is None else round(dub.seconds * rate),
        last_end=dub.cues[-1].end,
        max_speed=request.max_speed if request.fit == STRETCH else 1.0,
        factors=dub.factors,
    )


def language_of(given: str, settings: Settings) -> str | None:
    """Return the tag of the spoken language: the given one, or the only one of the checkpoint."""
    return LANGUAGE_TAGS.get(work_run.only_language(settings) if given == AUTO else given)


def write_film(
    film: Film,
    output: Output,
    language: str | None,
    writer: Writer,
    loudness: float | None,
    gain: float,
    reporter: Reporter,
) -> Mapping[str, Any]:
    """Write the film with its new track, unless it is as it should be; return its loudness for --json."""
    title = "Synthetic dub"
    try:
        content = {"film": sha256(film.path), "language": language, "title": title}
    except OSError as error:
        raise FilmError(film.path, f"it cannot be read: {(error.strerror or str(error)).lower()}") from error
    name = writer.fingerprint([output], {"loudness": loudness, "gain": gain, **content})
    wanted = {"loudness": None if loudness is None else loudness + gain, "gain": gain if loudness is None else None}
    if writer.made.is_current(output.path, name):
        reporter.info("nothing has changed: the film is as it should be")
        return wanted
    track = output.track
    with work_run.stages(reporter) as begin:
        level = find_level(
            [track], loudness=loudness, gain=gain, on_progress=begin("measuring the loudness", track.seconds)
        )
        new = NewTrack(
            blocks=level.apply(track.blocks(), track.sample_rate),
            sample_rate=track.sample_rate,
            title=title,
            language=language,
            comment=writer.provenance.statement,
        )
        notes = add_track(
            film,
            output.path,
            new,
            force=True,  # checked before
            finish=partial(writer.begin, output.path, name),
            on_progress=begin(f"writing {output.path}", film.seconds),
        )
    for note in notes:
        reporter.info(note)
    return wanted


def print_estimate(dub: Dub, request: DubRequest, batch: Any, reporter: Reporter) -> None:
    """Print the duration of the speech, the time that is left to compute, and how many cues are probably too long."""
    found = work_run.estimate(dub.utterances, batch, reporter)
    seconds = [sum(found.seconds.get(dub.utterance(line).id, 0.0) for line in cue.lines) for cue in dub.spoken]
    starts = [cue.cue.start / 1000 for cue in dub.spoken[1:]]
    ends = [*starts, dub.cues[-1].end / 1000 if dub.seconds is None else dub.seconds]
    fastest = request.max_speed if request.fit == STRETCH else 1.0
    too_long = sum(
        spoken / fastest > end - cue.cue.start / 1000
        for cue, spoken, end in zip(dub.spoken, seconds, ends, strict=True)
    )
    if batch.json:
        left = None if found.computing is None else round(found.computing, 1)
        counts = {"rows": found.rows, "todo": found.todo, "failed": found.refused, "too_long": too_long}
        write_json({"cues": len(dub.cues), **counts, "audio_seconds": round(sum(seconds), 1), "seconds": left})
        return
    time = "an unknown time" if found.computing is None else f"about {clock(found.computing)}"
    failed = f", {found.refused} cannot be spoken" if found.refused else ""
    write_line(f"about {clock(sum(seconds))} of speech; {found.todo} of {found.rows} texts to speak, in {time}{failed}")
    reporter.info(f"about {too_long} of {len(dub.spoken)} cues will be too long")


def report(
    dub: Dub,
    track: Track,
    fits: Sequence[Fit],
    target: Path,
    summary: Mapping[str, Any],
    reporter: Reporter,
    *,
    as_json: bool,
) -> None:
    """Print the path and, on stderr, the cues that do not fit; with --json everything about each cue."""
    counts = Counter(fit.status for fit in fits)
    too_long = [fit for fit in fits if fit.status == TOO_LONG]
    if too_long:
        reporter.info(f"{len(too_long)} of {len(fits)} cues do not fit:")
        for row in table_of(too_long):
            reporter.info(row)
    if as_json:
        names = {FITS: "fit", STRETCHED: "stretched", OVERFLOWS: "overflow", TOO_LONG: "too_long"}
        write_json(
            {
                "path": os.fspath(target),
                "seconds": round(track.seconds, 3),
                **{name: counts[status] for status, name in names.items()},
                "silent": len(dub.cues) - len(dub.spoken),
                "cues": [fit.to_json() for fit in fits],
                **{name: value for name, value in summary.items() if name != "seconds"},
            }
        )
        return
    write_line(os.fspath(target))
    late = [fit.late for fit in fits if fit.late]
    if late:
        reporter.info(f"{len(late)} cues begin up to {max(late):.2f} s late, because the one before is too long")
    reporter.info(
        f"{clock(track.seconds)}: {counts[FITS]} cues fit, {counts[STRETCHED]} were made faster, {counts[OVERFLOWS]} "
        f"end in the gap before the next one, {counts[TOO_LONG]} are too long"
    )


def table_of(fits: Sequence[Fit]) -> list[str]:
    """Return the lines of a table of cues that do not fit."""
    rows = [("cue", "begins at", "has", "speech", "too long by", "late", "text")]
    for fit in fits:
        text = printable(fit.text if len(fit.text) <= SHOWN else f"{fit.text[: SHOWN - 1]}…")
        rows.append(
            (
                str(fit.number),
                format_time(round(fit.cue_start * 1000)),
                f"{fit.cue_end - fit.cue_start:.2f} s",
                f"{fit.end - fit.start:.2f} s",
                f"{fit.excess:.2f} s{' (cut off)' if fit.cut else ''}",
                f"{fit.late:.2f} s",
                text,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        "  " + "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
