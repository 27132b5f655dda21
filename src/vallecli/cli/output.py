"""Where the audio of `valle speak` goes: a file or stdout, its format, and the default file name."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vallecli.errors import UsageError
from vallecli.settings import suggest

if TYPE_CHECKING:
    from vallecli.audio.stream import Writer

STDOUT = "-"
NAME_LETTERS = 40  # of the prompt's name and of the text, in a default file name


@dataclass(frozen=True)
class Target:
    """Where the audio goes: a file, or stdout if the path is None; the format is wav, flac, ogg or raw."""

    path: Path | None
    format: str
    force: bool

    def open(self, sample_rate: int) -> AbstractContextManager[Writer]:
        """Yield a writer of pieces; a file appears when all of them are written, a pipe gets each at once."""
        from vallecli.audio.files import open_output
        from vallecli.audio.stream import open_stream

        if self.path is None:
            return open_stream(sys.stdout.buffer, sample_rate=sample_rate, format=self.format)
        return open_output(self.path, sample_rate=sample_rate, format=self.format, force=self.force)


def target(output: str | None, form: str | None, *, prompt: str, text: str, force: bool) -> Target:
    """Return where the audio goes, checked before anything slow is done. Raises UsageError and OutputError."""
    from vallecli.audio.files import check_writable
    from vallecli.audio.formats import ENDINGS, FORMATS, format_of

    if form is not None and form not in FORMATS:
        raise UsageError(f"there is no format {form!r}", suggest(form, list(FORMATS)))
    if output == STDOUT:
        if sys.stdout.isatty():
            raise UsageError(
                "a terminal cannot show audio", "Pipe it (valle speak ... -o - | ffplay -) or name a file."
            )
        return Target(None, form or "wav", force)
    path = Path(default_name(prompt, text, form or "wav") if output is None else output)
    by_ending = ENDINGS.get(path.suffix.lower())
    if form is not None and by_ending not in (None, form):
        raise UsageError(f"{path} is {by_ending} by its ending, but --format is {form}", "Leave one of them out.")
    check_writable(path, force=force)
    return Target(path, form or format_of(path), force)


def default_name(prompt: str, text: str, form: str) -> str:
    """Return a name made from prompt and text, such as reference-hello-this-is-my-voice.wav."""
    words = ""
    for word in re.findall(r"\w+", re.sub(r"['’]", "", text.lower())):
        longer = f"{words}-{word}"
        if words and len(longer) > NAME_LETTERS:
            break
        words = longer[: NAME_LETTERS + 1]
    return f"{Path(prompt).stem[:NAME_LETTERS]}{words}.{form}"
