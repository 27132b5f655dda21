"""Standard streams that are closed, full or without a reader: speech does not depend on stderr."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Valle

MAX_SECONDS = "0.3"


@pytest.fixture
def arguments(tiny_checkpoint: Path, reference: Path) -> list[str]:
    voice = ["--checkpoint", str(tiny_checkpoint), "--device", "cpu", "--prompt", str(reference)]
    return ["speak", *voice, "--text", "Hi.", "--seed", "1", "--max-seconds", MAX_SECONDS]


@pytest.fixture
def command(arguments: list[str]) -> str:
    return shlex.join([sys.executable, "-m", "vallecli", *arguments])


def shell(line: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["bash", "-c", line], capture_output=True)


@pytest.fixture
def wav(arguments: list[str], valle: Valle) -> bytes:
    """Return what the command writes, from a run in this process."""
    assert valle(*arguments, "-o", "expected.wav").code == 0
    return Path("expected.wav").read_bytes()


@pytest.mark.parametrize(
    "stderr", ["2>&-", pytest.param("2>/dev/full", marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason=""))]
)
def test_without_stderr_the_file_is_the_same(command: str, wav: bytes, stderr: str) -> None:
    assert shell(f"{command} -o out.wav {stderr}").returncode == 0
    assert Path("out.wav").read_bytes() == wav


def test_without_stderr_messages_do_not_become_audio(command: str, wav: bytes) -> None:
    done = shell(f"{command} -o - 2>&-")
    assert done.returncode == 0
    start = wav.index(b"data") + 8  # the header of a stream has no length
    assert done.stdout[start:] == wav[start:]


def test_a_reader_of_stderr_that_exits_does_not_end_it(command: str, wav: bytes) -> None:
    assert shell(f"set -o pipefail; {command} -o out.wav 2>&1 >/dev/null | true").returncode == 0
    assert Path("out.wav").read_bytes() == wav


def test_a_closed_stdout_is_refused_for_audio_only(command: str, wav: bytes) -> None:
    done = shell(f"{command} -o - >&-")
    assert done.returncode == 2
    assert b"stdout is closed" in done.stderr
    assert shell(f"{command} -o out.wav >&-").returncode == 0
    assert Path("out.wav").read_bytes() == wav


def test_a_closed_stdin_is_an_empty_text(command: str) -> None:
    done = shell(f"{command.replace('--text Hi.', '')} -o out.wav <&-")
    assert done.returncode == 3
    assert b"no words" in done.stderr
