"""Where the audio of `valle speak` goes: a file or stdout, its format, and the default file name."""

from __future__ import annotations

import os
import re
import stat
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vallecli.atomic import sweep
from vallecli.errors import UsageError
from vallecli.settings import suggest

if TYPE_CHECKING:
    from vallecli.audio.provenance import Provenance
    from vallecli.audio.signing import Signer
    from vallecli.audio.stream import Writer

STDOUT = "-"
NAME_LETTERS = 40  # of the prompt's name and of the text, in a default file name


@dataclass(frozen=True)
class Target:
    """Where the audio goes: a file, or stdout if the path is None. The format is a name in audio.formats.FORMATS."""

    path: Path | None
    format: str
    force: bool
    sample_rate: int | None
    """In Hz, if it was given."""

    def rate(self, native: int) -> int:
        """Return the sample rate of the output in Hz, for a checkpoint with audio of `native` Hz."""
        from vallecli.audio.formats import output_rate

        return output_rate(self.format, self.sample_rate, native)

    def open(self, sample_rate: int, provenance: Provenance, signer: Signer | None) -> AbstractContextManager[Writer]:
        """Yield a writer of pieces; a file appears when all of them are written, a pipe gets each at once.

        A signer is for files only.
        """
        from vallecli.audio.files import open_output
        from vallecli.audio.stream import open_stream

        if self.path is None:
            return open_stream(sys.stdout.buffer, sample_rate=sample_rate, format=self.format, provenance=provenance)
        return open_output(
            self.path,
            sample_rate=sample_rate,
            format=self.format,
            force=self.force,
            provenance=provenance,
            finish=None if signer is None else lambda file: signer.sign(file, self.format, provenance),
        )


def target(
    output: str | None, form: str | None, *, prompt: str, text: str, force: bool, sample_rate: int | None
) -> Target:
    """Return where the audio goes, checked before anything slow is done. Raises UsageError and OutputError."""
    from vallecli.audio.files import check_writable
    from vallecli.audio.formats import ENDINGS, FORMATS, check_rate, fits, format_of

    if form is not None and form not in FORMATS:
        raise UsageError(f"there is no format {form!r}", suggest(form, list(FORMATS)))
    if output == STDOUT:
        if sys.stdout.isatty():
            raise UsageError(
                "a terminal cannot show audio", "Pipe it (valle speak ... -o - | ffplay -) or name a file."
            )
        check_rate(form or "wav", sample_rate)
        return Target(None, form or "wav", force, sample_rate)
    path = Path(default_name(prompt, text, FORMATS[form or "wav"].ending) if output is None else output)
    if path.is_dir():
        check_writable(path, force=force)
    if form is not None and not fits(form, path):
        by_ending = ENDINGS[path.suffix.lower()]
        raise UsageError(f"{path} is {by_ending} by its ending, but --format is {form}", "Leave one of them out.")
    form = form or format_of(path)
    check_rate(form, sample_rate)
    check_writable(path, force=force)
    sweep(path.parent)
    return Target(path, form, force, sample_rate)


def check_distinct(outputs: Mapping[str, Path | None], inputs: Mapping[str, str | None]) -> None:
    """Raise UsageError if an output is the same file as another one, an input or the file that stdout goes to.

    The keys are names in messages, such as "--save-codes"; None stands for one that was not given.
    """
    written = {name: path for name, path in outputs.items() if path is not None}
    others = {name: Path(path) for name, path in inputs.items() if path not in (None, STDOUT)}
    for name, path in written.items():
        if _is_stdout(path):
            raise UsageError(f"{name} is {path}, which stdout is redirected to", "Give it another name.")
        for other, second in others.items():
            if _is_same(path, second):
                raise UsageError(f"{name} and {other} are the same file: {path}", "Give one of them another name.")
        others[name] = path


def _is_stdout(path: Path) -> bool:
    with suppress(OSError, ValueError):
        opened = os.fstat(sys.stdout.fileno())
        return stat.S_ISREG(opened.st_mode) and os.path.samestat(opened, path.stat())
    return False


def _is_same(path: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, also by links, or where upper and lower case are not distinguished."""
    with suppress(OSError, ValueError):
        if path.samefile(other):
            return True
    folded = [unicodedata.normalize("NFC", os.path.realpath(name)).casefold() for name in (path, other)]
    return folded[0] == folded[1]


def default_name(prompt: str, text: str, ending: str) -> str:
    """Return a name made from prompt and text, such as reference-hello-this-is-my-voice.wav."""
    words = ""
    for word in re.findall(r"\w+", re.sub(r"['’]", "", text.lower())):
        longer = f"{words}-{word}"
        if words and len(longer) > NAME_LETTERS:
            break
        words = longer[: NAME_LETTERS + 1]
    return f"{Path(prompt).stem[:NAME_LETTERS]}{words}{ending}"
