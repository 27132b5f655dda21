"""Every `valle` command of the README works as it stands there, with the built-in model and the shipped examples."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix("pip install -e . && ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if "valle " in line]


def test_the_readme_has_commands() -> None:
    assert len(commands()) >= 4


@pytest.mark.parametrize("command", commands())
def test_command(command: str, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    sizes = [file.stat().st_size for file in tmp_path.iterdir() if file.is_file()]
    assert bool(sizes) == ("valle speak" in command)
    assert all(size > 10_000 for size in sizes)
