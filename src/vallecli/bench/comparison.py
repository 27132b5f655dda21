"""Measuring one model, or several in turn, beside the limits of the machine and the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from vallecli import device as devices
from vallecli.bench import limits
from vallecli.bench.limits import torch_products
from vallecli.bench.stages import Bench, Report, Times, Work, rounded
from vallecli.decoding.linear import is_short
from vallecli.errors import UsageError
from vallecli.families.base import Backend
from vallecli.families.catalog import sizes
from vallecli.families.causal import CausalBackend
from vallecli.synthesizer import Synthesizer

GIGA = 10**9


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


def measure(
    subjects: Sequence[Subject], work: Work, *, runs: int, baseline: bool, report: Report
) -> list[dict[str, Any]]:
    """Return what `valle bench --json` prints: one result for each subject, then those of the baselines.

    All subjects are loaded, then measured in turn, `runs` times; times are medians. Each result has its real-time
    factor relative to the first one. Raises UsageError for more frames than a model generates for the text.
    """
    benches = [Bench(load(subject), work, report) for subject in subjects]
    times: list[list[Times]] = [[] for _ in benches]
    for _ in range(runs):
        for bench, done in zip(benches, times, strict=True):
            done.append(bench.run())
    memory = limits.peak_memory(benches[0].backend.device) if len(benches) == 1 else None
    results = [_result(bench, Times.median(done), memory) for bench, done in zip(benches, times, strict=True)]
    del benches, bench
    if baseline:
        results += _baselines(replace(subjects[0], dtype="float32"), replace(work, batch=1), report)
    first = results[0]["real_time_factor"]
    return [{**result, "ratio": rounded(result["real_time_factor"] / first)} for result in results]


def _result(bench: Bench, times: Times, memory: int | None) -> dict[str, Any]:
    """Return the times of a model, and their shares of the machine's limits. `memory` is the peak of one model."""
    backend = bench.backend
    bench.report("limits")
    read, read_speed = bench.bytes_per_step(), limits.read_speed(backend.device, alone=bench.alone)
    short = all(map(is_short, backend.modules))
    product_speed = limits.product_speed(backend.device, backend.dtype, short=short)
    shares = {
        f"{name}_share": rounded(bench.products[name] / (ms / 1000) / product_speed)
        for name, ms in times.finish_ms.items()
    }
    return {
        **_head(bench, "here"),
        **bench.summary(times),
        "peak_memory": memory,
        "bytes_per_step": read,
        "read_limit_gb_per_s": rounded(read_speed / GIGA),
        "step_share": rounded(read / (times.step_ms / 1000) / read_speed),
        **{f"{name}_gflop": rounded(count / GIGA) for name, count in bench.products.items()},
        "product_limit_gflop_per_s": rounded(product_speed / GIGA),
        **shares,
    }


def _baselines(subject: Subject, work: Work, report: Report) -> list[dict[str, Any]]:
    """Return the results of the way of the published code, with a KV cache and without.

    That is float32, weights that are not packed, one request, and the matrix products that torch itself chooses.
    """
    with torch_products():
        bench = Bench(load(subject), work, report)
        cached = bench.run()
        return [
            {**_head(bench, "baseline"), **bench.summary(cached)},
            {**_head(bench, "baseline, no cache"), **bench.summary(bench.without_cache(cached))},
        ]


def _head(bench: Bench, variant: str) -> dict[str, Any]:
    backend = bench.backend
    return {
        "checkpoint": backend.name,
        "device": str(backend.device),
        "dtype": str(backend.dtype).removeprefix("torch."),
        "variant": variant,
        "threads": torch.get_num_threads(),
        **asdict(bench.work),
    }
