"""The run: rows in, audio written and recorded while the next is spoken; nothing counts before it is on the disk."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

from vallecli.audio import effects
from vallecli.audio.files import open_output
from vallecli.checkpoints.local import sha256
from vallecli.errors import DISK, FolderNotWritable, VallecliError
from vallecli.jobs.engine import Engine, Job, Spoken
from vallecli.jobs.plan import Row
from vallecli.jobs.prompts import read_prompt
from vallecli.jobs.results import FAILED, OK, Failure, Record, Results, now

WINDOW = 256  # rows that are spoken longest first: a long one begun last would run alone at the end
UNWRITTEN = 8  # rows that may wait for the disk before the models do


class Run:
    """One run over a folder whose results file it has."""

    def __init__(
        self,
        results: Results,
        out: Path,
        *,
        load: Callable[[str], Engine],
        default: str,
        slots: int,
        watch: Callable[[Record, Row], None],
        stop: Event,
        transcribe: bool = False,
        fail_fast: bool = False,
    ) -> None:
        """`load` makes the engine of a checkpoint, of which `default` is the one for all rows that name none.

        `watch` hears of each row once it is recorded, in the writer's thread. When `stop` is set, the rows in flight
        are finished and no others begun.
        """
        self.results, self.out, self.load, self.default = results, out, load, default
        self.slots, self.watch, self.stop = slots, watch, stop
        self.transcribe, self.fail_fast = transcribe, fail_fast
        self.failing = False
        self.waiting: deque[Future[None]] = deque()

    def speak(self, rows: Sequence[Row]) -> None:
        """Speak the rows, one checkpoint after the other. Raises OutputError when nothing more can be written.

        What goes wrong with a row is recorded. Raises CheckpointError and DeviceError if the default checkpoint does
        not load; another one's absence is recorded with each of its rows.
        """
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(row.settings.checkpoint, []).append(row)
        with ThreadPoolExecutor(1, "writer") as self.writer:
            for checkpoint, group in groups.items():
                if self.stopping:
                    break
                try:
                    engine = self.load(checkpoint)
                except VallecliError as error:
                    if checkpoint == self.default:
                        raise
                    for row in group:
                        self._hand_over(row, Spoken(row.id, (), Failure.of(error)), 0)
                    continue
                self._speak_group(engine, group)
                del engine  # before the next takes its place in memory
            self._collect(0)

    @property
    def stopping(self) -> bool:
        """Return whether no more rows are to be begun."""
        return self.stop.is_set() or (self.fail_fast and self.failing)

    def _speak_group(self, engine: Engine, rows: Sequence[Row]) -> None:
        shares = _Shares()
        for spoken in engine.speak_many(self._jobs(engine, rows, shares), slots=self.slots):
            self._hand_over(*shares.end(spoken))

    def _jobs(self, engine: Engine, rows: Sequence[Row], shares: _Shares) -> Iterator[Job]:
        """Yield the jobs as the engine has room for them; `shares` gets to know when that was."""
        voices = _Voices(engine, rows, transcribe=self.transcribe)
        for row in longest_first(rows):
            if self.stopping:
                return
            voice = voices.take(row)
            if isinstance(voice, Failure):
                self._hand_over(row, Spoken(row.id, (), voice), 0)
                continue
            shares.begin(row)
            yield Job(
                key=row.id,
                text=row.text,
                voice=voice,
                sampling=row.settings.sampling(engine.sampling, seed=row.seed, frame_rate=engine.frame_rate),
                language=row.language,
                accent=row.accent,
            )

    def _hand_over(self, row: Row, spoken: Spoken, elapsed: float) -> None:
        """Let the writer finish a row while the models go on."""
        self.waiting.append(self.writer.submit(self._finish, row, spoken, elapsed))
        self._collect(UNWRITTEN)

    def _collect(self, most: int) -> None:
        """Raise what the writer raised; wait for it until at most so many rows are left."""
        while self.waiting and (len(self.waiting) > most or self.waiting[0].done()):
            self.waiting.popleft().result()

    def _finish(self, row: Row, spoken: Spoken, elapsed: float) -> None:
        """Write the audio of a row beside its place, rename it, and only then record it."""
        self.results.check()
        told: dict[str, Any] = {"error": spoken.error}
        if spoken.error is None:
            try:
                told = self._write(row, spoken, elapsed)
            except (VallecliError, OSError) as error:
                self.results.check()
                trouble = error.__cause__ or error
                if isinstance(trouble, OSError) and trouble.errno in DISK:  # not this row's fault
                    raise FolderNotWritable(self.out / row.output, os.strerror(trouble.errno).lower()) from error
                told = {"error": Failure.of(error)}
        record = Record(
            id=row.id,
            row=row.number,
            status=FAILED if told.get("error") else OK,
            output=row.output,
            seed=row.seed,
            checkpoint=row.settings.checkpoint,
            revision=row.revision,
            fingerprint=row.fingerprint,
            finished=now(),
            **told,
        )
        self.results.append(record)
        self.failing |= record.status == FAILED
        self.watch(record, row)

    def _write(self, row: Row, spoken: Spoken, elapsed: float) -> dict[str, Any]:
        """Write the audio and return what is to be recorded of it. Raises VallecliError and OSError."""
        path = self.out / row.output
        for folder in reversed(Path(row.output).parents[:-1]):  # but never the output folder, should it be gone
            (self.out / folder).mkdir(exist_ok=True)
        rate = row.settings.sample_rate or spoken.pieces[0].sample_rate
        samples = 0
        with open_output(path, sample_rate=rate, force=True) as file:
            for piece in spoken.pieces:
                wav_N = effects.resample(piece.audio, piece.sample_rate, rate)
                file.write(wav_N)
                samples += len(wav_N)
        seconds = samples / rate
        reasons = [piece.stop_reason for piece in spoken.pieces]
        return {
            "sha256": sha256(path),
            "seconds": round(seconds, 3),
            "sample_rate": rate,
            "real_time_factor": round(elapsed / seconds, 3) if seconds else None,
            "frames": sum(piece.frames for piece in spoken.pieces),
            "stop_reason": "max_frames" if "max_frames" in reasons else reasons[0],
            "notes": tuple(note for piece in spoken.pieces for note in piece.notes),
        }


class _Shares:
    """The time that each row takes: at any moment, rows in flight share it equally, so that all add up to the whole."""

    def __init__(self) -> None:
        self.begun: dict[str, tuple[Row, float]] = {}
        self.share = 0.0  # of a row that had been in flight from the start
        self.now = time.perf_counter()

    def begin(self, row: Row) -> None:
        """Let a row take its share from now on."""
        self._pass()
        self.begun[row.id] = row, self.share

    def end(self, spoken: Spoken) -> tuple[Row, Spoken, float]:
        """Return a row that is done, and its share in seconds."""
        self._pass()
        row, before = self.begun.pop(spoken.key)
        return row, spoken, self.share - before

    def _pass(self) -> None:
        before, self.now = self.now, time.perf_counter()
        if self.begun:
            self.share += (self.now - before) / len(self.begun)


class _Voices:
    """The voices of the rows that are left: each made once, and kept until its last row is begun."""

    def __init__(self, engine: Engine, rows: Sequence[Row], *, transcribe: bool) -> None:
        self.engine, self.transcribe = engine, transcribe
        self.left = Counter(self._key(row) for row in rows)
        self.made: dict[tuple[str, str | None], Any] = {}

    @staticmethod
    def _key(row: Row) -> tuple[str, str | None]:
        return row.prompt_sha256, row.prompt_text

    def take(self, row: Row) -> Any:
        """Return the voice of a row, or the Failure to make it."""
        key = self._key(row)
        if key not in self.made:
            try:
                self.made[key] = self.engine.voice(
                    read_prompt(row.prompt, self.engine.sample_rate),
                    row.prompt_text,
                    name=str(row.prompt),
                    transcribe=self.transcribe,
                )
            except Exception as error:
                self.made[key] = Failure.of(error)
        self.left[key] -= 1
        return self.made[key] if self.left[key] else self.made.pop(key)


def longest_first(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows, of each window the one with the longest text first."""
    for start in range(0, len(rows), WINDOW):
        yield from sorted(rows[start : start + WINDOW], key=lambda row: len(row.text), reverse=True)
