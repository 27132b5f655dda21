"""Which ARPAbet phoneme of a word sounds when, given the times of hibari's phonemes of the same word."""

from __future__ import annotations

from collections.abc import Sequence

# hibari's alphabet (misaki's) to ARPAbet; the stress marks have no sound of their own.
ARPABET = {
    "A": "EY", "I": "AY", "O": "OW", "Q": "OW", "W": "AW", "Y": "OY", "ɑ": "AA", "ɒ": "AA", "æ": "AE", "a": "AE",
    "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ᵊ": "AH", "ɔ": "AO", "ɛ": "EH", "e": "EH", "ɜ": "ER", "ɚ": "ER", "ɪ": "IH",
    "ᵻ": "IH", "i": "IY", "ʊ": "UH", "u": "UW", "b": "B", "ʧ": "CH", "d": "D", "ð": "DH", "f": "F", "ɡ": "G",
    "h": "HH", "ʤ": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R", "s": "S", "ʃ": "SH",
    "t": "T", "T": "T", "ɾ": "T", "ʔ": "T", "θ": "TH", "v": "V", "w": "W", "j": "Y", "z": "Z", "ʒ": "ZH",
}  # fmt: skip
VOWELS = frozenset("AIOQWYɑɒæaʌəɐᵊɔɛeɜɚɪᵻiʊu")
SKIP = 1.0  # the price of an ARPAbet phoneme that no hibari phoneme sounds


def _distance(phone: str, symbol: str) -> float:
    sound = symbol.rstrip("012")
    if ARPABET.get(phone) == sound or (phone, sound) == ("ɹ", "ER"):
        return 0.0
    return 1.0 if (phone in VOWELS) == symbol[-1].isdigit() else 2.0


def align(phones: Sequence[str], symbols: Sequence[str]) -> list[int]:
    """Given a word in both alphabets, return for each hibari phoneme the index of the ARPAbet phoneme it sounds.

    The cheapest pairing that never goes back: neighbours may share an ARPAbet phoneme ("ɜɹ" is ER).
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
