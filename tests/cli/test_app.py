"""Errors become one message and an exit code, in one place."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from vallecli import __version__
from vallecli.cli import take
from vallecli.cli.app import explain
from vallecli.errors import DeviceError, EmptyText, InputError, OutputError

if TYPE_CHECKING:
    from conftest import Valle


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch, valle: Valle):
    """Run a command inside of which an error is raised."""

    def run(error: BaseException, *options: str):
        def make(*_: object) -> None:
            raise error

        monkeypatch.setattr(take, "make", make)
        return valle("speak", "--prompt", "x.wav", *options)

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (EmptyText(), 3, "no words"),
        (ZeroDivisionError("division by zero"), 1, "a bug"),
        (FileNotFoundError(errno.ENOENT, "No such file", "data/words.txt"), 1, "a bug"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "no space left"),
        (MemoryError(), 5, "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 5, "not enough memory"),
        (RuntimeError("anything else"), 1, "a bug"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_error_has_its_message_and_code(fail, error: BaseException, code: int, said: str) -> None:
    ran = fail(error)
    assert ran.code == code
    assert ran.out == b""
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_out_of_memory_on_a_gpu_is_a_device_error() -> None:
    import torch

    assert isinstance(explain(torch.OutOfMemoryError("CUDA out of memory")), DeviceError)


def test_a_full_disk_is_no_bug_but_a_missing_file_of_ours_is() -> None:
    assert isinstance(explain(OSError(errno.EDQUOT, "quota")), OutputError)
    assert explain(FileNotFoundError(errno.ENOENT, "No such file", "ours")) is None


def test_a_bug_says_how_to_report_and_shows_where_only_when_asked(fail) -> None:
    ran = fail(KeyError("x"), "-v")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert "report" in ran.err
    assert __version__ in ran.err


def test_an_error_of_the_user_has_no_traceback_even_when_verbose(fail) -> None:
    assert "Traceback" not in fail(InputError("no", "do this"), "-v").err


def test_quiet_does_not_silence_errors(fail) -> None:
    ran = fail(InputError("no good", "do this"), "-q")
    assert "no good" in ran.err
    assert "do this" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["speak", "--promt", "x.wav"], "Did you mean --prompt?"),
        (["speek"], "Did you mean 'speak'?"),
        (["speak"], "Missing option '--prompt'"),
        (["speak", "--prompt", "x", "--top-k", "many"], "--top-k"),
        (["speak", "--prompt", "x", "stray"], "stray"),
    ],
)
def test_usage_errors_teach_and_leave_with_2(valle: Valle, arguments: list[str], said: str) -> None:
    ran = valle(*arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == b""


def test_version(valle: Valle) -> None:
    assert valle("--version").out.decode() == f"valle {__version__}\n"


def test_no_command_shows_the_commands(valle: Valle) -> None:
    ran = valle()
    assert ran.code == 0
    assert b"speak" in ran.out
