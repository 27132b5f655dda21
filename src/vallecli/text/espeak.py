"""The front end of lifeiteng/vall-e and Amphion: English to IPA by espeak-ng, with each checkpoint's own symbols."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from vallecli.errors import EmptyText, EmptyTranscript, EspeakMissing
from vallecli.extras import extra
from vallecli.text.base import AUTO, Said, Sentence, Tokens, check_language, transcript
from vallecli.text.split import split_written

BOS, EOS = "<bos>", "<eos>"
WORD, SYLLABLE, PHONE = "_", "-", "|"  # what phonemizer puts between them; only the first has an id
SYMBOL = re.compile(r"\w+|[^\w\s]")
QUOTES = str.maketrans("“”", '""')


class EspeakFrontEnd:
    """English text to ids of IPA phones, punctuation and word separators, between <bos> and <eos>."""

    name = "espeak-1"
    languages: tuple[str, ...] = ("en",)

    def __init__(self, symbols: Sequence[str]) -> None:
        """Take what each id of a checkpoint stands for: BOS and EOS among them, see `formats.symbols`."""
        self._ids = {symbol: index for index, symbol in enumerate(symbols)}

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Return the sentences of a text as they were written. Raises EmptyText and UsageError."""
        check_language(self, language)
        if not any(char.isalnum() for char in text):
            raise EmptyText
        return [Sentence(piece, "en") for piece in split_written(text, max_chars)]

    def encode(self, text: str, *, language: str = AUTO, said: Said | None = None, accent: str | None = None) -> Tokens:
        """Return tokens as FrontEnd tells, of transcript and text read in one go; a note names symbols without an id.

        Also raises ExtraMissing and EspeakMissing.
        """
        check_language(self, language)
        check_language(self, accent)
        phones = _read(text)
        if not phones:
            raise EmptyText
        if said is None:
            return Tokens(ids=self._numbered(phones), notes=self._notes(phones))
        prompt = _read(transcript(said))
        if not prompt:
            raise EmptyTranscript
        phones = _read(f"{transcript(said)} {text}")
        return Tokens(ids=self._numbered(phones), prompt_tokens=len(self._numbered(prompt)), notes=self._notes(phones))

    def _numbered(self, phones: list[str]) -> list[int]:
        return [self._ids[BOS], *(self._ids[phone] for phone in phones if phone in self._ids), self._ids[EOS]]

    def _notes(self, phones: list[str]) -> tuple[str, ...]:
        unknown = sorted(set(phones) - self._ids.keys())
        return (f"the checkpoint has no symbols for these, which are left out: {' '.join(unknown)}",) if unknown else ()


def _read(text: str) -> list[str]:
    """Return the phones and punctuation of a text, words apart by WORD; none if it has no words."""
    backend, separator = _espeak()
    lines = [" ".join(text.translate(QUOTES).split())]
    phones: list[str] = []
    for word in "".join(backend.phonemize(lines, separator=separator, strip=True)).split(WORD):
        phones += [WORD] if phones else []
        phones += [symbol for symbol in SYMBOL.findall(word) if symbol != PHONE]
    return phones if any(phone.isalpha() for phone in phones) else []


@cache
def _espeak() -> tuple[Any, Any]:
    """Return phonemizer's espeak and its separators, with the options of the published training."""
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
