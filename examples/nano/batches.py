"""The tokens of stage 3 as batches: sentences, each with a passage of other ones as its prompt."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from config import MAX_PROMPT, MIN_PROMPT
from speech import REAL
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

LONGEST = 420  # frames of a sentence
OWN = 8  # a human's own voice counts as so many of those that Praat makes of it
HELD_OUT = 8  # speakers of each kind that are never trained on


@dataclass(frozen=True)
class Row:
    """One sentence of one speaker, as a file of stage 3 holds many."""

    codes_TQ: np.ndarray
    retold_T: np.ndarray  # codebook 1 as hibari would have it
    sounding_T: np.ndarray  # the index of the text id that sounds in each frame
    text_S: np.ndarray

    def retell(self) -> Row:
        """Return the row with hibari's codebook 1 in place of its own."""
        return replace(self, codes_TQ=np.concatenate([self.retold_T[:, None], self.codes_TQ[:, 1:]], 1))


@dataclass(frozen=True)
class Draw:
    """How the rows of a batch are drawn."""

    real: float = 0.0  # share from a real recording
    strangers: float = 0.0  # share prompted by any real recording instead of its own speaker
    alone: float = 0.0  # share without a prompt
    longest: int = MAX_PROMPT  # frames of a prompt


def load_speaker(path: Path) -> list[Row]:
    """Return the rows of one file of stage 3, but for the longest, on which attention would spend most of the time."""
    packed = np.load(path)
    frames, letters = np.cumsum(packed["frames"])[:-1], np.cumsum(packed["letters"])[:-1]
    parts = zip(
        np.split(packed["codes"], frames),
        np.split(packed["retold"], frames),
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
                if path.name.startswith(REAL):
                    real += [rows] * (OWN if path.stem.endswith("-0") else 1)
                else:
                    spoken.append(rows)
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

    def choose(self, size: int, rng: random.Random, draw: Draw) -> Batch:
        """Return a batch of `size` rows of similar length, retold, each behind a passage of its prompter's others."""
        speakers = [rng.choice(self.real if rng.random() < draw.real else self.spoken) for _ in range(4 * size)]
        pool = [(speaker, rng.choice(speaker)) for speaker in speakers]
        pool.sort(key=lambda pair: len(pair[1].codes_TQ))
        first = rng.randrange(3 * size)
        examples = []
        for speaker, row in pool[first : first + size]:
            prompter = rng.choice(self.real) if rng.random() < draw.strangers else speaker
            others_TQ = np.concatenate([other.codes_TQ for other in prompter if other is not row])
            prompt_PQ = passage(others_TQ, draw.longest, rng)
            examples.append((prompt_PQ[:0] if rng.random() < draw.alone else prompt_PQ, row.retell()))
        return collate(examples)


class Steps(Dataset[Batch]):
    """The batch of each step of a training, which hangs on nothing but the step."""

    def __init__(self, speech: Speech, size: int, draw: Draw) -> None:
        self.speech, self.size, self.draw = speech, size, draw

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step."""
        return self.speech.choose(self.size, random.Random(step), self.draw)

    def loader(self, first: int, last: int, workers: int) -> DataLoader[Batch]:
        """Return the batches of steps `first` to `last` - 1, made by processes beside this one if there are workers."""
        return DataLoader(self, batch_size=None, sampler=range(first, last), num_workers=workers)


def speaker_name(path: Path) -> str:
    """Given a file of stage 3, return whose it is: the voices of one recording are one."""
    return path.stem.rpartition("-")[0] if path.name.startswith(REAL) else path.stem


def passage(codes_TQ: np.ndarray, longest: int, rng: random.Random) -> np.ndarray:
    """Return a random passage (P, 8) of codes (T, 8), as long as a prompt or, if there is no more, all of it."""
    length = min(len(codes_TQ), rng.randint(MIN_PROMPT, longest))
    begin = rng.randrange(len(codes_TQ) - length + 1)
    return codes_TQ[begin : begin + length]


def collate(examples: list[tuple[np.ndarray, Row]]) -> Batch:
    """Return pairs of a prompt's codes (P, 8) and a row as a batch."""
    whole = [np.concatenate([prompt_PQ, row.codes_TQ]) for prompt_PQ, row in examples]
    sounding = [np.concatenate([np.full(len(prompt_PQ), -1), row.sounding_T]) for prompt_PQ, row in examples]
    return Batch(
        text_BS=pad([row.text_S for _, row in examples], 0),
        text_len_B=lengths([row.text_S for _, row in examples]),
        codes_BAQ=pad(whole, 0),
        prompt_len_B=lengths([prompt_PQ for prompt_PQ, _ in examples]),
        audio_len_B=lengths(whole),
        sounding_BA=pad(sounding, -1),
    )
