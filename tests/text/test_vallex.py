"""The three languages of VALL-E X: frozen ids, language detection by script, tags, accents, transcripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import vallex_golden

from vallecli.errors import EmptyText, EmptyTranscript, ExtraMissing, TextError, UsageError
from vallecli.text import ipa_en
from vallecli.text.base import AUTO, MIX, Phonemes, Sentence
from vallecli.text.vallex import FIRST_ID, IDS, LANGUAGES, SYMBOLS, UNKNOWN_ID, VallexFrontEnd, detect

CASES: list[dict[str, Any]] = json.loads(vallex_golden.VECTORS.read_text(encoding="utf-8"))["cases"]


@pytest.fixture(scope="module")
def front_end() -> VallexFrontEnd:
    return VallexFrontEnd()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:24])
def test_frozen_phonemes_and_ids(case: dict[str, Any]) -> None:
    expected = {key: case[key] for key in ("phonemes", "ids", "lang_runs")}
    assert vallex_golden.compute(case["text"]) == expected


def test_all_golden_texts_are_frozen() -> None:
    assert tuple(case["text"] for case in CASES) == vallex_golden.TEXTS


@pytest.mark.parametrize(
    ("text", "language", "phonemes"),
    [
        ("Hello, world!", "en", "hɛˈloʊ, wəɹɫd!"),
        ("Dr. Xyzzy - $1.01", "en", "ˈdɔktəɹ xyzzy* wən ˈdɔləɹ, wən sɛnt."),
        ("你好", "zh", "ni↓↑xɑʊ↓↑."),
        ("是10个", "zh", "s`ɹ`↓ s`ɹ`↑k⁼ə↓."),
        ("はい。", "ja", "ha↓i."),
    ],
)
def test_phonemes(front_end: VallexFrontEnd, text: str, language: str, phonemes: str) -> None:
    assert front_end.phonemes(text, language=language) == phonemes
    assert front_end.phonemes(text) == phonemes  # AUTO
    ids = front_end.encode(text).ids
    assert "".join(SYMBOLS[index - FIRST_ID] for index in ids) == phonemes.replace(" ", "_")


def test_characters_without_an_id_get_the_unknown_id(front_end: VallexFrontEnd) -> None:
    assert (len(IDS), max(IDS.values())) == (65, 69)
    ids = front_end.encode('a "b"').ids
    assert ids.count(UNKNOWN_ID) == 2


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("in 1905 or 2005", "in nineteen oh five or two thousand five"),
        ("1100, 2000 and 3000", "eleven hundred, two thousand and three thousand"),
        ("$0, $.50 and $1,000", "zero dollars, fifty cents and one thousand dollars"),
        ("the 21st, 007", "the twenty-first, seven"),
        ("Mr. O'Brien Jr.", "mister o'brien junior"),
        ("9" * 40, " ".join(["nine"] * 40)),
    ],
)
def test_english_is_normalized(written: str, spoken: str) -> None:
    assert ipa_en.normalize(written) == spoken


def test_very_long_numbers_are_read_digit_by_digit(front_end: VallexFrontEnd) -> None:
    digits = "90" * 20
    assert front_end.phonemes(digits, language="zh") == front_end.phonemes("九零" * 20, language="zh")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Good morning", "en"),
        ("123", "en"),
        ("我用Python", "zh"),
        ("東京へ行く", "ja"),
        ("The word 爱 means love in Chinese.", "en"),
    ],
)
def test_languages_are_detected_by_script(text: str, language: str) -> None:
    assert detect(text) == language


def test_the_language_of_each_sentence_is_detected(front_end: VallexFrontEnd) -> None:
    assert front_end.sentences("東京。これは本です。OK then. 100。", 100) == [
        Sentence("東京。", "ja"),
        Sentence("これは本です。", "ja"),
        Sentence("OK then.", "en"),
        Sentence("100。", "ja"),
    ]
    assert [piece.language for piece in front_end.sentences("Very good indeed. 你好吗？ 100.", 100)] == [
        "en",
        "zh",
        "en",
    ]
    assert front_end.sentences("OK. 好。", 100, language="zh") == [Sentence("OK. 好。", "zh")]


def test_chinese_sentences_have_fewer_characters(front_end: VallexFrontEnd) -> None:
    text = "这是历史的开始，如果您想听更多，请继续，" * 10
    pieces = front_end.sentences(text, 90)
    assert "".join(piece.text for piece in pieces) == text
    assert all(len(piece.text) <= 30 for piece in pieces)
    assert all(piece.text.endswith("，") for piece in pieces)  # cut between clauses


def test_a_blank_line_ends_a_sentence(front_end: VallexFrontEnd) -> None:
    assert [piece.text for piece in front_end.sentences("A title\n\nand a line\nor two", 100)] == [
        "A title",
        "and a line or two",
    ]


def test_sentences_of_a_tagged_text_keep_their_tags(front_end: VallexFrontEnd) -> None:
    text = "[EN]One two. Three.[EN]\n[ZH]你好。我喜欢[ZH][EN]apples a lot.[EN]"
    pieces = ["[EN]One two.[EN]", "[EN]Three.[EN]", "[ZH]你好。[ZH]", "[ZH]我喜欢[ZH][EN]apples a lot.[EN]"]
    assert front_end.sentences(text, 100) == [Sentence(piece, MIX) for piece in pieces]
    assert front_end.sentences(text, 100, language=MIX) == front_end.sentences(text, 100)
    shorter = front_end.sentences(text, 15)
    assert [piece.text for piece in shorter[-2:]] == ["[ZH]我喜欢[ZH]", "[EN]apples a lot.[EN]"]


@pytest.mark.parametrize("text", ["no tags", "[EN]Hi[EN] there", "[EN]Hi[ZH]"])
def test_text_outside_of_tags_is_refused(front_end: VallexFrontEnd, text: str) -> None:
    with pytest.raises(TextError) as caught:
        front_end.sentences(text, 100, language=MIX)
    assert "outside" in caught.value.message


def test_the_transcript_comes_first_with_its_own_language(front_end: VallexFrontEnd) -> None:
    prompt, target = front_end.encode("你好。"), front_end.encode("Good morning.")
    both = front_end.encode("Good morning.", prompt_words="你好。")
    assert (both.ids, both.prompt_tokens) == (prompt.ids + target.ids, len(prompt.ids))
    assert both.languages == prompt.languages + target.languages  # type: ignore[operator]
    assert set(prompt.languages or ()) == {LANGUAGES["zh"]}


def test_phonemes_of_a_preset_replace_the_transcript(front_end: VallexFrontEnd) -> None:
    target = front_end.encode("Good morning.")
    both = front_end.encode("Good morning.", prompt_words=Phonemes((30, 25), "zh", "vallex"))
    assert (both.ids, both.prompt_tokens) == ([30, 25, *target.ids], 2)
    assert (both.languages or [])[:3] == [LANGUAGES["zh"], LANGUAGES["zh"], LANGUAGES["en"]]


def test_an_accent_sets_the_language_of_the_sentence_and_not_of_the_transcript(front_end: VallexFrontEnd) -> None:
    plain = front_end.encode("[EN]Hi.[EN][ZH]你好。[ZH]", prompt_words="Yes.")
    accented = front_end.encode("[EN]Hi.[EN][ZH]你好。[ZH]", prompt_words="Yes.", accent="ja")
    assert accented.ids == plain.ids
    assert (accented.languages or [])[: plain.prompt_tokens] == [LANGUAGES["en"]] * plain.prompt_tokens
    assert set((accented.languages or [])[plain.prompt_tokens :]) == {LANGUAGES["ja"]}


@pytest.mark.parametrize("text", ["", " ", "?!", "…", "。"])
def test_text_without_words_is_refused(front_end: VallexFrontEnd, text: str) -> None:
    with pytest.raises(EmptyText):
        front_end.encode(text)
    with pytest.raises(EmptyText):
        front_end.sentences(text, 100)
    with pytest.raises(EmptyTranscript):
        front_end.encode("Hi", prompt_words=text)


@pytest.mark.parametrize("options", [{"language": "fr"}, {"accent": "fr"}, {"accent": MIX}])
def test_unknown_languages_are_refused(front_end: VallexFrontEnd, options: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        front_end.encode("Hi", **options)  # type: ignore[arg-type]
    assert "en, zh, ja" in caught.value.hint


@pytest.mark.parametrize(
    ("module", "text", "extra"),
    [
        ("unidecode", "Hi", "vallecli[vallex]"),
        ("eng_to_ipa", "Hi", "vallecli[vallex]"),
        ("pypinyin", "你好", "vallecli[zh]"),
        ("cn2an", "3个", "vallecli[zh]"),
        ("pyopenjtalk", "はい", "vallecli[ja]"),
    ],
)
def test_the_hint_names_a_missing_extra(
    front_end: VallexFrontEnd, monkeypatch: pytest.MonkeyPatch, module: str, text: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExtraMissing) as caught:
        front_end.encode(text, language=AUTO)
    assert extra in caught.value.hint
    assert module in caught.value.message


def test_packages_write_neither_to_stdout_nor_to_the_folder_for_temporary_files(tmp_path: Path) -> None:
    code = """
from vallecli.text.vallex import VallexFrontEnd
VallexFrontEnd().encode("[EN]Hi 5[EN][ZH]你好3[ZH][JA]はい[JA]")
"""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-W", "error", "-c", code]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == ("", "")
    left = [path.name for path in temporary.iterdir() if path.name != ".ses"]  # of onnxruntime, if it is installed
    assert left == []
