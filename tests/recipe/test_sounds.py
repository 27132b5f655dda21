"""Stage 3 of nano's recipe: what codebook 1 tells of the sound in a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tokens
from align import SILENCE, SILENT, SOUND_CLASS
from batches import Row

from vallecli.text.arpabet import ArpabetFrontEnd


def test_a_code_has_the_sound_that_it_has_most_often_in_stage_1_s_speech(tmp_path: Path) -> None:
    (tmp_path / "speech").mkdir()
    (tmp_path / "tokens").mkdir()
    (tmp_path / "speech" / "s00000.json").touch()
    symbols = list(ArpabetFrontEnd.vocabulary)
    codes_TQ = np.zeros((6, 8), np.int16)
    codes_TQ[:, 0] = [7, 7, 7, 9, 9, 5]
    row = Row(
        codes_TQ, codes_TQ[:, 0], np.array([0, 0, 1, 1, 1, SILENT]), np.array(list(map(symbols.index, ("AE1", "T"))))
    )
    tokens.write(tmp_path / "tokens" / "s00000.npz", [row])
    likeliest = tokens.sound_logits(tmp_path).argmax(1)
    assert likeliest[[7, 9, 5]].tolist() == [SOUND_CLASS[sound] for sound in ("AE", "T", SILENCE)]
