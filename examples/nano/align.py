"""Align ARPAbet phonemes with codec frames: from the times of hibari-tts's phonemes, or from a frame classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from common import HOP

from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.english.normalize import normalize

# The alphabet of hibari-tts (that of misaki) to ARPAbet; stress marks have no sound.
ARPABET = {
    "A": "EY", "I": "AY", "O": "OW", "Q": "OW", "W": "AW", "Y": "OY", "ɑ": "AA", "ɒ": "AA", "æ": "AE", "a": "AE",
    "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ᵊ": "AH", "ɔ": "AO", "ɛ": "EH", "e": "EH", "ɜ": "ER", "ɚ": "ER", "ɪ": "IH",
    "ᵻ": "IH", "i": "IY", "ʊ": "UH", "u": "UW", "b": "B", "ʧ": "CH", "d": "D", "ð": "DH", "f": "F", "ɡ": "G",
    "h": "HH", "ʤ": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R", "s": "S", "ʃ": "SH",
    "t": "T", "T": "T", "ɾ": "T", "ʔ": "T", "θ": "TH", "v": "V", "w": "W", "j": "Y", "z": "Z", "ʒ": "ZH",
}  # fmt: skip
VOWELS = frozenset("AIOQWYɑɒæaʌəɐᵊɔɛeɜɚɪᵻiʊu")
SILENCE = ""
SOUNDS = (SILENCE, *sorted(set(ARPABET.values())))  # the classes of the codec's classifier
SOUND_CLASS = {sound: index for index, sound in enumerate(SOUNDS)}
SKIP = 1.0  # cost of an ARPAbet phoneme without a hibari-tts phoneme
FLOOR = 0.1  # share of probability spread over all classes: the classifier errs on unseen voices
SILENT = -1  # text index of frames in which nothing of the text sounds


def _distance(phone: str, symbol: str) -> float:
    sound = symbol.rstrip("012")
    if ARPABET.get(phone) == sound or (phone, sound) == ("ɹ", "ER"):
        return 0.0
    return 1.0 if (phone in VOWELS) == symbol[-1].isdigit() else 2.0


def align(phones: Sequence[str], symbols: Sequence[str]) -> list[int]:
    """Given a word in both alphabets, return the index of the ARPAbet phoneme for each hibari-tts phoneme.

    This is the monotonic alignment of least cost; neighbours may share an ARPAbet phoneme ("ɜɹ" is ER).
    """
    best = [[0.0] * len(symbols) for _ in phones]
    came = [[0] * len(symbols) for _ in phones]
    for i, phone in enumerate(phones):
        for j, symbol in enumerate(symbols):
            if i == 0:
                before = dict.fromkeys((0,), SKIP * j)
            else:
                before = {k: best[i - 1][k] + SKIP * max(0, j - k - 1) + (0.3 if k == j else 0) for k in range(j + 1)}
            came[i][j] = min(before, key=before.__getitem__)
            best[i][j] = before[came[i][j]] + _distance(phone, symbol)
    last = range(len(symbols))
    j = min(last, key=lambda k: best[-1][k] + SKIP * (len(symbols) - 1 - k))
    path = [j]
    for i in range(len(phones) - 1, 0, -1):
        j = came[i][j]
        path.append(j)
    return path[::-1]


def sounding(
    phones: str, phone_ends: list[int], symbols: list[str], words: list[int], begin: int, frames: int
) -> np.ndarray:
    """Return the index of the text id that sounds in each of `frames` codec frames from sample `begin` on (T,).

    `phones` and `phone_ends` are those of stage 1; `symbols` and `words` are the symbol and the word of each text id.
    """
    owner = np.full(frames, SILENT, np.int16)
    tokens_of = [[i for i, word in enumerate(words) if word == w] for w in range(max(words) + 1)]
    phone = 0  # index into the row's phones
    for tokens, spelled in zip(tokens_of, phones.split(" "), strict=True):
        sounds = [i for i, c in enumerate(spelled, phone) if c in ARPABET]
        letters = [i for i in tokens if symbols[i][0].isalpha()]
        phone += len(spelled) + 1
        if not sounds:
            continue
        chosen = align([phones[i] for i in sounds], [symbols[i] for i in letters])
        start = phone_ends[sounds[0]]  # entry 0 is the leading pad's end, so this is a start
        for i, target in zip(sounds, chosen, strict=True):
            end = phone_ends[i + 1]
            owner[max(0, (start - begin) // HOP) : (end - begin) // HOP] = letters[target]
            start = end
    return owner


@dataclass(frozen=True)
class Transcript:
    """A text as ids, and as N alignment states: phonemes, and silences that are optional."""

    ids: list[int]
    words: list[int]  # the word of each id
    owner_N: np.ndarray  # index of the id that sounds, or SILENT
    sound_N: np.ndarray  # its class in SOUNDS

    @classmethod
    def of(cls, text: str, front_end: ArpabetFrontEnd) -> Transcript:
        """Return the transcript of a text; raises EmptyText."""
        ids, words = front_end.encode_words(normalize(text))
        symbols = [front_end.vocabulary[i].rstrip("012") for i in ids]
        states = [(SILENT, SILENCE)]
        for index, symbol in enumerate(symbols):
            if words[index] == SILENT:
                states.append((SILENT, SILENCE))
            elif symbol.isalpha():
                states.append((index, symbol))
        owners, sounds = zip(*states, (SILENT, SILENCE), strict=True)
        return cls(ids, words, np.array(owners), np.array([SOUND_CLASS[sound] for sound in sounds]))

    def align(self, logits_TC: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Given a classifier's logits, return each frame's state (T,) and log-probability (T,).

        Returns None if the text does not fit into the frames.
        """
        shares = np.exp(logits_TC - logits_TC.max(1, keepdims=True))
        shares = (1 - FLOOR) * shares / shares.sum(1, keepdims=True) + FLOOR / len(SOUNDS)
        scores_TN = np.log(shares)[:, self.sound_N]
        path_T = force(scores_TN, self.owner_N == SILENT)
        return (path_T, scores_TN[np.arange(len(path_T)), path_T]) if len(path_T) else None


def force(scores_TN: np.ndarray, optional_N: np.ndarray) -> np.ndarray:
    """Forced alignment: given log-probabilities of N states in T frames, return the most likely state path (T,).

    States are passed in order; only optional states may be skipped. Returns an empty array (0,) if no path exists,
    because there are fewer frames than states.
    """
    best = np.full(scores_TN.shape[1], -np.inf)
    begins = 2 if optional_N[0] else 1
    best[:begins] = scores_TN[0, :begins]
    steps = np.zeros(scores_TN.shape, int)  # by how many states the best path advanced
    for t in range(1, len(scores_TN)):
        moved = np.concatenate([[-np.inf], best[:-1]])
        skipped = np.concatenate([[-np.inf, -np.inf], np.where(optional_N[1:-1], best[:-2], -np.inf)])
        ways = np.stack([best, moved, skipped])
        steps[t] = ways.argmax(0)
        best = ways.max(0) + scores_TN[t]
    ends = len(best) - (2 if optional_N[-1] and best[-2] > best[-1] else 1)
    if not np.isfinite(best[ends]):
        return np.zeros(0, int)
    path = [ends]
    for step in steps[:0:-1]:
        path.append(path[-1] - step[path[-1]])
    return np.array(path[::-1])
