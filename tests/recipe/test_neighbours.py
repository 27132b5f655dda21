"""What the language models of the recipe learn from: neighbouring codes, held-out speakers, attention by hand."""

import random
from pathlib import Path

import lm
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from batches import OWN, Draw, Speech
from config import MIN_PROMPT
from neighbours import SPREAD, Neighbours

from vallecli.codec.nano import quantize

CONTENT = 4  # dimensions of codebook 1, of eight


@pytest.fixture
def neighbours() -> Neighbours:
    codebooks_QVD = torch.randn(8, 1024, 8, generator=torch.Generator().manual_seed(0))
    codebooks_QVD[0, :, CONTENT:] = 0
    codebooks_QVD[1:, :, :CONTENT] = 0
    return Neighbours(codebooks_QVD)


def codes(frames: int) -> torch.Tensor:
    return torch.randint(0, 1024, (frames, 8), generator=torch.Generator().manual_seed(1))


def test_a_target_is_shared_with_as_many_codes_as_wanted(neighbours: Neighbours) -> None:
    codes_NQ = codes(300)
    neighbours.calibrate(codes_NQ)
    for codebook in (0, 1, 7):
        target_NV = neighbours.targets(neighbours.residual(codes_NQ, codebook), codebook)
        entropy = -(target_NV * target_NV.clamp(min=1e-9).log()).sum(-1).mean()
        assert entropy.exp() == pytest.approx(SPREAD, rel=0.05)


def test_the_best_code_is_the_one_that_leaves_least(neighbours: Neighbours) -> None:
    codes_NQ = codes(50)
    residual_ND = neighbours.residual(codes_NQ, 7)
    assert torch.equal(neighbours.targets(residual_ND, 7).argmax(-1), codes_NQ[:, 7])


def test_varied_codes_and_what_they_leave_give_the_same_sum(neighbours: Neighbours) -> None:
    codes_NQ = codes(50)
    neighbours.calibrate(codes_NQ)
    torch.manual_seed(0)
    varied_NQ, left_ND = neighbours.vary(codes_NQ, 3)
    assert not torch.equal(varied_NQ[:, :3], codes_NQ[:, :3])
    assert torch.equal(varied_NQ[:, 3:], codes_NQ[:, 3:])
    given = [F.embedding(varied_NQ[:, q], neighbours.codebooks_QVD[q]) for q in range(3)]
    torch.testing.assert_close(torch.stack(given).sum(0) + left_ND, neighbours.residual(codes_NQ, 0))


def spoken(neighbours: Neighbours, means_BD: torch.Tensor) -> torch.Tensor:
    """Return codes (B, 40, 8) of random frames around the mean of each row, in what codebooks 2 to 8 see."""
    generator = torch.Generator().manual_seed(2)
    rest_BAD = means_BD[:, None] + torch.randn(len(means_BD), 40, 8 - CONTENT, generator=generator)
    first_BA1 = torch.randint(0, 1024, (*rest_BAD.shape[:2], 1), generator=generator)
    return torch.cat([first_BA1, quantize(rest_BAD, neighbours.codebooks_QVD[1:, :, CONTENT:])], -1)


def test_a_voice_that_is_not_bent_stays_as_it_is(neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neighbours.MOVED", 0)
    monkeypatch.setattr("neighbours.MIXED", 0)
    neighbours.codebooks_QVD *= 0.3 ** torch.arange(8.0)[:, None, None]
    codes_BAQ = spoken(neighbours, torch.zeros(2, 8 - CONTENT))
    same = neighbours.bend(codes_BAQ, torch.ones(2, 40, dtype=torch.bool)) == codes_BAQ
    assert same.float().mean() > 0.95  # what all of them left may have been nearer to another code


def test_a_bent_voice_goes_towards_another_and_says_the_same(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neighbours.MIXED", 0)
    codes_BAQ = spoken(neighbours, torch.tensor([[2.0, 0, 0, 0], [-2.0, 0, 0, 0]]))
    present = torch.arange(40) < torch.tensor([[30], [40]])
    torch.manual_seed(0)
    bent_BAQ = neighbours.bend(codes_BAQ, present)
    assert torch.equal(bent_BAQ[..., 0], codes_BAQ[..., 0])
    before, after = (
        [
            neighbours.residual(row_AQ[present_A], 1)[:, CONTENT:]
            for row_AQ, present_A in zip(codes, present, strict=True)
        ]
        for codes in (codes_BAQ, bent_BAQ)
    )
    for row in range(2):
        moved_AD = after[row] - before[row]
        towards_D = before[1 - row].mean(0) - before[row].mean(0)
        share = (moved_AD.mean(0) @ towards_D) / (towards_D @ towards_D)
        assert 0.05 < share < 0.85
        torch.testing.assert_close(moved_AD, (share * towards_D).expand_as(moved_AD), atol=0.5, rtol=0)


def test_a_bent_voice_does_not_hang_on_what_is_padded(neighbours: Neighbours) -> None:
    codes_BAQ = spoken(neighbours, torch.zeros(2, 8 - CONTENT))
    present = torch.arange(40) < torch.tensor([[30], [40]])
    found = []
    for padding in (0, 7):
        codes_BAQ[~present] = padding
        torch.manual_seed(0)
        found.append(neighbours.bend(codes_BAQ, present)[present])
    assert torch.equal(*found)
    assert not torch.equal(found[0], codes_BAQ[present])


@pytest.fixture
def split(tmp_path: Path) -> tuple[Speech, Speech]:
    """Held-out and other speech: codes are 0 to 9 in stage 1's, 100 to 109 in real ones; hibari's are 500 above."""

    def write(name: str, code: int) -> None:
        one = {"frames": [100, 100], "letters": [2, 2], "text": np.zeros(4), "sounding": np.zeros(200)}
        codes_TQ = np.full((200, 8), code, np.int16)
        np.savez(tmp_path / f"{name}.npz", codes=codes_TQ, retold=codes_TQ[:, 0] + 500, **one)

    for number in range(10):
        write(f"s{number:05}", number)
        for version in range(3):
            write(f"voice-{number}-{number}-{version}", 100 + number)
    return Speech.split(tmp_path)


def test_no_voice_of_a_held_out_recording_is_trained_on(split: tuple[Speech, Speech]) -> None:
    held, kept = split
    marks = [{int(rows[0].codes_TQ[0, 0]) for rows in [*speech.spoken, *speech.real]} for speech in (held, kept)]
    assert marks[0] | marks[1] == {*range(10), *range(100, 110)}
    assert not marks[0] & marks[1]
    batch = kept.choose(4, random.Random(0), Draw(strangers=1))
    assert set(batch.codes_BAQ[:, 0, 0].tolist()) <= {100 + number for number in range(10)}
    assert (batch.audio_len_B - batch.prompt_len_B == 100).all()


def test_a_human_s_own_voice_counts_more(split: tuple[Speech, Speech]) -> None:
    assert [len(speech.real) for speech in split] == [8 * (OWN + 2), 2 * (OWN + 2)]


def test_codebook_1_of_a_target_is_hibari_s(split: tuple[Speech, Speech]) -> None:
    batch = split[1].choose(4, random.Random(0), Draw(strangers=1))
    assert set(batch.codes_BAQ[:, 0, 0].tolist()) <= {100 + number for number in range(10)}  # the prompt's is its own
    last_BQ = batch.codes_BAQ[torch.arange(4), batch.audio_len_B - 1]
    assert set(last_BQ[:, 0].tolist()) <= {500 + number for number in range(10)}
    assert set(last_BQ[:, 1].tolist()) <= set(range(10))


def test_prompts_are_as_long_as_asked_for(split: tuple[Speech, Speech]) -> None:
    alone_B, short_B = (
        split[1].choose(32, random.Random(0), draw).prompt_len_B for draw in (Draw(alone=0.5), Draw(longest=70))
    )
    assert (alone_B == 0).any()
    assert (alone_B >= MIN_PROMPT).any()
    assert ((short_B >= MIN_PROMPT) & (short_B <= 70)).all()


def test_attention_by_hand_is_torch_s_own() -> None:
    query, key, value = torch.randn(3, 2, 2, 5, 8).unbind(0)
    mask = torch.ones(5, 5, dtype=torch.bool).tril().expand(2, 1, 5, 5)
    exact = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(lm.attention(query, key, value, attn_mask=mask), exact)
