"""Errors become a message and an exit code in one place; the options of the whole program."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

import vallecli
from vallecli import __version__
from vallecli.__main__ import bound_spinning
from vallecli.cli import speak_run
from vallecli.cli.app import explain
from vallecli.errors import DeviceError, EmptyText, EspeakMissing, ExtraMissing, InputError, OutputError, PlayerMissing

if TYPE_CHECKING:
    from conftest import Valle


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch, valle: Valle):
    """Run a command that raises an error."""

    def run(error: BaseException, *options: str):
        def raise_error(*_: object) -> None:
            raise error

        monkeypatch.setattr(speak_run, "run", raise_error)
        return valle("speak", "--prompt", "x.wav", *options)

    return run


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (EmptyText(), 3, "no words"),
        (ZeroDivisionError("division by zero"), 1, "a bug"),
        (FileNotFoundError(errno.ENOENT, "No such file", "data/words.txt"), 1, "a bug"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "no space left"),
        (MemoryError(), 5, "not enough memory"),
        (ExtraMissing("zh", "Chinese", "jieba"), 7, 'pip install "vallecli[zh]"'),
        (EspeakMissing("the library was not found"), 7, "apt install espeak-ng"),
        (PlayerMissing("there is no audio player", "Install one."), 7, "there is no audio player"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 5, "not enough memory"),
        (RuntimeError("anything else"), 1, "a bug"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_error_has_a_message_and_an_exit_code(fail, error: BaseException, code: int, message: str) -> None:
    ran = fail(error)
    assert ran.code == code
    assert ran.out == b""
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_out_of_memory_on_a_gpu_is_a_device_error() -> None:
    assert isinstance(explain(torch.OutOfMemoryError("CUDA out of memory")), DeviceError)


def test_a_full_disk_is_not_a_bug_but_a_missing_file_of_ours_is() -> None:
    assert isinstance(explain(OSError(errno.EDQUOT, "quota")), OutputError)
    assert explain(FileNotFoundError(errno.ENOENT, "No such file", "ours")) is None


def test_a_bug_says_how_to_report_it_and_shows_the_traceback_with_verbose(fail) -> None:
    ran = fail(KeyError("x"), "-v")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert "report" in ran.err
    assert __version__ in ran.err


def test_an_error_of_the_user_has_no_traceback_even_with_verbose(fail) -> None:
    assert "Traceback" not in fail(InputError("no", "do this"), "-v").err


def test_quiet_prints_errors(fail) -> None:
    ran = fail(InputError("no good", "do this"), "-q")
    assert "no good" in ran.err
    assert "do this" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["speak", "--promt", "x.wav"], "Did you mean --prompt?"),
        (["spaek"], "Did you mean 'speak'?"),
        (["speak"], "there is no voice"),
        (["speak", "--prompt", "x", "--top-k", "many"], "--top-k"),
        (["speak", "--prompt", "x", "stray"], "stray"),
    ],
)
def test_usage_errors_have_a_hint_and_exit_with_2(valle: Valle, arguments: list[str], message: str) -> None:
    ran = valle(*arguments)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == b""


def test_version(valle: Valle) -> None:
    assert valle("--version").out.decode() == f"valle {__version__}\n"


def test_without_a_command_the_help_is_printed(valle: Valle) -> None:
    ran = valle()
    assert ran.code == 0
    assert b"speak" in ran.out


# Shell completion

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.fixture
def bash(monkeypatch: pytest.MonkeyPatch):
    """Run a script in bash, in which `valle` is the installed command; return its stdout."""
    source = str(Path(vallecli.__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))

    def run(script: str) -> str:
        done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@needs_bash
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("valle sp", ["speak"]),
        ("valle speak --top", ["--top-k", "--top-p", "--top-n-sigma"]),
        ("valle speak --hea", []),
    ],
)
def test_the_shown_script_completes_commands_and_options(bash, words: str, expected: list[str]) -> None:
    script = f"""
        eval "$(valle --show-completion)"
        COMP_WORDS=({words})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _valle_completion valle
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert bash(script).split() == expected  # deprecated options, such as --heads, are not suggested


@needs_bash
def test_completion_does_not_import_torch(bash) -> None:
    code = """
import sys
from vallecli.cli.app import main
try:
    main(["--show-completion"])
finally:
    print([name for name in ("torch", "numpy") if name in sys.modules])
"""
    *shown, imported = bash(f"{sys.executable} -c '{code}'; true").splitlines()
    assert "complete -o default -F _valle_completion valle" in shown
    assert imported == "[]"


def test_the_help_lists_the_options_of_completion(valle: Valle) -> None:
    shown = valle("--help").out.decode()
    assert "--install-completion" in shown
    assert "--show-completion" in shown


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
    ids=["default", "count", "policy"],
)
def test_threads_spin_for_a_bounded_time_unless_the_user_says_how_long(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], spins: str | None
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    bound_spinning()
    assert os.environ.get("GOMP_SPINCOUNT") == spins
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
