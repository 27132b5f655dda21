"""The tokens of stage 3 as batches: sentences, each with a passage of another one as its prompt."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from config import MAX_PROMPT, MIN_PROMPT
from speech import REAL
from torch import Tensor, nn

LONGEST = 420  # frames of a sentence
HELD_OUT = 8  # speakers of each kind that are never trained on


@dataclass(frozen=True)
class Row:
    """One sentence of one speaker."""

    codes_TQ: np.ndarray
    sounding_T: np.ndarray
    text_S: np.ndarray


def load_speaker(path: Path) -> list[Row]:
    """Return the rows of one file of stage 3, but for the longest, on which attention would spend most of the time."""
    packed = np.load(path)
    frames, letters = np.cumsum(packed["frames"])[:-1], np.cumsum(packed["letters"])[:-1]
    parts = zip(
        np.split(packed["codes"], frames),
        np.split(packed["sounding"], frames),
        np.split(packed["text"], letters),
        strict=True,
    )
    return [row for row in (Row(*part) for part in parts) if len(row.codes_TQ) <= LONGEST]


@dataclass(frozen=True)
class Batch:
    """Rows padded on the right, with their prompts in front."""

    text_BS: Tensor
    text_len_B: Tensor
    codes_BAQ: Tensor  # prompt and target
    prompt_len_B: Tensor
    audio_len_B: Tensor
    sounding_BA: Tensor  # the index of the text id that sounds in each frame; -1 in the prompt and between words

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        return Batch(*(tensor.to(device) for tensor in vars(self).values()))


def pad(arrays: list[np.ndarray], fill: int) -> Tensor:
    """Given B arrays (L, ...), return one tensor (B, max L, ...)."""
    tensors = [torch.from_numpy(a.astype(np.int64)) for a in arrays]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=fill)


def lengths(arrays: list[np.ndarray]) -> Tensor:
    """Return the lengths (B,) of B arrays."""
    return torch.tensor([len(a) for a in arrays])


class Speech:
    """The rows of each speaker: stage 1's, and those of real recordings."""

    def __init__(self, files: list[Path]) -> None:
        spoken, real = [], []
        for path in files:
            if len(rows := load_speaker(path)) > 1:
                (real if path.name.startswith(REAL) else spoken).append(rows)
        self.spoken, self.real = spoken, real

    @classmethod
    def split(cls, folder: Path) -> tuple[Speech, Speech]:
        """Return what is never trained on, a few speakers of each kind, and the rest."""
        files = sorted(folder.glob("*.npz"))
        names = list(dict.fromkeys(speaker_name(path) for path in files))
        spoken = [name for name in names if not name.startswith(REAL)]
        unseen = {*spoken[:HELD_OUT], *names[len(spoken) :][:HELD_OUT]}
        held, kept = ([path for path in files if (speaker_name(path) in unseen) is wanted] for wanted in (True, False))
        return cls(held), cls(kept)

    def choose(self, size: int, rng: random.Random, *, real: float, strangers: float = 0) -> Batch:
        """Return a batch of `size` rows of similar length, a share of them from real recordings.

        Prompts are of the row's own speaker, but for the share that comes from any real recording.
        """
        speakers = [rng.choice(self.real if rng.random() < real else self.spoken) for _ in range(4 * size)]
        pool = [(speaker, rng.choice(speaker)) for speaker in speakers]
        pool.sort(key=lambda pair: len(pair[1].codes_TQ))
        first = rng.randrange(3 * size)
        chosen = pool[first : first + size]
        prompters = [rng.choice(self.real) if rng.random() < strangers else speaker for speaker, _ in chosen]
        return collate(prompters, [row for _, row in chosen], rng)


def speaker_name(path: Path) -> str:
    """Given a file of stage 3, return whose it is: the voices of one recording are one."""
    return path.stem.rpartition("-")[0] if path.name.startswith(REAL) else path.stem


def collate(prompters: list[list[Row]], targets: list[Row], rng: random.Random) -> Batch:
    """Given rows and who prompts each, return them as a batch, with a passage of another row of that speaker."""
    prompts = []
    for prompter, row in zip(prompters, targets, strict=True):
        other = rng.choice([r for r in prompter if r is not row]).codes_TQ
        length = min(len(other), rng.randint(MIN_PROMPT, MAX_PROMPT))
        begin = rng.randrange(len(other) - length + 1)
        prompts.append(other[begin : begin + length])
    whole = [np.concatenate([p, r.codes_TQ]) for p, r in zip(prompts, targets, strict=True)]
    sounding = [np.concatenate([np.full(len(p), -1), r.sounding_T]) for p, r in zip(prompts, targets, strict=True)]
    return Batch(
        text_BS=pad([r.text_S for r in targets], 0),
        text_len_B=lengths([r.text_S for r in targets]),
        codes_BAQ=pad(whole, 0),
        prompt_len_B=lengths(prompts),
        audio_len_B=lengths(whole),
        sounding_BA=pad(sounding, -1),
    )
