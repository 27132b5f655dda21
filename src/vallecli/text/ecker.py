"""The front end of e-c-k-e-r/vall-e: IPA with stress by espeak-ng, then the ids of the checkpoint's BPE tokenizer.

The tokenizer is a tokenizer.json of Hugging Face's `tokenizers`, published apart from the weights.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vallecli.errors import CheckpointError, EmptyText, EmptyTranscript, EspeakMissing
from vallecli.extras import extra
from vallecli.text.base import AUTO, PromptWords, Sentence, Tokens, check_language, transcript_of
from vallecli.text.phones import Pronunciation, stress_before_vowels
from vallecli.text.placeholders import convert_between
from vallecli.text.split import split_written

EXTRA = "ecker"
BOS, EOS, UNKNOWN = "<bos>", "</eos>", "<unk>"
SPECIAL = {UNKNOWN: 0, BOS: 1, EOS: 2}  # ids that every published tokenizer has
VOICES = {"en": "en-us", "ja": "ja", "de": "de", "fr": "fr-fr", "zh": "cmn-latn-pinyin", "ko": "ko"}  # of espeak-ng
TONES = str.maketrans("12345", "ˇˉˊˋ_")  # of the Chinese voice
WIDE = str.maketrans("，。、！？；：（）", ",.,!?;:()")  # marks that phonemizer does not know as punctuation
DENSITY = {"zh": 3, "ja": 2, "ko": 2}  # characters of English with the same duration as one of this language
PUBLISHED = "Use the tokenizer.json that was published with the checkpoint."
ONLY_MARKS = re.compile(r"[\W\d_]*")

KANA, HANGUL, HAN, LATIN = (
    re.compile(f"[{letters}]")
    for letters in (
        "\u3040-\u30ff\uff66-\uff9f",
        "\u1100-\u11ff\uac00-\ud7af",
        "\u3400-\u4dbf\u4e00-\u9fff",
        "A-Za-zÀ-ÿ",
    )
)
LATIN_EACH = 3  # Latin letters say as much as one Chinese, Japanese or Korean character
ALPHABETIC = ("en", "de", "fr")  # languages with the same script


class EckerFrontEnd:
    """Written text in one of six languages to phoneme ids, between <bos> and </eos>."""

    name = "ecker-1"
    normalizes = False

    def __init__(
        self, tokenizer: str, source: str, *, languages: Sequence[str], ids: int, symbols: Mapping[str, int]
    ) -> None:
        """Read the text of a tokenizer.json; `source` is its name in messages.

        `languages` are in the order of the rows of the language embedding, `ids` is the number of rows of the text
        embedding, and `symbols` are those that the checkpoint stores, with their ids. Raises CheckpointError for a
        tokenizer that does not belong to it, and DependencyMissing.
        """
        self.languages = tuple(languages)
        self._tokenizer = _load(tokenizer, source)
        _check(self._tokenizer.get_vocab(), source, ids, symbols)

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Return the sentences of a text as written, under AUTO each in its own language.

        Raises EmptyText, UsageError and DependencyMissing.
        """
        check_language(self, language)
        if not any(char.isalnum() for char in text):
            raise EmptyText
        whole_text = self.detect(text) if language == AUTO else language
        found = []
        for sentence in split_written(text, len(text), language=whole_text):
            own = self._language_of(sentence, whole_text) if language == AUTO else language
            pieces = split_written(sentence, max(1, max_chars // DENSITY.get(own, 1)), language=own)
            found += [Sentence(piece, own) for piece in pieces]
        return found

    def detect(self, text: str) -> str:
        """Return the language of a text: by its script, and among languages with Latin letters by their statistics."""
        script = script_of(text)
        if script is not None:
            return script if script in self.languages else "en"
        known = [language for language in ALPHABETIC if language in self.languages]
        return known[0] if len(known) == 1 else detect_alphabetic(text, known)

    def _language_of(self, sentence: str, whole_text: str) -> str:
        """Return the language of a sentence: its script decides, and its text where that leaves it open."""
        if script_of(sentence) == "zh" and whole_text == "ja":
            return "ja"  # a Japanese sentence can do without kana
        script = script_of(sentence)
        if script in self.languages:
            return script
        if whole_text in ALPHABETIC or not LATIN.search(sentence):
            return whole_text
        return self.detect(sentence)

    def encode(
        self,
        text: str,
        *,
        language: str = AUTO,
        prompt_words: PromptWords | None = None,
        accent: str | None = None,
        pronunciations: Mapping[str, Pronunciation] | None = None,
    ) -> Tokens:
        """Return the ids of a sentence, and the row of its language for each; see FrontEnd.

        Notes name sounds without a symbol. Also raises DependencyMissing.
        """
        check_language(self, language)
        check_language(self, accent)
        prompt = None if prompt_words is None else self._encode(transcript_of(prompt_words), AUTO, pronunciations)
        if prompt is not None and not prompt.ids:
            raise EmptyTranscript
        own = self.detect(text) if language == AUTO else language
        target = self._encode(text, own, pronunciations)
        if not target.ids:
            raise EmptyText
        before = [] if prompt is None else prompt.ids
        ids = before + target.ids
        row = self.languages.index(own)
        return Tokens(ids=ids, languages=[row] * len(ids), prompt_tokens=len(before), notes=target.notes)

    def spoken(self, text: str, *, language: str = AUTO) -> str:
        """Return the sentence as written: espeak-ng reads numbers and abbreviations."""
        return " ".join(text.split())

    def spell(self, tokens: Tokens) -> str:
        """Return the IPA of tokens without those of the prompt, with U+FFFD for sounds without a symbol."""
        kept = [index for index in tokens.ids[tokens.prompt_tokens :] if index not in (SPECIAL[BOS], SPECIAL[EOS])]
        return "".join(self._tokenizer.id_to_token(index) if index else "\ufffd" for index in kept)

    def check_pronunciation(self, pronunciation: Pronunciation) -> None:
        """Raise ValueError for a sound that the tokenizer does not have."""
        phones = _ipa_of(pronunciation)
        encoded = self._tokenizer.encode(phones, add_special_tokens=False)
        for index, span in zip(encoded.ids, encoded.offsets, strict=True):
            if not index:
                raise ValueError(f"the tokenizer has no symbol for {phones[slice(*span)]!r}")

    def _encode(self, text: str, language: str, pronunciations: Mapping[str, Pronunciation] | None = None) -> Tokens:
        """Return the ids of a text, none if it has no words."""
        own = self.detect(text) if language == AUTO else language
        phones = convert_between(text, pronunciations, lambda part: to_phones(part, own), _ipa_of)
        if ONLY_MARKS.fullmatch(phones):
            return Tokens(ids=[])
        encoded = self._tokenizer.encode(phones, add_special_tokens=False)
        unknown = {phones[slice(*span)] for index, span in zip(encoded.ids, encoded.offsets, strict=True) if not index}
        notes = [f"the tokenizer has no symbols for these sounds: {' '.join(sorted(unknown))}"] if unknown else []
        return Tokens(ids=[SPECIAL[BOS], *encoded.ids, SPECIAL[EOS]], notes=tuple(notes))


def _ipa_of(pronunciation: Pronunciation) -> str:
    """Return the IPA of a given pronunciation, with stress marks where espeak-ng puts them."""
    return " ".join(map(stress_before_vowels, pronunciation.ipa()))


def to_phones(text: str, language: str) -> str:
    """Return the IPA of a text, with stress and punctuation. Raises DependencyMissing."""
    line = " ".join(text.translate(WIDE).split())
    if language == "ja":
        line = _hiragana(line)
    phones: str = "".join(_espeak(language).phonemize([line], strip=True))
    return phones.translate(TONES) if language == "zh" else phones


def script_of(text: str) -> str | None:
    """Return the language that a text's script belongs to, None for Latin letters and for none at all.

    A few characters of another script amid Latin letters do not count.
    """
    kana, hangul, han = (len(letters.findall(text)) for letters in (KANA, HANGUL, HAN))
    if not kana + hangul + han or (kana + hangul + han) * LATIN_EACH < len(LATIN.findall(text)):
        return None
    if hangul > kana + han:
        return "ko"
    return "ja" if kana else "zh"


def detect_alphabetic(text: str, languages: Sequence[str]) -> str:
    """Return the likeliest language of a text in Latin letters, the first if nothing distinguishes them."""
    with extra(EXTRA, "detection of the language"):
        from langdetect.lang_detect_exception import LangDetectException

    detector = _detectors(tuple(languages)).create()
    detector.append(text)
    try:
        found = {str(guess.lang): float(guess.prob) for guess in detector.get_probabilities()}
    except LangDetectException:  # nothing but digits, for example
        return languages[0]
    return max(languages, key=lambda language: found.get(language, 0.0))


@functools.cache
def _detectors(languages: tuple[str, ...]) -> Any:
    """Return langdetect's factory, with the profiles of these languages only."""
    with extra(EXTRA, "detection of the language"):
        from langdetect import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.seed = 0  # it samples parts of the text
    factory.load_json_profile([Path(PROFILES_DIRECTORY, language).read_text("utf-8") for language in languages])
    return factory


def _hiragana(text: str) -> str:
    return "".join(part["hira"] for part in _kakasi().convert(text))


@functools.cache
def _kakasi() -> Any:
    with extra(EXTRA, "Japanese"):
        from pykakasi import kakasi

    return kakasi()  # type: ignore[no-untyped-call]


@functools.cache
def _espeak(language: str) -> Any:
    """Return phonemizer's espeak for a language, with the options of the published training."""
    with extra(EXTRA, "this checkpoint's text"):
        from phonemizer.backend import EspeakBackend

    try:
        return EspeakBackend(
            VOICES[language],
            preserve_punctuation=True,
            with_stress=True,
            language_switch="remove-flags",
            words_mismatch="ignore",
        )
    except RuntimeError as error:
        raise EspeakMissing(str(error)) from error


def _load(tokenizer: str, source: str) -> Any:
    with extra(EXTRA, "this checkpoint's text"):
        from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(tokenizer)
    except Exception as error:  # tokenizers has no classes of errors
        raise CheckpointError(f"{source} is not a tokenizer.json: {error}", PUBLISHED) from error


def _check(vocabulary: Mapping[str, int], source: str, ids: int, symbols: Mapping[str, int]) -> None:
    """Raise CheckpointError for a tokenizer of another checkpoint."""
    wanted = {**{symbol: index for symbol, index in symbols.items() if symbol in vocabulary}, **SPECIAL}
    other = sorted(symbol for symbol, index in wanted.items() if vocabulary.get(symbol) != index)
    if other:
        reason = f"{other[0]!r} is {vocabulary.get(other[0])} and not {wanted[other[0]]}"
        reason += f", and {len(other) - 1} more differ" if len(other) > 1 else ""
    elif max(vocabulary.values()) >= ids:
        reason = f"it has ids up to {max(vocabulary.values())}, and the model has {ids}"
    else:
        return
    raise CheckpointError(f"{source} is the tokenizer of another checkpoint: {reason}", PUBLISHED)
