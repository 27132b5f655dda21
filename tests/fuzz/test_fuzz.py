"""Generated samples for each reader of files and texts: see __main__.py. Without `-m extended`, only a few of each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzzing import FEW, TARGETS, Target

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and processor time are those of Linux")
SECONDS = 60  # of processor time, for each target in the extended suite


def failures(report: Any) -> list[str]:
    return [f"{key}\n{found.trace}\nsample: {found.sample!r}" for key, found in report.findings.items()]


@linux
@pytest.mark.parametrize("name", TARGETS)
def test_a_few_samples(name: str, tmp_path: Path) -> None:
    target = Target(name, tmp_path.resolve(), timed=False)
    target.run(seed=0, examples=getattr(target.module, "FEW", FEW))
    assert not failures(target.report)
    assert target.report.outcomes["ok"] > 0


@linux
@pytest.mark.extended
@pytest.mark.parametrize("name", TARGETS)
def test_many_samples(name: str) -> None:
    command = [sys.executable, str(Path(__file__).parent), name, "--seconds", str(SECONDS)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{name}: " in ran.stdout
