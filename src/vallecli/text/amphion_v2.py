"""The front end of Amphion's VALL-E v2: English words to ARPAbet phones marked with their position.

Each phone ends with B at the beginning of a word, E at its end, and I inside; the only phone of a word ends with B.
Words are separated by "|", and a text has no punctuation. Homographs are pronounced by their sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from vallecli.errors import EmptyText, EmptyTranscript
from vallecli.text.arpabet import pronounce
from vallecli.text.base import AUTO, PromptWords, Sentence, Tokens, check_language, transcript_of
from vallecli.text.english.homographs import TOKEN, homographs
from vallecli.text.english_sentences import english_sentences
from vallecli.text.normalize import normalize
from vallecli.text.phones import Pronunciation

BOS, EOS, WORD = "<BOS>", "<EOS>", "|"
# The published table: the index of a phone is its id. Punctuation and a few other symbols are never used.
TABLE = """
! , . .B : <BOS> <EOS> <PAD> <UNK> ? AA0B AA0E AA0I AA1B AA1E AA1I AA2B AA2E AA2I AE0B AE0E AE0I AE1B AE1E AE1I AE2B
AE2E AE2I AH0B AH0E AH0I AH1B AH1E AH1I AH2B AH2E AH2I AO0B AO0E AO0I AO1 AO1B AO1E AO1I AO2B AO2E AO2I AW0B AW0E
AW0I AW1B AW1E AW1I AW2B AW2E AW2I AY0B AY0E AY0I AY1B AY1E AY1I AY2B AY2E AY2I BB BE BI CHB CHE CHI DB DE DHB DHE
DHI DI EH0B EH0E EH0I EH1B EH1E EH1I EH2B EH2E EH2I ER0B ER0E ER0I ER1B ER1E ER1I ER2B ER2E ER2I EY0B EY0E EY0I EY1B
EY1E EY1I EY2B EY2E EY2I FB FE FI GB GE GI HHB HHE HHI IH0B IH0E IH0I IH1B IH1E IH1I IH2B IH2E IH2I IY0B IY0E IY0I
IY1B IY1E IY1I IY2B IY2E IY2I JHB JHE JHI KB KE KI L LB LE LI MB ME MI NB NE NGB NGE NGI NI OW0B OW0E OW0I OW1B OW1E
OW1I OW2B OW2E OW2I OY0B OY0E OY0I OY1B OY1E OY1I OY2B OY2E OY2I PB PE PI RB RE RI SB SE SHB SHE SHI SI TB TE THB
THE THI TI UH0B UH0E UH0I UH1B UH2B UH1E UH1I UH2E UH2I UW0B UW0E UW0I UW1B UW1E UW1I UW2B UW2E UW2I VB VE VI WB WE
WI YB YE YI ZB ZE ZHB ZHE ZHI ZI |
"""
PHONES = tuple(TABLE.split())
DROPPED = re.compile(r"['\"()]")  # within words: "don't" is read as "dont"
OTHER = re.compile(r"[^a-z]+")


class AmphionV2FrontEnd:
    """Normalized English text to the ids of phones, between <BOS> and <EOS>."""

    name = "amphion-v2-1"
    languages: tuple[str, ...] = ("en",)
    normalizes = True

    def __init__(self) -> None:
        self._ids = {phone: index for index, phone in enumerate(PHONES)}

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Return the normalized sentences of a text. Raises EmptyText and UsageError."""
        check_language(self, language)
        return english_sentences(text, max_chars)

    def encode(
        self,
        text: str,
        *,
        language: str = AUTO,
        prompt_words: PromptWords | None = None,
        accent: str | None = None,
        pronunciations: Mapping[str, Pronunciation] | None = None,
    ) -> Tokens:
        """Return the ids of normalized text after those of the prompt's transcript, which is normalized here.

        Both are converted separately. Raises EmptyText, EmptyTranscript and UsageError; see FrontEnd.
        """
        check_language(self, language)
        check_language(self, accent)
        ids = self._encode(text, pronunciations)
        if prompt_words is None:
            return Tokens(ids=ids)
        try:
            prompt_ids = self._encode(normalize(transcript_of(prompt_words)), pronunciations)
        except EmptyText as error:
            raise EmptyTranscript from error
        return Tokens(ids=prompt_ids + ids, prompt_tokens=len(prompt_ids))

    def spoken(self, text: str, *, language: str = AUTO) -> str:
        """Return the sentence, which is normalized."""
        return text

    def spell(self, tokens: Tokens) -> str:
        """Return the ARPAbet of tokens without those of the prompt, with | between words."""
        phones = [PHONES[index] for index in tokens.ids[tokens.prompt_tokens :]]
        return " ".join(phone if phone == WORD else phone[:-1] for phone in phones if phone not in (BOS, EOS))

    def check_pronunciation(self, pronunciation: Pronunciation) -> None:
        """Raise ValueError for a sound that ARPAbet does not have."""
        pronunciation.arpabet()

    def phones(self, text: str, pronunciations: Mapping[str, Pronunciation] | None = None) -> list[str]:
        """Return the phones of normalized text. Raises EmptyText if it has no words."""
        words = [placed for word in _pronounce(text, pronunciations or {}) if (placed := _place(word))]
        if not words:
            raise EmptyText
        joined = words[0]
        for word in words[1:]:
            joined += [WORD, *word]
        return [BOS, *joined, EOS]

    def _encode(self, text: str, pronunciations: Mapping[str, Pronunciation] | None) -> list[int]:
        return [self._ids[phone] for phone in self.phones(text, pronunciations)]


def plain(text: str) -> str:
    """Return the words of a text in the letters a to z, separated by spaces, without accents and punctuation."""
    return OTHER.sub(" ", _letters(text).lower()).strip()


def _letters(text: str) -> str:
    """Return the text without accents, apostrophes, quotes and parentheses."""
    decomposed = unicodedata.normalize("NFD", text)
    return DROPPED.sub("", "".join(char for char in decomposed if not unicodedata.combining(char)))


def _homographs(text: str) -> dict[int, Pronunciation]:
    """Return the pronunciations of homographs by the index of their words in the plain text."""
    tokens = TOKEN.findall(_letters(text))
    words = [at for at, token in enumerate(tokens) if token[0].isalpha()]
    index_of = {at: index for index, at in enumerate(words)}
    return {index_of[at]: pronunciation for at, pronunciation in homographs().find(tokens).items()}


def _pronounce(text: str, pronunciations: Mapping[str, Pronunciation]) -> list[list[str]]:
    """Return the phonemes of each word; a placeholder may stand for several."""
    written = plain(text).split()
    known = _homographs(text)
    known |= {index: pronunciations[word] for index, word in enumerate(written) if word in pronunciations}
    asked = ["a" if index in known else word for index, word in enumerate(written)]
    found = pronounce(" ".join(asked))
    if len(found) != len(asked):  # a word without phonemes
        found = [[phoneme for part in pronounce(word) for phoneme in part] for word in asked]
    return [
        part
        for index, phonemes in enumerate(found)
        for part in (known[index].arpabet() if index in known else [phonemes])
    ]


def _place(phonemes: list[str]) -> list[str]:
    """Return the phones of a word, marked with their position; other symbols are left out."""
    stressed = ["UW1" if phoneme == "UW" else phoneme for phoneme in phonemes]
    known = [phoneme for phoneme in stressed if f"{phoneme}B" in PHONES]
    places = ["B", *"I" * (len(known) - 2), "E"][: len(known)]
    return [phoneme + place for phoneme, place in zip(known, places, strict=True)]
