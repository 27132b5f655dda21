"""A server in another process, and clients for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")

START_SECONDS = 240  # on a machine that is busy with other tests
TIMEOUT = 240


@dataclass
class Server:
    """A running `valle serve`."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=TIMEOUT, trust_env=False, **options)

    def speak(self, client: httpx.Client | None = None, **body: Any) -> httpx.Response:
        """Return the response of a short request."""
        values = {"input": "Red green.", "response_format": "wav", "seed": 3, "max_seconds": 0.4, **body}
        if client is not None:
            return client.post("/v1/audio/speech", json=values)
        with self.client() as own:
            return own.post("/v1/audio/speech", json=values)

    def log(self) -> list[dict[str, Any]]:
        """Return the events of the log."""
        lines = (self.folder / "err.txt").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def memory(self) -> int:
        """Return the resident memory of the process in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def stop(self) -> int:
        """End the process and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(START_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process that reads and writes nothing of the user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VALLE_", "HF_", "XDG_"))}
    homes = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE")}
    return {**kept, **homes, "HF_HOME": str(folder / "hf"), "VALLE_RETRIES": "0", "OMP_NUM_THREADS": "1"}


Start = Callable[..., Server]


def start_server(folder: Path, *arguments: str | Path, key: str = "") -> Server:
    """Start `valle serve` on a free port, and wait until it listens."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "vallecli", "serve", "--port", "0", *map(str, arguments)]
    with (folder / "err.txt").open("wb") as err:
        variables = environment(folder) | ({"VALLE_API_KEY": key} if key else {})
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, env=variables, cwd=folder
        )
    assert process.stdout is not None
    url = process.stdout.readline().decode().strip()
    if not url:
        process.stdout.close()
        process.wait(TIMEOUT)
        raise RuntimeError((folder / "err.txt").read_text(encoding="utf-8"))
    return Server(process, url, folder)
