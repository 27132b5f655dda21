"""Properties that both models have: exact caches, rows that do not depend on their batch, close low precisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from llama_published import write_amphion, write_ecker
from tape import Tape, TapeCapture
from torch import Tensor

from vallecli.decoding import engine
from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.graphs import GraphBatcher
from vallecli.families.causal import CausalBackend
from vallecli.families.llama import amphion_v2, ecker_nar
from vallecli.families.llama.amphion_v2_backend import AmphionV2Backend
from vallecli.families.llama.ecker import Conditions
from vallecli.families.llama.layers import Llama, LlamaConfig, Rotation, pad_rows
from vallecli.synthesizer import Synthesizer

LAYOUTS: dict[str, dict[str, Any]] = {
    "amphion": {},
    "ecker_v6": {"version": 6},
    "ecker_v5": {"version": 5, "biases": True, "unified": True, "bidirectional": False},
}
SAMPLED = {"temperature": 1.3, "top_k": 40, "top_p": 0.95, "top_n_sigma": 1.5}
CONFIG = LlamaConfig(layers=2, width=32, heads=4, ffn=48, activation="silu")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("llama")
    writers = {name: write_amphion if name == "amphion" else write_ecker for name in LAYOUTS}
    return {name: writers[name](folder / name, **options) for name, options in LAYOUTS.items()}


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def load(folder: Path, **options: Any) -> Any:
    return Synthesizer.load(folder, device="cpu", **options).backend


def cases(backend: CausalBackend, number: int = 5) -> list[tuple[Any, ...]]:
    """Return texts and prompts of different lengths."""
    generator = torch.Generator().manual_seed(1)

    def ids(*shape: int) -> Tensor:
        return torch.randint(0, 200, shape, generator=generator)

    language = () if isinstance(backend, AmphionV2Backend) else ("fr",)
    return [(ids(3 + 4 * index), ids(6 + 5 * index, 8), *language) for index in range(number)]


def test_a_cache_is_exact(folders: dict[str, Path], layout: str) -> None:
    backend = load(folders[layout])
    for given in cases(backend):
        codes_T = backend.generate_codes(*given, frames=40, exclude_eos=True, greedy=True)
        assert len(set(codes_T.tolist())) > 10
        logits = backend.ar_logits(*given, codes_T)
        assert torch.equal(logits[:-1, :1024].argmax(-1), codes_T)


@pytest.mark.parametrize("sampling", [{"greedy": True}, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("captured", [False, True], ids=["stepped", "captured"])
def test_a_row_of_a_batch_is_the_row_alone(
    folders: dict[str, Path], layout: str, sampling: dict[str, Any], captured: bool
) -> None:
    backend = load(folders[layout])
    lengths = (30, 12, 45, 20, 33)
    requests = [
        backend.request_of(*given, frames=frames, exclude_eos=frames != 20, **sampling, seed=frames)
        for given, frames in zip(cases(backend), lengths, strict=True)
    ]
    alone = [backend.decode_alone(request) for request in requests]
    capture = TapeCapture()
    batcher = GraphBatcher(backend.causal, 3, capture) if captured else ContinuousBatcher(backend.causal, 3)
    together = {index: output.codes_T for index, output in engine.decode(batcher, enumerate(requests))}
    assert all(torch.equal(together[index], codes_T) for index, codes_T in enumerate(alone))
    assert capture.replayed > 0 or not captured


def test_the_nar_treats_rows_of_different_lengths_as_alone(folders: dict[str, Path], layout: str) -> None:
    backend = load(folders[layout])
    codes = [torch.randint(0, 1024, (frames,)) for frames in (17, 0, 9, 24, 1)]
    alone = [backend.refine(*given, codes_T) for given, codes_T in zip(cases(backend), codes, strict=True)]
    together: list[Tensor]
    with Tape() as tape:  # which raises when a value is read from the device
        if isinstance(backend, AmphionV2Backend):
            rows = [amphion_v2.NarInput(*given, codes_T) for given, codes_T in zip(cases(backend), codes, strict=True)]
            together = amphion_v2.refine(backend.nar, rows)
        else:
            rows = [
                ecker_nar.NarInput(Conditions(text_S, 3, prompt_PQ), codes_T)
                for (text_S, prompt_PQ, _), codes_T in zip(cases(backend), codes, strict=True)
            ]
            together = ecker_nar.refine(backend.model, rows)
    assert tape.operations
    for codes_TQ, expected_TQ, codes_T in zip(together, alone, codes, strict=True):
        assert codes_TQ.shape == (len(codes_T), 8)
        assert torch.equal(codes_TQ, expected_TQ)
        assert torch.equal(codes_TQ[:, 0], codes_T)


@pytest.mark.parametrize(("dtype", "error"), [("float16", 0.03), ("bfloat16", 0.2), ("int8", 0.25)])
def test_low_precisions_are_close(folders: dict[str, Path], layout: str, dtype: str, error: float) -> None:
    exact, rounded = load(folders[layout]), load(folders[layout], dtype=dtype)
    given = cases(exact)[3]
    codes_TQ = exact.refine(*given, exact.generate_codes(*given, frames=30, exclude_eos=True, greedy=True))
    for logits in (
        lambda backend: backend.ar_logits(*given, codes_TQ[:, 0]),
        lambda backend: backend.nar_logits(*given, codes_TQ),
    ):
        expected, near = logits(exact), logits(rounded)
        assert not torch.equal(expected, near) or dtype == "float16"  # in which some are stored
        assert (expected - near).std() < error * expected.std()
    assert len(rounded.generate_codes(*given, frames=8, exclude_eos=True)) == 8


def test_a_seed_gives_the_same_codes_again_and_another_seed_does_not(folders: dict[str, Path], layout: str) -> None:
    backend = load(folders[layout])
    given = cases(backend)[2]
    codes = [backend.generate_codes(*given, frames=30, exclude_eos=True, seed=seed).tolist() for seed in (1, 1, 2)]
    assert codes[0] == codes[1] != codes[2]


def test_ids_outside_their_tables_are_refused(folders: dict[str, Path], layout: str) -> None:
    backend = load(folders[layout])
    text_S, prompt_PQ, *language = cases(backend)[0]
    with pytest.raises(ValueError, match="outside"):
        backend.generate_codes(torch.full_like(text_S, 300), prompt_PQ, *language)
    with pytest.raises(ValueError, match="outside"):
        backend.generate_codes(text_S, torch.full_like(prompt_PQ, 1024), *language)
    with pytest.raises(ValueError, match="must be"):
        backend.generate_codes(text_S, prompt_PQ[:, :7], *language)
    with pytest.raises(ValueError, match="whole numbers"):
        backend.generate_codes(text_S.float(), prompt_PQ, *language)


def new_llama() -> Llama:
    torch.manual_seed(0)
    return Llama(CONFIG).eval()


@torch.inference_mode()
def test_padding_is_not_attended_to() -> None:
    model, rows = new_llama(), [torch.randn(length, 32) for length in (5, 9, 7)]
    x_BLD, mask = pad_rows(rows)
    positions_BL = torch.arange(9)[None]
    for kind in (mask, "causal"):
        hidden_BLD = model(x_BLD, positions_BL, kind)
        for row, hidden_LD in zip(rows, hidden_BLD, strict=True):
            alone_LD = model(row[None], positions_BL[:, : len(row)], None if kind is mask else "causal")[0]
            torch.testing.assert_close(hidden_LD[: len(row)], alone_LD)


@torch.inference_mode()
def test_only_distances_between_positions_matter() -> None:
    model, x_BLD, positions_BL = new_llama(), torch.randn(1, 6, 32), torch.arange(6)[None]
    hidden = model(x_BLD, positions_BL, "causal")
    torch.testing.assert_close(model(x_BLD, positions_BL + 1000, "causal"), hidden, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(model(x_BLD, 2 * positions_BL, "causal"), hidden, atol=1e-2)


def test_rotations_keep_lengths_and_are_the_identity_at_position_0() -> None:
    x_BLNHd = torch.randn(1, 3, 2, 4, 8)
    turned = Rotation.of(torch.tensor([[0, 1, 50]]), 8, torch.float32).turn(x_BLNHd)
    assert torch.equal(turned[:, 0], x_BLNHd[:, 0])
    torch.testing.assert_close(turned.norm(dim=-1), x_BLNHd.norm(dim=-1))
    assert not torch.allclose(turned[:, 2], x_BLNHd[:, 2], atol=0.1)


@pytest.mark.parametrize(
    "sizes",
    [
        {"layers": 0},
        {"layers": 10**9},
        {"width": 2**40, "heads": 2**20},
        {"heads": 3},
        {"heads": 32},
        {"ffn": -1},
        {"ffn": True},
        {"layers": "2"},
        {"width": 32.0},
    ],
)
def test_sizes_that_no_model_has_are_refused(sizes: dict[str, Any]) -> None:
    values = {"layers": 2, "width": 32, "heads": 4, "ffn": 48, **sizes}
    with pytest.raises(ValueError, match="cannot be"):
        LlamaConfig(**values, activation="silu")
