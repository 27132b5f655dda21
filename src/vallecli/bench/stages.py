"""The time of each stage of generation, for random requests of given sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from statistics import median
from typing import Any, Self

import numpy as np
import torch

from vallecli.bench.products import ProductCounter
from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.linear import weight_bytes
from vallecli.decoding.request import CausalOutput, StopReason
from vallecli.errors import UsageError
from vallecli.families.base import Generated, Request
from vallecli.families.causal import CausalBackend, codes_to_int16
from vallecli.marking import perth

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

    @classmethod
    def median(cls, runs: list[Self]) -> Self:
        """Return the median of each stage over some runs."""
        names = [field.name for field in fields(cls) if field.name != "finish_ms"]
        each = {name: median(getattr(run, name) for run in runs) for name in names}
        finish_ms = {name: median(run.finish_ms[name] for run in runs) for name in runs[0].finish_ms}
        return cls(**each, finish_ms=finish_ms)


Report = Callable[[str], object]  # receives the name of the current stage


class Bench:
    """A backend and the work that it is measured with."""

    def __init__(self, backend: CausalBackend, work: Work, report: Report) -> None:
        """Raise UsageError for more frames than the model generates for the text."""
        self.backend, self.work, self.report = backend, work, report
        self.products: dict[str, int] = {}
        """Floating-point operations of one request's matrix products, by the names of Times.finish_ms."""
        self.alone = False
        """Whether one thread takes the decode steps."""
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
            self.alone = batcher.alone
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
    def without_cache(self, times: Times) -> Times:
        """Return the times of one request when each step is a pass over the whole sequence, at some lengths.

        `times` are those with a cache; the other stages are the same.
        """
        self.report("AR, without a cache")
        request, frames = self.requests[0], self.work.frames
        codes_T = self.codes_TQ[:, 0]

        def step(length: int) -> None:
            self.backend.uncached_logits(request, codes_T[:length])

        step(0)
        middles = [frames * (2 * part + 1) // (2 * LENGTHS) for part in range(LENGTHS)]
        step_ms = sum(self._timed(partial(step, length)) for length in middles) / LENGTHS
        return replace(times, prefill_ms=0.0, step_ms=step_ms, step_ms_at_end=self._timed(partial(step, frames)))

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
        """Return the milliseconds per request of each model behind the autoregressive one; count its products."""
        self.report("the other models")
        if self.backend.device.type == "cpu":
            self._pass(requests, min(WARM_UP, self.work.frames))  # as many as are needed to warm up
            with ProductCounter(self.backend.modules) as counter:
                return self._pass(requests, self.work.frames, counter)
        with ProductCounter(self.backend.modules) as counter:  # not while time is measured: a GPU would wait for it
            self._pass(requests, self.work.frames, counter)
        return self._pass(requests, self.work.frames)

    def _pass(self, requests: list[Request], frames: int, counter: ProductCounter | None = None) -> dict[str, float]:
        """Return the milliseconds per request of each of these models, and store what the counter has counted."""
        output = CausalOutput(self.codes_TQ[:frames, 0], StopReason.MAX_FRAMES, 0.0)
        times = {}
        self._wait()
        started = time.perf_counter()
        for name, _ in self.backend.finishing([(request, output) for request in requests]):
            self._wait()
            ended = time.perf_counter()
            times[name] = 1000 * (ended - started) / len(requests)
            if counter is not None:
                self.products[name] = counter.take() // len(requests)
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
            **{name: rounded(value) for name, value in parts.items()},
            "real_time_factor": rounded(total_ms / 1000 / (batch * self.seconds)),
            "time_to_first_audio": rounded(first_ms / 1000),
        }

    def bytes_per_step(self) -> int:
        """Return the bytes that a decode step reads: its weights, and the cache as it is halfway through the steps."""
        work = self.work
        weights = sum(weight_bytes(module) for module in self.backend.step_modules)
        positions = work.phonemes + work.prompt_frames + work.steps // 2
        cache = self.backend.causal.new_cache(0, block=1)
        position = 2 * cache.shape.heads * cache.shape.head_width * cache.layers[0].entries.element_size()
        return weights + work.batch * positions * position * cache.shape.layers


def rounded(value: float) -> float:
    """Return a value with four significant digits."""
    return float(f"{value:.4g}")  # significant digits, not decimals: GPUs are fast
