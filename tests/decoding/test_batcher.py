"""Rows that speak together say what each would say alone: drawn or not, whoever is beside them, captured or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from tape import TapeCapture
from torch import Tensor

from vallecli.decoding import ar, batch
from vallecli.families.valle import refine as nar
from vallecli.decoding.ar import generate, generate_many
from vallecli.decoding.graphs import GraphStepper, new_stepper
from vallecli.decoding.sampling import Sampling
from vallecli.decoding.stepper import LANES, ROOM, Stepper
from vallecli.decoding.utterance import StopReason, Utterance
from vallecli.families.valle.ar import AR
from vallecli.decoding.cache import KVCache
from vallecli.families.valle.config import CODEBOOK_SIZE, EOS, NUM_CODEBOOKS, ModelConfig
from vallecli.families.valle.nar import NAR

SIZES = {"d_model": 32, "n_heads": 2, "n_layers": 2, "nar_d_model": 32, "nar_n_heads": 2, "nar_n_layers": 2}
LAYOUTS: dict[str, dict[str, Any]] = {
    "nano": {"bos": "after_prompt", "guidance": (0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0)},
    "vallex": {"n_languages": 3, "bos": "start"},
    "lifeiteng": {"prefix_mode": 4, "stop": "argmax"},
    "vallf": {"prefix_mode": 0, "stop": "argmax", "cross_attention": True},
}


def models(layout: str, device: str = "cpu") -> tuple[AR, NAR]:
    """Return models that now and then stop by themselves."""
    torch.manual_seed(0)
    config = ModelConfig(text_vocab=20, **SIZES, **LAYOUTS[layout])
    model = AR(config).eval()
    with torch.no_grad():
        for layer in model.layers:  # so that untrained layers listen
            layer.attention.qkv.weight.mul_(4)
            layer.attention.out.weight.mul_(4)
        model.head.weight.mul_(3)
        model.head.weight[EOS] *= 3
    return model.to(device), NAR(config).eval().to(device)


def utterances(config: ModelConfig, number: int, device: str = "cpu") -> list[Utterance]:
    """Return utterances of all lengths, each of which chooses in a way of its own."""
    generator = torch.Generator().manual_seed(number)

    def ids(top: int, *size: int) -> Tensor:
        return torch.randint(0, top, size, generator=generator).to(device)

    ways = [
        *(Sampling(max_frames=30), Sampling(greedy=True, max_frames=40), Sampling(top_k=8, temperature=0.7)),
        *(Sampling(top_p=0.8, max_frames=9), Sampling(max_frames=1), Sampling(min_frames=12, max_frames=12)),
    ]
    made = []
    for index in range(number):
        letters, prompt = int(ids(9, 1)) + 2, int(ids(9, 1)) + 1
        languages_S = ids(3, letters) if config.n_languages else None
        sampling = replace(ways[index % len(ways)], seed=index)
        prompt_PQ = ids(CODEBOOK_SIZE, prompt, NUM_CODEBOOKS)
        made.append(Utterance(ids(20, letters), prompt_PQ, sampling, languages_S, prompt_tokens=2))
    return made


def alone(model: AR, refiner: NAR, spoken: Utterance) -> tuple[list[list[int]], StopReason]:
    text_S, languages_S = spoken.text_S, spoken.languages_S
    speech = generate(Stepper(model, 1), spoken)
    options = {"prompt_tokens": spoken.prompt_tokens, "languages_S": languages_S}
    codes_TQ = nar.refine(refiner, text_S, spoken.prompt_PQ, speech.codes_T, **options)
    return codes_TQ.tolist(), speech.stop_reason


def together(
    stepper: Stepper, refiner: NAR, spoken: Iterable[Utterance], *, group: int = 1
) -> dict[int, tuple[list[list[int]], StopReason]]:
    done = batch.decode(stepper, refiner, enumerate(spoken), group=group)
    return {number: (codes_TQ.tolist(), reason) for number, codes_TQ, reason in done}


def graph_stepper(model: AR, rows: int, *, every: int, block: int, capture: TapeCapture) -> GraphStepper:
    class Small(GraphStepper):
        pass

    Small.every, Small.block = every, block
    return Small(model, rows, capture)


@pytest.fixture(scope="module", params=LAYOUTS)
def expected(request: pytest.FixtureRequest) -> tuple[str, list[Utterance], dict[int, Any]]:
    model, refiner = models(request.param)
    spoken = utterances(model.config, 12)
    codes = {number: alone(model, refiner, utterance) for number, utterance in enumerate(spoken)}
    assert {reason for _, reason in codes.values()} == set(StopReason)  # else less is proven below
    return request.param, spoken, codes


@pytest.mark.parametrize(("slots", "group"), [(1, 1), (3, 1), (5, 2), (20, 3)])
@torch.inference_mode()
def test_a_row_equals_the_same_row_alone(expected: Any, slots: int, group: int) -> None:
    layout, spoken, codes = expected
    model, refiner = models(layout)
    assert together(Stepper(model, slots), refiner, spoken, group=group) == codes


@torch.inference_mode()
def test_neighbours_and_order_change_nothing(expected: Any) -> None:
    layout, spoken, codes = expected
    model, refiner = models(layout)
    stepper = Stepper(model, 4)
    backwards = together(stepper, refiner, reversed(spoken))
    assert {len(spoken) - 1 - number: said for number, said in backwards.items()} == codes
    assert together(stepper, refiner, spoken[3:4]) == {0: codes[3]}  # in rows that others have used before


@pytest.mark.parametrize(("rows", "every", "block"), [(1, 1, 16), (3, 4, 16), (3, 5, 64)])
@torch.inference_mode()
def test_captured_steps_give_the_same(expected: Any, rows: int, every: int, block: int) -> None:
    layout, spoken, codes = expected
    model, refiner = models(layout)
    capture = TapeCapture()
    stepper = graph_stepper(model, rows, every=every, block=block, capture=capture)
    assert together(stepper, refiner, spoken) == codes
    assert 0 < capture.captured <= capture.warmed
    assert capture.replayed > 3 * capture.captured
    assert together(stepper, refiner, spoken) == codes


@torch.inference_mode()
def test_a_graph_is_not_replayed_on_tensors_that_have_moved() -> None:
    model, refiner = models("nano")
    [spoken] = utterances(model.config, 1)
    capture = TapeCapture()
    stepper = graph_stepper(model, 2, every=2, block=64, capture=capture)
    said = together(stepper, refiner, [spoken])
    captured, begun = capture.captured, capture.begun
    assert together(stepper, refiner, [spoken]) == said
    assert capture.captured == captured
    model.audio_positions.reserve(2 * len(model.audio_positions.table))
    assert together(stepper, refiner, [spoken]) == said
    assert capture.captured == captured + 1
    longer = replace(spoken, text_S=spoken.text_S.repeat(ROOM))
    assert together(stepper, refiner, [spoken, longer]) == {0: said[0], 1: alone(model, refiner, longer)}
    assert capture.begun == begun + 1
    another = replace(spoken, sampling=replace(spoken.sampling, seed=9))
    assert together(stepper, refiner, [another]) == {0: alone(model, refiner, another)} != said


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
        together(Stepper(model, slots), refiner, utterances(model.config, 12))
    assert {rows for rows, _ in shapes} == {4, 8}
    assert all(used % LANES == 0 for _, used in shapes)


@torch.inference_mode()
def test_room_grows_while_rows_are_speaking() -> None:
    model, refiner = models("vallf")
    short, *_ = utterances(model.config, 1)
    short = replace(short, sampling=Sampling(min_frames=60, max_frames=60))
    lengthy = Sampling(seed=1, min_frames=2 * ROOM, max_frames=2 * ROOM)  # of which so many are not reserved at once
    long = replace(short, text_S=short.text_S.repeat(ROOM), sampling=lengthy)
    expected = {number: alone(model, refiner, utterance) for number, utterance in enumerate([short, long])}
    assert len(expected[1][0]) == 2 * ROOM
    assert together(Stepper(model, 2), refiner, [short, long]) == expected


@torch.inference_mode()
def test_the_next_is_asked_for_when_there_is_a_row_for_it() -> None:
    model, _ = models("nano")
    spoken = utterances(model.config, 6)
    asked: list[int] = []

    def ask() -> Iterator[tuple[int, Utterance]]:
        for number, utterance in enumerate(spoken):
            asked.append(number)
            yield number, replace(utterance, sampling=Sampling(min_frames=5 + number, max_frames=5 + number))

    done = generate_many(Stepper(model, 2), ask())
    assert [(next(done)[0], len(asked)) for _ in range(5)] == [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6)]


@torch.inference_mode()
def test_frames_are_told_by_utterance() -> None:
    model, _ = models("nano")
    heard: dict[int, list[int]] = {0: [], 1: [], 2: []}
    spoken = enumerate(utterances(model.config, 3))
    said = {
        tag: len(speech.codes_T)
        for tag, _, speech in generate_many(
            Stepper(model, 2), spoken, on_frame=lambda tag, frames: heard[tag].append(frames)
        )
    }
    assert heard == {tag: list(range(1, frames + 1)) for tag, frames in said.items()}


@torch.inference_mode()
def test_what_breaks_off_leaves_rows_that_can_be_freed() -> None:
    model, refiner = models("nano")
    spoken = utterances(model.config, 4)
    stepper = Stepper(model, 2)

    def stop(_: int, frames: int) -> None:
        if frames == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(ar.generate_many(stepper, enumerate(spoken), on_frame=stop))
    for row in range(2):
        stepper.free(row)
    assert stepper.free_rows() == [0, 1]
    assert together(stepper, refiner, spoken) == together(Stepper(model, 1), refiner, spoken)


def test_numbers_are_drawn_in_one_order_however_many_at_once() -> None:
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))
    at_once = torch.rand(7, EOS + 1, generator=first)
    assert torch.equal(at_once, torch.stack([torch.rand(EOS + 1, generator=second) for _ in range(7)]))


# On a GPU


@pytest.mark.cuda
@pytest.mark.parametrize("layout", LAYOUTS)
@torch.inference_mode()
def test_cuda_graphs_give_what_plain_steps_give(layout: str) -> None:
    model, refiner = models(layout, "cuda")
    spoken = utterances(model.config, 12, "cuda")
    stepper = new_stepper(model, 4)
    assert isinstance(stepper, GraphStepper)
    plain = together(Stepper(model, 4), refiner, spoken)
    assert together(stepper, refiner, spoken, group=2) == plain
    assert together(stepper, refiner, spoken, group=2) == plain


HALF = 0.05  # most that bfloat16 may change a logit, as a share of their standard deviation


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize("layout", LAYOUTS)
@torch.inference_mode()
def test_bfloat16_is_close(layout: str, device: str) -> None:
    torch.manual_seed(0)
    model = AR(ModelConfig(text_vocab=20, **SIZES, **LAYOUTS[layout])).eval().to(device)
    [spoken] = utterances(model.config, 1, device)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        model.to(dtype)
        cache = model.new_cache(1, len(spoken.text_S), len(spoken.prompt_PQ) + 9)
        prompt_P = spoken.prompt_PQ[:, 0]
        logits = [model.prefill(spoken.text_S, prompt_P, cache, 0, languages_S=spoken.languages_S)]
        for code in range(9):
            cache.claim(1)
            logits.append(model.step(torch.tensor([code], device=device), cache))
        found.append(torch.cat(logits).float())
    assert (found[0] - found[1]).abs().max() < HALF * found[0].std()
