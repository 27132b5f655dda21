"""The front end of VALL-E X: English, Chinese and Japanese to IPA, one id per character.

A text can mix the three: "[EN]I like[EN][ZH]苹果[ZH]". Without tags the language is detected by the script; the
published program uses a statistical model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vallecli.errors import EmptyText, EmptyTranscript, TextError, UsageError
from vallecli.text import ipa_en, ipa_ja, ipa_zh
from vallecli.text.base import AUTO, MIX, Phonemes, PromptWords, Sentence, Tokens, check_language
from vallecli.text.english.homographs import mark
from vallecli.text.phones import Pronunciation, is_monosyllable, without_stress
from vallecli.text.placeholders import convert_between
from vallecli.text.split import split, split_written

LANGUAGES = {"en": 0, "zh": 1, "ja": 2}  # rows of the language embedding; .npz presets use other numbers
TO_IPA = {"en": ipa_en.to_ipa, "zh": ipa_zh.to_ipa, "ja": ipa_ja.to_ipa}
SYMBOLS = "!#*,-.=?NQ^_`abdefghijklmnopstuvwxyz~æçðŋɑɔəɛɥɪɫɯɸɹɾʃʊʑʒʰˈˌθ…⁼↑→↓"
FIRST_ID = 5  # of SYMBOLS; 1 to 4 are unused
UNKNOWN_ID = 0  # for all other characters
UNKNOWN = "\ufffd"  # in place of them
IDS = {symbol: index for index, symbol in enumerate(SYMBOLS, FIRST_ID)}
VOCABULARY_SIZE = FIRST_ID + len(SYMBOLS)

TAGGED = re.compile(r"\[(EN|ZH|JA)\](.*?)\[\1\]", re.DOTALL)
ENDINGS = ".,!?-…~"  # each tagged part ends with one of these
SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’」』)）]*\s*$")
KANA, HAN, LATIN = (
    re.compile(f"[{letters}]") for letters in ("\u3040-\u30ff\uff66-\uff9f", "\u3400-\u4dbf\u4e00-\u9fff", "A-Za-z")
)
LATIN_EACH = 3  # Latin letters that count as much as one Chinese or Japanese character
# General IPA in the symbols of eng_to_ipa, by which the model was trained.
FROM_IPA = {"ɜːɹ": "əɹ", "ɜː": "əɹ", "ɜ": "əɹ", "ɝ": "əɹ", "ɚ": "əɹ", "ʌ": "ə", "ɐ": "ə", "ᵻ": "ɪ", "ɒ": "ɑ", "oː": "ɔ"}
FROM_IPA |= {"ɡ": "g", "r": "ɹ", "ɻ": "ɹ", "ʤ": "dʒ", "ʧ": "tʃ", "n̩": "ən", "l̩": "əl", "m̩": "əm", "ː": ""}
FROM_IPA_PATTERN = re.compile("|".join(sorted(FROM_IPA, key=len, reverse=True)))
DENSITY = {"en": 1, "zh": 3, "ja": 2}  # English characters with the duration of one character of this language


def detect(text: str) -> str:
    """Return the language of a text by its script: "ja" with kana, else "zh" with Chinese characters, else "en".

    A text that is mostly Latin letters is English.
    """
    eastern = len(KANA.findall(text)) + len(HAN.findall(text))
    if eastern * LATIN_EACH < len(LATIN.findall(text)) or not eastern:
        return "en"
    return "ja" if KANA.search(text) else "zh"


def _language_in(text: str, sentence: str) -> str:
    """Return the language of a sentence within a text.

    A sentence of Chinese characters is Japanese if the text has kana; one without letters has the text's language.
    """
    if not any(letters.search(sentence) for letters in (KANA, HAN, LATIN)):
        return detect(text)
    own = detect(sentence)
    return "ja" if own == "zh" and KANA.search(text) else own


class VallexFrontEnd:
    """Converts written text to ids of the 70 symbols of VALL-E X, and the language of each."""

    name = "vallex-1"
    languages: tuple[str, ...] = (*LANGUAGES, MIX)
    normalizes = False

    def __init__(self, *, homographs: bool = False) -> None:
        """With `homographs`, English homographs are pronounced by their sentence, otherwise as published."""
        self._homographs = homographs

    def sentences(self, text: str, max_chars: int, *, language: str = AUTO) -> list[Sentence]:
        """Return the sentences of a text, not normalized; with AUTO the language of each is detected.

        Sentences of a tagged text keep their tags. Raises TextError for words outside of tags, EmptyText and
        UsageError.
        """
        check_language(self, language)
        if not any(char.isalnum() for char in text):
            raise EmptyText
        if language == MIX or (language == AUTO and TAGGED.search(text)):
            return [Sentence(piece, MIX) for piece in _split_tagged(text, max_chars)]
        found = []
        for whole in split_written(text, len(text), language=detect(text) if language == AUTO else language):
            own = _language_in(text, whole) if language == AUTO else language
            found += [Sentence(piece, own) for piece in split(whole, max(1, max_chars // DENSITY[own]), language=own)]
        return found

    def encode(
        self,
        text: str,
        *,
        language: str = AUTO,
        prompt_words: PromptWords | None = None,
        accent: str | None = None,
        pronunciations: Mapping[str, Pronunciation] | None = None,
    ) -> Tokens:
        """Return the tokens of transcript and text and the language of each; see FrontEnd. Also raises ExtraMissing."""
        check_language(self, language)
        check_language(self, accent)
        if accent == MIX:
            raise UsageError(f"{MIX!r} is not an accent", f"Accents: {', '.join(LANGUAGES)}.")
        target, unknown = self._encode(text, language, pronunciations)
        if not target:
            raise EmptyText
        prompt = () if prompt_words is None else self._encode_prompt(prompt_words, pronunciations)
        return Tokens(
            ids=[index for index, _ in (*prompt, *target)],
            languages=[
                *(LANGUAGES[own] for _, own in prompt),
                *(LANGUAGES[own if accent in (None, AUTO) else accent] for _, own in target),
            ],
            prompt_tokens=len(prompt),
            notes=(f"this checkpoint has no symbols for: {' '.join(unknown)}",) if unknown else (),
        )

    def spoken(self, text: str, *, language: str = AUTO) -> str:
        """Return the sentence without language tags, its English with numbers and abbreviations as words."""
        parts = _tagged(text, language)
        return " ".join(ipa_en.normalize(part) if own == "en" else part for part, own in parts)

    def spell(self, tokens: Tokens) -> str:
        """Return the IPA of tokens without those of the prompt, with U+FFFD for characters without an id."""
        ids = tokens.ids[tokens.prompt_tokens :]
        return "".join(SYMBOLS[index - FIRST_ID] if index else UNKNOWN for index in ids).replace("_", " ")

    def check_pronunciation(self, pronunciation: Pronunciation) -> None:
        """Raise ValueError for a sound without a symbol."""
        for char in _ipa_of(pronunciation).replace(" ", ""):
            if char not in SYMBOLS:
                raise ValueError(f"this checkpoint has no symbol for {char!r}")

    def phonemes(self, text: str, *, language: str = AUTO) -> str:
        """Return the IPA of a text; tagged parts are joined."""
        return "".join(ipa for ipa, _ in self._parts(text, language))

    def _encode_prompt(
        self, prompt_words: PromptWords, pronunciations: Mapping[str, Pronunciation] | None
    ) -> list[tuple[int, str]]:
        """Return the ids of a prompt's words, each with its language. Raises EmptyTranscript if there are none."""
        if isinstance(prompt_words, Phonemes):
            return [(index, prompt_words.language) for index in prompt_words.ids]
        symbols, _ = self._encode(prompt_words, AUTO, pronunciations)
        if not symbols:
            raise EmptyTranscript
        return symbols

    def _encode(
        self, text: str, language: str, pronunciations: Mapping[str, Pronunciation] | None
    ) -> tuple[list[tuple[int, str]], list[str]]:
        """Return the ids of a text, each with its language, and the letters without an id; [] without words."""
        parts = list(self._parts(text, language, pronunciations))
        chars = [(char, own) for ipa, own in parts for char in ipa]
        unknown = sorted({char for char, _ in chars if char.isalpha() and char not in IDS})
        if not any(char.isalpha() and char in IDS for char, _ in chars):
            return [], unknown
        return [(IDS.get(re.sub(r"\s", "_", char), UNKNOWN_ID), own) for char, own in chars], unknown

    def _parts(
        self, text: str, language: str, pronunciations: Mapping[str, Pronunciation] | None = None
    ) -> Iterator[tuple[str, str]]:
        """Yield the IPA and the language of each tagged part of a text, or of the whole text if it has no tags."""
        for part, own in _tagged(text, language):
            known, written = pronunciations, part
            if self._homographs and own == "en":
                written, found = mark(part)
                known = {**(pronunciations or {}), **found}
            ipa = convert_between(written.replace("\n", " "), known, TO_IPA[own], _ipa_of).rstrip()
            yield (f"{ipa}." if ipa and ipa[-1] not in ENDINGS else ipa), own


def _tagged(text: str, language: str) -> list[tuple[str, str]]:
    """Return the tagged parts of a text with their languages, or the whole text if it has no tags."""
    tagged = [(match[2], match[1].lower()) for match in TAGGED.finditer(text)]
    if language not in (AUTO, MIX) or (language == AUTO and not tagged):
        return [(text, detect(text) if language == AUTO else language)]
    return tagged


def _ipa_of(pronunciation: Pronunciation) -> str:
    """Return the IPA of a given pronunciation in the symbols of eng_to_ipa: words of one syllable have no stress."""
    words = (without_stress(word) if is_monosyllable(word) else word for word in pronunciation.ipa())
    plain = FROM_IPA_PATTERN.sub(lambda match: FROM_IPA[match[0]], " ".join(words))
    return ipa_en.DARK_L.sub("ɫ", plain)


def _split_tagged(text: str, max_chars: int) -> Iterator[str]:
    """Yield pieces of a tagged text, each with its tags and of at most `max_chars` in English characters."""
    outside = " ".join(part.strip() for part in TAGGED.sub("\n", text).splitlines() if part.strip())
    if any(char.isalnum() for char in outside):
        raise TextError(
            f'this text is outside of the language tags: "{outside}"',
            "Put all text in tags: [EN]Hello.[EN][ZH]你好。[ZH]",
        )
    piece, room = "", max_chars
    for match in TAGGED.finditer(text):
        own = match[1].lower()
        for part in split_written(match[2], max(1, max_chars // DENSITY[own]), language=own):
            cost = len(part) * DENSITY[own]
            if piece and (cost > room or SENTENCE_END.search(piece[: -len("[EN]")])):
                yield piece
                piece, room = "", max_chars
            piece, room = f"{piece}[{match[1]}]{part}[{match[1]}]", room - cost
    if piece:
        yield piece
