"""What a text front end is: it cuts a written text into sentences, and turns each into the ids of one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vallecli.errors import ForeignPreset, UsageError

AUTO = "auto"  # the front end finds the language out
MIX = "mix"  # the text tells its languages itself: "[EN]I like[EN][ZH]苹果[ZH]"


@dataclass(frozen=True)
class Sentence:
    """What is spoken in one go, in a language that a front end knows, or in several: MIX."""

    text: str
    language: str


@dataclass(frozen=True)
class Phonemes:
    """What a prompt says, as the ids a published preset keeps in place of a transcript."""

    ids: tuple[int, ...]
    language: str


Said = str | Phonemes
"""What a prompt says: a transcript as written, or phonemes."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Ids (S,) for a model's text embedding; those of the prompt's words come first."""

    ids: list[int]
    languages: list[int] | None = None
    """The row of the language embedding for each id, (S,), for models that have one."""
    prompt_tokens: int = 0
    """How many ids the transcript alone makes, begin and end marks included; 0 without one."""
    notes: tuple[str, ...] = ()
    """What a user should know: something of the text was left out."""


class FrontEnd(Protocol):
    """The way from text to ids that a family of checkpoints was trained with."""

    name: str
    """With its version; it stands in checkpoints."""
    languages: tuple[str, ...]
    """What can be asked for besides AUTO."""

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Given text as it was written, return what is spoken in one go, cleaned where this front end wants it.

        `max_chars` counts characters of English. Raises TextError, or UsageError for an unknown language.
        """
        ...

    def encode(self, text: str, *, language: str = AUTO, said: Said | None = None, accent: str | None = None) -> Tokens:
        """Return the tokens of a sentence behind those of what the prompt says, if the model is to know that.

        `accent` is a language whose accent the sentence gets, its own by default. Raises EmptyText if the sentence
        has no words, EmptyTranscript if the transcript has none, UsageError for an unknown language.
        """
        ...


def check_language(front_end: FrontEnd, language: str | None) -> None:
    """Raise UsageError if a front end knows no such language; None and AUTO leave the choice to it."""
    if language not in (None, AUTO, *front_end.languages):
        raise UsageError(
            f"this checkpoint does not know the language {language!r}", f"It knows: {', '.join(front_end.languages)}."
        )


def transcript(said: Said) -> str:
    """Return a transcript as it was written; ForeignPreset for phonemes, which are of another vocabulary."""
    if isinstance(said, Phonemes):
        raise ForeignPreset
    return said
