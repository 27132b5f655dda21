"""`valle read`: its options; what it does is in read_run."""

from __future__ import annotations

from typing import Annotated

import typer

from vallecli.cli.groups import takes_groups
from vallecli.cli.work_options import WorkOptions

EPILOG = """\b
Examples:
  valle read emma.epub --list
  valle read emma.epub --voice anna --dry-run
  valle read emma.epub --voice anna -o emma.m4b --subtitles srt
  valle read notes.md --prompt ref.wav --out-dir notes --format mp3
  valle read emma.epub --voice anna --chapters 3-5 -o part.m4b

BOOK is EPUB, DOCX, Markdown, HTML or plain text (vallecli[books] for all but the last). Its chapters become marks of
one file, or with --out-dir files. M4B, M4A, MP3 and Opus have chapter marks, M4B and MP3 a cover.

Each sentence is spoken once, into the work folder (emma.m4b.work), as a row of valle batch. The same command again
speaks only sentences that are missing or have changed, and builds the files again. Ctrl-C finishes the sentences in
progress; neither that nor a crash leaves an incomplete file. When nothing is left to do, the
work folder may be removed.

\b
Exit codes: as for batch.
"""


@takes_groups
def read(
    context: typer.Context,
    *,
    book: Annotated[str, typer.Argument(metavar="BOOK", help="EPUB, DOCX, Markdown, HTML or plain text.")],
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="One file with all chapters; by default BOOK's name and .m4b."
        ),
    ] = None,
    out_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder for one file a chapter, instead of one file.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="With --out-dir: mp3, opus, m4a, m4b, ogg, flac or wav.")
    ] = "mp3",
    subtitles: Annotated[
        str | None, typer.Option(metavar="srt|vtt", help="Also write the times of all sentences beside each file.")
    ] = None,
    words: Annotated[
        bool, typer.Option("--words", help="With --subtitles: times of words, heard by Whisper (vallecli[asr]).")
    ] = False,
    chapters: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="Read only these chapters of --list: 3-5 or 1,4,7-.")
    ] = None,
    list_chapters: Annotated[
        bool, typer.Option("--list", help="Print the chapters with their numbers of words, and exit.")
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KINDS",
            help="Read what is left out by default: front, notes, marks, tables, code, captions, images, math, pages, "
            "ruby, navigation or licence, with commas between.",
        ),
    ] = None,
    pause: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds of silence between sentences; 0.3 by default.")
    ] = None,
    paragraph_pause: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds of silence between paragraphs; 0.7 by default.")
    ] = None,
    chapter_pause: Annotated[
        float, typer.Option(metavar="S", min=0, max=60, help="Seconds of silence between chapters.")
    ] = 2.0,
    work: WorkOptions,
) -> None:
    """Read a book aloud: an audiobook with chapters, or one file a chapter; resumable."""
    reporter = work.printed.reporter(context)
    from vallecli.cli import read_run  # imported here: --help does not wait for it

    read_run.run(
        context,
        read_run.ReadRequest(
            book=book,
            output=output,
            out_dir=out_dir,
            format=form,
            subtitles=subtitles,
            words=words,
            chapters=chapters,
            list_chapters=list_chapters,
            keep=[kind.strip() for entry in keep or () for kind in entry.split(",") if kind.strip()],
            chapter_pause=chapter_pause,
        ),
        work,
        reporter,
    )
