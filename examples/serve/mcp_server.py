"""Speech as a tool of the Model Context Protocol, through a running `valle serve`: pip install mcp httpx.

Add it to an assistant as a server over stdio:

{"mcpServers": {"valle": {"command": "python", "args": ["examples/serve/mcp_server.py"]}}}

VALLE_URL is the server, by default http://127.0.0.1:8000, and VALLE_API_KEY its key, if it needs one.
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx

try:
    from mcp.server.fastmcp import FastMCP
except ImportError:  # from mcp 2 on
    from mcp.server import MCPServer as FastMCP

URL = os.environ.get("VALLE_URL", "http://127.0.0.1:8000")
KEY = os.environ.get("VALLE_API_KEY")
SECONDS = 300

server = FastMCP("valle")


def _client() -> httpx.Client:
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    return httpx.Client(base_url=URL, headers=headers, timeout=SECONDS)


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise ValueError(response.json()["error"]["message"])
    return response


@server.tool()
def speak(text: str, path: str, voice: str = "default") -> str:
    """Speak a text in a voice, and write it to a new WAV file at `path`; return the path."""
    with _client() as client:
        values = {"input": text, "voice": voice, "response_format": "wav"}
        audio = _checked(client.post("/v1/audio/speech", json=values)).content
    with Path(path).open("xb") as file:  # no existing file is overwritten
        file.write(audio)
    return path


@server.tool()
def voices() -> list[str]:
    """Return the names of the voices."""
    with _client() as client:
        return [voice["id"] for voice in _checked(client.get("/v1/voices")).json()["data"]]


if __name__ == "__main__":
    server.run()
