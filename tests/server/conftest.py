"""Servers with the tiny checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server, Start, start_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, reference: Path) -> Iterator[Server]:
    """A server that allows uploads."""
    folder = tmp_path_factory.mktemp("server") / "here"
    started = start_server(
        folder, "--checkpoint", tiny_checkpoint, "--prompt", reference, "--allow-uploads", "--alias", "alloy=default"
    )
    yield started
    started.stop()


@pytest.fixture
def start(tmp_path: Path, tiny_checkpoint: Path, reference: Path) -> Iterator[Start]:
    """Start a server with further arguments."""
    started: list[Server] = []

    def begin(*arguments: str | Path, key: str = "") -> Server:
        basic = ("--checkpoint", tiny_checkpoint, "--prompt", reference)
        started.append(start_server(tmp_path / f"server{len(started)}", *basic, *arguments, key=key))
        return started[-1]

    yield begin
    for each in started:
        each.stop()
