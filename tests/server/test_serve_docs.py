"""The commands and the Python of docs/server.md work as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from serving import Server

from vallecli.audio.decode import decode

pytestmark = pytest.mark.loopback

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
URL = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def lines() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.startswith("curl")]


@pytest.fixture
def folder(own_folder: Path, reference: Path) -> Path:
    (own_folder / "examples").mkdir()
    (own_folder / "examples" / "reference.wav").symlink_to(reference)
    return own_folder


@pytest.mark.parametrize("line", lines())
def test_curl(line: str, folder: Path, server: Server) -> None:
    done = subprocess.run(["bash", "-euc", line.replace(URL, server.url)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if (output := re.search(r"-o (\S+)", line)) is not None:
        path = folder / output[1]
        assert path.stat().st_size > 50
        if path.suffix in (".wav", ".opus"):
            with path.open("rb") as file:
                assert len(decode(file).wav_N) > 1000


def test_python(folder: Path, server: Server) -> None:
    pytest.importorskip("openai")
    [block] = blocks("python")
    variables = {**os.environ, "no_proxy": "127.0.0.1"}
    command = [sys.executable, "-c", block.replace(URL, server.url)]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / "hello.mp3").stat().st_size > 1000


def test_there_are_commands() -> None:
    assert len(lines()) >= 8
