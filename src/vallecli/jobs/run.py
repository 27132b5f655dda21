"""Speaks rows, and writes and records their audio in a second thread; a row is recorded after its audio is on disk.

An error is recorded with the rows that it affects. Only errors of the output folder and of the default checkpoint end
the run.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

from vallecli.audio import effects
from vallecli.audio.files import open_output
from vallecli.audio.formats import SIGNAL, SPOKEN_NOTICE, output_rate
from vallecli.audio.levels import Leveller
from vallecli.audio.notice import signal
from vallecli.audio.provenance import Provenance
from vallecli.audio.signing import Signer
from vallecli.checkpoints.local import sha256
from vallecli.errors import DISK, FolderNotWritable, OutputError, OutputExists, UnsafeName, VallecliError
from vallecli.failures import Failure
from vallecli.jobs.engine import Engine, Job, JobResult, Piece
from vallecli.jobs.plan import Row
from vallecli.jobs.prompts import read_hashed_prompt, transcript_of
from vallecli.jobs.records import CUT_NOTE, CUT_OFF, DOUBT_NOTE, FAILED, OK, Record, timestamp
from vallecli.jobs.results import Results
from vallecli.text.notice import notice_for

SORT_WINDOW = 256  # rows that are sorted by length, longest first: a long row at the end would be decoded alone
MAX_UNWRITTEN = 8  # rows that can wait for the disk before the models wait, too


class Run:
    """One run over an output folder whose results file is locked for it."""

    def __init__(
        self,
        results: Results,
        out: Path,
        *,
        load: Callable[[str], Engine],
        default: str,
        slots: int,
        on_record: Callable[[Record, Row], None],
        stop: Event,
        check_signals: Callable[[], None] = lambda: None,
        overwritable: Collection[str] | None = (),
        transcribe: bool = False,
        fail_fast: bool = False,
        signer: Signer | None = None,
    ) -> None:
        """`load` returns the engine of a checkpoint; `default` is the checkpoint of all rows that name none.

        `on_record` is called in the writer's thread after each record. When `stop` is set, rows in progress are
        finished and no others are started. `check_signals` is called for each row, and may raise. `overwritable` are
        the outputs that may exist; None: all.
        """
        self.results, self.out, self.load, self.default = results, out, load, default
        self.slots, self.on_record, self.stop, self.check_signals = slots, on_record, stop, check_signals
        self.overwritable, self.transcribe, self.fail_fast = overwritable, transcribe, fail_fast
        self.signer = signer
        self.any_failed = False
        self.broken = False  # whether the writer's thread has ended by an error
        self.unwritten: deque[Future[None]] = deque()

    def speak(self, rows: Sequence[Row]) -> None:
        """Speak the rows, one checkpoint after the other. Raises OutputError when nothing more can be written.

        The error of a row is recorded. Raises CheckpointError and DeviceError if the default checkpoint cannot be
        loaded; for another checkpoint, the error is recorded with each of its rows that is not done yet.
        """
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(row.settings.checkpoint, []).append(row)
        with ThreadPoolExecutor(1, "writer") as self.writer:
            for checkpoint, group in groups.items():
                if self.stopping:
                    break
                left = {row.id: row for row in group}
                try:
                    engine = self.load(checkpoint)
                    self.check_signals()
                    self._speak_group(engine, left)
                    del engine  # frees its memory before the next one is loaded
                except OutputError:
                    raise
                except Exception as error:
                    self.check_signals()  # libraries turn an interrupt into other errors
                    if checkpoint == self.default or self.broken:
                        raise
                    for row in list(left.values()):
                        self._submit(row, JobResult(row.id, (), Failure.of(error)), 0)
            self._wait(0)

    @property
    def stopping(self) -> bool:
        """Return whether no more rows are started."""
        return self.stop.is_set() or (self.fail_fast and self.any_failed)

    def _speak_group(self, engine: Engine, left: dict[str, Row]) -> None:
        """Speak rows of one checkpoint, and remove each from `left` when it is done."""
        times = _RowTimes()
        for result in engine.speak_many(self._jobs(engine, left, times), slots=self.slots):
            self.check_signals()
            row, seconds = times.end(result.key)
            del left[row.id]
            self._submit(row, result, seconds)

    def _jobs(self, engine: Engine, left: dict[str, Row], times: _RowTimes) -> Iterator[Job]:
        """Yield the jobs as the engine has free slots; `times` starts to count."""
        rows = list(left.values())
        voices = _VoiceCache(engine, rows, transcribe=self.transcribe)
        for planned in longest_first(rows):
            if self.stopping:
                return
            row, voice = voices.pop(planned)
            self.check_signals()
            if isinstance(voice, Failure):
                del left[row.id]
                self._submit(row, JobResult(row.id, (), voice), 0)
                continue
            times.begin(row)
            yield Job(
                key=row.id,
                text=row.text,
                voice=voice,
                sampling=row.settings.sampling(engine.sampling, seed=row.seed, frame_rate=engine.frame_rate),
                choice=row.settings.choice(engine.choice),
                language=row.language,
                accent=row.accent,
                seconds=row.settings.seconds,
                goes_on=row.goes_on,
                ssml=row.ssml,
                speed=row.settings.speed or 1.0,
                pause=row.settings.pause,
                paragraph_pause=row.settings.paragraph_pause,
                notice=notice_for(row.words, row.language) if row.disclose == SPOKEN_NOTICE else None,
            )

    def _submit(self, row: Row, result: JobResult, seconds: float) -> None:
        """Let the writer's thread finish a row, which took `seconds` of computing."""
        self.unwritten.append(self.writer.submit(self._finish, row, result, seconds))
        self._wait(MAX_UNWRITTEN)

    def _wait(self, most: int) -> None:
        """Wait until at most `most` rows are unwritten. Raises the errors of the writer's thread."""
        while self.unwritten and (len(self.unwritten) > most or self.unwritten[0].done()):
            self.unwritten.popleft().result()

    def _finish(self, row: Row, result: JobResult, seconds: float) -> None:
        """Write the audio of a row, then record the row. After an error, no more rows are written."""
        if self.broken:
            return
        try:
            self._write_and_record(row, result, seconds)
        except BaseException:
            self.broken = True
            raise

    def _write_and_record(self, row: Row, result: JobResult, seconds: float) -> None:
        self.results.check()
        outcome: dict[str, Any] = {"error": result.error}
        if result.error is None:
            try:
                outcome = self._write(row, result, seconds)
            except (VallecliError, OSError) as error:
                self.results.check()
                cause = error.__cause__ or error
                if isinstance(cause, OSError) and cause.errno in DISK:  # not an error of this row
                    raise FolderNotWritable(self.out / row.output, cause) from error
                outcome = {"error": Failure.of(error)}
        record = Record(
            id=row.id,
            row=row.number,
            status=FAILED if outcome.get("error") else OK,
            output=row.output,
            seed=row.seed,
            checkpoint=row.settings.checkpoint,
            revision=row.revision,
            fingerprint=row.fingerprint,
            finished=timestamp(),
            **outcome,
        )
        self.results.append(record)
        self.any_failed |= record.status == FAILED
        self.on_record(record, row)

    def _write(self, row: Row, result: JobResult, seconds: float) -> dict[str, Any]:
        """Write the audio and return fields of the record. Raises VallecliError and OSError."""
        path = self.out / row.output
        for folder in reversed(Path(row.output).parents[:-1]):  # not the output folder itself, if it was removed
            (self.out / folder).mkdir(exist_ok=True)
        if not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(self.out)):  # since the plan
            raise UnsafeName(row.output, "a link in it points outside the output folder")
        overwrite = self.overwritable is None or row.output in self.overwritable
        if not overwrite and os.path.lexists(path):  # since the plan
            raise OutputExists(path)
        self.results.begin(row.output)
        rate = output_rate(row.format, row.settings.sample_rate, result.pieces[0].sample_rate)
        samples = 0
        provenance = Provenance.of(row.settings.checkpoint)
        signer = self.signer
        with open_output(
            path,
            sample_rate=rate,
            format=row.format,
            force=overwrite,
            follow_links=False,
            provenance=provenance,
            finish=None if signer is None else lambda file: signer.sign(file, row.format, provenance),
        ) as file:
            if row.disclose == SIGNAL:
                file.write(signal_N := signal(rate))
                samples += len(signal_N)
            leveller = Leveller(rate, loudness=row.settings.loudness, gain=row.settings.gain)
            for wav_N in leveller.apply(
                effects.resample(piece.audio, piece.sample_rate, rate) for piece in result.pieces
            ):
                file.write(wav_N)
                samples += len(wav_N)
        duration = samples / rate
        reasons = [piece.stop_reason for piece in result.pieces]
        return {
            "sha256": sha256(path),
            "seconds": round(duration, 3),
            "sample_rate": rate,
            "real_time_factor": round(seconds / duration, 3) if duration else None,
            "frames": sum(piece.frames for piece in result.pieces),
            "stop_reason": CUT_OFF if CUT_OFF in reasons else reasons[0],
            "watermark": all(piece.watermarked for piece in result.pieces),
            "notes": (
                *(note for number, piece in enumerate(result.pieces, 1) for note in notes_on(piece, number)),
                *leveller.notes,
            ),
            "tried": tuple(
                {"sentence": number, **asdict(tried)}
                for number, piece in enumerate(result.pieces, 1)
                for tried in (piece.tried if len(piece.tried) > 1 else ())
            ),
        }


def notes_on(piece: Piece, number: int) -> Iterator[str]:
    """Yield the notes on a sentence of a row: what was left out, that it did not end by itself, or may be wrong."""
    yield from piece.notes
    if piece.stop_reason == CUT_OFF:
        yield f"sentence {number} {CUT_NOTE}: {piece.text}"
    elif piece.problems:
        yield f"sentence {number} {DOUBT_NOTE} ({', '.join(piece.problems)}): {piece.text}"


class _RowTimes:
    """The computing time of each row: rows in progress share it equally, so that all times add up to the total."""

    def __init__(self) -> None:
        self.begun: dict[str, tuple[Row, float]] = {}  # id -> row, `share` at its begin
        self.share = 0.0  # seconds of a row that would be in progress since the start
        self.now = time.perf_counter()

    def begin(self, row: Row) -> None:
        """Start to count for a row."""
        self._advance()
        self.begun[row.id] = row, self.share

    def end(self, name: str) -> tuple[Row, float]:
        """Return the row with an id, which is done, and its time in seconds."""
        self._advance()
        row, before = self.begun.pop(name)
        return row, self.share - before

    def _advance(self) -> None:
        before, self.now = self.now, time.perf_counter()
        if self.begun:
            self.share += (self.now - before) / len(self.begun)


class _VoiceCache:
    """The voices of rows: each is made once, and kept until its last row has it."""

    def __init__(self, engine: Engine, rows: Sequence[Row], *, transcribe: bool) -> None:
        self.engine, self.transcribe = engine, transcribe
        self.left = Counter(self._key(row) for row in rows)
        self.made: dict[tuple[str, str | None], Any] = {}

    @staticmethod
    def _key(row: Row) -> tuple[str, str | None]:
        return row.prompt_sha256, row.prompt_text

    def pop(self, planned: Row) -> tuple[Row, Any]:
        """Return a row and its voice, or a Failure if it cannot be made. Call it once for each row.

        If the prompt has changed since the plan, the row that is returned has the hash of what is heard.
        """
        row, key = planned, self._key(planned)
        if key not in self.made:
            try:
                row = self._make(planned)
            except Exception as error:
                self.made[key] = Failure.of(error)
        voice = self.made[self._key(row)]
        self.left[key] -= 1
        if not self.left[key]:
            self.made.pop(key, None)
        return row, voice

    def _make(self, planned: Row) -> Row:
        """Make the voice of a row and return the row as it is heard. Raises any error of prompt, transcript and voice.

        A transcript next to the prompt is read now if the plan has found none.
        """
        prompt, sha256 = read_hashed_prompt(planned.prompt, self.engine.sample_rate)
        transcript = planned.prompt_text
        if transcript is None and not self.transcribe:
            transcript = transcript_of(planned.prompt)
        row = planned.with_prompt(sha256, transcript)
        if (key := self._key(row)) not in self.made:
            self.made[key] = self.engine.voice(prompt, transcript, name=str(planned.prompt), transcribe=self.transcribe)
        return row


def longest_first(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows, each window of SORT_WINDOW rows sorted by length of the text, longest first."""
    for start in range(0, len(rows), SORT_WINDOW):
        yield from sorted(rows[start : start + SORT_WINDOW], key=lambda row: len(row.text), reverse=True)
