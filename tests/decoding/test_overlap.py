"""Helper threads finish items while the next ones are produced: each item once, and a bounded number ahead."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier, Event, current_thread, main_thread

import pytest
import torch

from vallecli.decoding.overlap import one_thread, overlap


@pytest.mark.parametrize("helpers", [0, 1, 3])
@pytest.mark.parametrize("ahead", [1, 4, 100])
def test_each_item_is_finished_once(helpers: int, ahead: int) -> None:
    done = overlap(range(50), lambda item: item * item, helpers=helpers, ahead=ahead)
    assert sorted(done) == [item * item for item in range(50)]
    assert list(overlap([], str, helpers=helpers, ahead=ahead)) == []


def test_the_next_item_is_produced_while_a_helper_finishes() -> None:
    running = Event()

    def items() -> Iterator[str]:
        yield "first"
        assert running.wait(10)  # a helper works on the first one
        yield "second"

    def finish(item: str) -> str:
        running.set()
        return item

    assert sorted(overlap(items(), finish, helpers=1, ahead=2)) == ["first", "second"]


def test_items_that_no_helper_has_started_are_finished_by_this_thread() -> None:
    both = Barrier(2, timeout=10)  # passed only by two threads at the same time

    def finish(item: int) -> bool:
        both.wait()
        return current_thread() is main_thread()

    assert sorted(overlap(range(2), finish, helpers=1, ahead=9)) == [False, True]  # at the end
    assert sorted(overlap(range(2), finish, helpers=1, ahead=1)) == [
        False,
        True,
    ]  # two items are too many


@pytest.mark.parametrize("helpers", [0, 1])
def test_an_error_is_raised_and_no_more_items_are_started(helpers: int) -> None:
    started: list[int] = []

    def finish(item: int) -> None:
        started.append(item)
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(overlap(range(100), finish, helpers=helpers, ahead=1))
    assert len(started) <= 2 + helpers


def test_the_number_of_threads_is_restored() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread() as others:
            assert (others, torch.get_num_threads()) == (2, 1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
