"""stdout is for data, stderr is for people: messages, progress, and the lines of data."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vallecli.cli.streams import write_message
from vallecli.printable import printable

Progress = Callable[[int, int, float], None]  # (sentence, sentences, seconds of this sentence so far)


@dataclass
class Reporter:
    """Messages on stderr; --quiet leaves errors only, --verbose adds details and the traceback of a bug."""

    quiet: bool = False
    verbose: bool = False
    options: Collection[str] = ()
    """The options of the command, such as "--force": hints name no others."""

    def info(self, line: str) -> None:
        """Print a message, unless --quiet."""
        if not self.quiet:
            write_message(f"{line}\n")

    def detail(self, line: str) -> None:
        """Print a message with --verbose."""
        if self.verbose:
            write_message(f"{line}\n")

    def error(self, message: str, hint: str = "") -> None:
        """Print an error and its hint, even with --quiet."""
        write_message("\n".join([message, *([f"  {hint}"] if hint else [])]) + "\n")

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Yield a function that updates a progress bar on stderr, or does nothing if stderr is no terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda sentence, sentences, seconds: None
            return
        from rich.console import Console
        from rich.progress import Progress as Bar

        with Bar(console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
            task = bar.add_task("speaking", total=None)
            yield lambda sentence, sentences, seconds: bar.update(
                task,
                description=f"sentence {sentence + 1} of {sentences}, {seconds:.1f} s",
                completed=sentence,
                total=sentences if sentences > 1 else None,
            )

    @contextmanager
    def stages(self) -> Iterator[Callable[[str], object]]:
        """Yield a function that shows the current stage on stderr, or does nothing if stderr is no terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda stage: None
            return
        from rich.console import Console

        with Console(stderr=True).status("loading") as status:
            yield status.update


def write_line(line: str) -> None:
    """Write a line of data to stdout. On a terminal it is printable; else the bytes of a path are unchanged."""
    if sys.stdout.isatty():
        line = printable(line, keep="\t")
    sys.stdout.flush()
    try:
        data = os.fsencode(line)
    except UnicodeEncodeError:  # a locale without Unicode
        data = line.encode("utf-8", errors="surrogateescape")
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()


def write_json(value: Any) -> None:
    """Write a value to stdout as one line of JSON."""
    write_line(json.dumps(value))
