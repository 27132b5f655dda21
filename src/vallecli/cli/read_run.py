"""One run of `valle read`: the book is read, its sentences are spoken as a batch, and the clips become files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from vallecli.atomic import sweep
from vallecli.audio.files import check_writable
from vallecli.audio.formats import FORMATS, SIGNAL, SPOKEN_NOTICE, check_rate, format_of, output_rate
from vallecli.audio.labels import Chapter, Labels, cover_codec
from vallecli.audio.provenance import Provenance
from vallecli.audio.signing import Signer, check_signable
from vallecli.cli import options, signals, work_run
from vallecli.cli.batch_run import BatchRequest
from vallecli.cli.output import check_distinct
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.cli.work_options import WorkOptions, batch_request
from vallecli.cli.work_run import Output, SpokenWork, Writer, clock
from vallecli.errors import InputError, OutputNotWritable, UsageError
from vallecli.families.catalog import known_languages
from vallecli.jobs.plan import check_choice
from vallecli.longform.assemble import Source, Tones
from vallecli.longform.books.model import clean_name
from vallecli.longform.captions import captions
from vallecli.longform.documents import Document, read_document
from vallecli.longform.made import Made
from vallecli.longform.master import LOUDNESS
from vallecli.longform.narration import Layout, Narration, Pauses, lay_out, narrate, silence_of
from vallecli.longform.subtitles import SUFFIXES
from vallecli.longform.words import WordTimes
from vallecli.longform.work import Utterance, work_folder
from vallecli.printable import printable
from vallecli.settings import Settings
from vallecli.text.base import AUTO
from vallecli.text.notice import notice_for

DEFAULT_FORMAT = "m4b"
PART_FORMATS = ("mp3", "opus", "m4a", "m4b", "ogg", "flac", "wav")  # of one file a chapter
GENRE = "Audiobook"
NAME_LETTERS = 40  # of a chapter's title, in the name of its file
NUMBERS = re.compile(r"(\d{1,6})?\s*(-)?\s*(\d{1,6})?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """The command line, apart from the options that all works have."""

    book: str
    output: str | None
    out_dir: str | None
    format: str
    subtitles: str | None
    words: bool
    chapters: str | None
    list_chapters: bool
    keep: Sequence[str]
    chapter_pause: float


@dataclass(frozen=True)
class Book:
    """The chapters that are read, and what is known of the book."""

    document: Document
    title: str
    author: str | None
    language: str
    """That of the text, for the checkpoint, or "auto"."""
    chapters: tuple[Narration, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A book that is to be spoken, and where its files go."""

    request: ReadRequest
    settings: Settings
    book: Book
    format: str
    paths: Sequence[Path]
    """Of the audio: one file, or one for each chapter."""
    batch: BatchRequest
    made: Made
    signer: Signer | None
    notice: Utterance | None
    """What is spoken first in each file."""
    tones: bool
    """Whether each file begins with the signal instead."""

    @property
    def utterances(self) -> list[Utterance]:
        """Return what is to be spoken."""
        sentences = [sentence for chapter in self.book.chapters for sentence in chapter.sentences]
        return sentences if self.notice is None else [self.notice, *sentences]

    @property
    def one_file(self) -> bool:
        """Return whether all chapters are in one file."""
        return self.request.out_dir is None

    @property
    def pauses(self) -> Pauses:
        """Return the pauses of the options and settings."""
        given = {"sentence": self.settings.pause, "paragraph": self.settings.paragraph_pause}
        known = {name: value for name, value in given.items() if value is not None}
        return replace(Pauses(), chapter=self.request.chapter_pause, **known)


def run(context: typer.Context, request: ReadRequest, work: WorkOptions, reporter: Reporter) -> None:
    """Read the book; print its chapters or an estimate, or speak it and write the files."""
    settings = options.settings(context)
    check_options(request)
    with reporter.stages() as stage:
        stage("reading the book")
        book = read_book(request, work.reading.language, settings, reporter)
        signals.check()
    if request.list_chapters:
        return print_chapters(book, as_json=work.printed.as_json)
    job = prepare(context, request, work, settings, book, reporter)
    if work.rows.dry_run:
        return print_estimate(job, reporter)
    words = WordTimes(Path(job.batch.out_dir), model=settings.asr, offline=settings.offline) if request.words else None
    spoken = work_run.speak(job.utterances, job.batch, reporter, skip_failed=work.skip_failed)
    if spoken is None:
        return None
    loudness = LOUDNESS if settings.loudness is None else settings.loudness
    return write(job, spoken, words, reporter, loudness=None if work.keep_loudness else loudness)


def prepare(
    context: typer.Context, request: ReadRequest, work: WorkOptions, settings: Settings, book: Book, reporter: Reporter
) -> Job:
    """Return what is to be done. Raises UsageError, VoiceError, and OutputError for files that cannot be written."""
    target = target_of(request)
    format = request.format if request.out_dir is not None else format_of(target)
    check_rate(format, settings.sample_rate)
    folder = work_folder(target) if work.work_dir is None else Path(work.work_dir)
    batch = batch_request(context, work, reporter, folder)
    if batch.defaults.prompt is None:
        raise UsageError("there is no voice", "Give the name of a voice by --voice, or a recording by --prompt.")
    signer = work.marks.signer()
    if signer is not None:
        check_signable(format)
    disclose = work.marks.disclosure()
    job = Job(
        request=request,
        settings=settings,
        book=book,
        format=format,
        paths=[target] if request.out_dir is None else [target / name for name in file_names(book, format)],
        batch=replace(batch, defaults=replace(batch.defaults, language=book.language)),
        made=Made(folder),
        signer=signer,
        notice=notice_of(book) if disclose == SPOKEN_NOTICE else None,
        tones=disclose == SIGNAL,
    )
    check_outputs(job, target, force=work.rows.force)
    return job


def target_of(request: ReadRequest) -> Path:
    """Return the file or the folder of the result."""
    return Path(request.out_dir or request.output or Path(request.book).stem + FORMATS[DEFAULT_FORMAT].ending)


def write(job: Job, spoken: SpokenWork, words: WordTimes | None, reporter: Reporter, *, loudness: float | None) -> None:
    """Write the files of a book that was spoken, and print their paths. Raises OutputError."""
    notice: Source | None = None if job.notice is None else spoken.clips.get(job.notice.id)
    opening = Tones() if job.tones else notice
    rate = output_rate(job.format, job.settings.sample_rate, spoken.sample_rate)
    parts = [job.book.chapters] if job.one_file else [(chapter,) for chapter in job.book.chapters]
    layouts = [lay_out(part, spoken.clips, rate, job.pauses, opening=opening) for part in parts]
    outputs = [
        Output(path, job.format, layout.track, labels_of(job, part, layout, number, len(parts)))
        for number, (path, part, layout) in enumerate(zip(job.paths, parts, layouts, strict=True), start=1)
    ]
    writer = Writer(job.made, Provenance.of(job.settings.checkpoint), job.signer)
    gain = job.settings.gain or 0.0
    level = work_run.write_outputs(outputs, writer, loudness=loudness, gain=gain, reporter=reporter)
    texts = write_subtitles(job, outputs, layouts, writer, words, spoken, reporter)
    report(outputs, texts, level, spoken, reporter, as_json=job.batch.json)


def check_options(request: ReadRequest) -> None:
    """Raise UsageError for options that do not go together, or that are invalid."""
    if request.output is not None and request.out_dir is not None:
        raise UsageError("-o and --out-dir both name the result", "Leave one of them out.")
    if request.out_dir is not None:
        check_choice("--format", request.format, PART_FORMATS)
    if request.subtitles is not None:
        check_choice("--subtitles", request.subtitles, [ending.removeprefix(".") for ending in SUFFIXES])
    elif request.words:
        raise UsageError("--words is without --subtitles", "Add --subtitles srt or vtt: the times of words are there.")


def read_book(request: ReadRequest, language: str, settings: Settings, reporter: Reporter) -> Book:
    """Return the chapters that are to be read. Raises InputError and UsageError."""
    document = read_document(request.book, request.keep)
    for note in document.notes:
        reporter.info(note)
    if document.left_out:
        counted = ", ".join(f"{count} {kind}" for kind, count in document.left_out.items())
        reporter.info(f"left out: {counted} (--keep {','.join(document.left_out)} reads them)")
    spoken = AUTO if request.list_chapters else language_for(document, language, settings)
    ends = language if language != AUTO else (document.language or "en")
    chosen = chosen_numbers(request.chapters, len(document.chapters))
    chapters = [
        narrate(number, document.chapters[number - 1], language=ends.partition("-")[0].lower(), columns={})
        for number in chosen
    ]
    for chapter in chapters:
        if not chapter.passages:
            reporter.info(f"chapter {chapter.number} has no words: {printable(chapter.title)}")
    chapters = [chapter for chapter in chapters if chapter.passages]
    if not chapters:
        raise InputError(f"{request.book} has no words in these chapters", "Choose other chapters; see --list.")
    title = document.title or clean_name(Path(request.book).stem)
    return Book(document, title, ", ".join(document.authors) or None, spoken, tuple(chapters))


def language_for(document: Document, given: str, settings: Settings) -> str:
    """Return the language that the checkpoint should speak: the given one, or that of the book. Raises UsageError."""
    if given != AUTO or document.language is None:
        work_run.check_language(given, settings)
        return given
    language = document.language.partition("-")[0].lower()
    languages = work_run.languages(settings)
    if language in languages:
        return language if language in known_languages() else AUTO
    raise UsageError(
        f"the book is in the language {printable(document.language)}, which {settings.checkpoint} does not speak",
        f"It speaks {', '.join(languages)}: add --language {languages[0]} if the book says it wrongly.",
    )


def chosen_numbers(written: str | None, count: int) -> list[int]:
    """Return the numbers of chapters, in order: of "3-5", "1,4,7-", or all of them. Raises UsageError."""
    if written is None:
        return list(range(1, count + 1))
    chosen: set[int] = set()
    for part in written.split(","):
        match = NUMBERS.fullmatch(part.strip())
        if match is None or not (match[1] or match[3]) or (match[3] and not match[2]):
            raise UsageError(f"--chapters is {written!r}", "It should be numbers of --list, such as 3-5 or 1,4,7-.")
        first = int(match[1] or 1)
        last = first if not match[2] else int(match[3] or count)
        if not 1 <= first <= last <= count:
            raise UsageError(f"--chapters is {written!r}", f"The book has the chapters 1 to {count}; see --list.")
        chosen.update(range(first, last + 1))
    return sorted(chosen)


def notice_of(book: Book) -> Utterance:
    """Return the notice that the speech is synthetic, in the language of the book."""
    text = next(sentence.text for chapter in book.chapters for sentence in chapter.sentences)
    return Utterance(notice_for(text, book.language))


def file_names(book: Book, format: str) -> list[str]:
    """Return the name of each chapter's file: its number, and words of its title."""
    digits = len(str(len(book.document.chapters)))
    names = []
    for chapter in book.chapters:
        words = "-".join(re.findall(r"\w+", re.sub(r"['’]", "", chapter.title.lower())))[:NAME_LETTERS].strip("-_")
        names.append(f"{chapter.number:0{max(2, digits)}d}{'-' + words if words else ''}{FORMATS[format].ending}")
    return names


def check_outputs(job: Job, target: Path, *, force: bool) -> None:
    """Refuse files that cannot be written, or that are not of this work. Raises OutputError and UsageError."""
    if job.one_file:
        check_writable(target, force=True)
        sweep(target.parent)
    elif os.path.lexists(target) and not target.is_dir():
        raise OutputNotWritable(target, "it is no folder")
    ending = job.request.subtitles
    for path in (*job.paths, *([] if ending is None else [path.with_suffix(f".{ending}") for path in job.paths])):
        job.made.check(path, force=force)
        check_distinct({"the result": path}, {"BOOK": job.request.book})


def labels_of(job: Job, chapters: Sequence[Narration], layout: Layout, number: int, count: int) -> Labels:
    """Return the labels of a file: those of the book, with marks, or those of one of `count` chapters."""
    book = job.book
    cover = None if book.document.cover is None else book.document.cover.data
    if cover is not None and cover_codec(cover) is None:
        cover = None
    known = Labels(title=book.title, author=book.author, album=book.title, genre=GENRE, cover=cover)
    if not job.one_file:
        return replace(known, title=chapters[0].title, track=(number, count))
    bounds = [0, *layout.starts[1:], layout.track.samples]
    marks = [
        Chapter(chapter.title, start, end) for chapter, start, end in zip(chapters, bounds, bounds[1:], strict=False)
    ]
    return replace(known, chapters=tuple(marks))


def write_subtitles(
    job: Job,
    outputs: Sequence[Output],
    layouts: Sequence[Layout],
    writer: Writer,
    words: WordTimes | None,
    spoken: SpokenWork,
    reporter: Reporter,
) -> list[Path]:
    """Write the subtitles of each file beside it, and return their paths. Raises OutputError."""
    if job.request.subtitles is None:
        return []
    ending = f".{job.request.subtitles}"
    heard = None
    if words is not None:
        language = job.book.language if job.book.language != AUTO else work_run.only_language(job.settings)
        used = {entry.sentence.id: spoken.clips[entry.sentence.id] for layout in layouts for entry in layout.read}
        with work_run.stages(reporter) as begin:
            heard = words.of(
                used, language=None if language == AUTO else language, on_progress=begin("finding the words", len(used))
            )
    paths = []
    for output, layout in zip(outputs, layouts, strict=True):
        paths.append(output.path.with_suffix(ending))
        writer.write_text(paths[-1], captions(layout.read, output.track.sample_rate, ending, heard))
    return paths


def print_chapters(book: Book, *, as_json: bool) -> None:
    """Print the number, the number of words and the title of each chapter."""
    if as_json:
        entries = [{"chapter": c.number, "words": c.words, "title": c.title} for c in book.chapters]
        write_json({"title": book.title, "author": book.author, "chapters": entries})
        return
    for chapter in book.chapters:
        write_line(f"{chapter.number}\t{chapter.words}\t{printable(chapter.title)}")


def print_estimate(job: Job, reporter: Reporter) -> None:
    """Print the duration of each chapter, and of all, and the time that is left to compute."""
    book, pauses = job.book, job.pauses
    found = work_run.estimate(job.utterances, job.batch, reporter)
    chapters = [
        (chapter, sum(found.seconds.get(s.id, 0.0) for s in chapter.sentences) + silence_of([chapter], pauses))
        for chapter in book.chapters
    ]
    total = sum(seconds for _, seconds in chapters)
    if job.one_file:  # silence is between chapters, and not around each
        each = sum(silence_of([chapter], pauses) for chapter in book.chapters)
        total += silence_of(book.chapters, pauses) - each
    if job.batch.json:
        entries = [{"chapter": c.number, "title": c.title, "seconds": round(s, 1)} for c, s in chapters]
        left = None if found.computing is None else round(found.computing, 1)
        counts = {"rows": found.rows, "todo": found.todo, "failed": found.refused}
        write_json({"chapters": entries, **counts, "audio_seconds": round(total, 1), "seconds": left})
        return
    for chapter, seconds in chapters:
        write_line(f"{chapter.number}\t{clock(seconds)}\t{printable(chapter.title)}")
    time = "an unknown time" if found.computing is None else f"about {clock(found.computing)}"
    failed = f", {found.refused} cannot be spoken" if found.refused else ""
    reporter.info(f"about {clock(total)} of audio; {found.todo} of {found.rows} sentences to speak, in {time}{failed}")


def report(
    outputs: Sequence[Output],
    texts: Sequence[Path],
    level: Mapping[str, Any],
    spoken: SpokenWork,
    reporter: Reporter,
    *,
    as_json: bool,
) -> None:
    """Print the paths of the files or, with --json, what is known of them."""
    if as_json:
        files = [
            {
                "path": os.fspath(output.path),
                "seconds": round(output.track.seconds, 3),
                "chapters": [
                    {"title": chapter.title, "start": chapter.start / output.track.sample_rate}
                    for chapter in output.labels.chapters
                ],
            }
            for output in outputs
        ]
        write_json({"files": files, "subtitles": [os.fspath(path) for path in texts], **level, **spoken.summary})
        return
    for path in (*(output.path for output in outputs), *texts):
        write_line(os.fspath(path))
    reporter.info(f"{clock(sum(output.track.seconds for output in outputs))} of audio")
