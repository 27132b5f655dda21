"""`valle detect`: whether recordings have the watermark, and tags that say that they are synthetic."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vallecli.cli import options
from vallecli.cli.hints import hint_for
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.errors import ExtraMissing, InputError, NotMarked
from vallecli.printable import printable

if TYPE_CHECKING:
    from vallecli.audio.signing import Verified
    from vallecli.marking.detection import Detection
    from vallecli.marking.perth import Detector

EPILOG = """\b
Examples:
  valle detect speech.wav
  valle detect --thorough download.m4a
  valle detect *.wav --json | jq -r 'select(.verdict == "marked").file'

Each line has the file, the verdict (marked, not marked, or too short or silent to say), the score, where the marked
parts are, and what tags of the file say, separated by tabs. The score of the whole file is near 1 if all of it is
marked and near 0 if nothing is; a marked part of a long file is found in windows of 3 seconds.

"marked" means: marked by Perth. Other programs mark with it, too, for example Chatterbox, and anyone can mark a real
recording. "not marked" proves nothing: the watermark is removed by changes of speed or pitch (--thorough finds it up
to 10 percent), by a high-pass filter at 2 kHz, by loud noise, by neural codecs and voice conversion, and by anyone who
wants to, because the weights are public. Tags can be written and removed by everyone. A C2PA manifest is verified if
vallecli[c2pa] is installed: that nothing was changed since it was signed, but not who the signer is.

\b
Exit codes: 0 all files are marked, 3 a file cannot be read, 7 any file is not marked, or is too short or silent to say.
7 without any output means, as in other commands, that a package is missing; stderr names it.
"""


def detect(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Recordings in any common format.")],
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Also search for speeds from 0.90 to 1.10; 20 times slower without a mark."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each file instead.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Say whether recordings have the watermark of synthetic speech."""
    reporter: Reporter = context.obj
    reporter.quiet, reporter.verbose = quiet, verbose
    from vallecli.cli.engines import limit_shape_caches

    limit_shape_caches()  # recordings differ in length
    import torch  # imported here: --help does not wait for it

    from vallecli.marking.detection import MARKED
    from vallecli.marking.perth import Detector

    detector = Detector(torch.device("cpu"))
    unreadable = unmarked = 0
    for name in files:
        try:
            found, tags, verified = examine(name, detector, thorough=thorough)
        except InputError as error:
            if len(files) == 1:
                raise
            unreadable += 1
            reporter.error(f"error: {error.message}", hint_for(error, reporter.options))
            continue
        unmarked += found.verdict != MARKED
        shown = (name, found, tags, verified)
        write_json(as_object(*shown)) if as_json else write_line(as_line(*shown))
    if unreadable:
        raise InputError(f"{unreadable} of {len(files)} files cannot be read")
    if unmarked:
        raise NotMarked(unmarked, len(files))


def examine(name: str, detector: Detector, *, thorough: bool) -> tuple[Detection, dict[str, str], Verified | None]:
    """Return what was found in a file, its tags, and its manifest if there is one. Raises InputError."""
    from vallecli.audio import signing
    from vallecli.audio.ffmpeg import FfmpegSource, Unreadable
    from vallecli.audio.files import read_audio
    from vallecli.marking import detection, perth

    found = detection.detect(
        read_audio(name, sample_rate=perth.SAMPLE_RATE), perth.SAMPLE_RATE, detector, thorough=thorough
    )
    tags: dict[str, str] = {}
    verified: Verified | None = None
    if Path(name).is_file():  # a pipe was read to its end
        try:
            with Path(name).open("rb") as file:
                tags = FfmpegSource(file).tags()
        except (OSError, Unreadable):
            tags = {}  # libsndfile reads some formats that have none
        with suppress(ExtraMissing):
            verified = signing.verify(Path(name))
    return found, tags, verified


def as_object(name: str, found: Detection, tags: dict[str, str], verified: Verified | None) -> dict[str, Any]:
    """Return the output of --json; times are in seconds."""
    from vallecli.audio.provenance import is_synthetic

    return {
        "file": os.fsdecode(name),
        "verdict": found.verdict,
        "score": rounded(found.score),
        "best_score": rounded(found.best_score),
        "marked": [list(span) for span in found.marked],
        "speed": found.speed,
        "synthetic_by_tags": is_synthetic(tags),
        "tags": tags,
        "c2pa": None if verified is None else asdict(verified),
    }


def as_line(name: str, found: Detection, tags: dict[str, str], verified: Verified | None) -> str:
    """Return a line of five fields."""
    from vallecli.audio.provenance import is_synthetic, says

    score = "-" if found.score is None else f"{found.score:.2f}"
    where = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in found.marked) or "-"
    if found.speed != 1:
        where += f" at speed {found.speed:.2f}"
    claim = says(tags) if is_synthetic(tags) else "no tags of synthetic speech"
    if verified is not None:
        state = "valid, signed by " + printable(verified.signer) if verified.valid else "NOT valid"
        claim += f"; C2PA manifest: {state}" + (", says synthetic" if verified.synthetic else "")
    return "\t".join([name, found.verdict, score, where, claim])


def rounded(score: float | None) -> float | None:
    """Return a score with four decimals."""
    return None if score is None else round(score, 4)
