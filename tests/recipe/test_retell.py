"""Recordings retold by hibari in nano's recipe: the same words at the same time."""

from __future__ import annotations

import numpy as np
import retell
import torch
from align import SILENT, Transcript
from torch import Tensor

from vallecli.constants import HOP
from vallecli.text.arpabet import ArpabetFrontEnd

TEXT = "The old ship came home."


class Numbers:
    """A codec whose codes are the numbers of the frames."""

    def encode(self, wav_BN: Tensor) -> Tensor:
        """Return codes (1, T, 8)."""
        return torch.arange(wav_BN.shape[1] // HOP)[None, :, None].expand(-1, -1, 8)


def test_what_sounds_in_both_readings_begins_and_ends_together() -> None:
    here = np.array([SILENT, 0, 0, 0, 0, 2, 2, SILENT])
    there = np.array([SILENT, SILENT, 0, 0, 1, 2, SILENT])
    assert retell.places(here, there).tolist() == [1, 2, 2, 3, 3, 5, 5, 6]


def test_hibari_retells_at_the_pace_of_the_recording() -> None:
    front_end = ArpabetFrontEnd()
    transcript = Transcript.of(TEXT, front_end)
    letters = [i for i, word in enumerate(transcript.words) if word != SILENT]
    owner_T = np.repeat([SILENT, *letters, SILENT], 9)
    pause = 9 * 4  # frames before it: a silence, DH, AH and OW, the middle of a word
    owner_T = np.insert(owner_T, pause, [SILENT] * 5)
    retold_T = retell.retell(TEXT, transcript, owner_T, Numbers(), front_end)
    assert retold_T is not None
    assert len(retold_T) == len(owner_T)
    assert set(retold_T[pause : pause + 5]) == {0}  # hibari's silence
    said_T = np.delete(retold_T, np.s_[pause : pause + 5])
    assert np.all(np.diff(said_T) >= 0)
    assert len(np.unique(said_T)) > len(letters)


def test_other_words_cannot_be_retold() -> None:
    front_end = ArpabetFrontEnd()
    transcript = Transcript.of(TEXT, front_end)
    assert retell.retell("The ship.", transcript, np.zeros(90, int), Numbers(), front_end) is None
