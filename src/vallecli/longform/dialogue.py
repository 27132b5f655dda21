"""Scripts of several speakers, as pure data: who says what, in which line of the file, and the pauses in between.

# Lines like this one are comments.
ANNA: What she says. It may go on
    in lines that are indented, or that follow without a name.
BOB (whispering): Directions in brackets or parentheses are not spoken.
[pause 1.5s]
ANNA: Hello?
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from vallecli import inputs
from vallecli.encoding import decode
from vallecli.errors import InputError, ScriptError, short
from vallecli.longform.cast import find_name, folded, nearest
from vallecli.longform.remarks import without_remarks

MAX_BYTES = 2**24  # of a file: a play has about 200 kB
MAX_NAME, MAX_NAME_WORDS = 60, 5  # of what may be a name that is not in the cast
MAX_PAUSE = 600.0  # seconds
PAUSE = 1.0  # seconds of a pause without a number
COMMENT = "#"
EXAMPLE = "A line is a name, a colon and what is said: ANNA: Good morning."

_LINE_END = re.compile(r"\r\n|\r|\n")
_NAME = re.compile(r"([^\s:\[\](){}][^:\[\](){}]{0,199}?)\s{0,9}:(?P<space>\s|$)?")
_PAUSE = re.compile(r"[\[(]\s{0,9}pause(?:[\s:=]{1,9}([^\[\]()]{1,99}))?[\])]", re.IGNORECASE)
_PAUSES = re.compile(rf"(?:{_PAUSE.pattern}\s{{0,9}}){{0,9}}", re.IGNORECASE)  # before a name
_DURATION = re.compile(
    r"(\d{1,6}(?:[.,]\d{1,6})?)\s{0,9}(ms|milliseconds?|s|secs?|seconds?|)", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True)
class Speech:
    """What a speaker says: `name` is that of the cast, `text` has no directions; `line` is where it begins."""

    name: str
    text: str
    line: int


@dataclass(frozen=True)
class Pause:
    """A pause of the script, in addition to the usual one between speeches."""

    seconds: float
    line: int


@dataclass
class _Open:
    """A speech whose end was not read yet, with its lines; the first one of a script has no name."""

    name: str | None
    line: int
    written: list[str] = field(default_factory=list)


def read_script(path: Path, names: Sequence[str]) -> list[Speech | Pause]:
    """Return the speeches and pauses of a file; `names` are those of the cast.

    Raises ScriptError with the number of the line, TextEncodingError, and InputError for a file that cannot be read.
    """
    try:
        data = inputs.read_input(path, MAX_BYTES)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read {path}: {reason}", "Give a text file with the lines of a dialogue.") from error
    return parse(decode(data, path), path, names)


def parse(text: str, source: str | PathLike[str], names: Sequence[str]) -> list[Speech | Pause]:
    """Return the speeches and pauses of a text. Raises ScriptError, which names `source` and a line."""
    known = {folded(name): name for name in names}
    parts = [part for speech in _speeches(text, source, known) for part in _parts(speech, source)]
    if not any(isinstance(part, Speech) for part in parts):
        raise ScriptError(source, None, "nobody says anything in it", EXAMPLE)
    return parts


def _speeches(text: str, source: str | PathLike[str], known: dict[str, str]) -> Iterator[_Open]:
    """Yield each speech with its lines, in which pauses are the only brackets."""
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    lines = ["" if line.lstrip().startswith(COMMENT) else line for line in lines]
    speech = _Open(None, 1)
    cleaned = without_remarks("\n".join(lines), keep=_PAUSE).split("\n")
    for number, (written, line) in enumerate(zip(lines, cleaned, strict=True), start=1):
        line = line.strip()
        pauses = _PAUSES.match(line)
        start = 0 if pauses is None else pauses.end()
        match = None if written[:1].isspace() else _NAME.match(line, start)
        name = None if match is None else find_name(match[1], known)
        if match is not None and name is None and match["space"] is not None and _may_be_name(match[1]):
            hint = f"{nearest(match[1], list(known.values()))} Indent the line if it continues the speech above."
            raise ScriptError(source, number, f"{short(match[1])} is not in the cast", hint)
        if match is not None and name is not None:
            speech.written.append(line[:start])
            yield speech
            speech = _Open(name, number, [line[match.end() :]])
        elif speech.name is None and _PAUSE.sub("", line).strip():
            raise ScriptError(source, number, f"nobody is named for {short(line)}", EXAMPLE)
        else:
            speech.written.append(line)
    yield speech


def _may_be_name(written: str) -> bool:
    """Return whether what is before a colon may be a name, not a part of a sentence."""
    return len(written) <= MAX_NAME and len(written.split()) <= MAX_NAME_WORDS and not re.search(r"[,;!?…]", written)


def _parts(speech: _Open, source: str | PathLike[str]) -> Iterator[Speech | Pause]:
    """Yield what is said between the pauses of a speech, and the pauses."""
    text = "\n".join(speech.written)
    start, line = 0, speech.line
    for match in _PAUSE.finditer(text):
        yield from _said(speech.name, text[start : match.start()], line)
        line += text.count("\n", start, match.start())
        yield Pause(_seconds((match[1] or "").strip(), source, line), line)
        start = match.end()
    yield from _said(speech.name, text[start:], line)


def _said(name: str | None, written: str, line: int) -> Iterator[Speech]:
    """Yield a speech if it has words; a blank line in it is kept as the end of a paragraph."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", written))
    text = "\n\n".join(paragraph for paragraph in paragraphs if any(map(str.isalnum, paragraph)))
    if name is not None and text:
        yield Speech(name, text, line + written[: len(written) - len(written.lstrip())].count("\n"))


def _seconds(written: str, source: str | PathLike[str], line: int) -> float:
    """Return the duration of a pause in seconds. Raises ScriptError."""
    if not written:
        return PAUSE
    match = _DURATION.fullmatch(written)
    seconds = float("inf") if match is None else float(match[1].replace(",", "."))
    if match is not None and match[2].lower().startswith("m"):
        seconds /= 1000
    if seconds > MAX_PAUSE:
        hint = f"Write seconds, at most {MAX_PAUSE:g}, as in [pause 1.5s]."
        raise ScriptError(source, line, f"the pause is {short(written)}", hint)
    return seconds
