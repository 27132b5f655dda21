"""One batch for all requests: they join it while it runs, leave it when they are cancelled, and do not disturb it."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vallecli.families.base import Voice
from vallecli.server.engine import Engine
from vallecli.server.scheduler import Scheduler, Utterance
from vallecli.synthesizer import Job, Piece, Synthesizer

SECONDS = 240


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(tiny_checkpoint)


@pytest.fixture(scope="module")
def voice(tiny: Synthesizer, reference: Path) -> Voice:
    return tiny.voice(reference)


class Running:
    """An engine, and the events of its utterances."""

    def __init__(self, synthesizer: Synthesizer, voice: Voice, slots: int = 4) -> None:
        self.synthesizer, self.voice = synthesizer, voice
        self.fatal: list[Exception] = []
        self.scheduler = Scheduler()
        self.engine = Engine(synthesizer, self.scheduler, slots=slots, on_fatal=self.fatal.append)
        self.engine.start()

    def job(self, text: str, seed: int = 1, frames: int = 30) -> Job:
        sampling = replace(self.synthesizer.sampling, seed=seed, max_frames=frames)
        return Job(key=None, text=text, voice=self.voice, sampling=sampling)

    def submit(self, job: Job, on_piece: Any = None) -> tuple[Utterance, queue.Queue[Any]]:
        events: queue.Queue[Any] = queue.Queue()
        sentences = list(self.synthesizer.requests(job))
        utterance = Utterance("client", sentences, on_piece or events.put, events.put)
        self.scheduler.submit(utterance)
        return utterance, events


@pytest.fixture
def running(tiny: Synthesizer, voice: Voice) -> Iterator[Running]:
    run = Running(tiny, voice)
    yield run
    run.scheduler.close()
    run.engine.join(SECONDS)
    assert not run.engine.alive


def collect(events: queue.Queue[Any]) -> list[Piece]:
    """Return all pieces of an utterance. Raises its error."""
    pieces = []
    while (event := events.get(timeout=SECONDS)) is not None:
        if isinstance(event, Exception):
            raise event
        pieces.append(event)
    return pieces


def same(pieces: list[Piece], expected: list[Piece]) -> bool:
    return len(pieces) == len(expected) and all(
        np.array_equal(one.audio, other.audio) for one, other in zip(pieces, expected, strict=True)
    )


def test_requests_give_what_speak_gives(running: Running) -> None:
    jobs = [running.job(f"Number {number} is red. It is green.", seed=number) for number in range(6)]
    found = [running.submit(job)[1] for job in jobs]
    for job, events in zip(jobs, found, strict=True):
        assert same(collect(events), list(running.synthesizer.speak(job.text, job.voice, job.sampling)))
    assert running.engine.work.sentences == 12


def test_a_request_joins_the_batch_that_is_running(running: Running) -> None:
    long = running.job("Red green blue.", frames=400)
    long = replace(long, sampling=replace(long.sampling, min_frames=400))
    order: list[str] = []
    started = queue.Queue()
    check = running.scheduler.check

    def report(place: Any) -> None:
        started.put(place)
        check(place)

    running.scheduler.check = report  # type: ignore[method-assign]
    _, events = running.submit(long)
    started.get(timeout=SECONDS)  # it has frames: the batch is running
    short, joined = running.submit(running.job("Blue.", frames=5))
    short.on_piece, put = (lambda piece: (order.append("short"), put(piece))), short.on_piece  # type: ignore[assignment]
    collect(joined)
    order.append("long" if events.empty() else "too late")
    collect(events)
    assert order[0] == "short"
    assert order[-1] == "long"  # which was not done when the short one was


def test_cancelling_frees_the_slot(tiny: Synthesizer, voice: Voice) -> None:
    run = Running(tiny, voice, slots=1)
    endless = run.job("Red green blue.", frames=2000)
    endless = replace(endless, sampling=replace(endless.sampling, min_frames=2000))
    started = queue.Queue()
    check = run.scheduler.check
    run.scheduler.check = lambda place: (started.put(place), check(place))  # type: ignore[method-assign,assignment]
    cancelled, events = run.submit(endless)
    started.get(timeout=SECONDS)
    _, following = run.submit(run.job("Blue.", frames=5))
    run.scheduler.cancel(cancelled)
    assert collect(following)
    assert events.empty()
    assert run.engine.work.sentences == 1
    assert run.scheduler.decoding == 0
    run.scheduler.close()
    run.engine.join(SECONDS)


def test_a_request_that_fails_does_not_disturb_others(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = running.job("Red green.", seed=5), running.job("Blue.", seed=6)
    expected = list(running.synthesizer.speak(good.text, good.voice, good.sampling))
    piece = running.synthesizer._piece

    def fail(spoken: Any) -> Piece:
        if spoken.request.text == "Blue.":
            raise RuntimeError("a kernel has failed")
        return piece(spoken)

    monkeypatch.setattr(running.synthesizer, "_piece", fail)
    found = [running.submit(job)[1] for job in (good, bad, good)]
    with pytest.raises(RuntimeError, match="a kernel"):
        collect(found[1])
    assert same(collect(found[0]), expected)
    assert same(collect(found[2]), expected)
    assert running.fatal == []


def test_after_an_error_of_the_device_all_requests_fail(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Iterator[Any]:
        raise SystemError("the device is gone")
        yield

    monkeypatch.setattr(running.synthesizer, "pieces", fail)
    found = [running.submit(running.job("Red."))[1]]
    with pytest.raises(SystemError):
        collect(found[0])
    running.engine.join(SECONDS)
    assert [type(error) for error in running.fatal] == [SystemError]
