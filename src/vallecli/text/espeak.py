"""The front end of lifeiteng/vall-e and Amphion v1: English to IPA by espeak-ng, with the symbols of a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from vallecli.errors import EmptyText, EmptyTranscript, EspeakMissing
from vallecli.extras import extra
from vallecli.text.base import AUTO, PromptWords, Sentence, Tokens, check_language, transcript_of
from vallecli.text.split import split_written

BOS, EOS = "<bos>", "<eos>"
WORD, SYLLABLE, PHONE = "_", "-", "|"  # separators in the output of phonemizer; only WORD has an id
SYMBOL = re.compile(r"\w+|[^\w\s]")
QUOTES = str.maketrans("“”", '""')


class EspeakFrontEnd:
    """Converts English text to ids of IPA phones, punctuation and word separators, between <bos> and <eos>."""

    name = "espeak-1"
    languages: tuple[str, ...] = ("en",)

    def __init__(self, symbols: Sequence[str]) -> None:
        """Take the symbol table of a checkpoint: `symbols[id]`, with BOS and EOS."""
        self._ids = {symbol: index for index, symbol in enumerate(symbols)}

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
    ) -> Tokens:
        """Return the tokens of transcript and text, which are converted together; see FrontEnd.

        A note names symbols that the checkpoint does not have. Also raises ExtraMissing and EspeakMissing.
        """
        check_language(self, language)
        check_language(self, accent)
        phones = _phonemize(text)
        if not phones:
            raise EmptyText
        if prompt_words is None:
            return Tokens(ids=self._to_ids(phones), notes=self._notes(phones))
        prompt = _phonemize(transcript_of(prompt_words))
        if not prompt:
            raise EmptyTranscript
        phones = _phonemize(f"{transcript_of(prompt_words)} {text}")
        return Tokens(ids=self._to_ids(phones), prompt_tokens=len(self._to_ids(prompt)), notes=self._notes(phones))

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
