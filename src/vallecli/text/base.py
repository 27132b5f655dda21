"""Text front ends: a written text to sentences, and each sentence to ids of the vocabulary of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from vallecli.errors import ForeignPreset, UsageError
from vallecli.text.phones import Pronunciation

AUTO = "auto"  # the front end detects the language
MIX = "mix"  # tags in the text state the languages: "[EN]I like[EN][ZH]苹果[ZH]"


@dataclass(frozen=True)
class Sentence:
    """A piece of text that is generated in one request, and its language: one of the front end's, or MIX."""

    text: str
    language: str
    notes: tuple[str, ...] = ()
    """Messages for the user: parts of the text that were left out."""


@dataclass(frozen=True)
class Phonemes:
    """The words of a prompt as ids, which published presets store in place of a transcript."""

    ids: tuple[int, ...]
    language: str
    family: str
    """Name of the family whose vocabulary the ids belong to."""


PromptWords = str | Phonemes
"""The words of a prompt: a written transcript, or phonemes."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Ids (S,) for the text embedding of a model; those of the prompt's words come first."""

    ids: list[int]
    languages: list[int] | None = None
    """Row of the language embedding for each id, (S,), for models that have one."""
    prompt_tokens: int = 0
    """Number of ids of the prompt's words alone, including begin and end symbols; 0 without a prompt."""
    notes: tuple[str, ...] = ()
    """Messages for the user: parts of the text that were left out."""


class FrontEnd(Protocol):
    """The conversion of text to ids that a family of checkpoints was trained with."""

    name: str
    """Name and version, as stored in checkpoints."""
    languages: tuple[str, ...]
    """Supported values of `language`, apart from AUTO."""
    normalizes: bool
    """Whether `sentences` returns spoken words; otherwise `encode` reads what is written."""

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Split a written text into sentences; a front end with a normalizer also normalizes them.

        `max_chars` is the maximum length of a sentence in English; other languages can have a smaller one. Raises
        TextError, and UsageError for an unknown language.
        """
        ...

    def encode(
        self,
        text: str,
        *,
        language: str = AUTO,
        prompt_words: PromptWords | None = None,
        accent: str | None = None,
        pronunciations: Mapping[str, Pronunciation] | None = None,
    ) -> Tokens:
        """Return the tokens of a sentence, after those of the prompt's words for models that need these.

        `accent` is the language whose accent the sentence gets, its own by default. `pronunciations` are those of
        placeholders, words in lower case that may begin with a capital in the text; see lexicon. Raises EmptyText for
        a sentence without words, EmptyTranscript for a transcript without words, ForeignPreset for phonemes of
        another vocabulary, and UsageError for an unknown language.
        """
        ...

    def spoken(self, text: str, *, language: str = AUTO) -> str:
        """Return the words of a sentence as they are read, as far as they are known before its phonemes."""
        ...

    def spell(self, tokens: Tokens) -> str:
        """Return tokens without those of the prompt as people write phonemes: ARPAbet with | between words, or IPA."""
        ...

    def check_pronunciation(self, pronunciation: Pronunciation) -> None:
        """Raise ValueError for a sound that the vocabulary does not have."""
        ...


def check_language(front_end: FrontEnd, language: str | None) -> None:
    """Raise UsageError if a front end does not know a language; None and AUTO are valid, too."""
    if language not in (None, AUTO, *front_end.languages):
        raise UsageError(
            f"this checkpoint does not know the language {language!r}", f"It knows: {', '.join(front_end.languages)}."
        )


def transcript_of(prompt_words: PromptWords) -> str:
    """Return a written transcript. Raises ForeignPreset for phonemes, which have another vocabulary."""
    if isinstance(prompt_words, Phonemes):
        raise ForeignPreset(prompt_words.family)
    return prompt_words
