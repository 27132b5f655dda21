"""Which codes each knob leaves in the draw."""

import math

import pytest
import torch

from vallecli.decoding.sampling import Sampling, sample

PROBABILITIES = (0.4, 0.25, 0.15, 0.15, 0.05)
DRAWS = 4000


def drawn(*, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int = 0) -> torch.Tensor:
    """Return how often each class is drawn, as a share (V,)."""
    logits = torch.tensor(PROBABILITIES).log().expand(DRAWS, -1)
    generator = torch.Generator().manual_seed(seed)
    ids = sample(logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
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
    ids = sample(logits, temperature=1.0, top_k=2, top_p=1.0, generator=torch.Generator().manual_seed(0)).view(-1, 2)
    assert set(ids[:, 0].tolist()) == {0, 3}
    assert set(ids[:, 1].tolist()) == {1, 2}


def test_forbidden_codes_are_never_drawn() -> None:
    logits = torch.zeros(DRAWS, 5)
    logits[:, 4] = -torch.inf
    ids = sample(logits, temperature=5.0, top_k=0, top_p=0.999, generator=torch.Generator().manual_seed(0))
    assert set(ids.tolist()) == {0, 1, 2, 3}


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
