"""From a written text to what a model reads, sentence by sentence: a front end, and a lexicon if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vallecli.errors import EmptyText
from vallecli.text.base import AUTO, FrontEnd, PromptWords, Tokens
from vallecli.text.lexicon import Lexicon, Marked


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A sentence that is ready for a model."""

    text: str
    """As it was split, normalized by front ends that do so."""
    language: str
    spoken: str
    """The words as they are read, as far as they are known before their phonemes."""
    tokens: Tokens
    index: int
    """Position of the sentence in its text."""
    sentences: int
    """Number of sentences of that text, including those without words."""


class TextReader:
    """Reads texts for one checkpoint."""

    def __init__(self, front_end: FrontEnd, max_chars: int, lexicon: Lexicon | None = None) -> None:
        """`max_chars` is the maximum length of a sentence. InputError for a lexicon that cannot be represented."""
        self.front_end, self.max_chars, self.lexicon = front_end, max_chars, lexicon
        if lexicon is not None:
            lexicon.check(front_end)

    def with_lexicon(self, lexicon: Lexicon | None) -> TextReader:
        """Return a reader for the same checkpoint with another lexicon. InputError as for a new one."""
        return TextReader(self.front_end, self.max_chars, lexicon)

    def read(
        self,
        text: str | Marked,
        *,
        language: str = AUTO,
        prompt_words: PromptWords | None = None,
        accent: str | None = None,
    ) -> Iterator[Reading]:
        """Yield the sentences of a text that have words. Raises TextError, and UsageError for an unknown language.

        A pronunciation of a Marked text with a sound that the checkpoint does not have is ignored, with a note.
        """
        front_end = self.front_end
        prompt = self._mark(prompt_words) if isinstance(prompt_words, str) else Marked("")
        given, left_out = self._pronounceable(text if isinstance(text, Marked) else Marked(text))
        known = Marked("", prompt.written | given.written, prompt.pronunciations | given.pronunciations)
        whole = self._mark(given.text, known) if front_end.normalizes else replace(known, text=given.text)
        sentences = front_end.sentences(whole.text, self.max_chars, language=language)
        last = None  # it gets the notes on sentences after it
        for index, sentence in enumerate(sentences):
            marked = replace(whole, text=sentence.text) if front_end.normalizes else self._mark(sentence.text, known)
            try:
                tokens = front_end.encode(
                    marked.text,
                    language=sentence.language,
                    prompt_words=prompt.text if isinstance(prompt_words, str) else prompt_words,
                    accent=accent,
                    pronunciations=marked.pronunciations,
                )
            except EmptyText:  # one sentence without words does not silence the others
                if any(char.isalnum() for char in sentence.text):
                    left_out.append(f"left out of the text, as it has no words for this checkpoint: {sentence.text}")
                continue
            if last is not None:
                yield last
            notes = (*left_out, *sentence.notes, *tokens.notes)
            left_out.clear()
            last = Reading(
                text=marked.unmark(marked.text),
                language=sentence.language,
                spoken=marked.unmark(front_end.spoken(marked.text, language=sentence.language)),
                tokens=replace(tokens, notes=notes),
                index=index,
                sentences=len(sentences),
            )
        if last is None:
            raise EmptyText
        yield replace(last, tokens=replace(last.tokens, notes=(*last.tokens.notes, *left_out)))

    def _pronounceable(self, given: Marked) -> tuple[Marked, list[str]]:
        """Return a text with words in place of pronunciations that the checkpoint does not have, and notes on them."""
        notes, left = [], Marked(given.text)
        for key, pronunciation in given.pronunciations.items():
            try:
                self.front_end.check_pronunciation(pronunciation)
            except ValueError as error:
                notes.append(f"{given.written[key]!r} is read as it is written: {error}")
                left.written[key], left.pronunciations[key] = given.written[key], pronunciation
        kept = [key for key in given.pronunciations if key not in left.pronunciations]
        return Marked(
            left.unmark(given.text),
            {key: given.written[key] for key in kept},
            {key: given.pronunciations[key] for key in kept},
        ), notes

    def _mark(self, text: str, before: Marked | None = None) -> Marked:
        if self.lexicon is None:
            return Marked(text) if before is None else replace(before, text=text)
        return self.lexicon.mark(text, before)
