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
from vallecli.text.markup import Placed, place, read_markup
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
    markup = read_markup(text, ssml=bool(settings.ssml), language=request.language)
    check_words(markup.words)
    lexicon = None if settings.lexicon is None else read_lexicon(settings.lexicon)
    family, contents = detect(path, verify=False)
    reader = family.text_reader(contents, parse_options(family, request.options)).with_lexicon(lexicon)
    sentences = []
    for placed in place(markup, lambda part: reader.read(part, language=request.language)):
        shown = show(reader, placed)
        for note in shown["notes"]:
            reporter.info(f"sentence {shown['sentence']}: {note}")
        if request.json:
            sentences.append(shown)
        else:
            line = [str(shown["sentence"]), *(_line(shown[name]) for name in ("spoken", "phonemes")), _marks(placed)]
            write_line("\t".join(line).rstrip("\t"))
    if request.json:
        write_json({"checkpoint": settings.checkpoint, "front_end": reader.front_end.name, "sentences": sentences})


def show(reader: TextReader, placed: Placed[Reading]) -> dict[str, Any]:
    """Return a sentence for --json; sentences are counted from 1. Pauses are in seconds, null where none is marked."""
    reading = placed.sentence
    return {
        "sentence": placed.index + 1,
        "text": reading.text,
        "language": reading.language,
        "spoken": reading.spoken,
        "phonemes": reader.front_end.spell(reading.tokens),
        "tokens": len(reading.tokens.ids),
        "pause": placed.pause,
        "pause_after": placed.after or None,
        "paragraph": placed.paragraph,
        "speed": placed.part.speed,
        "notes": [*placed.notes, *reading.tokens.notes],
    }


def _marks(placed: Placed[Reading]) -> str:
    """Return what the text says of a sentence beside its words: "pause 0.5 s, speed 0.8"."""
    marks = [] if placed.pause is None else [f"pause {placed.pause:g} s"]
    marks += ["paragraph"] if placed.paragraph and placed.pause is None and placed.index > 0 else []
    marks += [f"speed {placed.part.speed:.3g}"] if placed.part.speed != 1 else []
    marks += [f"pause {placed.after:g} s after it"] if placed.after else []
    return ", ".join(marks)


def _line(text: str) -> str:
    """Return a text without the characters that separate columns and lines."""
    return " ".join(text.split())
