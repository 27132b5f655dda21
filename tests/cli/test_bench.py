"""`valle bench` with a tiny model: the numbers exist and are consistent. Their size is not tested."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from conftest import make_checkpoint

from vallecli.bench import comparison, limits
from vallecli.bench.products import ProductCounter
from vallecli.bench.stages import Bench, Times, Work
from vallecli.checkpoints.registry import BUILT_IN
from vallecli.decoding.linear import Packed
from vallecli.families.valle import native
from vallecli.families.valle.random import SIZES, random_backend, random_checkpoint, random_codec

if TYPE_CHECKING:
    from conftest import Valle

WORK = ["--frames", "12", "--prompt-frames", "9", "--phonemes", "5", "--threads", "1"]
PARTS = ["prefill_ms", "step_ms", "step_ms_at_end", "nar_ms", "codec_ms", "watermark_ms"]
TIMES = [*PARTS, "real_time_factor", "time_to_first_audio"]


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READ_BYTES", 2**16)
    monkeypatch.setitem(limits.WIDTH, "cpu", 64)


@pytest.fixture
def results(valle: Valle, tiny_checkpoint: Path) -> Callable[..., list[dict[str, Any]]]:
    """Return what --json prints for the tiny model, by line."""

    def run(*options: str | Path) -> list[dict[str, Any]]:
        ran = valle("bench", "--checkpoint", tiny_checkpoint, "--device", "cpu", *WORK, "--json", *options)
        assert (ran.code, ran.err) == (0, "")
        return [json.loads(line) for line in ran.out.splitlines()]

    return run


@pytest.fixture
def measured(results: Callable[..., list[dict[str, Any]]]) -> Callable[..., dict[str, Any]]:
    """Return the only result."""

    def run(*options: str) -> dict[str, Any]:
        [result] = results(*options)
        return result

    return run


def test_json_has_the_times_of_the_stages_and_their_sum(measured: Callable[..., dict[str, Any]]) -> None:
    report = measured("--batch", "3")
    assert (report["checkpoint"], report["device"], report["dtype"]) == ("tiny", "cpu", "float32")
    assert (report["batch"], report["frames"], report["steps"]) == (3, 12, 12)
    assert all(report[name] > 0 for name in (*TIMES, "peak_memory"))
    each = report["prefill_ms"] + report["nar_ms"] + report["codec_ms"] + report["watermark_ms"]
    whole = (3 * each + 12 * report["step_ms"]) / 1000
    assert report["real_time_factor"] == pytest.approx(whole / (3 * 12 / 75), rel=0.01)
    last = report["nar_ms"] + report["codec_ms"] + report["watermark_ms"]
    first = (3 * report["prefill_ms"] + 12 * report["step_ms"] + last) / 1000
    assert report["time_to_first_audio"] == pytest.approx(first, rel=0.01)
    assert (report["variant"], report["ratio"]) == ("here", 1)


def test_shares_of_the_limits_follow_from_the_times(
    measured: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "read_speed", lambda device, *, alone: 5e9)
    monkeypatch.setattr(limits, "product_speed", lambda device, dtype, *, short: 7e9)
    report = measured()
    assert (report["read_limit_gb_per_s"], report["product_limit_gflop_per_s"]) == (5, 7)
    read = report["bytes_per_step"] / (report["step_ms"] / 1000)
    assert report["step_share"] == pytest.approx(read / 5e9, rel=0.01)
    computed = report["nar_gflop"] / (report["nar_ms"] / 1000)
    assert report["nar_share"] == pytest.approx(computed / 7, rel=0.01)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_products_of_the_nar_are_counted(measured: Callable[..., dict[str, Any]], dtype: str) -> None:
    rows, speech, width = 5 + 9 + 12, 12, 32
    layer = 12 * width**2  # weights of the matrices of a layer
    last = 3 * width**2  # of its keys, values and queries, for all rows; the others only for the speech
    products = rows * (layer + last) + speech * (layer - last) + speech * width * 1024
    attention = 2 * (rows * rows + speech * rows) * width
    assert measured("--dtype", dtype)["nar_gflop"] == pytest.approx(7 * 2 * (products + attention) / 1e9, rel=1e-3)


def test_a_counter_stops_at_its_end() -> None:
    layer = torch.nn.Linear(3, 5)
    with ProductCounter([layer]) as counter:
        layer(torch.zeros(2, 3))
        assert (counter.take(), counter.take()) == (2 * 2 * 3 * 5, 0)
    layer(torch.zeros(2, 3))
    assert counter.take() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int8])
def test_limits_are_measured_in_every_precision(dtype: torch.dtype) -> None:
    device = torch.device("cpu")
    assert limits.product_speed(device, dtype, short=True) > 0
    assert limits.read_speed(device, alone=True) > 0


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


def test_the_baseline_is_measured_with_a_cache_and_without(results: Callable[..., list[dict[str, Any]]]) -> None:
    here, cached, plain = results("--baseline", "--batch", "2", "--dtype", "bfloat16")
    assert [each["variant"] for each in (here, cached, plain)] == ["here", "baseline", "baseline, no cache"]
    assert [each["dtype"] for each in (here, cached, plain)] == ["bfloat16", "float32", "float32"]
    assert (here["batch"], cached["batch"]) == (2, 1)
    assert all(cached[name] > 0 for name in TIMES)
    assert plain["prefill_ms"] == 0
    assert [plain[name] for name in ("nar_ms", "codec_ms")] == [cached[name] for name in ("nar_ms", "codec_ms")]
    assert plain["ratio"] == pytest.approx(plain["real_time_factor"] / here["real_time_factor"], rel=0.01)


def test_the_baseline_does_not_pack(tiny_checkpoint: Path) -> None:
    with limits.torch_products():
        backend = comparison.load(comparison.Subject(checkpoint=str(tiny_checkpoint), device="cpu", dtype="float32"))
    assert not any(isinstance(part, Packed) for module in backend.modules for part in module.modules())


def test_precisions_and_checkpoints_are_compared_in_turn(
    results: Callable[..., list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[int, torch.dtype]] = []
    prefills = iter(range(1, 100))

    def run(self: Bench) -> Times:
        ran.append((self.backend.limits.max_prompt_frames, self.backend.dtype))
        self.products = {"nar": 1}
        given = {"step_ms": 1, "step_ms_at_end": 1, "codec_ms": 1, "watermark_ms": 1, "finish_ms": {"nar": 1}}
        return Times(prefill_ms=next(prefills) ** 2, **given)

    monkeypatch.setattr(Bench, "run", run)
    other = make_checkpoint(tmp_path / "other", max_prompt_frames=70)
    found = results("--checkpoint", other, "--dtype", "float32", "--dtype", "int8", "--runs", "3")
    assert ran == [(75, torch.float32), (75, torch.int8), (70, torch.float32), (70, torch.int8)] * 3
    assert [each["dtype"] for each in found] == ["float32", "int8"] * 2
    assert [each["prefill_ms"] for each in found] == [5**2, 6**2, 7**2, 8**2]  # of runs 1, 5 and 9, and so on
    assert [each["peak_memory"] for each in found] == [None] * 4
    assert found[3]["ratio"] == pytest.approx(found[3]["real_time_factor"] / found[0]["real_time_factor"], rel=0.01)


def test_one_result_is_names_and_values_and_several_are_rows(
    valle: Valle, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["bench", "--checkpoint", tiny_checkpoint, "--device", "cpu", *WORK]
    lines = dict(line.split("\t") for line in valle(*given).out.decode().splitlines())
    assert lines["checkpoint"] == "tiny"
    assert {*TIMES, "step_share", "nar_share", "read_limit_gb_per_s"} < lines.keys()
    header, *rows = [line.split("\t") for line in valle(*given, "--baseline").out.decode().splitlines()]
    assert {"dtype", "variant", "step_ms", "nar_ms", "step_share", "ratio"} < set(header)
    assert [row[header.index("variant")] for row in rows] == ["here", "baseline", "baseline, no cache"]
    assert {len(row) for row in rows} == {len(header)}
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    table = valle(*given, "-q").out.decode()
    assert "\t" not in table
    assert all(word in table for word in ("here", "step_ms", "nar_share"))


def test_random_weights_need_no_file(valle: Valle) -> None:
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
