"""Which codes each knob leaves in the draw."""

import math

import pytest
import torch

from vallecli.decoding.sampling import Knobs, Sampling, choose

PROBABILITIES = (0.4, 0.25, 0.15, 0.15, 0.05)
DRAWS = 4000


def draw(logits: torch.Tensor, sampling: list[Sampling], *, seed: int = 0) -> torch.Tensor:
    """Return a code for each row of the logits (B, V), told how to choose by the one sampling, or by its own."""
    knobs = Knobs(len(logits), torch.device("cpu"))
    for row in range(len(logits)):
        knobs.set(row, sampling[row % len(sampling)])
    return choose(logits, knobs, torch.rand(logits.shape, generator=torch.Generator().manual_seed(seed)))


def drawn(*, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int = 0) -> torch.Tensor:
    """Return how often each class is drawn, as a share (V,)."""
    logits = torch.tensor(PROBABILITIES).log().expand(DRAWS, -1)
    ids = draw(logits, [Sampling(temperature=temperature, top_k=top_k, top_p=top_p)], seed=seed)
    assert ids.shape == (DRAWS,)
    return torch.bincount(ids, minlength=len(PROBABILITIES)) / DRAWS


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({}, PROBABILITIES),
        ({"top_k": 1}, (1, 0, 0, 0, 0)),
        ({"top_k": 2}, (0.615, 0.385, 0, 0, 0)),
        ({"top_k": 3}, (0.421, 0.263, 0.158, 0.158, 0)),  # the fourth ties with the third
        ({"top_k": 100}, PROBABILITIES),
        ({"top_p": 0.01}, (1, 0, 0, 0, 0)),  # the likeliest always stays
        ({"top_p": 0.5}, (0.615, 0.385, 0, 0, 0)),  # the one that crosses the limit stays
        ({"top_p": 0.99}, PROBABILITIES),
        ({"temperature": 0.5}, (0.593, 0.231, 0.083, 0.083, 0.009)),
        ({"temperature": 2.0}, (0.296, 0.234, 0.181, 0.181, 0.105)),
        ({"temperature": 0.5, "top_p": 0.55}, (1, 0, 0, 0, 0)),  # temperature first: it lifts 0.4 to 0.593
        ({"top_k": 2, "top_p": 0.6}, (1, 0, 0, 0, 0)),  # top-k before top-p: the first is then 0.615
    ],
)
def test_shares(knobs: dict[str, float], expected: tuple[float, ...]) -> None:
    shares = drawn(**knobs)
    torch.testing.assert_close(shares, torch.tensor(expected).float(), atol=0.03, rtol=0)
    assert ((shares > 0) == (torch.tensor(expected) > 0)).all()


def test_rows_are_filtered_apart() -> None:
    logits = torch.tensor([[9.0, 0.0, 0.0, 8.9], [0.0, 9.0, 8.9, 0.0]]).repeat(200, 1)
    ids = draw(logits, [Sampling(top_k=2)]).view(-1, 2)
    assert set(ids[:, 0].tolist()) == {0, 3}
    assert set(ids[:, 1].tolist()) == {1, 2}


def test_forbidden_codes_are_never_drawn() -> None:
    logits = torch.zeros(DRAWS, 5)
    logits[:, 4] = -torch.inf
    ids = draw(logits, [Sampling(temperature=5.0, top_p=0.999)])
    assert set(ids.tolist()) == {0, 1, 2, 3}


def test_a_row_chooses_as_if_it_were_alone() -> None:
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    told = [
        *(Sampling(greedy=True, top_k=3, temperature=9.0), Sampling(), Sampling(top_k=5), Sampling(top_p=0.4)),
        *(Sampling(temperature=0.3, top_k=9, top_p=0.8), Sampling(top_k=1)),
    ]
    knobs, uniform = Knobs(6, torch.device("cpu")), torch.rand(6, 50, generator=torch.Generator().manual_seed(1))
    for row, sampling in enumerate(told):
        knobs.set(row, sampling)
    together = choose(logits, knobs, uniform)
    for row, sampling in enumerate(told):
        alone = Knobs(1, torch.device("cpu"))
        alone.set(0, sampling)
        assert choose(logits[row : row + 1], alone, uniform[row : row + 1]) == together[row]
        assert choose(logits[row : row + 1], knobs, uniform[row : row + 1], slice(row, row + 1)) == together[row]
    assert together[0] == logits[0].argmax()
    assert together[5] == logits[5].argmax()


@pytest.mark.parametrize("number", [0.0, 1 - 2.0**-24])
def test_the_ends_of_chance_choose_only_what_may_be_chosen(number: float) -> None:
    knobs = Knobs(1, torch.device("cpu"))
    knobs.set(0, Sampling(top_k=1))
    assert choose(torch.tensor([[1.0, 2.0, 0.0]]), knobs, torch.full((1, 3), number)) == 1


def test_the_generator_alone_decides() -> None:
    torch.manual_seed(1)
    first = drawn(seed=7)
    torch.manual_seed(2)
    assert torch.equal(first, drawn(seed=7))
    assert not torch.equal(first, drawn(seed=8))


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_p": math.nan}, "top_p is nan"),
        ({"min_frames": -1}, "-1 to None frames"),
        ({"max_frames": 0}, "1 to 0 frames"),
        ({"min_frames": 9, "max_frames": 8}, "9 to 8 frames"),
    ],
)
def test_impossible_knobs(knobs: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**knobs)
