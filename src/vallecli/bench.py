"""The time of each stage, and the share of the memory bandwidth that a decode step reaches: `valle bench`.

The work is noise of a given size: random text, a random prompt, and no EOS before the frames are complete. The weights
may be random as well, of a published size, so that no file is needed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from vallecli import device as devices
from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.linear import weight_bytes
from vallecli.decoding.request import CausalOutput, StopReason
from vallecli.errors import UsageError
from vallecli.families.base import Backend, Generated, Request
from vallecli.families.catalog import sizes
from vallecli.families.causal import CausalBackend, codes_to_int16
from vallecli.marking import perth
from vallecli.synthesizer import Synthesizer

COPY_BYTES = 2**28  # copied to measure the memory bandwidth: more than any cache holds
LENGTHS = 5  # lengths of speech at which a step without a cache is measured
WARM_UP = 8  # frames or steps
LAST = 16  # steps at the end of the frames, whose time is reported separately


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is measured: requests that are decoded together, and their sizes."""

    batch: int
    phonemes: int
    """Text ids of a request, including the prompt's."""
    prompt_frames: int
    frames: int
    steps: int
    """Decode steps over which the time of a step is averaged."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds per request of each stage; a step is one of all requests together."""

    prefill_ms: float
    step_ms: float
    step_ms_at_end: float
    """Of the steps up to the last frame: steps get slower."""
    finish_ms: Mapping[str, float]
    """Of the models behind the autoregressive one, by name: "nar", or "coarse" and "fine"."""
    codec_ms: float
    watermark_ms: float


Report = Callable[[str], object]  # receives the name of the current stage


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured: a checkpoint with its loader options, or random weights of a published size."""

    checkpoint: str
    options: Mapping[str, Any] = field(default_factory=dict)
    random_size: str | None = None
    device: str = "auto"
    dtype: str = "auto"


def load(subject: Subject) -> CausalBackend:
    """Return the backend of a subject. Raises the errors of loading."""
    size, device = subject.random_size, subject.device
    if size is None:
        checkpoint, dtype = subject.checkpoint, subject.dtype
        backend: Backend = Synthesizer.load(checkpoint, device=device, dtype=dtype, options=subject.options).backend
    else:
        known = sizes()
        if size not in known:
            raise UsageError(f"there is no size {size!r}", f"Possible sizes: {', '.join(known)}.")
        backend = known[size].random(size, device=devices.pick(device), dtype=subject.dtype)
    if not isinstance(backend, CausalBackend):
        raise UsageError(f"{backend.name} has no autoregressive model", "Choose another checkpoint.")
    return backend


def measure(subject: Subject, work: Work, *, baseline: bool, report: Report) -> dict[str, Any]:
    """Return the output of `valle bench --json`: sizes in bytes, times in seconds except for `_ms`.

    The baseline is float32, one request, no cache, and the matrix products that torch itself chooses. Raises
    UsageError for more frames than the model generates for the text.
    """
    backend = load(subject)
    bench = Bench(backend, work, report)
    times = bench.run()
    read, peak = bench.bytes_per_step(), peak_memory(backend.device)
    report("memory")
    bandwidth = copy_bandwidth(backend.device)
    result: dict[str, Any] = {
        "checkpoint": backend.name,
        "device": str(backend.device),
        "dtype": str(backend.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        **asdict(work),
        **bench.summary(times),
        "peak_memory": peak,
        "bytes_per_step": read,
        "copy_bandwidth": round(bandwidth),
        "bandwidth_share": _rounded(read / (times.step_ms / 1000) / bandwidth),
    }
    if baseline:
        del bench, backend
        with torch_products():
            backend = load(replace(subject, dtype="float32"))
            plain = Bench(backend, replace(work, batch=1), report)
            result["baseline"] = plain.summary(plain.run_baseline())
        result["speedup"] = _rounded(result["baseline"]["real_time_factor"] / result["real_time_factor"])
    return result


class Bench:
    """A backend and the work that it is measured with."""

    def __init__(self, backend: CausalBackend, work: Work, report: Report) -> None:
        """Raise UsageError for more frames than the model generates for the text."""
        self.backend, self.work, self.report = backend, work, report
        grid = backend.grid
        generator = torch.Generator().manual_seed(0)
        self.requests: list[Request] = []
        for index in range(work.batch):
            tokens = backend.random_tokens(work.phonemes, generator)
            length = work.prompt_frames + work.frames
            codes_AQ = torch.randint(0, grid.codebook_size, (length, grid.codebooks), generator=generator)
            voice = backend.random_voice(codes_AQ[: work.prompt_frames], generator)
            self.codes_TQ = codes_AQ[work.prompt_frames :].to(backend.device)
            self.requests.append(
                Request(
                    text="",
                    tokens=tokens,
                    voice=voice,
                    sampling=replace(backend.sampling, min_frames=work.steps + 1, max_frames=work.steps + 1),
                    index=index,
                    sentences=work.batch,
                    first=True,
                )
            )
        limit = backend.causal_request(self.requests[0]).max_frames
        if max(work.frames, work.steps) > limit:
            raise UsageError(
                f"for {work.phonemes} phonemes, {backend.name} generates at most {limit} frames",
                "Use more phonemes or fewer frames.",
            )

    @property
    def seconds(self) -> float:
        """Return the duration of each utterance."""
        return self.work.frames / self.backend.step_rate

    def run(self) -> Times:
        """Measure the stages of `Backend.generate` and `Backend.decode`, and the watermark."""
        with torch.inference_mode(), self.backend.batcher(self.work.batch) as batcher:
            self.report("warming up")
            self._prefill(batcher, self.requests)
            self._step(batcher, self.work.steps if batcher.every > 1 else min(WARM_UP, self.work.steps))
            self._free(batcher)
            self.report("AR, prefill")
            prefill_ms = self._timed(lambda: self._prefill(batcher, self.requests))
            self.report(f"AR, {self.work.steps} steps")
            step_ms = self._step(batcher, self.work.steps)
            self._free(batcher)
            at_end_ms = self._at_end(batcher)
        group = self.requests[: self.backend.group(self.work.batch)]
        return Times(
            prefill_ms=prefill_ms / self.work.batch,
            step_ms=step_ms,
            step_ms_at_end=at_end_ms,
            finish_ms=self._finish(group),
            codec_ms=self._codec(),
            watermark_ms=self._watermark(),
        )

    @torch.inference_mode()
    def run_baseline(self) -> Times:
        """Measure one request without a cache: each step is a pass over the whole sequence, at some lengths."""
        self.report("baseline: AR")
        request, frames = self.requests[0], self.work.frames
        codes_T = self.codes_TQ[:, 0]

        def step(length: int) -> None:
            self.backend.uncached_logits(request, codes_T[:length])

        step(0)
        middles = [frames * (2 * part + 1) // (2 * LENGTHS) for part in range(LENGTHS)]
        step_ms = sum(self._timed(partial(step, length)) for length in middles) / LENGTHS
        at_end_ms = self._timed(partial(step, frames))
        finish_ms = self._finish([request])
        return Times(
            prefill_ms=0.0,
            step_ms=step_ms,
            step_ms_at_end=at_end_ms,
            finish_ms=finish_ms,
            codec_ms=self._codec(),
            watermark_ms=self._watermark(),
        )

    def _prefill(self, batcher: ContinuousBatcher, requests: list[Request]) -> None:
        for row, request in enumerate(requests):
            batcher.prefill(row, self.backend.causal_request(request))
        batcher.poll()

    def _free(self, batcher: ContinuousBatcher) -> None:
        for row in range(batcher.rows):
            batcher.free(row)

    def _step(self, batcher: ContinuousBatcher, steps: int) -> float:
        """Return the milliseconds of a step, over that many steps."""
        polls = -(-steps // batcher.every)

        def take() -> None:
            for _ in range(polls):
                batcher.step()
                batcher.poll()

        return self._timed(take) / polls / batcher.every

    def _at_end(self, batcher: ContinuousBatcher) -> float:
        """Return the milliseconds of a step when all but the last frames are there, as if part of the prompt."""
        last = min(LAST, self.work.frames)
        done_TQ = codes_to_int16(self.codes_TQ[: self.work.frames - last])
        requests = [
            replace(
                request,
                voice=replace(request.voice, codes_PQ=np.concatenate([request.voice.codes_PQ, done_TQ])),
                sampling=replace(request.sampling, min_frames=last + 1, max_frames=last + 1),
            )
            for request in self.requests
        ]
        self.report(f"AR, {last} steps at the end")
        for _ in range(2):  # the first time warms up
            self._prefill(batcher, requests)
            step_ms = self._step(batcher, last)
            self._free(batcher)
        return step_ms

    @torch.inference_mode()
    def _finish(self, requests: list[Request]) -> dict[str, float]:
        """Return the milliseconds per request of each model behind the autoregressive one."""
        self.report("the other models")
        frames = self.work.frames if self.backend.device.type == "cuda" else min(WARM_UP, self.work.frames)

        def finishing(length: int) -> Iterator[str]:
            output = CausalOutput(self.codes_TQ[:length, 0], StopReason.MAX_FRAMES, 0.0)
            return (name for name, _ in self.backend.finishing([(request, output) for request in requests]))

        for _ in finishing(frames):
            pass
        times = {}
        self._wait()
        started = time.perf_counter()
        for name in finishing(self.work.frames):
            self._wait()
            ended = time.perf_counter()
            times[name] = 1000 * (ended - started) / len(requests)
            started = ended
        return times

    def _codec(self) -> float:
        self.report("codec")
        frames = round(self.seconds * self.backend.grid.frame_rate)
        places = torch.arange(frames, device=self.codes_TQ.device) % len(self.codes_TQ)
        generated, voice = Generated(self.codes_TQ[places], "max_frames", None), self.requests[0].voice
        self.backend.decode(generated, voice)
        return self._timed(lambda: self.backend.decode(generated, voice))

    def _watermark(self) -> float:
        self.report("watermark")
        rate = self.backend.grid.sample_rate
        samples = round(self.seconds * rate)
        wav_N = np.random.default_rng(0).uniform(-0.1, 0.1, samples).astype(np.float32)
        marker = perth.marker(self.backend.device)
        marker.mark(wav_N, rate)
        return self._timed(lambda: marker.mark(wav_N, rate))

    def _timed(self, stage: Callable[[], object]) -> float:
        """Return the milliseconds of a stage, including work that it leaves to the device."""
        self._wait()
        started = time.perf_counter()
        stage()
        self._wait()
        return 1000 * (time.perf_counter() - started)

    def _wait(self) -> None:
        if self.backend.device.type == "cuda":
            torch.cuda.synchronize(self.backend.device)

    def summary(self, times: Times) -> dict[str, Any]:
        """Return the times, and what follows from them for all of the work."""
        batch, group = self.work.batch, self.backend.group(self.work.batch)
        steps_ms = batch * times.prefill_ms + self.work.frames * times.step_ms
        finish_ms = sum(times.finish_ms.values())
        total_ms = steps_ms + batch * (finish_ms + times.codec_ms + times.watermark_ms)
        first_ms = steps_ms + group * finish_ms + times.codec_ms + times.watermark_ms
        parts = {
            "prefill_ms": times.prefill_ms,
            "step_ms": times.step_ms,
            "step_ms_at_end": times.step_ms_at_end,
            **{f"{name}_ms": value for name, value in times.finish_ms.items()},
            "codec_ms": times.codec_ms,
            "watermark_ms": times.watermark_ms,
        }
        return {
            **{name: _rounded(value) for name, value in parts.items()},
            "real_time_factor": _rounded(total_ms / 1000 / (batch * self.seconds)),
            "time_to_first_audio": _rounded(first_ms / 1000),
        }

    def bytes_per_step(self) -> int:
        """Return the bytes that a decode step reads: its weights, and the cache as it is halfway through the steps."""
        work = self.work
        weights = sum(weight_bytes(module) for module in self.backend.step_modules)
        positions = work.phonemes + work.prompt_frames + work.steps // 2
        cache = self.backend.causal.new_cache(0, block=1)
        position = 2 * cache.shape.heads * cache.shape.head_width * cache.layers[0].entries.element_size()
        return weights + work.batch * positions * position * cache.shape.layers


@contextmanager
def torch_products() -> Iterator[None]:
    """Use the matrix products that torch itself chooses; see decoding.linear.product."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # a property of the module
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def copy_bandwidth(device: torch.device) -> float:
    """Return the bytes per second that the memory reads and writes when it only copies."""
    source = torch.zeros(COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * COPY_BYTES / best


def peak_memory(device: torch.device) -> int | None:
    """Return the peak memory so far in bytes, of the GPU or of this process; None if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")  # significant digits, not decimals: GPUs are fast
