"""What all commands that speak a work do: speak its utterances as a batch, estimate, and write tracks as files."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from vallecli import atomic
from vallecli.audio.labels import Labels
from vallecli.audio.levels import Level
from vallecli.audio.provenance import Provenance
from vallecli.checkpoints import lookup
from vallecli.cli import batch_run, signals
from vallecli.cli.batch_report import real_time_factor
from vallecli.cli.batch_run import BatchRequest
from vallecli.cli.reporter import Reporter
from vallecli.errors import OutputNotWritable, UsageError
from vallecli.jobs import fingerprint, ownership, results
from vallecli.jobs.plan import Plan, Row, make_plan
from vallecli.jobs.records import Record
from vallecli.jobs.resume import plan_status
from vallecli.longform.assemble import Clip, Track
from vallecli.longform.made import Made
from vallecli.longform.master import OnProgress, find_level, write_track
from vallecli.longform.work import Utterance, lines_of
from vallecli.settings import Settings
from vallecli.text.base import AUTO

if TYPE_CHECKING:
    from vallecli.audio.signing import Signer

BLOCK_BYTES = 1 << 20
AUDIBLE = 0.5  # LU, from which a wrong loudness is reported


@dataclass(frozen=True)
class SpokenWork:
    """The clips of a work, at least one."""

    clips: Mapping[str, Clip]
    """Id of an utterance -> its clip; failed ones have none."""
    summary: Mapping[str, Any]
    """What was spoken, for --json."""

    @property
    def sample_rate(self) -> int:
        """Return the highest sample rate of the clips in Hz."""
        return max(clip.sample_rate for clip in self.clips.values())


def speak(
    utterances: Sequence[Utterance], request: BatchRequest, reporter: Reporter, *, skip_failed: bool
) -> SpokenWork | None:
    """Speak what is left of a work, and return all clips; None for a part of several shards, which has only some.

    Raises RowsFailed if any utterance failed, now or before; with `skip_failed`, only if all of them did.
    """
    out = Path(request.out_dir)
    spoken = batch_run.speak_lines(lines_of(utterances), request, reporter, skip_failed=skip_failed)
    if request.defaults.shard[1] > 1:
        reporter.info(f"part {request.defaults.shard[0]} of {request.defaults.shard[1]} is in {out}")
        reporter.info("when all parts are there, run the same command without --shard: it writes the result")
        return None
    done = _done(spoken.plan, out)
    if not done:
        batch_run.conclude(request, spoken.plan, spoken.tally.failed)
    clips = {name: Clip.of(out / str(record.output), str(record.sha256)) for name, record in done.items()}
    _report_unused(utterances, out, reporter)
    return SpokenWork(clips, {"results": os.fspath(spoken.results), **spoken.tally.summary()})


def _done(plan: Plan, out: Path) -> dict[str, Record]:
    """Return the records of the rows that are done, by id."""
    return {record.id: record for record in plan_status(plan, results.read_folder(out)[0], out).done}


def _report_unused(utterances: Sequence[Utterance], out: Path, reporter: Reporter) -> None:
    """Report clips of utterances that are not in this work, such as those of a text before it was changed."""
    used = {utterance.output for utterance in utterances}
    unused = [record for record in results.latest_records(results.read_folder(out)[0]) if record.output not in used]
    files = [record for record in unused if record.output is not None and (out / record.output).is_file()]
    if files:
        reporter.info(f"{out} has {len(files)} clips that this result does not use; they may be removed")


@dataclass(frozen=True)
class Estimate:
    """What is left to do."""

    rows: int
    todo: int
    refused: int
    seconds: Mapping[str, float]
    """Id of an utterance -> the duration of its clip, or an estimate of it."""
    computing: float | None
    """Seconds of computing that are left."""
    measured: int
    """Number of sentences that were spoken for the estimate."""


def estimate(utterances: Sequence[Utterance], request: BatchRequest, reporter: Reporter) -> Estimate:
    """Check a work, and estimate durations and time by the results so far, or by some sentences that are spoken now.

    Nothing is written to the work folder. Raises what `speak` raises before it speaks.
    """
    out = Path(request.out_dir)
    lines = lines_of(utterances)
    fresh = not ownership.results_files(out)
    planned = make_plan(lines, request.defaults, base=Path(), out=out)
    batch_run.check_plan(request, planned, out, reporter, fresh=fresh)
    found = batch_run.compare(request, planned, out, reporter)
    done = {record.id: record for record in found.status.done}
    rows, known, measured = {row.id: row for row in found.plan.rows}, list(done.values()), 0
    if found.status.todo and real_time_factor(known) is None:
        known = _measure(found.status.todo, {str(line.values["id"]): line for line in lines}, request, reporter)
        measured = len(known)
    pace = _pace(known, rows)
    seconds = {name: row.seconds * pace for name, row in rows.items()}
    seconds |= {name: record.seconds or 0.0 for name, record in done.items()}
    factor = real_time_factor(known)
    computing = None if factor is None else factor * sum(seconds[row.id] for row in found.status.todo)
    if not found.status.todo:
        computing = 0.0
    refused = len(found.plan.refused) + len(found.status.failed)
    return Estimate(len(lines), len(found.status.todo), refused, seconds, computing, measured)


def _pace(records: Sequence[Record], rows: Mapping[str, Row]) -> float:
    """Return how much longer clips are than expected from their texts."""
    expected = sum(rows[record.id].seconds for record in records if record.id in rows)
    return sum(record.seconds or 0.0 for record in records) / expected if expected else 1.0


def _measure(todo: Sequence[Row], lines: Mapping[str, Any], request: BatchRequest, reporter: Reporter) -> list[Record]:
    """Return the records of sentences from all parts of a work, as many as are decoded together."""
    count = min(request.slots, len(todo))
    sample = [lines[todo[place * len(todo) // count].id] for place in range(count)]
    quiet = Reporter(quiet=True)
    reporter.info(f"speaking {count} sentences to measure the time")
    with tempfile.TemporaryDirectory() as folder:
        spoken = batch_run.speak_lines(sample, replace(request, out_dir=folder, dry_run=False), quiet, skip_failed=True)
        return list(_done(spoken.plan, Path(folder)).values())


@dataclass(frozen=True)
class Output:
    """A file of a work: a track, and what is known of it before it is written."""

    path: Path
    format: str
    track: Track
    labels: Labels = field(default_factory=Labels)


@dataclass(frozen=True)
class Writer:
    """Writes the outputs of a work. An output that is as it should be is left alone."""

    made: Made
    provenance: Provenance
    signer: Signer | None = None

    def fingerprint(self, outputs: Sequence[Output], level: Mapping[str, Any]) -> str:
        """Return the hash of everything that outputs with one level depend on, except for the day.

        `level` is what their level is found by.
        """
        return fingerprint.digest(
            {
                "outputs": [_content(output) for output in outputs],
                "level": dict(level),
                "statement": self.provenance.statement,
                "signed": None if self.signer is None else self.signer.certificate_sha256,
            }
        )

    def write(self, output: Output, level: Level, fingerprint: str, on_progress: OnProgress) -> None:
        """Write an output. Raises OutputError."""

        def finish(file: BinaryIO) -> None:
            if self.signer is not None:
                self.signer.sign(file, output.format, self.provenance)
            self.begin(output.path, fingerprint, file)

        write_track(
            output.track,
            output.path,
            level,
            format=output.format,
            force=True,  # checked before
            provenance=self.provenance,
            labels=output.labels,
            finish=finish,
            on_progress=on_progress,
        )

    def begin(self, path: Path, fingerprint: str, file: BinaryIO) -> None:
        """Note an output with the content of an open file, which is about to appear. Raises FolderNotWritable."""
        self.made.begin(path, _sha256(file), fingerprint)

    def write_text(self, path: Path, text: str) -> None:
        """Write a text file, unless it is there. Raises OutputError."""
        data = text.encode()
        name = fingerprint.digest({"text": text})
        if self.made.is_current(path, name):
            return
        try:
            with atomic.replace_file(path) as file:
                file.write(data)
                self.made.begin(path, hashlib.sha256(data).hexdigest(), name)
        except OSError as error:
            raise OutputNotWritable(path, (error.strerror or str(error)).lower(), error.errno) from error


def _sha256(file: BinaryIO) -> str:
    """Return the hash of a file that is open for reading and seeking."""
    file.seek(0)
    hashed = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        hashed.update(block)
    return hashed.hexdigest()


def _content(output: Output) -> dict[str, Any]:
    labels = output.labels
    return {
        "path": output.path.name,
        "format": output.format,
        "rate": output.track.sample_rate,
        "samples": output.track.samples,
        "clips": [[placed.clip.sha256, placed.start, placed.factor] for placed in output.track.placed],
        "tags": labels.tags,
        "cover": None if labels.cover is None else fingerprint.digest({"cover": labels.cover.hex()}),
        "chapters": [[chapter.title, chapter.start, chapter.end] for chapter in labels.chapters],
    }


def write_outputs(
    outputs: Sequence[Output],
    writer: Writer,
    *,
    loudness: float | None,
    gain: float,
    reporter: Reporter,
    measured: Sequence[Track] | None = None,
) -> Mapping[str, Any]:
    """Write the files that are not as they should be, and return their loudness for --json. Raises OutputError.

    `measured` are the tracks that have this loudness together, by default all.
    """
    name = writer.fingerprint(outputs, {"loudness": loudness, "gain": gain})
    left = [output for output in outputs if not writer.made.is_current(output.path, name)]
    if not left:
        reporter.info("nothing has changed: the files are as they should be")
        return {"loudness": None}
    tracks = [output.track for output in outputs] if measured is None else measured
    total = sum(track.seconds for track in tracks)
    with stages(reporter) as begin:
        level = find_level(
            tracks,
            loudness=loudness,
            gain=gain,
            on_progress=begin("measuring the loudness", total),
        )
        for output in left:
            output.path.parent.mkdir(parents=True, exist_ok=True)
            writer.write(output, level, name, begin(f"writing {output.path}", output.track.seconds))
    if level.measured is not None and level.reached is not None:
        limited = ", with its peaks limited" if level.limited else ""
        reporter.detail(f"  the speech has {level.measured:.1f} LUFS, and is changed by {level.gain:+.1f} dB{limited}")
        if loudness is not None and abs(level.reached - loudness - gain) > AUDIBLE:
            reporter.info(f"the result has {level.reached:.1f} LUFS: its peaks do not allow more")
    return {"loudness": None if level.reached is None else round(level.reached, 1)}


@contextmanager
def stages(reporter: Reporter) -> Iterator[Callable[[str, float], Callable[[float], None]]]:
    """Yield a function that begins a stage, named and with its seconds of audio, and returns its OnProgress.

    Stages are shown on a terminal. Signals end them.
    """
    with reporter.stages() as show:

        def begin(name: str, total: float) -> Callable[[float], None]:
            def on_progress(seconds: float) -> None:
                signals.check()
                show(f"{name}: {100 * seconds / total if total else 0:.0f}%")

            on_progress(0.0)
            return on_progress

        yield begin


def languages(settings: Settings) -> Sequence[str]:
    """Return the languages of the checkpoint. Raises CheckpointError."""
    from vallecli.families.detect import detect  # imports torch, which takes seconds

    family, contents = detect(lookup.find(settings.checkpoint, offline=settings.offline), verify=False)
    return family.describe(contents).languages


def check_language(language: str, settings: Settings) -> None:
    """Check that the checkpoint speaks a language, or "auto". Raises UsageError and CheckpointError."""
    if language != AUTO and language not in (known := languages(settings)):
        raise UsageError(
            f"{settings.checkpoint} does not speak the language {language!r}", f"It speaks: {', '.join(known)}."
        )


def only_language(settings: Settings) -> str:
    """Return the language of a checkpoint that speaks one, else "auto". Raises CheckpointError."""
    known = languages(settings)
    return known[0] if len(known) == 1 else AUTO


def clock(seconds: float) -> str:
    """Return a duration as H:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
