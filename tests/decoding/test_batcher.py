"""A request in a batch gets the same codes as alone: sampled or greedy, whatever the other rows, captured or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from tape import TapeCapture
from torch import Tensor

from vallecli.decoding import engine, linear
from vallecli.decoding.batcher import INITIAL_FRAMES, LANES, ContinuousBatcher
from vallecli.decoding.cache import KVCache
from vallecli.decoding.graphs import GraphBatcher, new_batcher
from vallecli.decoding.request import CausalOutput, CausalRequest, Source, StopReason
from vallecli.decoding.sampling import Sampling
from vallecli.families.valle.ar import AR, Prefix, audio_prefix
from vallecli.families.valle.backend import max_frames
from vallecli.families.valle.config import CODEBOOK_SIZE, EOS, NUM_CODEBOOKS, ModelConfig
from vallecli.families.valle.nar import NAR
from vallecli.families.valle.refine import NarInput, refine, refine_many

SIZES = {"d_model": 32, "n_heads": 2, "n_layers": 2, "nar_d_model": 32, "nar_n_heads": 2, "nar_n_layers": 2}
LAYOUTS: dict[str, dict[str, Any]] = {
    "nano": {"bos": "after_prompt", "guidance": (0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0)},
    "vallex": {"n_languages": 3, "bos": "start"},
    "lifeiteng": {"prefix_mode": 4, "stop": "argmax"},
    "vallf": {"prefix_mode": 0, "stop": "argmax", "cross_attention": True},
}
PROMPT_TOKENS = 2


@dataclass(frozen=True, eq=False)
class Case:
    """A text and a prompt, and how to sample."""

    text_S: Tensor
    prompt_PQ: Tensor
    sampling: Sampling
    languages_S: Tensor | None

    def request(self, config: ModelConfig) -> CausalRequest:
        prefix = Prefix(self.text_S, audio_prefix(config, self.prompt_PQ[:, 0]), self.languages_S)
        return CausalRequest(prefix, self.sampling, max_frames(config, len(self.text_S)))

    def nar_input(self, output: CausalOutput) -> NarInput:
        return NarInput(self.text_S, self.prompt_PQ, output.codes_T, PROMPT_TOKENS, self.languages_S)


Result = tuple[list[list[int]], StopReason]  # codes (T, Q) and why they end


def models(layout: str, device: str = "cpu") -> tuple[AR, NAR]:
    """Return models with random weights; some of their requests end with EOS."""
    torch.manual_seed(0)
    config = ModelConfig(text_vocab=20, **SIZES, **LAYOUTS[layout])
    model = AR(config).eval()
    with torch.no_grad():
        for layer in model.layers:  # so that attention matters in layers that were not trained
            layer.attention.qkv.weight.mul_(4)
            layer.attention.out.weight.mul_(4)
        model.head.weight.mul_(3)
        model.head.weight[EOS] *= 3
    return model.to(device), NAR(config).eval().to(device)


def make_cases(config: ModelConfig, number: int, device: str = "cpu") -> list[Case]:
    """Return cases of different lengths, with different sampling parameters."""
    generator = torch.Generator().manual_seed(number)

    def ids(top: int, *size: int) -> Tensor:
        return torch.randint(0, top, size, generator=generator).to(device)

    samplings = [
        *(Sampling(max_frames=30), Sampling(greedy=True, max_frames=40), Sampling(top_k=8, temperature=0.7)),
        *(Sampling(top_p=0.8, max_frames=9), Sampling(max_frames=1), Sampling(min_frames=12, max_frames=12)),
        *(Sampling(top_n_sigma=1.5, max_frames=20), Sampling(top_n_sigma=2.0, top_k=50, top_p=0.9, max_frames=40)),
        Sampling(temperature=0.3, repetition_window=6, repetition_ratio=0.2, max_frames=40),
        Sampling(top_p=0.3, repetition_window=10, max_frames=40),
    ]
    cases = []
    for index in range(number):
        letters, prompt = int(ids(9, 1)) + 2, int(ids(9, 1)) + 1
        languages_S = ids(3, letters) if config.n_languages else None
        sampling = replace(samplings[index % len(samplings)], seed=index)
        prompt_PQ = ids(CODEBOOK_SIZE, prompt, NUM_CODEBOOKS)
        cases.append(Case(ids(20, letters), prompt_PQ, sampling, languages_S))
    return cases


def alone(model: AR, refiner: NAR, case: Case) -> Result:
    output = engine.decode_one(ContinuousBatcher(model, 1), case.request(model.config))
    options = {"prompt_tokens": PROMPT_TOKENS, "languages_S": case.languages_S}
    codes_TQ = refine(refiner, case.text_S, case.prompt_PQ, output.codes_T, **options)
    return codes_TQ.tolist(), output.stop_reason


def together(batcher: ContinuousBatcher, refiner: NAR, cases: Iterable[Case], *, group: int = 1) -> dict[int, Result]:
    config = batcher.model.config

    def finish(outputs: list[tuple[tuple[int, Case], CausalOutput]]) -> list[Tensor]:
        return refine_many(refiner, [case.nar_input(output) for (_, case), output in outputs])

    requests = (((number, case), case.request(config)) for number, case in enumerate(cases))
    outputs = engine.decode(batcher, requests)
    done = engine.finish_in_groups(outputs, finish, group=group, helpers=0, ahead=batcher.rows)
    return {number: (codes_TQ.tolist(), output.stop_reason) for (number, _), output, codes_TQ in done}


def graph_batcher(model: AR, rows: int, *, every: int, block: int, capture: TapeCapture) -> GraphBatcher:
    class Small(GraphBatcher):
        pass

    Small.every, Small.block = every, block
    return Small(model, rows, capture)


@pytest.fixture(scope="module", params=LAYOUTS)
def expected(request: pytest.FixtureRequest) -> tuple[str, list[Case], dict[int, Result]]:
    model, refiner = models(request.param)
    cases = make_cases(model.config, 18)
    results = {number: alone(model, refiner, case) for number, case in enumerate(cases)}
    assert {reason for _, reason in results.values()} == set(StopReason)  # or the tests below would prove less
    return request.param, cases, results


@pytest.mark.parametrize(("slots", "group"), [(1, 1), (3, 1), (5, 2), (20, 3)])
@torch.inference_mode()
def test_a_row_equals_the_same_row_alone(expected: Any, slots: int, group: int) -> None:
    layout, cases, results = expected
    model, refiner = models(layout)
    assert together(ContinuousBatcher(model, slots), refiner, cases, group=group) == results


@torch.inference_mode()
def test_neighbours_and_order_change_nothing(expected: Any) -> None:
    layout, cases, results = expected
    model, refiner = models(layout)
    batcher = ContinuousBatcher(model, 4)
    backwards = together(batcher, refiner, reversed(cases))
    assert {len(cases) - 1 - number: result for number, result in backwards.items()} == results
    assert together(batcher, refiner, cases[3:4]) == {0: results[3]}  # in rows that were used before


@pytest.mark.parametrize(("rows", "every", "block"), [(1, 1, 16), (3, 4, 16), (3, 5, 64)])
@torch.inference_mode()
def test_captured_steps_give_the_same(expected: Any, rows: int, every: int, block: int) -> None:
    layout, cases, results = expected
    model, refiner = models(layout)
    capture = TapeCapture()
    batcher = graph_batcher(model, rows, every=every, block=block, capture=capture)
    assert together(batcher, refiner, cases) == results
    assert 0 < capture.captured <= capture.warmed
    assert capture.replayed > 3 * capture.captured
    assert together(batcher, refiner, cases) == results


@torch.inference_mode()
def test_a_graph_is_not_replayed_on_tensors_that_have_moved() -> None:
    model, refiner = models("nano")
    [case] = make_cases(model.config, 1)
    capture = TapeCapture()
    batcher = graph_batcher(model, 2, every=2, block=64, capture=capture)
    result = together(batcher, refiner, [case])
    captured, resets = capture.captured, capture.resets
    assert together(batcher, refiner, [case]) == result
    assert capture.captured == captured
    model.audio_positions.reserve(2 * len(model.audio_positions.table))
    assert together(batcher, refiner, [case]) == result
    assert capture.captured == captured + 1
    longer = replace(case, text_S=case.text_S.repeat(INITIAL_FRAMES))
    assert together(batcher, refiner, [case, longer]) == {0: result[0], 1: alone(model, refiner, longer)}
    assert capture.resets == resets + 1
    another = replace(case, sampling=replace(case.sampling, seed=9))
    assert together(batcher, refiner, [another]) == {0: alone(model, refiner, another)} != result


@torch.inference_mode()
def test_steps_of_several_rows_have_shapes_that_round_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    model, refiner = models("nano")
    shapes: set[tuple[int, int]] = set()
    step = AR.step

    def watched(self: AR, codes_B: Tensor, cache: KVCache) -> Tensor:
        shapes.add((len(codes_B), cache.used))
        return step(self, codes_B, cache)

    monkeypatch.setattr(AR, "step", watched)
    for slots in (2, 3, 6):
        together(ContinuousBatcher(model, slots), refiner, make_cases(model.config, 12))
    assert {rows for rows, _ in shapes} == {4, 8}
    assert all(used % LANES == 0 for _, used in shapes)


@torch.inference_mode()
@pytest.mark.parametrize(("short", "threads"), [(2**40, 1), (0, 2)], ids=["short", "long"])
@torch.inference_mode()
def test_only_short_steps_are_taken_by_one_thread(monkeypatch: pytest.MonkeyPatch, short: int, threads: int) -> None:
    monkeypatch.setattr(linear, "SHORT", short)
    model, _ = models("nano")
    seen: list[int] = []
    step = AR.step
    monkeypatch.setattr(AR, "step", lambda *given: seen.append(torch.get_num_threads()) or step(*given))
    batcher, [case] = ContinuousBatcher(model, 1), make_cases(model.config, 1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        batcher.prefill(0, case.request(model.config))
        batcher.step()
        assert (seen, torch.get_num_threads()) == ([threads], 2)
    finally:
        torch.set_num_threads(before)


def test_the_capacity_grows_while_rows_are_decoding() -> None:
    model, refiner = models("vallf")
    short, *_ = make_cases(model.config, 1)
    short = replace(short, sampling=Sampling(min_frames=60, max_frames=60))
    frames = 2 * INITIAL_FRAMES  # more than is reserved at first
    long = replace(
        short,
        text_S=short.text_S.repeat(INITIAL_FRAMES),
        sampling=Sampling(seed=1, min_frames=frames, max_frames=frames),
    )
    expected = {number: alone(model, refiner, case) for number, case in enumerate([short, long])}
    assert len(expected[1][0]) == frames
    assert together(ContinuousBatcher(model, 2), refiner, [short, long]) == expected


@torch.inference_mode()
def test_the_next_request_is_fetched_when_a_row_is_free() -> None:
    model, _ = models("nano")
    fetched: list[int] = []

    def requests() -> Iterator[tuple[int, CausalRequest]]:
        for number, case in enumerate(make_cases(model.config, 6)):
            fetched.append(number)
            sampling = Sampling(min_frames=5 + number, max_frames=5 + number)
            yield number, replace(case, sampling=sampling).request(model.config)

    done = engine.decode(ContinuousBatcher(model, 2), requests())
    assert [(next(done)[0], len(fetched)) for _ in range(5)] == [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6)]


@torch.inference_mode()
def test_requests_that_come_later_join_those_that_are_decoded() -> None:
    model, _ = models("nano")
    long, short = make_cases(model.config, 2)
    long, short = (
        replace(case, sampling=Sampling(seed=1, min_frames=frames, max_frames=frames))
        for case, frames in ((long, 30), (short, 5))
    )
    waiting: list[tuple[str, CausalRequest]] = [("long", long.request(model.config))]

    def begin(tag: str, frames: int) -> None:
        if (tag, frames) == ("long", 10):
            waiting.append(("short", short.request(model.config)))

    source = Source(lambda: waiting.pop(0) if waiting else None)
    done = list(engine.steps(ContinuousBatcher(model, 2), source, on_frame=begin))
    outputs = [each for each in done if each is not None]
    assert [tag for tag, _ in outputs] == ["short", "long"]
    for (_, output), case in zip(outputs, (short, long), strict=True):
        expected = engine.decode_one(ContinuousBatcher(model, 1), case.request(model.config))
        assert output.codes_T.tolist() == expected.codes_T.tolist()
    assert done.count(None) >= 20  # after each step with a free row


@torch.inference_mode()
def test_an_exception_of_on_frame_ends_its_request_alone() -> None:
    model, _ = models("nano")
    requests = requests_of(model, make_cases(model.config, 3))
    expected = {tag: engine.decode_one(ContinuousBatcher(model, 1), request) for tag, request in requests}
    failed: list[tuple[int, str]] = []

    def stop(tag: int, frames: int) -> None:
        if (tag, frames) == (1, 3):
            raise ValueError("not wanted any more")

    batcher = ContinuousBatcher(model, 2)
    outputs = engine.decode(
        batcher, requests, on_frame=stop, on_error=lambda tag, error: failed.append((tag, str(error)))
    )
    found = {tag: output.codes_T.tolist() for tag, output in outputs}
    assert found == {tag: output.codes_T.tolist() for tag, output in expected.items() if tag != 1}
    assert failed == [(1, "not wanted any more")]
    assert batcher.free_rows() == [0, 1]


def requests_of(model: AR, cases: Iterable[Case]) -> list[tuple[int, CausalRequest]]:
    return [(number, case.request(model.config)) for number, case in enumerate(cases)]


@torch.inference_mode()
def test_frames_are_reported_per_request() -> None:
    model, _ = models("nano")
    reported: dict[int, list[int]] = {0: [], 1: [], 2: []}
    requests = requests_of(model, make_cases(model.config, 3))
    outputs = engine.decode(
        ContinuousBatcher(model, 2), requests, on_frame=lambda tag, frames: reported[tag].append(frames)
    )
    assert {tag: list(range(1, len(output.codes_T) + 1)) for tag, output in outputs} == reported


@torch.inference_mode()
@pytest.mark.parametrize("limit", [5, 400])
def test_the_log_probability_is_that_of_the_codes_and_eos(limit: int) -> None:
    model, _ = models("nano")
    [case] = make_cases(model.config, 1)
    request = replace(case, sampling=Sampling(max_frames=limit, top_p=0.9)).request(model.config)
    output = engine.decode_one(ContinuousBatcher(model, 1), request)
    codes = output.codes_T.tolist() + [EOS] * (output.stop_reason == StopReason.EOS)
    cache = model.new_cache(1, block=1)
    cache.grow(1000, 0)
    expected, logits_1V = [], model.prefill(request.prefix, cache, 0)
    for place, code in enumerate(codes):
        if place == 0:
            logits_1V[:, EOS] = -torch.inf  # a minimum of one frame
        expected.append(float(logits_1V[0].log_softmax(-1)[code]))
        cache.claim(1)
        logits_1V = model.step(torch.tensor([code % EOS]), cache)
    assert output.log_probability == pytest.approx(sum(expected) / len(expected), abs=1e-4)


@torch.inference_mode()
def test_after_an_interruption_rows_can_be_freed() -> None:
    model, refiner = models("nano")
    cases = make_cases(model.config, 4)
    batcher = ContinuousBatcher(model, 2)

    def stop(_: int, frames: int) -> None:
        if frames == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(engine.decode(batcher, requests_of(model, cases), on_frame=stop))
    for row in range(2):
        batcher.free(row)
    assert batcher.free_rows() == [0, 1]
    assert together(batcher, refiner, cases) == together(ContinuousBatcher(model, 1), refiner, cases)


# Errors


@torch.inference_mode()
def test_a_request_that_cannot_be_started_leaves_the_others_as_they_are() -> None:
    model, _ = models("lifeiteng")
    requests = requests_of(model, make_cases(model.config, 5))
    expected = {
        tag: engine.decode_one(ContinuousBatcher(model, 1), request).codes_T.tolist() for tag, request in requests
    }
    broken = CausalRequest(Prefix(torch.tensor([99]), torch.tensor([1])), Sampling(), 9)  # 99 is in no table
    mixed = [("first", broken), *requests[:3], ("middle", broken), *requests[3:], ("last", broken)]
    failed: list[int | str] = []
    batcher = ContinuousBatcher(model, 2)
    outputs = engine.decode(batcher, mixed, on_error=lambda tag, error: failed.append(tag))
    assert {tag: output.codes_T.tolist() for tag, output in outputs} == expected
    assert failed == ["first", "middle", "last"]
    assert batcher.free_rows() == [0, 1]
    with pytest.raises(IndexError):
        list(engine.decode(batcher, mixed))


@pytest.mark.parametrize("group", [1, 2, 5])
@torch.inference_mode()
def test_a_group_that_fails_is_finished_one_by_one(group: int) -> None:
    outputs = [(tag, CausalOutput(torch.arange(tag), StopReason.EOS, 0.0)) for tag in range(7)]
    sizes: list[int] = []

    def finish(items: list[tuple[int, CausalOutput]]) -> list[int]:
        sizes.append(len(items))
        if any(tag == 3 for tag, _ in items):
            raise MemoryError(f"{len(items)} at once")
        return [10 * tag for tag, _ in items]

    failed: list[tuple[int, str]] = []
    options: dict[str, Any] = {"group": group, "helpers": 0, "ahead": 2}
    done = list(
        engine.finish_in_groups(
            outputs, finish, **options, on_error=lambda tag, error: failed.append((tag, str(error)))
        )
    )
    assert [(tag, len(output.codes_T), value) for tag, output, value in done] == [
        (tag, tag, 10 * tag) for tag in range(7) if tag != 3
    ]
    assert failed == [(3, "1 at once")]
    assert max(sizes) == group
    with pytest.raises(MemoryError):
        list(engine.finish_in_groups(outputs, finish, **options))


def test_random_numbers_are_the_same_however_many_are_drawn_at_once() -> None:
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))
    at_once = torch.rand(7, EOS + 1, generator=first)
    assert torch.equal(at_once, torch.stack([torch.rand(EOS + 1, generator=second) for _ in range(7)]))


# On a GPU


@pytest.mark.cuda
@pytest.mark.parametrize("layout", LAYOUTS)
@torch.inference_mode()
def test_cuda_graphs_give_what_plain_steps_give(layout: str) -> None:
    model, refiner = models(layout, "cuda")
    cases = make_cases(model.config, 12, "cuda")
    batcher = new_batcher(model, 4)
    assert isinstance(batcher, GraphBatcher)
    plain = together(ContinuousBatcher(model, 4), refiner, cases)
    assert together(batcher, refiner, cases, group=2) == plain
    assert together(batcher, refiner, cases, group=2) == plain


HALF = 0.05  # largest difference by bfloat16, as a share of the standard deviation of the logits


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize("layout", LAYOUTS)
@torch.inference_mode()
def test_bfloat16_is_close(layout: str, device: str) -> None:
    torch.manual_seed(0)
    model = AR(ModelConfig(text_vocab=20, **SIZES, **LAYOUTS[layout])).eval().to(device)
    [case] = make_cases(model.config, 1, device)
    prefix = Prefix(case.text_S, case.prompt_PQ[:, 0], case.languages_S)
    size = model.prefix_size(prefix)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        model.to(dtype)
        cache = model.new_cache(1, capacity=size.sequence + 9, memory_capacity=size.memory)
        logits = [model.prefill(prefix, cache, 0)]
        for code in range(9):
            cache.claim(1)
            logits.append(model.step(torch.tensor([code], device=device), cache))
        found.append(torch.cat(logits).float())
    assert (found[0] - found[1]).abs().max() < HALF * found[0].std()
