"""Six languages to IPA with stress, and to the ids of a BPE tokenizer."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from vallecli.errors import EmptyText, EmptyTranscript, ExtraMissing, UsageError
from vallecli.text import ecker
from vallecli.text.base import Sentence
from vallecli.text.ecker import EckerFrontEnd, detect_alphabetic, script_of, to_phones

pytest.importorskip("phonemizer")
tokenizers = pytest.importorskip("tokenizers")

LANGUAGES = ("en", "ja", "de", "fr", "zh", "ko")
LETTERS = " abdefhijklmnopstuvwzæðŋɐɑɔəɚɛɜɡɪɹʃʊʌˈˌː.,!?"
VOCABULARY = {"<unk>": 0, "<bos>": 1, "</eos>": 2, "<mask>": 3, **{letter: 4 + i for i, letter in enumerate(LETTERS)}}


def front_end(languages: tuple[str, ...] = LANGUAGES) -> EckerFrontEnd:
    vocabulary = {**VOCABULARY, "ðə": 100}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [("ð", "ə")], unk_token="<unk>"))
    return EckerFrontEnd(tokenizer.to_str(), "tokenizer.json", languages=languages, ids=256, symbols=VOCABULARY)


def test_english_has_stress_punctuation_and_merged_symbols() -> None:
    assert to_phones("Hello,  the\nworld!", "en") == "həlˈoʊ, ðə wˈɜːld!"
    tokens = front_end().encode("Hello, the world!", language="en")
    assert tokens.ids == [1, *(VOCABULARY[letter] for letter in "həlˈoʊ, "), 100, *map(VOCABULARY.get, " wˈɜːld!"), 2]
    assert tokens.languages == [0] * len(tokens.ids)
    assert tokens.notes == ()


def test_sounds_without_a_symbol_are_named() -> None:
    tokens = front_end().encode("Schöne Bücher.", language="de")
    assert tokens.languages is not None
    assert set(tokens.languages) == {2}
    assert 0 in tokens.ids
    assert any("ø" in note for note in tokens.notes)


def test_tones_of_chinese_are_marks() -> None:
    phones = to_phones("你好，世界。", "zh")
    assert not any(char.isdigit() for char in phones)
    assert set(phones) & set("ˇˉˊˋ_")
    assert phones.count(",") == 1


def test_japanese_is_read_from_hiragana() -> None:
    pytest.importorskip("pykakasi")
    assert to_phones("世界", "ja") == to_phones("せかい", "ja")
    assert to_phones("世界。", "ja").endswith(".")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今日はいい天気ですね。", "ja"),
        ("今天天气很好。", "zh"),
        ("안녕하세요, 세계.", "ko"),
        ("The character 好 means good.", None),
        ("Hello.", None),
        ("42", None),
    ],
)
def test_scripts(text: str, language: str | None) -> None:
    assert script_of(text) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The weather is very nice today, and we are going outside.", "en"),
        ("Das Wetter ist heute sehr schön, und wir gehen nach draußen.", "de"),
        ("Il fait très beau aujourd'hui, et nous allons dehors.", "fr"),
        ("42", "en"),
    ],
)
def test_languages_in_latin_letters_are_detected_by_statistics(text: str, language: str) -> None:
    pytest.importorskip("langdetect")
    assert {detect_alphabetic(text, ("en", "de", "fr")) for _ in range(5)} == {language}
    assert front_end().detect(text) == language


def test_each_sentence_has_its_language() -> None:
    pytest.importorskip("langdetect")
    text = "Das Wetter ist heute sehr schön. 今天天气很好。 안녕하세요."
    assert front_end().sentences(text, 100) == [
        Sentence("Das Wetter ist heute sehr schön.", "de"),
        Sentence("今天天气很好。", "zh"),
        Sentence("안녕하세요.", "ko"),
    ]
    assert [sentence.language for sentence in front_end().sentences("今日は雨。世界。", 100)] == ["ja", "ja"]
    assert [sentence.language for sentence in front_end().sentences(text, 200, language="fr")] == ["fr"] * 3


def test_a_language_that_the_checkpoint_does_not_have() -> None:
    older = front_end(LANGUAGES[:4])
    assert older.detect("안녕하세요") == "en"
    with pytest.raises(UsageError, match="'ko'"):
        older.encode("안녕하세요", language="ko")


def test_long_sentences_are_cut() -> None:
    pieces = front_end().sentences("one two three four five six seven", 12, language="en")
    assert all(len(piece.text) <= 12 for piece in pieces)
    assert " ".join(piece.text for piece in pieces) == "one two three four five six seven"


def test_texts_without_words_are_refused() -> None:
    with pytest.raises(EmptyText):
        front_end().sentences("...", 100)
    with pytest.raises(EmptyText):
        front_end().encode("...", language="en")
    with pytest.raises(EmptyTranscript):
        front_end().encode("word", language="en", prompt_words="...")


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("pykakasi", lambda: to_phones("世界", "ja")),
        ("phonemizer.backend", lambda: to_phones("Hello", "en")),
        ("langdetect", lambda: detect_alphabetic("Hello", ("en", "de"))),
        ("tokenizers", front_end),
    ],
)
def test_missing_packages_are_named(package: str, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for cached in (ecker._kakasi, ecker._espeak, ecker._detectors):
        cached.cache_clear()
    if package != "tokenizers":
        monkeypatch.setitem(sys.modules, package, None)
        if package == "langdetect":
            monkeypatch.setitem(sys.modules, "langdetect.lang_detect_exception", None)
        with pytest.raises(ExtraMissing, match="not installed") as caught:
            call()
    else:
        text = front_end()._tokenizer.to_str()
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ExtraMissing, match="not installed") as caught:
            EckerFrontEnd(text, "tokenizer.json", languages=LANGUAGES, ids=256, symbols={})
    assert "vallecli[ecker]" in caught.value.hint
