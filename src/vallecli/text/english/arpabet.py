"""The ARPAbet front end of nano: spoken words to phonemes by g2p-en, wholly offline.

g2p-en looks words up in CMUdict, tells homographs apart by a part-of-speech tag, and spells unknown words out with
a small neural model of its own. Dictionary and tagger weights come from `vallecli/data/text`, see the notice there.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
import warnings
from collections.abc import Sequence
from itertools import groupby
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from vallecli.errors import EmptyText, EmptyTranscript
from vallecli.text.base import AUTO, Said, Sentence, Tokens, check_language, transcript
from vallecli.text.english.cmudict import Pronunciations, pronunciations
from vallecli.text.english.normalize import normalize
from vallecli.text.split import split
from vallecli.text.english.tagger import tagger

PAD, SEPARATOR = "<pad>", " "
PUNCTUATION = (",", ".", "?", "!", "-")
VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
# Dashes apart from words, and the marks that have no symbol of their own, become the pause that is nearest.
DASH = re.compile(r"\s*(?:-{2,}|[—–])\s*|\s+-+\s+")
MARKS = str.maketrans({";": ",", ":": ",", "…": ".", "-": " ", "’": "'"})
TOKEN = re.compile(r"[a-z']*[a-z][a-z']*|[,.?!]")
OPENING = ",.?!"  # before a word these are no pause
HISSING = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
VOICELESS = frozenset({"P", "T", "K", "F", "TH"})


@functools.cache
def _g2p() -> Any:
    """Return g2p-en's converter, on our data."""

    def pos_tag(words: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Tag the words if a tag can make a difference."""
        homographs = converter.homograph2features
        return tagger().tag(words) if any(word in homographs for word in words) else [(word, "") for word in words]

    # g2p-en wants four things of NLTK, whose import takes seconds beside SciPy; and when NLTK's data is not
    # installed, g2p-en downloads it as it is imported. So it gets the four things from us and never sees NLTK.
    # Both are put back afterwards: code that shares this process may use the real ones.
    stand_ins = {name: ModuleType(name) for name in ("nltk", "nltk.corpus", "nltk.tokenize")}
    vars(stand_ins["nltk"]).update(pos_tag=pos_tag, data=SimpleNamespace(find=lambda _name: None))
    vars(stand_ins["nltk.corpus"]).update(cmudict=SimpleNamespace(dict=pronunciations))
    vars(stand_ins["nltk.tokenize"]).update(TweetTokenizer=lambda: SimpleNamespace(tokenize=str.split))
    others = _take_modules("nltk", "g2p_en")
    sys.modules.update(stand_ins)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its sources hold what later Pythons deprecate
            from g2p_en import G2p

            converter = G2p()
    finally:
        _take_modules("nltk", "g2p_en")
        sys.modules.update(others)
    converter.variables.close()  # the file of the neural model, which is in memory now
    return converter


def _take_modules(*packages: str) -> dict[str, ModuleType]:
    """Remove packages from the imported modules and return them."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in packages}


class ArpabetFrontEnd:
    """Normalized English text to ids of ARPAbet phonemes, punctuation and word separators."""

    name = "arpabet-1"  # another vocabulary or other pronunciations are another name
    languages: tuple[str, ...] = ("en",)
    vocabulary = (
        *(PAD, SEPARATOR, *PUNCTUATION),
        *(vowel + stress for vowel in VOWELS for stress in "012"),
        *CONSONANTS,
    )

    def __init__(self) -> None:
        self._ids = {symbol: index for index, symbol in enumerate(self.vocabulary)}

    def words(self, text: str) -> list[list[str]]:
        """Return the phonemes of each word of the text, split at spaces and hyphens, its punctuation at its end."""
        tokens: list[str] = []
        owners: list[int] = []  # the word of each token
        count = 0
        for written in _plain(text).split():
            found = [token for token, _ in groupby(TOKEN.findall(written.lstrip(OPENING) or written))]
            if any(token not in PUNCTUATION for token in found):
                count += 1
            if count:  # there is no word before for the punctuation to join
                tokens += found
                owners += [count - 1] * len(found)
        words: list[list[str]] = [[] for _ in range(count)]
        for owner, phonemes in zip(owners, self._pronounce(tokens), strict=True):
            words[owner] += phonemes
        return words

    def phonemes(self, text: str) -> list[str]:
        """Return the symbols of the text, words apart by a separator; EmptyText if no word is left."""
        return [self.vocabulary[index] for index in self.encode_words(text)[0]]

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Return the normalized sentences of a text. Raises EmptyText and UsageError."""
        check_language(self, language)
        return [Sentence(piece, "en") for piece in split(normalize(text), max_chars)]

    def encode(self, text: str, *, language: str = AUTO, said: Said | None = None, accent: str | None = None) -> Tokens:
        """Return the tokens of normalized text, as FrontEnd tells; what the prompt says is normalized here."""
        check_language(self, language)
        check_language(self, accent)
        ids, _ = self.encode_words(text)
        if said is None:
            return Tokens(ids=ids)
        try:
            before = normalize(transcript(said))
            prompt_ids, _ = self.encode_words(before)
        except EmptyText as error:
            raise EmptyTranscript from error
        return Tokens(ids=self.encode_words(f"{before} {text}")[0], prompt_tokens=len(prompt_ids))

    def encode_words(self, text: str) -> tuple[list[int], list[int]]:
        """Return the ids (S,) and the word each belongs to (S,), -1 for separators; EmptyText if no word is left."""
        ids: list[int] = []
        owners: list[int] = []
        for index, word in enumerate(self.words(text)):
            if index:
                ids.append(self._ids[SEPARATOR])
                owners.append(-1)
            ids += [self._ids[symbol] for symbol in word]
            owners += [index] * len(word)
        if not ids:
            raise EmptyText
        return ids, owners

    def _pronounce(self, tokens: list[str]) -> list[list[str]]:
        """Return the symbols of each token, a word in lower case or a punctuation mark."""
        if not tokens:
            return []
        converter = _g2p()
        stems, endings = zip(*(_stem(token, converter.cmu) for token in tokens), strict=True)
        with np.errstate(over="ignore"):  # in the sigmoid of its neural model, where infinity does no harm
            symbols = converter(" ".join(stems))
        groups: list[list[str]] = [[]]
        for symbol in symbols:
            if symbol == SEPARATOR:
                groups.append([])
            elif symbol in self._ids:
                groups[-1].append(symbol)
            elif symbol == "UW":  # the neural model knows it without stress, too
                groups[-1].append("UW1")
        return [_with_s(group) if ending and group else group for group, ending in zip(groups, endings, strict=True)]


def _plain(text: str) -> str:
    """Return the text in lower case, without accents, and with no marks but those of a pause and apostrophes."""
    decomposed = unicodedata.normalize("NFD", DASH.sub(", ", text).translate(MARKS))
    return "".join(char for char in decomposed if not unicodedata.combining(char)).lower()


def _stem(token: str, dictionary: Pronunciations) -> tuple[str, bool]:
    """Return what to look up for a token, and whether the sound of 's follows: names seldom are in CMUdict with it."""
    bare = token.strip("'")
    if token in dictionary or not bare:
        return token, False
    if bare in dictionary:
        return bare, False
    if bare.endswith("'s"):
        return bare.removesuffix("'s"), True
    return bare, False


def _with_s(phonemes: list[str]) -> list[str]:
    """Return the phonemes with the 's of English: /IH0 Z/ after a hiss, /S/ after a voiceless sound, else /Z/."""
    if phonemes[-1] in HISSING:
        return [*phonemes, "IH0", "Z"]
    return [*phonemes, "S" if phonemes[-1] in VOICELESS else "Z"]
