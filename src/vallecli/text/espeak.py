"""The front end of lifeiteng/vall-e and Amphion v1: English to IPA by espeak-ng, with the symbols of a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from functools import cache
from typing import Any

from vallecli.errors import EmptyText, EmptyTranscript, EspeakMissing
from vallecli.extras import extra
from vallecli.text.base import AUTO, PromptWords, Sentence, Tokens, check_language, transcript_of
from vallecli.text.english.homographs import mark
from vallecli.text.phones import Pronunciation, without_stress
from vallecli.text.placeholders import parts_between
from vallecli.text.split import split_written

BOS, EOS = "<bos>", "<eos>"
WORD, SYLLABLE, PHONE = "_", "-", "|"  # separators in the output of phonemizer; only WORD has an id
SYMBOL = re.compile(r"\w+|[^\w\s]")
VARIANTS = str.maketrans({"g": "ɡ", "r": "ɹ", "ɻ": "ɹ", "ɫ": "l", "ʤ": "dʒ", "ʧ": "tʃ", "ɝ": "ɜ", "ɒ": "ɑ"})
SIMILAR = {  # symbols for sounds that a table does not have, the most similar one first
    **{"ɑː": ("ɑ", "a"), "ɑ": ("ɑː", "a"), "a": ("ɑː", "æ"), "ʌ": ("ɐ", "ə"), "ə": ("ɐ", "ʌ"), "ɐ": ("ə",)},
    **{"ɔː": ("ɔ", "oː", "ɑː"), "ɔ": ("ɔː", "oː", "ɑː"), "oː": ("ɔː", "o"), "ɜː": ("ɚ", "əɹ"), "ɜ": ("ɜː", "ɚ", "əɹ")},
    **{"ɚ": ("əɹ", "ɜː"), "ɛ": ("e",), "e": ("ɛ",), "eː": ("eɪ", "e"), "ɪ": ("i",), "i": ("iː", "ɪ"), "ᵻ": ("ɪ",)},
    **{"iː": ("i",), "oʊ": ("əʊ", "o"), "əʊ": ("oʊ",), "o": ("oʊ",), "ʊ": ("u",), "u": ("uː", "ʊ"), "uː": ("u",)},
    **{"ɔɪ": ("oɪ",), "n̩": ("ən",), "l̩": ("əl",), "ɾ": ("t", "d"), "ʔ": ("t",), "ɡ": ("g",)},
}
QUOTES = str.maketrans("“”", '""')


class EspeakFrontEnd:
    """Converts English text to ids of IPA phones, punctuation and word separators, between <bos> and <eos>."""

    name = "espeak-1"
    languages: tuple[str, ...] = ("en",)
    normalizes = False

    def __init__(self, symbols: Sequence[str], *, homographs: bool = False) -> None:
        """Take the symbol table of a checkpoint: `symbols[id]`, with BOS and EOS.

        With `homographs`, these are pronounced by their sentence, otherwise as espeak-ng does.
        """
        self._homographs = homographs
        self._symbols = tuple(symbols)
        self._ids = {symbol: index for index, symbol in enumerate(symbols)}
        self._longest = max(map(len, (*symbols, *SIMILAR)))

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Return the sentences of a text, not normalized. Raises EmptyText and UsageError."""
        check_language(self, language)
        if not any(char.isalnum() for char in text):
            raise EmptyText
        return [Sentence(piece, "en") for piece in split_written(text, max_chars)]

    def encode(
        self,
        text: str,
        *,
        language: str = AUTO,
        prompt_words: PromptWords | None = None,
        accent: str | None = None,
        pronunciations: Mapping[str, Pronunciation] | None = None,
    ) -> Tokens:
        """Return the tokens of transcript and text, which are converted together; see FrontEnd.

        A note names symbols that the checkpoint does not have. Also raises ExtraMissing and EspeakMissing.
        """
        check_language(self, language)
        check_language(self, accent)
        phones = self._phonemize(text, pronunciations)
        if not phones:
            raise EmptyText
        if prompt_words is None:
            return Tokens(ids=self._to_ids(phones), notes=self._notes(phones))
        prompt = self._phonemize(transcript_of(prompt_words), pronunciations)
        if not prompt:
            raise EmptyTranscript
        phones = self._phonemize(f"{transcript_of(prompt_words)} {text}", pronunciations)
        return Tokens(ids=self._to_ids(phones), prompt_tokens=len(self._to_ids(prompt)), notes=self._notes(phones))

    def spoken(self, text: str, *, language: str = AUTO) -> str:
        """Return the sentence as written: espeak-ng reads numbers and abbreviations."""
        return " ".join(text.split())

    def spell(self, tokens: Tokens) -> str:
        """Return the IPA of tokens without those of the prompt."""
        phones = [self._symbols[index] for index in tokens.ids[tokens.prompt_tokens :]]
        return "".join(" " if phone == WORD else phone for phone in phones if phone not in (BOS, EOS)).strip()

    def check_pronunciation(self, pronunciation: Pronunciation) -> None:
        """Raise ValueError for a sound without a symbol."""
        self._phones_of(pronunciation)

    def _phonemize(self, text: str, pronunciations: Mapping[str, Pronunciation] | None) -> list[str]:
        """Return the phones and punctuation of a text; [] for a text without words."""
        if self._homographs:
            text, found = mark(text)
            pronunciations = {**(pronunciations or {}), **found}
        phones: list[str] = []
        for part in parts_between(text, pronunciations):
            if part.begins_word and phones and phones[-1] != WORD:
                phones.append(WORD)
            if part.pronunciation is not None:
                phones += self._phones_of(part.pronunciation)
            elif part.words:
                phones += _phonemize(part.text)
            else:
                phones += SYMBOL.findall(part.text.translate(QUOTES))
        return phones if any(phone.isalpha() for phone in phones) else []

    def _phones_of(self, pronunciation: Pronunciation) -> list[str]:
        """Return the phones of a given pronunciation, the longest symbols of the table first. Raises ValueError."""
        phones: list[str] = []
        for word in pronunciation.ipa():
            phones += [WORD] if phones else []
            phones += self._match(without_stress(word).translate(VARIANTS))
        return phones

    def _match(self, ipa: str) -> list[str]:
        phones: list[str] = []
        at = 0
        while at < len(ipa):
            if symbol := self._longest_at(ipa, at, self._ids):
                phones.append(symbol)
            elif symbol := self._longest_at(ipa, at, SIMILAR):
                phones += self._similar(symbol)
            elif ipa[at] == "ː":
                symbol = ipa[at]
            else:
                raise ValueError(f"this checkpoint has no symbol for {ipa[at]!r}")
            at += len(symbol)
        return phones

    def _similar(self, symbol: str) -> list[str]:
        for other in SIMILAR[symbol]:
            if other in self._ids:
                return [other]
            if all(part in self._ids for part in other):
                return list(other)
        raise ValueError(f"this checkpoint has no symbol for {symbol!r}")

    def _longest_at(self, ipa: str, at: int, known: Container[str]) -> str:
        """Return the longest known symbol at a place, "" if there is none."""
        ends = range(min(len(ipa), at + self._longest), at, -1)
        return next((ipa[at:end] for end in ends if ipa[at:end] in known), "")

    def _to_ids(self, phones: list[str]) -> list[int]:
        return [self._ids[BOS], *(self._ids[phone] for phone in phones if phone in self._ids), self._ids[EOS]]

    def _notes(self, phones: list[str]) -> tuple[str, ...]:
        unknown = sorted(set(phones) - self._ids.keys())
        return (f"left out, as the checkpoint has no symbols for them: {' '.join(unknown)}",) if unknown else ()


def _phonemize(text: str) -> list[str]:
    """Return the phones and punctuation of a text, with WORD between words; [] for a text without words."""
    backend, separator = _espeak()
    lines = [" ".join(text.translate(QUOTES).split())]
    phones: list[str] = []
    for word in "".join(backend.phonemize(lines, separator=separator, strip=True)).split(WORD):
        phones += [WORD] if phones else []
        phones += [symbol for symbol in SYMBOL.findall(word) if symbol != PHONE]
    return phones if any(phone.isalpha() for phone in phones) else []


@cache
def _espeak() -> tuple[Any, Any]:
    """Return phonemizer's espeak backend and separators, with the options of the published training."""
    with extra("espeak", "this checkpoint's English"):
        from phonemizer.backend import EspeakBackend
        from phonemizer.separator import Separator

    try:
        backend = EspeakBackend(
            "en-us",
            preserve_punctuation=True,
            with_stress=False,
            tie=False,
            language_switch="keep-flags",
            words_mismatch="ignore",
        )
    except RuntimeError as error:
        raise EspeakMissing(str(error)) from error
    return backend, Separator(word=WORD, syllable=SYLLABLE, phone=PHONE)
