"""Every command and every Python block of the README and docs/ works as written, with nano and the examples."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Valle

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
DOCUMENTS = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))


def blocks(language: str, document: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    documents = ("README.md", "docs/books.md")
    lines = [line for document in documents for block in blocks("sh", document) for line in block.splitlines()]
    return [line for line in lines if "valle " in line]


def python_blocks() -> list[tuple[str, str]]:
    """Return the blocks that run with nano; tests/families/bark and tests/server have the others."""
    others = ("docs/bark.md", "docs/server.md")
    return [(name, block) for name in DOCUMENTS if name not in others for block in blocks("python", name)]


@pytest.fixture
def folder(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with the examples; speech is the beginning of each sentence."""
    monkeypatch.setenv("VALLE_MAX_SECONDS", "1")
    (own_folder / "examples").symlink_to(ROOT / "examples")
    return own_folder


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True)


def test_the_readme_has_commands_and_python() -> None:
    assert len(commands()) >= 8
    assert [document for document, _ in python_blocks()].count("README.md") == 1


@pytest.mark.parametrize("command", commands())
def test_command(command: str, folder: Path, valle: Valle) -> None:
    words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
    if words[0] == "valle" and not any(set(word) <= set("|&;<>()") for word in words):
        ran = valle(*shlex.split(command, comments=True)[1:])
        code, out, err = ran.code, ran.out.decode(), ran.err
    else:  # a pipe, or several commands
        done = run(["bash", "-euo", "pipefail", "-c", command], folder)
        code, out, err = done.returncode, done.stdout, done.stderr
    assert code == 0, err
    made = [
        file
        for file in folder.rglob("*")
        if file.suffix in (".wav", ".flac", ".mp3", ".m4b") and "examples" not in file.parts
    ]
    speaks = re.search("valle (speak|batch|read)", command)
    if speaks and "--dry-run" not in command and "--list" not in command:
        assert made
        assert all(file.stat().st_size > 5_000 for file in made)
    else:
        assert not made
        assert out or "verify" in command  # nothing is installed in a test


@pytest.mark.parametrize(("document", "block"), python_blocks())
def test_python(document: str, block: str, folder: Path) -> None:
    done = run([sys.executable, "-W", "error", "-c", block], folder)
    assert done.returncode == 0, done.stderr
    if document == "README.md":
        assert re.fullmatch(r"(\(\d{4,},\) 24000\n)+", done.stdout)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert ((ROOT / document).parent / target).exists(), target


def test_the_command_line_reference_is_current() -> None:
    from make_cli import CLI, reference

    assert CLI.read_text(encoding="utf-8") == reference(), "run: python docs/make_cli.py"
