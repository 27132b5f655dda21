"""The ARPAbet front end of nano: normalized English to phonemes by g2p-en, without downloads.

g2p-en looks words up in CMUdict, and predicts the phonemes of unknown words with a small neural model. Homographs are
pronounced by their sentence; see english.homographs. The dictionary is in `vallecli/data/text`; see NOTICE.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
import warnings
from collections.abc import Mapping
from itertools import groupby
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from vallecli.errors import EmptyText, EmptyTranscript
from vallecli.text.base import AUTO, PromptWords, Sentence, Tokens, check_language, transcript_of
from vallecli.text.english.cmudict import Pronunciations, pronunciations
from vallecli.text.english.homographs import TOKEN, homographs
from vallecli.text.english_sentences import english_sentences
from vallecli.text.normalize import normalize
from vallecli.text.phones import WORD_BOUNDARY, Pronunciation

PAD, SEPARATOR = "<pad>", " "
PUNCTUATION = (",", ".", "?", "!", "-")
VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
# Dashes between words, and marks without a symbol, become the most similar mark.
DASH = re.compile(r"\s*(?:-{2,}|[—–])\s*|\s+-+\s+")
MARKS = str.maketrans({";": ",", ":": ",", "…": ".", "-": " ", "’": "'"})
LEADING_MARKS = ",.?!"  # ignored at the start of a word
SIBILANTS = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
VOICELESS = frozenset({"P", "T", "K", "F", "TH"})


@functools.cache
def _g2p() -> Any:
    """Return the converter of g2p-en, with the dictionary of this package and without its list of homographs."""
    # g2p-en uses four names of NLTK. Importing NLTK and SciPy takes seconds, and g2p-en downloads NLTK's data at import
    # if it is missing. So it is imported with replacements of NLTK's modules, which are removed afterwards: other code
    # in this process may import the real NLTK and g2p-en.
    replacements = {name: ModuleType(name) for name in ("nltk", "nltk.corpus", "nltk.tokenize")}
    vars(replacements["nltk"]).update(
        pos_tag=lambda words: [(word, "") for word in words], data=SimpleNamespace(find=lambda _name: None)
    )
    vars(replacements["nltk.corpus"]).update(cmudict=SimpleNamespace(dict=pronunciations))
    vars(replacements["nltk.tokenize"]).update(TweetTokenizer=lambda: SimpleNamespace(tokenize=str.split))
    originals = _remove_modules("nltk", "g2p_en")
    sys.modules.update(replacements)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its code is deprecated in later Python versions
            from g2p_en import G2p

            converter = G2p()
    finally:
        _remove_modules("nltk", "g2p_en")
        sys.modules.update(originals)
    converter.homograph2features = {}
    converter.variables.close()  # closes the file of the neural model, which is in memory
    return converter


def pronounce(words: str) -> list[list[str]]:
    """Return the ARPAbet phonemes of each word of a text of lower-case letters and single spaces.

    Vowels end with their stress, except for a rare "UW" of the neural model.
    """
    with np.errstate(over="ignore"):  # harmless in the sigmoid of the neural model
        symbols = _g2p()(words)
    return [list(group) for is_space, group in groupby(symbols, SEPARATOR.__eq__) if not is_space]


def _remove_modules(*packages: str) -> dict[str, ModuleType]:
    """Remove packages from sys.modules and return their modules."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in packages}


class ArpabetFrontEnd:
    """Converts normalized English text to ids of ARPAbet phonemes, punctuation and word separators."""

    name = "arpabet-1"  # a change of vocabulary or pronunciations needs a new version
    languages: tuple[str, ...] = ("en",)
    normalizes = True
    vocabulary = (
        *(PAD, SEPARATOR, *PUNCTUATION),
        *(vowel + stress for vowel in VOWELS for stress in "012"),
        *CONSONANTS,
    )

    def __init__(self, *, homographs: bool = True) -> None:
        """Without `homographs`, they have the first pronunciation in CMUdict."""
        self._homographs = homographs
        self._ids = {symbol: index for index, symbol in enumerate(self.vocabulary)}

    def words(self, text: str, pronunciations: Mapping[str, Pronunciation] | None = None) -> list[list[str]]:
        """Return the phonemes of each word, followed by its punctuation; words are separated by spaces and hyphens."""
        tokens: list[str] = []
        owners: list[int] = []  # index of the word of each token
        count = 0
        for written in _letters(text).split():
            found = tokens_of(written.lstrip(LEADING_MARKS) or written)
            if any(token not in PUNCTUATION for token in found):
                count += 1
            if count:  # punctuation before the first word is dropped
                tokens += found
                owners += [count - 1] * len(found)
        words: list[list[str]] = [[] for _ in range(count)]
        for owner, phonemes in zip(owners, self._pronounce(tokens, pronunciations or {}), strict=True):
            words[owner] += phonemes
        return words

    def phonemes(self, text: str) -> list[str]:
        """Return the symbols of the text, with SEPARATOR between words. Raises EmptyText for a text without words."""
        return [self.vocabulary[index] for index in self.encode_words(text)[0]]

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Return the normalized sentences of a text, the last one with a mark at its end: one word needs it to end.

        Raises EmptyText and UsageError.
        """
        check_language(self, language)
        return english_sentences(text, max_chars, end=".")

    def encode(
        self,
        text: str,
        *,
        language: str = AUTO,
        prompt_words: PromptWords | None = None,
        accent: str | None = None,
        pronunciations: Mapping[str, Pronunciation] | None = None,
    ) -> Tokens:
        """Return the tokens of normalized text after those of the transcript, which is normalized here."""
        check_language(self, language)
        check_language(self, accent)
        ids, _ = self.encode_words(text, pronunciations)
        if prompt_words is None:
            return Tokens(ids=ids)
        try:
            transcript = normalize(transcript_of(prompt_words))
            _, owners = self.encode_words(transcript, pronunciations)
        except EmptyText as error:
            raise EmptyTranscript from error
        count = max(owners) + 1  # of words
        both, owners = self.encode_words(f"{transcript} {text}", pronunciations)
        return Tokens(ids=both, prompt_tokens=max(at for at, owner in enumerate(owners) if 0 <= owner < count) + 1)

    def spoken(self, text: str, *, language: str = AUTO) -> str:
        """Return the sentence, which is normalized."""
        return text

    def spell(self, tokens: Tokens) -> str:
        """Return the symbols of tokens without those of the prompt, with | between words."""
        symbols = [self.vocabulary[index] for index in tokens.ids[tokens.prompt_tokens :]]
        return " ".join(WORD_BOUNDARY if symbol == SEPARATOR else symbol for symbol in symbols).strip("| ")

    def check_pronunciation(self, pronunciation: Pronunciation) -> None:
        """Raise ValueError for a sound that ARPAbet does not have."""
        pronunciation.arpabet()

    def encode_words(
        self, text: str, pronunciations: Mapping[str, Pronunciation] | None = None
    ) -> tuple[list[int], list[int]]:
        """Return the ids (S,), and for each the index of its word (S,), -1 for separators.

        Raises EmptyText for a text without words.
        """
        ids: list[int] = []
        owners: list[int] = []
        for index, word in enumerate(self.words(text, pronunciations)):
            if index:
                ids.append(self._ids[SEPARATOR])
                owners.append(-1)
            ids += [self._ids[symbol] for symbol in word]
            owners += [index] * len(word)
        if not ids:
            raise EmptyText
        return ids, owners

    def _pronounce(self, tokens: list[str], pronunciations: Mapping[str, Pronunciation]) -> list[list[str]]:
        """Return the symbols of each token, which is a word as written or a punctuation mark."""
        if not tokens:
            return []
        converter = _g2p()
        known = dict(homographs().find(tokens)) if self._homographs else {}
        lower = [token.lower() for token in tokens]
        known |= {index: pronunciations[token] for index, token in enumerate(lower) if token in pronunciations}
        words = ["a" if index in known else token for index, token in enumerate(lower)]
        stems, endings = zip(*(_stem(word, converter.cmu) for word in words), strict=True)
        with np.errstate(over="ignore"):  # harmless in the sigmoid of the neural model
            symbols = converter(" ".join(stems))
        groups: list[list[str]] = [[]]
        for symbol in symbols:
            if symbol == SEPARATOR:
                groups.append([])
            elif symbol in self._ids:
                groups[-1].append(symbol)
            elif symbol == "UW":  # the neural model can omit the stress of this vowel
                groups[-1].append("UW1")
        found = [_with_s(group) if ending and group else group for group, ending in zip(groups, endings, strict=True)]
        for index, pronunciation in known.items():
            first, *others = pronunciation.arpabet()
            found[index] = [*first, *(symbol for word in others for symbol in (SEPARATOR, *word))]
        return found


def tokens_of(text: str) -> list[str]:
    """Return the words of a text as written, without accents, and its marks, which are not repeated."""
    words = _letters(text).split()
    return [next(same) for word in words for _, same in groupby(TOKEN.findall(word), str.lower)]


def _letters(text: str) -> str:
    """Return the text without accents, and with no marks except PUNCTUATION and apostrophes."""
    decomposed = unicodedata.normalize("NFD", DASH.sub(", ", text).translate(MARKS))
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _plain(text: str) -> str:
    """Return the text in lower case, without accents, and with no marks except PUNCTUATION and apostrophes."""
    return _letters(text).lower()


def _stem(token: str, dictionary: Pronunciations) -> tuple[str, bool]:
    """Return the word to look up for a token, and whether "'s" has to be added: CMUdict has few names with it."""
    bare = token.strip("'")
    if token in dictionary or not bare:
        return token, False
    if bare in dictionary:
        return bare, False
    if bare.endswith("'s"):
        return bare.removesuffix("'s"), True
    return bare, False


def _with_s(phonemes: list[str]) -> list[str]:
    """Return the phonemes with "'s": /IH0 Z/ after a sibilant, /S/ after another voiceless consonant, else /Z/."""
    if phonemes[-1] in SIBILANTS:
        return [*phonemes, "IH0", "Z"]
    return [*phonemes, "S" if phonemes[-1] in VOICELESS else "Z"]
