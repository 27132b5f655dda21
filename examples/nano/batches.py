"""Training batches from the tokens of stage 3: sentences, each with a passage of other sentences as its prompt."""

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

LONGEST = 420  # frames of a sentence, at most
OWN = 8  # weight of a human's original voice relative to each Praat version of it
HELD_OUT = 8  # speakers of each kind that are excluded from training


@dataclass(frozen=True)
class Row:
    """One sentence of one speaker."""

    codes_TQ: np.ndarray
    retold_T: np.ndarray  # codebook 1 as hibari-tts would produce it
    sounding_T: np.ndarray  # the index of the text id that sounds in each frame
    text_S: np.ndarray

    def retell(self) -> Row:
        """Return the row with hibari-tts's codebook 1 in place of the original."""
        return replace(self, codes_TQ=np.concatenate([self.retold_T[:, None], self.codes_TQ[:, 1:]], 1))


@dataclass(frozen=True)
class Draw:
    """How the rows of a batch are drawn."""

    real: float = 0.0  # share of rows from real recordings
    strangers: float = 0.0  # share of rows with a prompt from any real recording instead of the speaker's
    alone: float = 0.0  # share of rows without a prompt
    longest: int = MAX_PROMPT  # frames of a prompt, at most


def load_speaker(path: Path) -> list[Row]:
    """Return the rows of one file of stage 3 without the longest, whose attention would dominate the time of a step."""
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
    """Rows padded on the right, each preceded by its prompt."""

    text_BS: Tensor
    text_len_B: Tensor
    codes_BAQ: Tensor  # prompt and target
    prompt_len_B: Tensor
    audio_len_B: Tensor
    sounding_BA: Tensor  # index of the text id that sounds in each frame; -1 in the prompt and between words

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
    """The rows of each speaker: synthetic speakers of stage 1, and real recordings."""

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
        """Return the held-out speakers, a few of each kind, and the speakers to train on."""
        files = sorted(folder.glob("*.npz"))
        names = list(dict.fromkeys(speaker_name(path) for path in files))
        spoken = [name for name in names if not name.startswith(REAL)]
        unseen = {*spoken[:HELD_OUT], *names[len(spoken) :][:HELD_OUT]}
        held, kept = ([path for path in files if (speaker_name(path) in unseen) is wanted] for wanted in (True, False))
        return cls(held), cls(kept)

    def choose(self, size: int, rng: random.Random, draw: Draw) -> Batch:
        """Return a batch of `size` rows of similar length with hibari-tts's codebook 1, each with a prompt.

        The prompt is a passage of the prompting speaker's other rows, in that speaker's original codes.
        """
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
    """The batch of each training step. It depends on the step only, so a resumed run sees the same batches."""

    def __init__(self, speech: Speech, size: int, draw: Draw) -> None:
        self.speech, self.size, self.draw = speech, size, draw

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step."""
        return self.speech.choose(self.size, random.Random(step), self.draw)

    def loader(self, first: int, last: int, workers: int) -> DataLoader[Batch]:
        """Return the batches of steps `first` to `last` - 1, prepared by `workers` processes, or in this one if 0."""
        return DataLoader(self, batch_size=None, sampler=range(first, last), num_workers=workers)


def speaker_name(path: Path) -> str:
    """Return the speaker of a file of stage 3; all versions of one recording are one speaker."""
    return path.stem.rpartition("-")[0] if path.name.startswith(REAL) else path.stem


def passage(codes_TQ: np.ndarray, longest: int, rng: random.Random) -> np.ndarray:
    """Return a random passage (P, 8) of codes (T, 8), of the length of a prompt, or all codes if they are shorter."""
    length = min(len(codes_TQ), rng.randint(MIN_PROMPT, longest))
    begin = rng.randrange(len(codes_TQ) - length + 1)
    return codes_TQ[begin : begin + length]


def collate(examples: list[tuple[np.ndarray, Row]]) -> Batch:
    """Return a batch of pairs of prompt codes (P, 8) and row."""
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
