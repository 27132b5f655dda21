"""Who is next: round robin between clients and between their requests, cancelling, and clients that are slow."""

from __future__ import annotations

from typing import Any

import pytest

from vallecli.server.scheduler import AHEAD, Cancelled, Closed, Place, Scheduler, Utterance


def utterance(name: str, sentences: int, client: str = "a", events: list[Any] | None = None) -> Utterance:
    found = events if events is not None else []
    return Utterance(client, [(f"{name}{number}", None) for number in range(sentences)], found.append, found.append)  # type: ignore[misc]


def drain(scheduler: Scheduler, most: int = 100) -> list[str]:
    """Return the names of the sentences in the order in which the engine gets them."""
    names = []
    while len(names) < most and (found := scheduler.next()) is not None:
        names.append(found[1])
    return names  # type: ignore[return-value]


def test_requests_of_a_client_alternate() -> None:
    scheduler = Scheduler()
    for name, sentences in (("x", 3), ("y", 1), ("z", 2)):
        scheduler.submit(utterance(name, sentences))
    assert drain(scheduler) == ["x0", "y0", "z0", "x1", "z1", "x2"]


def test_clients_have_equal_shares_however_many_requests_they_have() -> None:
    scheduler = Scheduler()
    for name in ("p", "q", "r"):
        scheduler.submit(utterance(name, 1, "busy"))
    scheduler.submit(utterance("x", 3, "calm"))
    assert drain(scheduler) == ["p0", "x0", "q0", "x1", "r0", "x2"]


def test_sentences_that_depend_on_each_other_stay_together() -> None:
    scheduler = Scheduler(interleave=False)
    scheduler.submit(utterance("x", AHEAD + 2, "a"))
    scheduler.submit(utterance("y", 2, "b"))
    assert drain(scheduler) == [*(f"x{number}" for number in range(AHEAD + 2)), "y0", "y1"]


def test_a_client_that_does_not_fetch_its_audio_does_not_get_more() -> None:
    scheduler, slow = Scheduler(), utterance("x", AHEAD + 2)
    scheduler.submit(slow)
    assert len(drain(scheduler)) == AHEAD
    scheduler.fetched(slow)
    assert drain(scheduler) == [f"x{AHEAD}"]


def test_pieces_are_passed_on_in_order() -> None:
    events: list[Any] = []
    scheduler = Scheduler()
    scheduler.submit(utterance("x", 3, events=events))
    places = [found[0] for _ in range(3) if (found := scheduler.next()) is not None]
    for number in (2, 0, 1):
        scheduler.done(places[number], f"piece {number}")  # type: ignore[arg-type]
    assert events == ["piece 0", "piece 1", "piece 2", None]
    assert (scheduler.decoding, scheduler.waiting) == (0, 0)


def test_a_cancelled_request_is_dropped() -> None:
    events: list[Any] = []
    scheduler, gone, other = Scheduler(), utterance("x", 3, events=events), utterance("y", 1)
    scheduler.submit(gone)
    scheduler.submit(other)
    first = scheduler.next()
    assert first is not None
    scheduler.check(first[0])
    scheduler.cancel(gone)
    with pytest.raises(Cancelled):
        scheduler.check(first[0])
    scheduler.failed(first[0], Cancelled())
    assert drain(scheduler) == ["y0"]
    assert events == []
    assert scheduler.decoding == 1


def test_an_error_ends_its_request_alone() -> None:
    failed: list[Any] = []
    spoken: list[Any] = []
    scheduler = Scheduler()
    scheduler.submit(utterance("x", 3, events=failed))
    scheduler.submit(utterance("y", 1, events=spoken))
    places: list[Place] = [found[0] for _ in range(2) if (found := scheduler.next()) is not None]
    scheduler.failed(places[0], ValueError("broken"))
    scheduler.done(places[1], "piece")  # type: ignore[arg-type]
    assert [str(event) for event in failed] == ["broken"]
    assert spoken == ["piece", None]
    assert drain(scheduler) == []


def test_a_closed_scheduler_finishes_what_it_has() -> None:
    scheduler = Scheduler()
    scheduler.submit(utterance("x", 1))
    scheduler.close()
    with pytest.raises(Closed):
        scheduler.submit(utterance("y", 1))
    assert scheduler.wait()
    assert drain(scheduler) == ["x0"]
    assert not scheduler.wait()
