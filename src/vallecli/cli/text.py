"""`valle text`: its options; what it does is in text_run."""

from __future__ import annotations

from typing import Annotated

import typer

from vallecli.cli import options
from vallecli.cli.reporter import Reporter

EPILOG = """\b
Examples:
  valle text --text "Dr. Jones paid $5 on May 3."
  valle text --text-file story.txt | cut -f 2
  valle text --checkpoint vallex --language zh --text "你好。"
  valle text --text "One. [pause:1s] Two." | cut -f 4
  valle text --lexicon names.txt --text "VALL-E speaks." --json | jq -r '.sentences[].phonemes'

Each line is the number of a sentence, its spoken words and its phonemes, with tabs between. Phonemes are ARPAbet with |
between words, or IPA, as the checkpoint reads it. Pauses and speeds that are marked in the text are in a fourth column.

\b
A lexicon has lines of a word or phrase, a tab and a pronunciation:
  VALL-E    V AE1 L | IY1      ARPAbet, with | between words
  nginx     /ˈɛndʒɪn ˈɛks/     IPA between slashes or brackets
  Siobhan   shi-vawn           a plain respelling
Lines that begin with # are comments. An entry with capitals matches that case only.
"""


def text(
    context: typer.Context,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="Text to convert.")] = None,
    text_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="File with the text; - or neither option: stdin.")
    ] = None,
    ssml: options.Ssml = None,
    language: options.Language = "auto",
    lexicon: options.Lexicon = None,
    checkpoint: options.Checkpoint = None,
    option: options.Option = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of lines.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Print the sentences, spoken words and phonemes of a text, without speaking.

    Weights are not loaded, so it is fast. What it prints is what `valle speak` gives to the models.
    """
    reporter: Reporter = context.obj
    reporter.quiet, reporter.verbose = quiet, verbose
    from vallecli.cli.text_run import TextRequest, run  # imported here: --help does not wait for it

    request = TextRequest(
        settings=options.settings(context),
        options=options.loader_options(context, reporter),
        text=text,
        text_file=text_file,
        language=language,
        json=as_json,
    )
    run(request, reporter)
