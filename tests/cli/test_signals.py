"""Signals that arrive where a library turns them into other errors, or swallows them."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vallecli.cli import batch_run, signals
from vallecli.jobs import run

if TYPE_CHECKING:
    from conftest import Ran, Valle

CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Restore the handlers of the test runner."""
    before = {number: signal.getsignal(number) for number, _ in CODES}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def batch(valle: Valle, tiny_checkpoint: Path, reference: Path, own_folder: Path) -> Callable[[], int]:
    """Run a batch of one row and return its exit code."""
    shutil.copy(reference, "ref.wav")
    Path("jobs.jsonl").write_text(json.dumps({"text": "Hi.", "prompt": "ref.wav", "max_seconds": 0.05}))

    def run() -> int:
        try:
            ran: Ran = valle("batch", "jobs.jsonl", "--out-dir", "out", "--checkpoint", tiny_checkpoint)
        except SystemExit as exited:
            return int(str(exited.code))
        assert "bug in valle" not in ran.err
        return ran.code

    return run


def swallowed(number: int) -> None:
    """Receive a signal as a library with a bare except does."""
    try:
        signal.raise_signal(number)
    except BaseException:
        return


def records() -> list[Any]:
    path = Path("out/results.jsonl")
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(("number", "code"), CODES)
@pytest.mark.parametrize("error", [ImportError("numpy failed to import"), SystemError("an exception set"), None])
def test_during_the_plan(
    batch: Any, monkeypatch: pytest.MonkeyPatch, number: int, code: int, error: Exception | None
) -> None:
    read_plan = batch_run.read_plan

    def interrupted(*arguments: Any) -> Any:
        swallowed(number)
        if error is not None:
            raise error
        return read_plan(*arguments)

    monkeypatch.setattr(batch_run, "read_plan", interrupted)
    assert batch() == code
    assert not Path("out").exists()


@pytest.mark.parametrize(("number", "code"), CODES[1:])
def test_while_a_voice_is_made(batch: Any, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    """The row is not recorded as failed: the next run speaks it."""

    def interrupted(*_: Any) -> Any:
        swallowed(number)
        raise RuntimeError("an exception set")

    with monkeypatch.context() as patched:
        patched.setattr(run, "read_hashed_prompt", interrupted)
        assert batch() == code
        assert not records()
    assert batch() == 0


@pytest.mark.parametrize(("number", "code"), CODES)
def test_the_exit_code_of_a_signal_that_was_received(number: int, code: int) -> None:
    signals.exit_on_signals()
    assert signals.received() is None
    swallowed(number)
    assert signals.received() == code
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        signals.check()
    signals.exit_on_signals()
    signals.check()
