"""What the recipe takes for hibari's codebook 1 in the frames of any voice."""

from __future__ import annotations

import random

import numpy as np
import pytest
import retell
import torch
from align import SILENT
from torch import Tensor


def test_each_frame_is_told_its_phoneme() -> None:
    sounding_T, text_S = np.array([SILENT, 0, 0, 1, SILENT, 2]), np.array([7, 5, 9])
    told = [retell.NOTHING, 7, 7, 5, retell.NOTHING, 9]
    assert retell.phones(sounding_T, text_S).tolist() == told


def test_boundaries_wander_and_phonemes_keep_their_order() -> None:
    torch.manual_seed(0)
    phone_T = torch.arange(8).repeat_interleave(12)
    wandered_T = retell.wander(phone_T)
    assert 0 < (wandered_T != phone_T).sum() < len(phone_T) / 3
    assert set(wandered_T.tolist()) == set(range(8))


def test_most_voices_are_bent_and_some_are_left_out() -> None:
    torch.manual_seed(0)
    rng, latents_TD, deviation_D = random.Random(0), torch.randn(20, 4), torch.ones(4)
    bent = [retell.bend(latents_TD, deviation_D, rng) for _ in range(200)]
    mute = sum(not voice_TD.any() for voice_TD in bent)
    plain = sum(torch.equal(voice_TD, latents_TD) for voice_TD in bent)
    assert mute == pytest.approx(50, abs=20)
    assert plain == pytest.approx(30, abs=15)


def test_voices_decide_together(monkeypatch: pytest.MonkeyPatch) -> None:
    reteller = retell.Reteller(4)
    logits_VTC = torch.tensor([[[0.0, 3.0, 2.0]], [[3.0, 0.0, 2.0]]]).expand(2, 5, 3)

    def forward(latents_VTD: Tensor, phone_VT: Tensor) -> Tensor:
        assert latents_VTD.shape[:2] == phone_VT.shape == (2, 5)
        return logits_VTC

    monkeypatch.setattr(reteller, "forward", forward)
    assert reteller.retell(torch.zeros(2, 5, 4), torch.zeros(5, dtype=torch.long)).tolist() == [2] * 5
