"""The bridges of examples/serve: programs that speak through a server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import TIMEOUT, Start

pytestmark = pytest.mark.loopback

EXAMPLES = Path(__file__).parents[2] / "examples" / "serve"
SPEECHD = """
LogLevel 1
LogDir "default"
AudioOutputMethod "libao"
AddModule "valle" "sd_generic" "valle.conf"
DefaultModule valle
DefaultLanguage "en"
"""


@pytest.fixture
def dispatcher(tmp_path: Path, start: Start) -> Iterator[dict[str, str]]:
    """Start Speech Dispatcher with our module; its player writes to a file. Yield the environment of its clients."""
    server = start("--max-seconds", "0.5", "--seed", "3")
    folder = Path("/tmp") / f"valle-{os.getpid()}" if len(str(tmp_path)) > 80 else tmp_path  # sockets have short names
    (folder / "modules").mkdir(parents=True)
    (folder / "bin").mkdir()
    shutil.copy(EXAMPLES / "speech-dispatcher" / "valle.conf", folder / "modules")
    (folder / "speechd.conf").write_text(SPEECHD, encoding="utf-8")
    (folder / ".libaorc").write_text("default_driver=null\n", encoding="utf-8")  # there may be no sound card
    for player in ("play", "aplay", "paplay"):
        script = folder / "bin" / player
        script.write_text(
            f"#!/bin/sh\ncat > {folder}/part.wav && mv {folder}/part.wav {folder}/heard.wav\n", encoding="utf-8"
        )
        script.chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    variables = {
        **os.environ,
        "HOME": str(folder),
        "PATH": path,
        "VALLE_URL": server.url,
        "HEARD": f"{folder}/heard.wav",
    }
    names = ("-S", folder / "socket", "-P", folder / "pid", "-L", folder, "-C", folder)
    command = ["speech-dispatcher", "-s", "-t", "0", "-c", "unix_socket", *map(str, names)]
    process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL)
    until = time.monotonic() + TIMEOUT
    while not (folder / "socket").exists():
        assert process.poll() is None
        assert time.monotonic() < until
    yield {**variables, "SPEECHD_ADDRESS": f"unix_socket:{folder}/socket"}
    process.terminate()
    process.wait(TIMEOUT)


@pytest.mark.skipif(shutil.which("spd-say") is None, reason="Speech Dispatcher is not installed")
def test_spd_say_speaks(dispatcher: dict[str, str]) -> None:
    text = 'It\'s a "good" morning; $HOME.'
    subprocess.run(["spd-say", "-w", "-o", "valle", text], env=dispatcher, check=True, timeout=TIMEOUT)
    with wave.open(dispatcher["HEARD"]) as file:
        assert file.getframerate() == 24_000
        assert len(file.readframes(10**7)) > 10_000


def test_the_mcp_tool_speaks(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    server = start("--max-seconds", "0.5")
    path = tmp_path / "speech.wav"
    asked: list[dict[str, Any]] = [
        {
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2024-11-05",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            },
        },
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
        {
            "id": 3,
            "method": "tools/call",
            "params": {"name": "speak", "arguments": {"text": "Red.", "path": str(path)}},
        },
    ]
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "mcp_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "VALLE_URL": server.url},
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        answers = {}
        for message in asked:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            process.stdin.flush()
            while "id" in message and message["id"] not in answers:
                answer = json.loads(process.stdout.readline())
                answers[answer.get("id")] = answer
        process.stdin.close()
    assert [tool["name"] for tool in answers[2]["result"]["tools"]] == ["speak", "voices"]
    assert "error" not in answers[3]
    assert path.read_bytes()[:4] == b"RIFF"
