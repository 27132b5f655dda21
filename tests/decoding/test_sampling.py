"""Which codes each sampling parameter keeps, and that a row does not depend on its neighbours."""

import math

import pytest
import torch
from torch import Tensor

from vallecli.decoding.sampling import Sampling, SamplingTable, draw_unrepeated, scores
from vallecli.decoding.sampling import draw as draw_from

PROBABILITIES = (0.4, 0.25, 0.15, 0.15, 0.05)
SAMPLES = 4000
CPU = torch.device("cpu")


def table_of(samplings: list[Sampling]) -> SamplingTable:
    table = SamplingTable(len(samplings), CPU)
    for row, sampling in enumerate(samplings):
        table.set(row, sampling)
    return table


def sample(
    logits_BV: Tensor,
    table: SamplingTable,
    uniform_BV: Tensor,
    rows: slice = slice(None),
    *,
    tempered_last: bool = False,
) -> Tensor:
    return draw_from(scores(logits_BV, table, rows, tempered_last=tempered_last), table, uniform_BV, rows)


def draw(logits_BV: Tensor, samplings: list[Sampling], *, seed: int = 0) -> Tensor:
    """Return a code for each row of the logits; row i uses sampling i modulo their number."""
    table = table_of([samplings[row % len(samplings)] for row in range(len(logits_BV))])
    return sample(logits_BV, table, torch.rand(logits_BV.shape, generator=torch.Generator().manual_seed(seed)))


def shares(sampling: Sampling, *, seed: int = 0) -> Tensor:
    """Return the share (V,) of each class among many samples."""
    logits_BV = torch.tensor(PROBABILITIES).log().expand(SAMPLES, -1)
    ids_B = draw(logits_BV, [sampling], seed=seed)
    assert ids_B.shape == (SAMPLES,)
    return torch.bincount(ids_B, minlength=len(PROBABILITIES)) / SAMPLES


def kept(logits_V: Tensor, sampling: Sampling) -> set[int]:
    """Return the classes that are ever sampled; a high temperature makes each kept class about equally likely."""
    return set(draw(logits_V.expand(SAMPLES, -1), [sampling]).tolist())


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, PROBABILITIES),
        ({"top_k": 1}, (1, 0, 0, 0, 0)),
        ({"top_k": 2}, (0.615, 0.385, 0, 0, 0)),
        ({"top_k": 3}, (0.421, 0.263, 0.158, 0.158, 0)),  # the fourth ties with the third
        ({"top_k": 100}, PROBABILITIES),
        ({"top_p": 0.01}, (1, 0, 0, 0, 0)),  # the most likely class always stays
        ({"top_p": 0.5}, (0.615, 0.385, 0, 0, 0)),  # the class that crosses the limit stays
        ({"top_p": 0.99}, PROBABILITIES),
        ({"temperature": 0.5}, (0.593, 0.231, 0.083, 0.083, 0.009)),
        ({"temperature": 2.0}, (0.296, 0.234, 0.181, 0.181, 0.105)),
        ({"temperature": 0.5, "top_p": 0.55}, (1, 0, 0, 0, 0)),  # temperature first: it raises 0.4 to 0.593
        ({"top_k": 2, "top_p": 0.6}, (1, 0, 0, 0, 0)),  # top-k before top-p: the first is then 0.615
        # The second logit is 0.607 standard deviations below the first, the third 1.267.
        ({"top_n_sigma": 0.6}, (1, 0, 0, 0, 0)),
        ({"top_n_sigma": 0.65}, (0.615, 0.385, 0, 0, 0)),
        ({"top_n_sigma": 1.3}, (0.421, 0.263, 0.158, 0.158, 0)),
        ({"top_n_sigma": 9.0}, PROBABILITIES),
        ({"top_n_sigma": 0.65, "top_p": 0.6}, (1, 0, 0, 0, 0)),  # top-n-sigma before top-p: the first is then 0.615
    ],
)
def test_shares(parameters: dict[str, float], expected: tuple[float, ...]) -> None:
    found_V = shares(Sampling(**parameters))
    torch.testing.assert_close(found_V, torch.tensor(expected).float(), atol=0.03, rtol=0)
    assert ((found_V > 0) == (torch.tensor(expected) > 0)).all()


def test_rows_are_filtered_separately() -> None:
    logits_BV = torch.tensor([[9.0, 0.0, 0.0, 8.9], [0.0, 9.0, 8.9, 0.0]]).repeat(200, 1)
    for sampling in (Sampling(top_k=2), Sampling(top_n_sigma=0.5)):
        ids = draw(logits_BV, [sampling]).view(-1, 2)
        assert set(ids[:, 0].tolist()) == {0, 3}
        assert set(ids[:, 1].tolist()) == {1, 2}


def test_masked_codes_are_never_sampled() -> None:
    logits_V = torch.zeros(5)
    logits_V[4] = -torch.inf
    assert kept(logits_V, Sampling(temperature=5.0, top_p=0.999)) == {0, 1, 2, 3}
    assert kept(logits_V, Sampling(temperature=5.0, top_n_sigma=1.0)) == {0, 1, 2, 3}


# Top-n-sigma


@pytest.mark.parametrize("sigmas", [0.25, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_top_n_sigma_keeps_what_its_definition_says(sigmas: float, seed: int) -> None:
    logits_V = torch.randn(12, generator=torch.Generator().manual_seed(seed))
    expected = logits_V >= logits_V.max() - sigmas * logits_V.std()
    assert kept(logits_V, Sampling(top_n_sigma=sigmas, temperature=50.0)) == set(expected.nonzero()[:, 0].tolist())


def test_the_temperature_does_not_change_what_top_n_sigma_keeps() -> None:
    logits_V = torch.randn(12, generator=torch.Generator().manual_seed(4))
    few = kept(logits_V, Sampling(top_n_sigma=0.7, temperature=50.0))
    assert 1 < len(few) < 12
    assert kept(logits_V, Sampling(top_n_sigma=0.7, temperature=0.5)) <= few
    assert kept(logits_V, Sampling(top_n_sigma=0.7, temperature=5.0)) == few


def test_masked_classes_do_not_count_in_the_deviation_of_top_n_sigma() -> None:
    logits_V = torch.randn(12, generator=torch.Generator().manual_seed(5))
    with_masked_V = torch.cat([logits_V, torch.full((4,), -torch.inf)])
    sampling = Sampling(top_n_sigma=0.7, temperature=50.0)
    assert kept(with_masked_V, sampling) == kept(logits_V, sampling)


def test_top_n_sigma_of_logits_without_deviation_keeps_the_largest() -> None:
    assert kept(torch.zeros(3), Sampling(top_n_sigma=0.1)) == {0, 1, 2}
    assert kept(torch.tensor([-torch.inf, 1.0, -torch.inf]), Sampling(top_n_sigma=0.1)) == {1}


# Rows


def test_a_row_is_sampled_as_if_it_were_alone() -> None:
    logits_BV = torch.randn(8, 50, generator=torch.Generator().manual_seed(0))
    samplings = [
        *(Sampling(greedy=True, top_k=3, temperature=9.0), Sampling(), Sampling(top_k=5), Sampling(top_p=0.4)),
        *(Sampling(temperature=0.3, top_k=9, top_p=0.8), Sampling(top_k=1), Sampling(top_n_sigma=0.5)),
        Sampling(top_n_sigma=1.0, temperature=2.0, top_k=9, top_p=0.9),
    ]
    table, uniform_BV = table_of(samplings), torch.rand(8, 50, generator=torch.Generator().manual_seed(1))
    together = sample(logits_BV, table, uniform_BV)
    for row, sampling in enumerate(samplings):
        one = slice(row, row + 1)
        assert sample(logits_BV[one], table_of([sampling]), uniform_BV[one]) == together[row]
        assert sample(logits_BV[one], table, uniform_BV[one], one) == together[row]
    assert together[0] == logits_BV[0].argmax()
    assert together[5] == logits_BV[5].argmax()


# Repetition-aware sampling


def again(past: list[int], code: int, **parameters: float) -> Tensor:
    """Return the share (V,) of each class that is sampled in the place of a code, given the earlier ones."""
    table = table_of([Sampling(top_k=1, **parameters)] * SAMPLES)
    uniform_BV = torch.rand(SAMPLES, len(PROBABILITIES), generator=torch.Generator().manual_seed(5))
    codes_B = draw_unrepeated(
        torch.full((SAMPLES,), code),
        torch.tensor(PROBABILITIES).log().expand(SAMPLES, -1),
        torch.tensor([*past, code, code, code]).expand(SAMPLES, -1),  # what is behind the end is not read
        torch.full((SAMPLES,), len(past)),
        table,
        uniform_BV,
    )
    return torch.bincount(codes_B, minlength=len(PROBABILITIES)) / SAMPLES


@pytest.mark.parametrize(
    ("past", "parameters"),
    [
        ([1, 2, 3, 4, 0, 0], {"repetition_window": 4, "repetition_ratio": 0.5}),  # half is not more than half
        ([0, 0, 0, 1, 1, 1, 1], {"repetition_window": 4, "repetition_ratio": 0.0}),  # not in the window
        ([0], {"repetition_window": 10, "repetition_ratio": 0.1}),
        ([], {"repetition_window": 10, "repetition_ratio": 0.0}),
        ([0, 0, 0, 0], {"repetition_window": 0, "repetition_ratio": 0.0}),
    ],
)
def test_codes_that_do_not_repeat_too_often_stay(past: list[int], parameters: dict[str, float]) -> None:
    assert again(past, 0, **parameters)[0] == 1


@pytest.mark.parametrize(
    ("past", "parameters"),
    [
        ([0, 0, 1, 0], {"repetition_window": 4, "repetition_ratio": 0.5}),
        ([0, 1, 1, 1], {"repetition_window": 4, "repetition_ratio": 0.2}),
        ([0, 0], {"repetition_window": 10, "repetition_ratio": 0.1}),
    ],
)
def test_codes_that_repeat_are_sampled_again_from_all(past: list[int], parameters: dict[str, float]) -> None:
    assert again(past, 0, **parameters).tolist() == pytest.approx(PROBABILITIES, abs=0.03)
    colder = torch.tensor(PROBABILITIES).square()
    assert again(past, 0, temperature=0.5, **parameters).tolist() == pytest.approx(
        (colder / colder.sum()).tolist(), abs=0.03
    )


def test_greedy_rows_repeat_codes() -> None:
    assert again([0, 0, 0], 0, greedy=True, repetition_window=3, repetition_ratio=0.0)[0] == 1


def test_filters_are_skipped_when_no_row_uses_them() -> None:
    table = table_of([Sampling(greedy=True, top_k=3, top_p=0.5, top_n_sigma=1.0), Sampling(top_k=7), Sampling()])
    assert (table.sampled, table.max_top_k, table.any_top_p, table.any_sigma) == (True, 7, False, False)
    table.set(2, Sampling(top_p=0.5, top_n_sigma=1.0))
    assert (table.max_top_k, table.any_top_p, table.any_sigma) == (7, True, True)
    for row in (1, 2):
        table.forget(row)
    assert (table.sampled, table.max_top_k, table.any_top_p, table.any_sigma) == (False, 0, False, False)


@pytest.mark.parametrize("number", [0.0, 1 - 2.0**-24])
def test_extreme_random_numbers_sample_only_kept_codes(number: float) -> None:
    logits_BV = torch.tensor([[1.0, 2.0, 0.0]])
    for sampling in (Sampling(top_k=1), Sampling(top_p=0.01), Sampling(top_n_sigma=0.1)):
        assert sample(logits_BV, table_of([sampling]), torch.full((1, 3), number)) == 1


def test_the_generator_alone_decides() -> None:
    torch.manual_seed(1)
    first = shares(Sampling(), seed=7)
    torch.manual_seed(2)
    assert torch.equal(first, shares(Sampling(), seed=7))
    assert not torch.equal(first, shares(Sampling(), seed=8))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_p": math.nan}, "top_p is nan"),
        ({"top_n_sigma": -0.5}, "top_n_sigma is -0.5"),
        ({"top_n_sigma": math.nan}, "top_n_sigma is nan"),
        ({"top_n_sigma": math.inf}, "top_n_sigma is inf"),
        ({"min_eos_p": 1.5}, "min_eos_p is 1.5"),
        ({"min_eos_p": math.nan}, "min_eos_p is nan"),
        ({"repetition_window": -1}, "repetition_window is -1"),
        ({"repetition_window": 5000}, "repetition_window is 5000"),
        ({"repetition_ratio": -0.1}, "repetition_ratio is -0.1"),
        ({"repetition_ratio": math.nan}, "repetition_ratio is nan"),
        ({"min_frames": -1}, "-1 to None frames"),
        ({"max_frames": 0}, "1 to 0 frames"),
        ({"min_frames": 9, "max_frames": 8}, "9 to 8 frames"),
    ],
)
def test_impossible_parameters(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**parameters)
