"""`valle serve --ray`, with two workers on this machine: pytest -m ray."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import START_SECONDS, TIMEOUT, Server, Start, environment, httpx, start_server

pytestmark = [pytest.mark.loopback, pytest.mark.ray]

RAY = ("--ray", "local", "--workers", "2")
SHORT = {"input": "Red green.", "response_format": "wav", "max_seconds": 0.4}
LONG = {"input": "Red is one. " * 300, "response_format": "pcm", "max_seconds": 2}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, reference: Path) -> Iterator[Server]:
    """A server with two workers, of which one is killed by the last test."""
    pytest.importorskip("ray.serve")
    basic = ("--checkpoint", tiny_checkpoint, "--prompt", reference, "--allow-uploads", "--max-queue", "8")
    started = start_server(tmp_path_factory.mktemp("cluster") / "here", *basic, *RAY)
    yield started
    assert started.stop() == 0


async def ask_all(server: Server, *seeds: int, **values: str) -> list[httpx.Response]:
    """Return the responses of short requests at the same time."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT, trust_env=False, limits=limits) as client:
        return await asyncio.gather(
            *(client.post("/v1/audio/speech", json={**SHORT, **values, "seed": seed}) for seed in seeds)
        )


def metric(server: Server, name: str) -> dict[str, float]:
    """Return the value of a metric for each worker, or for ""."""
    with server.client() as client:
        lines = re.findall(rf'^{name}(?:{{worker="(\w+)"}})? (\S+)$', client.get("/metrics").text, re.MULTILINE)
    return {worker: float(value) for worker, value in lines}


def workers(server: Server) -> list[int]:
    """Return the processes of the workers."""
    parents, names = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            names[int(fields["Pid"])] = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(fields["Pid"])] = int(fields["PPid"])
    found = [pid for pid, name in names.items() if name.startswith(b"ray::ServeReplica")]
    return [pid for pid in found if parents.get(parents[pid]) == server.process.pid]  # Ray's daemon is between them


def test_both_workers_give_the_bytes_of_the_command(
    cluster: Server, tiny_checkpoint: Path, reference: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "vallecli", "speak", "--checkpoint", tiny_checkpoint, "--prompt", reference]
    options = ["--text", "Red green.", "--seed", "3", "--max-seconds", "0.4", "-o", "-"]
    ran = subprocess.run([*command, *options], env=environment(tmp_path), capture_output=True, check=True)
    for found in asyncio.run(ask_all(cluster, *[3] * 8)):
        assert found.status_code == 200
        assert found.content == ran.stdout
    spoken = metric(cluster, "valle_sentences_total")
    assert len(spoken) == 2
    assert sum(spoken.values()) == 8
    assert metric(cluster, "valle_workers") == {"": 2.0}


def test_a_full_queue_refuses(cluster: Server) -> None:
    found = asyncio.run(ask_all(cluster, *range(60)))
    statuses = Counter(each.status_code for each in found)
    assert set(statuses) == {200, 429}
    assert all(int(each.headers["retry-after"]) >= 1 for each in found if each.status_code == 429)
    assert cluster.speak().status_code == 200


def test_sentences_are_sent_as_they_are_done_and_a_client_that_leaves_frees_its_slots(cluster: Server) -> None:
    with cluster.client() as client, client.stream("POST", "/v1/audio/speech", json=LONG) as found:
        assert found.headers["transfer-encoding"] == "chunked"
        chunks = found.iter_raw()  # its end would close the connection
        next(chunks)
        assert metric(cluster, "valle_requests_accepted") == {"": 1.0}  # it is not done yet
        assert sum(metric(cluster, "valle_worker_requests").values()) == 1
    while metric(cluster, "valle_requests_accepted") != {"": 0.0}:
        pass
    two = {**LONG, "input": "Red is one. " * 20}  # sentences
    with cluster.client() as client, client.stream("POST", "/v1/audio/speech", json=two) as first:  # one on each worker
        chunks = first.iter_raw()
        next(chunks)
        with cluster.client() as other, other.stream("POST", "/v1/audio/speech", json=two) as second:
            others = second.iter_raw()
            next(others)
            assert sum(metric(cluster, "valle_batch_sentences").values()) <= 40
    assert any(event.get("code") == "disconnected" for event in cluster.log())


def test_errors_of_the_workers_are_those_of_the_protocol(cluster: Server) -> None:
    refused = cluster.speak(language="zh")
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "zh" in refused.json()["error"]["message"]
    assert cluster.speak(voice="nobody").status_code == 404


def test_voices_are_stored_here_and_spoken_by_all_workers(cluster: Server, reference: Path) -> None:
    with cluster.client() as client:
        added = client.post("/v1/voices", data={"name": "anna"}, files={"file": ("anna.wav", reference.read_bytes())})
        assert added.status_code == 201
    before = metric(cluster, "valle_sentences_total")
    assert len({each.content for each in asyncio.run(ask_all(cluster, *[3] * 8, voice="anna"))}) == 1
    after = metric(cluster, "valle_sentences_total")
    assert all(after[worker] > before[worker] for worker in before)


def test_only_the_server_listens_for_http(cluster: Server) -> None:
    with cluster.client() as client:
        assert client.get("/-/routes").status_code == 404  # of Ray Serve's own proxy
        assert client.get("/health", headers={"Host": "example.org"}).status_code == 403
    with httpx.Client(trust_env=False, timeout=5) as client:
        for port in (8265, 8000):  # Ray's dashboard, and Ray Serve's proxy
            with pytest.raises(httpx.ConnectError):
                client.get(f"http://127.0.0.1:{port}/")


def test_a_worker_that_is_killed_is_replaced(cluster: Server) -> None:
    expected = cluster.speak().content
    before = workers(cluster)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    deadline = time.monotonic() + START_SECONDS
    statuses: Counter[int] = Counter()
    while len(set(workers(cluster)) - set(before)) == 0 or metric(cluster, "valle_workers") != {"": 2.0}:
        found = cluster.speak()
        statuses[found.status_code] += 1
        assert found.status_code == 503 or found.content == expected
        assert time.monotonic() < deadline
    assert set(statuses) <= {200, 503}
    assert statuses[200] > 0
    known = set(metric(cluster, "valle_worker_requests"))
    while len(known) < 3:  # the one that is new answers, too
        assert {each.status_code for each in asyncio.run(ask_all(cluster, 1, 2, 3, 4))} == {200}
        known |= set(metric(cluster, "valle_worker_requests"))
        assert time.monotonic() < deadline


def test_sigterm_answers_what_was_accepted(start: Start) -> None:
    pytest.importorskip("ray.serve")
    server = start("--max-queue", "40", "--timeout", "3600", *RAY)
    assert server.speak().status_code == 200

    async def ask_and_end() -> list[httpx.Response | BaseException]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.url, timeout=None, trust_env=False, limits=limits) as client:

            async def ask(seed: int) -> httpx.Response:
                found = await client.post("/v1/audio/speech", json={**SHORT, "seed": seed})
                if found.status_code == 200 and not ended:
                    ended.append(seed)
                    server.process.terminate()
                return found

            ended: list[int] = []
            return await asyncio.gather(*(ask(seed) for seed in range(60)), return_exceptions=True)

    found = asyncio.run(ask_and_end())
    assert server.process.wait(TIMEOUT) == 0
    answered = [each for each in found if isinstance(each, httpx.Response)]
    assert {each.status_code for each in answered} <= {200, 429, 503}
    complete = [each for each in answered if each.status_code == 200]
    assert len(complete) > 1
    assert all(each.content[:4] == b"RIFF" for each in complete)
    log = [event for event in server.log() if event.get("path") == "/v1/audio/speech"]
    assert Counter(event["status"] for event in log) == Counter([200, *(each.status_code for each in answered)])


def test_a_checkpoint_that_no_worker_can_load(tmp_path: Path, reference: Path) -> None:
    pytest.importorskip("ray.serve")
    missing = [sys.executable, "-m", "vallecli", "serve", "--port", "0", "--checkpoint", tmp_path / "nothing"]
    ran = subprocess.run(
        [*missing, "--prompt", reference, "--ray", "local"], env=environment(tmp_path), capture_output=True, text=True
    )
    assert ran.returncode == 4, ran.stderr
    assert ran.stdout == ""
