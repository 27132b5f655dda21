"""Measures a server: throughput of many requests at once, and the time to the first byte for some numbers of clients.

valle serve --prompt examples/reference.wav --max-queue 256 &
python examples/serve/load.py --requests 200 --clients 1 4 16 --table rows.jsonl
valle batch rows.jsonl --out-dir out    # the same rows, to compare
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

SENTENCES = (
    "Good morning.",
    "Breakfast is ready.",
    "The train leaves at nine.",
    "Please close the window.",
    "Seven ships sailed away.",
    "It will rain tomorrow.",
    "Thank you for waiting.",
    "The door is open.",
)
PCM_SECOND = 48_000  # bytes


def row(number: int) -> dict[str, Any]:
    """Return a row of a table for valle batch."""
    return {"text": SENTENCES[number % len(SENTENCES)], "seed": number}


async def ask(client: httpx.AsyncClient, number: int) -> tuple[int, float, int]:
    """Return the status, the seconds to the first byte, and the number of bytes of one request."""
    given = row(number)
    values = {"input": given["text"], "seed": given["seed"], "response_format": "pcm"}
    started, first, size = time.perf_counter(), 0.0, 0
    async with client.stream("POST", "/v1/audio/speech", json=values) as response:
        async for chunk in response.aiter_raw():
            first = first or time.perf_counter() - started
            size += len(chunk)
    return response.status_code, first, size if response.status_code == 200 else 0


async def burst(client: httpx.AsyncClient, requests: int) -> None:
    """Send all requests at once."""
    started = time.perf_counter()
    found = await asyncio.gather(*(ask(client, number) for number in range(requests)))
    wall = time.perf_counter() - started
    audio = sum(size for _, _, size in found) / PCM_SECOND
    statuses = dict(sorted(Counter(status for status, _, _ in found).items()))
    print(f"{requests} at once: statuses {statuses}")
    print(f"{audio:.1f} s of audio in {wall:.1f} s, {audio / wall:.2f}x real time")


async def steady(client: httpx.AsyncClient, clients: int, rounds: int) -> None:
    """Let a number of clients each send one request after the other."""

    async def one(place: int) -> list[float]:
        return [(await ask(client, place * rounds + number))[1] for number in range(rounds)]

    times = sorted(second for each in await asyncio.gather(*map(one, range(clients))) for second in each)
    p50, p95 = (times[min(len(times) - 1, int(share * len(times)))] for share in (0.5, 0.95))
    print(f"{clients} clients: first byte p50 {p50:.2f} s, p95 {p95:.2f} s ({len(times)} requests)")


async def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=5, help="requests of each client")
    parser.add_argument("--table", type=Path, help="also write the rows of the burst, for valle batch")
    options = parser.parse_args()
    if options.table:
        rows = (json.dumps({**row(number), "prompt": "examples/reference.wav"}) for number in range(options.requests))
        options.table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=options.url, timeout=None, limits=limits, trust_env=False) as client:
        await ask(client, 0)  # warms up
        for clients in options.clients:
            await steady(client, clients, options.rounds)
        if options.requests:
            await burst(client, options.requests)


if __name__ == "__main__":
    asyncio.run(main())
