"""`valle bench` with a tiny model: the numbers exist and are consistent. Their size is not tested."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from vallecli import bench
from vallecli.bench import Bench, Times, Work
from vallecli.checkpoints.registry import BUILT_IN
from vallecli.families.valle import native
from vallecli.families.valle.random import SIZES, random_backend, random_checkpoint, random_codec

if TYPE_CHECKING:
    from conftest import Valle

WORK = ["--frames", "12", "--prompt-frames", "9", "--phonemes", "5", "--threads", "1"]
PARTS = ["prefill_ms", "step_ms", "step_ms_at_end", "nar_ms", "codec_ms", "watermark_ms"]
TIMES = [*PARTS, "real_time_factor", "time_to_first_audio"]


@pytest.fixture
def measured(valle: Valle, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return what --json prints for the tiny model."""
    monkeypatch.setattr(bench, "COPY_BYTES", 2**16)

    def run(*options: str) -> dict[str, Any]:
        ran = valle("bench", "--checkpoint", tiny_checkpoint, "--device", "cpu", *WORK, "--json", *options)
        assert (ran.code, ran.err) == (0, "")
        return json.loads(ran.out)

    return run


def test_json_has_the_times_of_the_stages_and_their_sum(measured: Callable[..., dict[str, Any]]) -> None:
    report = measured("--batch", "3")
    assert (report["checkpoint"], report["device"], report["dtype"]) == ("tiny", "cpu", "float32")
    assert (report["batch"], report["frames"], report["steps"]) == (3, 12, 12)
    assert all(report[name] > 0 for name in (*TIMES, "peak_memory", "copy_bandwidth", "bandwidth_share"))
    each = report["prefill_ms"] + report["nar_ms"] + report["codec_ms"] + report["watermark_ms"]
    whole = (3 * each + 12 * report["step_ms"]) / 1000
    assert report["real_time_factor"] == pytest.approx(whole / (3 * 12 / 75), rel=0.01)
    last = report["nar_ms"] + report["codec_ms"] + report["watermark_ms"]
    first = (3 * report["prefill_ms"] + 12 * report["step_ms"] + last) / 1000
    assert report["time_to_first_audio"] == pytest.approx(first, rel=0.01)
    share = report["bytes_per_step"] / (report["step_ms"] / 1000) / report["copy_bandwidth"]
    assert report["bandwidth_share"] == pytest.approx(share, rel=0.01)
    assert "baseline" not in report


def test_bytes_per_step(measured: Callable[..., dict[str, Any]]) -> None:
    one, two = (measured("--batch", batch)["bytes_per_step"] for batch in ("1", "2"))
    positions = 5 + 9 + 12 // 2
    cache = 2 * 32 * 4 * positions * 2  # keys and values, width, bytes, layers
    layer = 4 * 32 + (32 + 1) * 96 + (32 + 1) * 32 + (32 + 1) * 128 + (128 + 1) * 32
    assert two - one == cache
    assert one == cache + 4 * (2 * layer + 2 * 32 + 1025 * 32)
    half = measured("--dtype", "bfloat16")["bytes_per_step"]
    assert 2 * half == one
    assert half < 0.6 * one
    assert measured("--dtype", "int8")["bytes_per_step"] < one


def test_fewer_steps(measured: Callable[..., dict[str, Any]]) -> None:
    assert measured("--steps", "3")["steps"] == 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_baseline_is_measured_in_the_same_run(measured: Callable[..., dict[str, Any]], dtype: str) -> None:
    report = measured("--baseline", "--batch", "2", "--dtype", dtype)
    plain = report["baseline"]
    assert plain["prefill_ms"] == 0  # there is no cache
    assert all(plain[name] > 0 for name in TIMES[1:])
    assert report["speedup"] == pytest.approx(plain["real_time_factor"] / report["real_time_factor"], rel=0.01)


def test_lines_in_a_pipe_and_a_table_on_a_terminal(
    valle: Valle, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "COPY_BYTES", 2**16)
    given = ["bench", "--checkpoint", tiny_checkpoint, "--device", "cpu", *WORK, "--baseline"]
    ran = valle(*given)
    lines = dict(line.split("\t", 1) for line in ran.out.decode().splitlines())
    assert lines["checkpoint"] == "tiny"
    assert set(TIMES) < lines.keys()
    value, plain, ratio = map(float, lines["step_ms"].split("\t"))
    assert ratio == pytest.approx(plain / value, abs=0.01)
    assert "\t" not in lines["prefill_ms"]
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    table = valle(*given, "-q").out.decode()
    assert "\t" not in table
    assert all(word in table for word in ("here", "baseline", "ratio", "step_ms"))


def test_random_weights_need_no_file(valle: Valle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "COPY_BYTES", 2**16)
    ran = valle("bench", "--random-weights", "nano", "--device", "cpu", *WORK, "--json")
    report = json.loads(ran.out)
    assert (ran.code, report["checkpoint"]) == (0, "random-nano")
    assert report["bytes_per_step"] > 4_000_000


def test_the_full_size_is_that_of_vall_e_x() -> None:
    checkpoint = random_checkpoint("full")
    assert 365_000_000 < checkpoint.parameters < 375_000_000
    config = SIZES["full"]
    assert (config.n_layers, config.d_model, config.n_heads, config.n_languages) == (12, 1024, 16, 3)


def test_the_size_nano_is_that_of_the_built_in_checkpoint() -> None:
    assert SIZES["nano"] == native.load(BUILT_IN["nano"]).model


def test_parameters_do_not_share_memory() -> None:
    model = random_backend("native", "nano", device=torch.device("cpu"), dtype="float32")
    weights = {*model.ar.parameters(), *model.nar.parameters()}
    assert len({weight.untyped_storage().data_ptr() for weight in weights}) == len(weights)


def test_random_codecs_return_audio() -> None:
    for size in SIZES:
        codec = random_codec(size)
        assert codec.decode(torch.zeros(1, 5, 8, dtype=torch.long)).shape == (1, 5 * codec.grid.hop)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--random-weights", "full", "--checkpoint", "nano"], "Leave one of them out"),
        (["--random-weights", "huge"], "nano, full"),
        (["--frames", "1000", "--phonemes", "9"], "at most 150 frames"),
        (["--batch", "0"], "--batch"),
        (["--option", "haeds=16"], "Did you mean heads?"),
        (["--dtype", "float8"], "int8"),
    ],
)
def test_errors(valle: Valle, options: list[str], message: str) -> None:
    ran = valle("bench", *options)
    assert (ran.code, ran.out) == (2, b"")
    assert message in ran.err


def test_the_first_audio_of_a_batch_comes_after_all_prefills() -> None:
    backend = random_backend("native", "nano", device=torch.device("cpu"), dtype="float32")
    work = Work(batch=4, phonemes=50, prompt_frames=9, frames=75, steps=75)
    times = Times(
        prefill_ms=10, step_ms=2, step_ms_at_end=3, finish_ms={"nar": 60, "more": 40}, codec_ms=15, watermark_ms=5
    )
    summary = Bench(backend, work, print).summary(times)
    assert (summary["nar_ms"], summary["more_ms"]) == (60, 40)
    assert summary["time_to_first_audio"] == (4 * 10 + 75 * 2 + 100 + 15 + 5) / 1000
    assert summary["real_time_factor"] == pytest.approx((4 * 130 + 75 * 2) / 1000 / 4, rel=1e-3)
