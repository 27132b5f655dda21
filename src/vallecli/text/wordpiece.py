"""Written text to the word pieces of BERT (arXiv 1810.04805), as models read it that know no phonemes.

The vocabulary is the vocab.txt or tokenizer.json of the checkpoint. Nothing is normalized: numbers, brackets such as
[laughs], capitals and notes of music reach the model as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vallecli.errors import CheckpointError, EmptyText
from vallecli.extras import extra
from vallecli.text.base import AUTO, PromptWords, Sentence, Tokens, check_language, transcript_of
from vallecli.text.phones import Pronunciation
from vallecli.text.split import split_written

SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}  # ids in published vocabularies
MAX_WORD = 100  # characters; longer words are unknown
PUBLISHED = "Use the vocab.txt or tokenizer.json that was published with the checkpoint."
SCRIPTS = {  # languages that can be seen by their script, for the ends of their sentences
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "hi": re.compile("[\u0900-\u097f]"),
    "ru": re.compile("[\u0400-\u04ff]"),
}
DENSITY = {"zh": 3, "ja": 2, "ko": 2}  # characters of English with the same duration as one of this language


class WordPieceFrontEnd:
    """Written text in any language to word pieces; the text alone says which language it is."""

    name = "wordpiece-1"
    normalizes = False

    def __init__(
        self, vocabulary: str, source: str, *, languages: Sequence[str], ids: int, max_tokens: int, package: str
    ) -> None:
        """Read the text of a vocab.txt or tokenizer.json; `source` is its name in messages.

        `ids` is the number of ids that the model has, `max_tokens` how many it reads at once, and `package` the extra
        that installs `tokenizers`. Raises CheckpointError for a file that is no vocabulary of word pieces, and
        DependencyMissing.
        """
        self.languages, self.max_tokens = tuple(languages), max_tokens
        self._tokenizer = _load(vocabulary, source, package)
        known: Mapping[str, int] = self._tokenizer.get_vocab()
        if any(known.get(piece) != index for piece, index in SPECIAL.items()):
            raise CheckpointError(f"{source} is the vocabulary of another checkpoint: [UNK] is not 100", PUBLISHED)
        if max(known.values()) >= ids:
            reason = f"it has ids up to {max(known.values())}, and the model has {ids}"
            raise CheckpointError(f"{source} is the vocabulary of another checkpoint: {reason}", PUBLISHED)

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text, [] if it has no characters but white space."""
        ids: list[int] = self._tokenizer.encode(" ".join(text.split()), add_special_tokens=False).ids
        return ids

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Return the sentences of a text as written, divided at clauses or words where the model reads no more.

        Raises EmptyText, and UsageError for an unknown language.
        """
        check_language(self, language)
        if not any(char.isalnum() for char in text):
            raise EmptyText
        own = language_of(text) if language == AUTO else language
        pieces = split_written(text, max(1, max_chars // DENSITY.get(own, 1)), language=own)
        return [Sentence(fitting, own) for piece in pieces for fitting in self._fit(piece, own)]

    def _fit(self, piece: str, language: str) -> list[str]:
        """Divide a piece until its parts have at most `max_tokens` ids."""
        if len(self.ids(piece)) <= self.max_tokens or len(piece) == 1:
            return [piece]
        halves = split_written(piece, -(-len(piece) // 2), language=language)
        return [part for half in halves for part in self._fit(half, language)]

    def encode(
        self,
        text: str,
        *,
        language: str = AUTO,
        prompt_words: PromptWords | None = None,
        accent: str | None = None,
        pronunciations: Mapping[str, Pronunciation] | None = None,
    ) -> Tokens:
        """Return the ids of a sentence; see FrontEnd. Notes name words that the vocabulary lacks."""
        check_language(self, language)
        check_language(self, accent)
        before = [] if prompt_words is None else self.ids(transcript_of(prompt_words))
        if not any(char.isalnum() for char in text):
            raise EmptyText
        encoded = self._tokenizer.encode(" ".join(text.split()), add_special_tokens=False)
        unknown = SPECIAL["[UNK]"]
        line = " ".join(text.split())
        missing = {
            line[slice(*span)] for index, span in zip(encoded.ids, encoded.offsets, strict=True) if index == unknown
        }
        missing -= {"[UNK]"}
        notes = [f"the vocabulary has no pieces for these words: {' '.join(sorted(missing))}"] if missing else []
        return Tokens(ids=before + encoded.ids, prompt_tokens=len(before), notes=tuple(notes))

    def spoken(self, text: str, *, language: str = AUTO) -> str:
        """Return the sentence as written: the model reads numbers and abbreviations."""
        return " ".join(text.split())

    def spell(self, tokens: Tokens) -> str:
        """Return the pieces of tokens without those of the prompt, separated by spaces; ## continues a word."""
        return " ".join(self._tokenizer.id_to_token(index) for index in tokens.ids[tokens.prompt_tokens :])

    def check_pronunciation(self, pronunciation: Pronunciation) -> None:
        """Raise ValueError: the model reads letters."""
        raise ValueError("this checkpoint reads letters, not sounds: give a respelling")


def language_of(text: str) -> str:
    """Return the language whose script most letters of a text have, "en" for Latin letters."""
    counts = {language: len(letters.findall(text)) for language, letters in SCRIPTS.items()}
    if counts["ja"]:
        counts["ja"] += counts.pop("zh")
    found = max(counts, key=lambda language: counts[language])
    return found if counts[found] * 3 > sum(char.isalpha() for char in text) else "en"


def _load(vocabulary: str, source: str, package: str) -> Any:
    with extra(package, "this checkpoint's text"):
        from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

    try:
        if vocabulary.lstrip().startswith("{"):
            tokenizer = Tokenizer.from_str(vocabulary)
            tokenizer.no_truncation()
            tokenizer.no_padding()
            return tokenizer
        table = {piece: index for index, piece in enumerate(vocabulary.removesuffix("\n").split("\n"))}
        model = models.WordPiece(
            {piece.removesuffix("\r"): index for piece, index in table.items()},
            unk_token="[UNK]",
            max_input_chars_per_word=MAX_WORD,
        )
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in SPECIAL])
        return tokenizer
    except Exception as error:  # tokenizers has no classes of errors
        raise CheckpointError(f"{source} is not a vocabulary of word pieces: {error}", PUBLISHED) from error
