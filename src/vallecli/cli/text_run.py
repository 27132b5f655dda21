"""One run of `valle text`: the front end of a checkpoint, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vallecli.checkpoints import lookup
from vallecli.cli.inputs import read_text
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.families.base import parse_options
from vallecli.families.detect import detect
from vallecli.settings import Settings
from vallecli.text.lexicon import read_lexicon
from vallecli.text.normalize import check_words
from vallecli.text.reader import Reading, TextReader


@dataclass(frozen=True, kw_only=True)
class TextRequest:
    """The command line."""

    settings: Settings
    options: Mapping[str, Any]
    """Loader options, as written."""
    text: str | None
    text_file: str | None
    language: str
    json: bool


def run(request: TextRequest, reporter: Reporter) -> None:
    """Read the text as `speak` does, and print each sentence."""
    settings = request.settings
    path = lookup.find(settings.checkpoint, offline=settings.offline)
    text = read_text(request.text, request.text_file)
    check_words(text)
    lexicon = None if settings.lexicon is None else read_lexicon(settings.lexicon)
    family, contents = detect(path, verify=False)
    reader = family.text_reader(contents, parse_options(family, request.options)).with_lexicon(lexicon)
    sentences = []
    for reading in reader.read(text, language=request.language):
        for note in reading.tokens.notes:
            reporter.info(f"sentence {reading.index + 1}: {note}")
        shown = show(reader, reading)
        if request.json:
            sentences.append(shown)
        else:
            write_line("\t".join([str(shown["sentence"]), *(_line(shown[name]) for name in ("spoken", "phonemes"))]))
    if request.json:
        write_json({"checkpoint": settings.checkpoint, "front_end": reader.front_end.name, "sentences": sentences})


def show(reader: TextReader, reading: Reading) -> dict[str, Any]:
    """Return a sentence for --json; sentences are counted from 1."""
    return {
        "sentence": reading.index + 1,
        "text": reading.text,
        "language": reading.language,
        "spoken": reading.spoken,
        "phonemes": reader.front_end.spell(reading.tokens),
        "tokens": len(reading.tokens.ids),
        "notes": list(reading.tokens.notes),
    }


def _line(text: str) -> str:
    """Return a text without the characters that separate columns and lines."""
    return " ".join(text.split())
