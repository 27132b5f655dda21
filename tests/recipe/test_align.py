"""Alignment in nano's recipe: each frame of speech gets the phoneme that sounds in it."""

from __future__ import annotations

import numpy as np
import pytest
from align import SILENT, SOUND_CLASS, SOUNDS, Transcript, align, force

from vallecli.errors import EmptyText
from vallecli.text.arpabet import ArpabetFrontEnd


def heard(sounds: list[str]) -> np.ndarray:
    """Return logits (T, C) of a classifier that is sure of each frame's sound."""
    return 10 * np.eye(len(SOUNDS))[[SOUND_CLASS[sound] for sound in sounds]]


def test_two_alphabets_spell_one_word() -> None:
    assert align(list("bɜɹd"), ["B", "ER1", "D"]) == [0, 1, 1, 2]
    assert align(list("kæt"), ["K", "AE1", "T"]) == [0, 1, 2]


def test_force_passes_every_state_in_order() -> None:
    scores = np.log(np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8]]))
    assert force(scores, np.array([False, False, False])).tolist() == [0, 1, 2, 2]


def test_force_leaves_out_only_what_is_optional() -> None:
    scores = np.log(np.array([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8]]))
    assert force(scores, np.array([False, True, False])).tolist() == [0, 0, 2, 2]
    ends = np.log(np.array([[0.01, 0.9, 0.01], [0.01, 0.9, 0.01]]))
    assert force(ends, np.array([True, False, True])).tolist() == [1, 1]


def test_force_finds_nothing_in_too_few_frames() -> None:
    assert len(force(np.zeros((2, 3)), np.array([False, False, False]))) == 0


def test_a_transcript_finds_its_phonemes_and_pauses() -> None:
    transcript = Transcript.of("Cat, dog.", ArpabetFrontEnd())
    sounds = ["", "", "K", "AE", "AE", "T", "", "", "D", "AO", "AO", "G", ""]
    aligned = transcript.align(heard(sounds))
    assert aligned is not None
    path_T, score_T = aligned
    assert [SOUNDS[i] for i in transcript.sound_N[path_T]] == sounds
    owners = transcript.owner_N[path_T]
    assert [sound == "" for sound in sounds] == [owner == SILENT for owner in owners]
    assert np.all(np.diff(owners[owners != SILENT]) >= 0)
    assert score_T.min() > np.log(0.85)


def test_a_wrong_transcript_scores_low() -> None:
    sounds = ["", "K", "AE", "AE", "T", ""]
    aligned = Transcript.of("Soup.", ArpabetFrontEnd()).align(heard(sounds))
    assert aligned is not None
    assert aligned[1].mean() < -2.5


def test_a_transcript_longer_than_its_recording_does_not_fit() -> None:
    assert Transcript.of("Cat, dog.", ArpabetFrontEnd()).align(heard(["K", "AE"])) is None


def test_a_transcript_needs_words() -> None:
    with pytest.raises(EmptyText):
        Transcript.of("...", ArpabetFrontEnd())
