"""`valle batch --ray`, on a cluster of two workers on this machine: pytest -m ray."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

import vallecli
import vallecli.errors
from vallecli.audio import prompt
from vallecli.errors import DeviceError, ExtraMissing
from vallecli.jobs.cluster import connect
from vallecli.jobs.engine import Job, JobResult
from vallecli.synthesizer import Synthesizer
from vallecli.voices import library
from vallecli.voices.names import folder

if TYPE_CHECKING:
    from conftest import Valle


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ExtraMissing) as caught, connect("local", workers=1, gpus=0, report=print):
        pass
    assert "a Ray cluster needs packages that are not installed" in caught.value.message
    assert 'pip install "vallecli[ray]"' in caught.value.hint
    assert caught.value.exit_code == 7


def test_a_cluster_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: Any) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with (
        pytest.raises(DeviceError, match="no Ray cluster at local: The current node timed out"),
        connect("local", workers=1, gpus=0, report=print),
    ):
        pass


@pytest.mark.loopback
@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "127.0.0.1:99999"])
def test_an_address_where_nothing_listens(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())  # it would try for minutes
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = address.format(port=server.getsockname()[1])
    with pytest.raises(DeviceError, match="no Ray cluster at"), connect(address, workers=1, gpus=0, report=print):
        pass


@pytest.mark.ray
def test_a_killed_worker_loses_no_row(tiny_checkpoint: Path, reference: Path, valle: Valle) -> None:
    pytest.importorskip("ray")
    shutil.copy(reference, "ref.wav")
    rows = [{"id": f"long{n}", "text": "One is here. " * 60} for n in range(4)]
    rows += [{"id": f"quick{n}", "text": "Hello."} for n in range(4)] + [{"id": "zh", "text": "Hi.", "language": "zh"}]
    lines = [json.dumps({"prompt": "ref.wav", "max_seconds": 0.05, **row}) for row in rows]
    Path("jobs.jsonl").write_text("\n".join(lines))
    common = ["batch", "jobs.jsonl", "--checkpoint", str(tiny_checkpoint), "--slots", "2"]
    source = str(Path(vallecli.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "vallecli", *common, "--out-dir", "cluster", "--ray", "local", "--workers", "2"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as running:
        assert running.stderr is not None
        workers = [re.search(r"worker (\d+) on", line) for line in islice(running.stderr, 2)]
        assert workers[0] is not None
        os.kill(int(workers[0][1]), signal.SIGKILL)
        messages = running.stderr.read()
        assert running.stdout is not None
        assert running.stdout.read() == "cluster/results.jsonl\n"  # and none of Ray's messages
    assert running.returncode == 6, messages
    assert "does not know the language 'zh'" in messages
    valle(*common, "--out-dir", "here")
    here, there = (
        {record["id"]: record["sha256"] for record in map(json.loads, Path(name).read_text().splitlines())}
        for name in ("here/results.jsonl", "cluster/results.jsonl")
    )
    assert there == here
    assert sum(digest is not None for digest in there.values()) == 8
    ran = valle(*common, "--out-dir", "cluster", "--json")
    assert json.loads(ran.out)["done_before"] == 8


@pytest.mark.ray
def test_voices_of_the_library_are_spoken_by_workers(
    tiny_checkpoint: Path, reference: Path, valle: Valle, own_folder: Path
) -> None:
    pytest.importorskip("ray")
    assert valle("voices", "add", "anna", reference, "-q").code == 0
    noisy_N, rate = soundfile.read(reference)
    soundfile.write("bob.wav", noisy_N[::-1], rate)
    assert valle("voices", "add", "bob", "bob.wav", "-q").code == 0
    rows = [{"id": f"{name}{n}", "text": f"{n} is here.", "voice": name} for name in ("anna", "bob") for n in range(3)]
    rows += [{"id": "file", "text": "Hello.", "prompt": str(reference)}, {"id": "none", "text": "Hi.", "voice": "carl"}]
    Path("jobs.jsonl").write_text("".join(json.dumps({"max_seconds": 0.05, **row}) + "\n" for row in rows))
    common = ["batch", "jobs.jsonl", "--checkpoint", str(tiny_checkpoint), "--slots", "2"]
    source = str(Path(vallecli.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "vallecli", *common, "--out-dir", "cluster", "--ray", "local", "--workers", "2"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 6, ran.stderr
    assert "there is no voice carl" in ran.stderr
    assert ran.stderr.count("no consent is on record for the voice anna, bob") == 1
    assert valle(*common, "--out-dir", "here").code == 6
    here, there = (
        {record["id"]: (record["sha256"], record["fingerprint"]) for record in map(json.loads, lines)}
        for lines in (Path(name, "results.jsonl").read_text().splitlines() for name in ("here", "cluster"))
    )
    assert there == here
    assert [name for name, (digest, _) in sorted(there.items()) if digest is None] == ["none"]
    assert len({digest for digest, _ in there.values()}) == len(rows)
    again = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
    assert json.loads(again.stdout)["done_before"] == 7


def test_a_voice_of_the_library_is_made_on_a_machine_without_it(tiny_checkpoint: Path, reference: Path) -> None:
    anna = library.add("anna", prompt.load(reference))
    sent = pickle.dumps(anna.with_recording())
    expected = Synthesizer.load(tiny_checkpoint).voice(anna)
    library.remove("anna")
    made = Synthesizer.load(tiny_checkpoint).voice(pickle.loads(sent))
    np.testing.assert_array_equal(made.codes_PQ, expected.codes_PQ)
    assert not folder().joinpath("anna").exists()


class CrashingEngine:
    """An engine that kills its process at the text "crash"."""

    description, sampling, sample_rate, frame_rate = "crashing", None, 24_000, 75.0
    choice = None

    def voice(self, *source: Any, **options: Any) -> str:
        return "voice"

    def speak_many(self, jobs: Iterable[Job], *, slots: int) -> Iterator[JobResult]:
        for job in jobs:
            if job.text == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            yield JobResult(job.key, ())


class MissingEngine:
    def __init__(self) -> None:
        raise vallecli.errors.MissingCheckpoint("nemo")


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_a_job_that_kills_its_workers_fails_alone_and_errors_of_loading_are_raised() -> None:
    pytest.importorskip("ray")
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import the tests
    texts = ["one", "two", "crash", "three", "four"]
    with connect("local", workers=2, gpus=0, report=lambda line: None) as engine_of:
        engine = engine_of(CrashingEngine)
        voice = engine.voice(None, None, name="", transcribe=False)  # type: ignore[arg-type]
        jobs = [
            Job(key=t, text=t, voice=voice, sampling=None, choice=None, language="auto", accent=None) for t in texts
        ]
        errors = {result.key: result.error for result in engine.speak_many(jobs, slots=5)}
        assert errors.keys() == set(texts)
        assert [key for key, error in errors.items() if error is not None] == ["crash"]
        assert errors["crash"] is not None
        assert errors["crash"].code == "WorkerLost"
        with pytest.raises(vallecli.errors.CheckpointError, match="nemo is not on this machine"):
            engine_of(MissingEngine)  # type: ignore[arg-type]
