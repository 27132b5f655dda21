"""stdout is data, stderr is talk: what is said, where the result goes, and what it is called."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vallecli.constants import FRAME_RATE
from vallecli.errors import UsageError
from vallecli.settings import suggest

if TYPE_CHECKING:
    from vallecli.audio.stream import Writer

STDOUT = "-"
NAME_LETTERS = 40  # of the prompt's name and of the text, in a file name of our own making

Progress = Callable[[int, int, int], None]  # (sentence, sentences, frames of this sentence so far)


@dataclass
class Talk:
    """What is said on stderr; -q silences all but errors, -v adds details and, for a bug, the traceback."""

    quiet: bool = False
    verbose: bool = False

    def say(self, line: str) -> None:
        """Say what everyone should know."""
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)

    def detail(self, line: str) -> None:
        """Say what only -v asks for."""
        if self.verbose:
            print(line, file=sys.stderr, flush=True)

    def complain(self, message: str, hint: str = "") -> None:
        """Say what went wrong and what to do next, -q or not."""
        print(message, *([f"  {hint}"] if hint else []), sep="\n", file=sys.stderr, flush=True)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Give a function that draws a bar on stderr, or does nothing where nobody would see it."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda sentence, sentences, frames: None
            return
        from rich.console import Console
        from rich.progress import Progress as Bar

        with Bar(console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
            task = bar.add_task("speaking", total=None)
            yield lambda sentence, sentences, frames: bar.update(
                task,
                description=f"sentence {sentence + 1} of {sentences}, {frames / FRAME_RATE:.1f} s",
                completed=sentence,
                total=sentences if sentences > 1 else None,
            )

    @contextmanager
    def stages(self) -> Iterator[Callable[[str], object]]:
        """Give a function that shows on stderr what is being done, or does nothing where nobody would see it."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda stage: None
            return
        from rich.console import Console

        with Console(stderr=True).status("loading") as status:
            yield status.update


def write_line(line: str) -> None:
    """Write a line of data to stdout; a path's odd bytes come out as they were."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(line) + b"\n")
    sys.stdout.buffer.flush()


def write_json(value: Any) -> None:
    """Write a value to stdout as one line of JSON."""
    write_line(json.dumps(value))


@dataclass(frozen=True)
class Target:
    """Where the audio goes: a file, or stdout where the path is None; the format is one of wav, flac, ogg and raw."""

    path: Path | None
    format: str
    force: bool

    def open(self) -> AbstractContextManager[Writer]:
        """Give a writer of pieces; a file appears when all of them are written, a pipe gets each at once."""
        from vallecli.audio.files import open_output
        from vallecli.audio.stream import open_stream

        if self.path is None:
            return open_stream(sys.stdout.buffer, form=self.format)
        return open_output(self.path, form=self.format, force=self.force)


def target(output: str | None, form: str | None, *, prompt: str, text: str, force: bool) -> Target:
    """Return where the audio goes, having checked that it can: nothing slow has been done yet."""
    from vallecli.audio.files import FORMATS, check_writable, format_of

    if form is not None and form not in FORMATS.values():
        raise UsageError(f"there is no format called {form!r}", suggest(form, list(FORMATS.values())))
    if output == STDOUT:
        if sys.stdout.isatty():
            raise UsageError(
                "a terminal cannot show audio", "Pipe it (valle speak ... -o - | ffplay -) or name a file."
            )
        return Target(None, form or "wav", force)
    path = Path(default_name(prompt, text, form or "wav") if output is None else output)
    by_ending = FORMATS.get(path.suffix.lower())
    if form is not None and by_ending not in (None, form):
        raise UsageError(f"{path} is {by_ending} by its ending and {form} by --format", "Leave one of them out.")
    check_writable(path, force=force)
    return Target(path, form or format_of(path), force)


def default_name(prompt: str, text: str, form: str) -> str:
    """Return a name made from prompt and text, such as reference-hello-this-is-my-voice.wav."""
    said = ""
    for word in re.findall(r"\w+", re.sub(r"['’]", "", text.lower())):
        longer = f"{said}-{word}"
        if said and len(longer) > NAME_LETTERS:
            break
        said = longer[: NAME_LETTERS + 1]
    return f"{Path(prompt).stem[:NAME_LETTERS]}{said}.{form}"
