"""The two ends of `valle serve --ray` without Ray: what a worker sends, and what the server makes of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi")

from conftest import Valle
from prometheus_client import CollectorRegistry, generate_latest

from vallecli.audio import prompt
from vallecli.errors import TranscriptMissing
from vallecli.server.cluster import ClusterSpeaker, ClusterSpeech, WorkerCollector
from vallecli.server.local import LocalSpeaker
from vallecli.server.logs import Log
from vallecli.server.problems import Problem
from vallecli.server.replica import Audio, Begun, Prompt, Refused, Replica, WorkerState
from vallecli.server.schemas import SpeechRequest
from vallecli.settings import Settings
from vallecli.synthesizer import Synthesizer

REQUEST = {"input": "Red green. Blue.", "response_format": "wav", "seed": 3, "max_seconds": 0.4}


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(tiny_checkpoint)


@pytest.fixture
def replica(tiny: Synthesizer) -> Iterator[Replica]:
    made = Replica(lambda: "one", lambda: tiny, Settings(), slots=4, texts=False, disclose=None)
    yield made
    made.speaker.stop()


@pytest.fixture
def spoken(reference: Path, tiny: Synthesizer) -> Prompt:
    return Prompt("key", prompt.load(reference, sample_rate=tiny.sample_rate), None, "reference.wav")


def request(**values: Any) -> SpeechRequest:
    return SpeechRequest.model_validate({**REQUEST, **values})


async def messages(replica: Replica, asked: SpeechRequest, spoken: Prompt) -> list[Any]:
    return [message async for message in replica.speak(asked, spoken, "client")]


def test_a_worker_sends_the_bytes_of_a_speaker_here(replica: Replica, spoken: Prompt, tiny: Synthesizer) -> None:
    async def here() -> tuple[bytes, float]:
        speaker = LocalSpeaker(tiny, Settings(), Log(texts=False), slots=4)
        speaker.start()
        voice = tiny.voice(spoken.source, None, name="")
        speech = await speaker.speak(request(), voice, "client")
        data = b"".join([chunk async for chunk in speech])
        speaker.stop()
        return data, speech.seconds

    begun, *audio = asyncio.run(messages(replica, request(), spoken))
    assert (begun.seed, begun.sample_rate, begun.sentences) == (3, tiny.sample_rate, 2)
    assert (b"".join(message.data for message in audio), audio[-1].seconds) == asyncio.run(here())
    assert audio[-1].state.sentences == 2


def test_a_voice_is_made_once(replica: Replica, spoken: Prompt, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    voice = replica.speaker.synthesizer.voice
    monkeypatch.setattr(replica.speaker.synthesizer, "voice", lambda *a, **b: made.append(a) or voice(*a, **b))
    for _ in range(2):
        asyncio.run(messages(replica, request(), spoken))
    assert len(made) == 1


def test_errors_arrive_as_the_answers_that_they_are(replica: Replica, spoken: Prompt) -> None:
    [refused] = asyncio.run(messages(replica, request(language="zh"), spoken))
    assert isinstance(refused, Refused)
    assert (refused.problem.status, refused.described) == (400, None)
    assert "zh" in refused.problem.body.message

    def fail() -> None:
        raise ZeroDivisionError("a text")

    replica.speaker.speak = lambda *_: fail()  # type: ignore[method-assign,assignment,func-returns-value]
    [refused] = asyncio.run(messages(replica, request(), spoken))
    assert (refused.problem.status, refused.problem.code) == (500, "internal_error")
    assert refused.described.startswith("ZeroDivisionError in fail")
    assert "a text" not in str(refused)


def test_a_request_that_is_cancelled_frees_its_slots(replica: Replica, spoken: Prompt) -> None:
    async def leave() -> None:
        stream = replica.speak(request(input="Red is one. " * 30, max_seconds=2), spoken, "client")
        assert isinstance(await anext(stream), Begun)
        await stream.aclose()

    asyncio.run(leave())
    asyncio.run(messages(replica, request(), spoken))  # behind the sentences that were in the engine
    while replica.speaker.scheduler.decoding:
        pass
    assert replica.speaker.engine.work.sentences < 30


def test_a_worker_without_an_engine_is_unhealthy(replica: Replica) -> None:
    replica.check_health()
    replica.speaker.stop()
    with pytest.raises(RuntimeError, match="the engine has stopped"):
        replica.check_health()


# The server


class Stream:
    """What Ray Serve returns for a request."""

    def __init__(self, *items: Any) -> None:
        self.items, self.cancelled = list(items), False

    async def __anext__(self) -> Any:
        if not self.items:
            raise StopAsyncIteration
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def cancel(self) -> None:
        self.cancelled = True


def state(worker: str = "one", sentences: int = 0) -> WorkerState:
    return WorkerState(worker, waiting=1, decoding=2, busy_seconds=3.0, audio_seconds=4.0, sentences=sentences)


def server() -> Any:
    return SimpleNamespace(known={}, running=2, log=Log(texts=False))


async def receive(speech: ClusterSpeech) -> bytes:
    await speech.begin()
    return b"".join([data async for data in speech])


def test_the_metrics_are_those_of_each_worker() -> None:
    speaker = server()
    registry = CollectorRegistry()
    registry.register(WorkerCollector(speaker))
    begun = [Begun(state(name), 1, 24_000, 1) for name in ("one", "two")]
    first, second = (ClusterSpeech(speaker, Stream(each, Audio(each.state, b"ab", 2, 0.1))) for each in begun)
    assert asyncio.run(receive(first)) == asyncio.run(receive(second)) == b"ab"
    assert (first.frames, first.seconds, first.sentences) == (2, 0.1, 1)
    first.close()
    first.close()  # more than once does no harm
    text = generate_latest(registry).decode()
    assert "valle_workers 2.0" in text
    for worker, busy in (("one", 0.0), ("two", 1.0)):
        assert f'valle_worker_requests{{worker="{worker}"}} {busy}' in text
        assert f'valle_batch_sentences{{worker="{worker}"}} {2 * busy}' in text
        assert f'valle_busy_seconds_total{{worker="{worker}"}} 3.0' in text


def test_a_worker_that_is_lost_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    speaker = server()
    stream = Stream(Begun(state(), 1, 24_000, 1), RuntimeError("The actor died, with a text."))
    speech = ClusterSpeech(speaker, stream)
    with pytest.raises(Problem) as caught:
        asyncio.run(receive(speech))
    assert (caught.value.status, caught.value.code) == (503, "worker_lost")
    assert "retry-after" in {name.lower() for name in caught.value.headers}
    speech.close()
    assert stream.cancelled
    assert "a text" not in capsys.readouterr().err


def test_a_refusal_is_the_answer() -> None:
    refused = Refused(state(), 400, "No.", "invalid_value", "input", {}, None)
    with pytest.raises(Problem, match="No") as caught:
        asyncio.run(receive(ClusterSpeech(server(), Stream(refused))))
    assert (caught.value.status, caught.value.body.param) == (400, "input")


def test_a_prompt_without_the_transcript_that_is_needed(reference: Path) -> None:
    prepared = prompt.load(reference)
    needs = SimpleNamespace(needs_transcript=True)
    with pytest.raises(TranscriptMissing):
        ClusterSpeaker.voice(needs, prepared, None, name="ref.wav")  # type: ignore[arg-type]
    given = ClusterSpeaker.voice(needs, prepared, "One.", name="ref.wav")  # type: ignore[arg-type]
    other = ClusterSpeaker.voice(needs, prepared, "Two.", name="ref.wav")  # type: ignore[arg-type]
    assert given.key != other.key


# The command


def test_without_ray_the_extra_is_named(valle: Valle, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = valle("serve", "--checkpoint", tiny_checkpoint, "--ray", "local")
    assert ran.code == 7
    assert 'pip install "vallecli[ray]"' in ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", "2"), "are for --ray"),
        (("--max-workers", "2"), "are for --ray"),
        (("--gpus-per-worker", "0.5"), "are for --ray"),
        (("--ray", "local", "--workers", "3", "--max-workers", "2"), "is less than --workers 3"),
        (("--ray", "local", "--host", "0.0.0.0"), "needs an API key"),
    ],
)
def test_options_that_contradict_each_other(
    valle: Valle, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.delenv("VALLE_API_KEY", raising=False)
    monkeypatch.setattr("vallecli.jobs.cluster.import_ray", lambda *_, **__: None)
    ran = valle("serve", "--checkpoint", tiny_checkpoint, *options)
    assert ran.code == 2
    assert message in ran.err
