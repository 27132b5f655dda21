"""Phones by espeak-ng: frozen phones, symbols that a checkpoint does not have, transcripts, missing dependencies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from vallecli.errors import (
    EmptyText,
    EmptyTranscript,
    EspeakMissing,
    ExtraMissing,
    ForeignPreset,
    UsageError,
)
from vallecli.families.valle.symbols import SPECIAL
from vallecli.text import espeak
from vallecli.text.base import Phonemes, Sentence
from vallecli.text.espeak import EspeakFrontEnd

SYMBOLS = [
    *(*SPECIAL, *'"!,.;?_bdfhijklmnpstvwzæðŋɐəɛɡɪɹɾʃʊʌθ'),
    *("aɪ", "aʊ", "eɪ", "oʊ", "oː", "iː", "uː", "ɑː", "ɔː", "ɜː", "ɛɹ", "ʌɹ", "ɑːɹ", "oːɹ", "<eps>"),
]


@pytest.fixture
def front_end() -> EspeakFrontEnd:
    return EspeakFrontEnd(SYMBOLS)


@pytest.fixture
def fresh_espeak() -> Iterator[None]:
    """Clear the cache of the espeak backend before and after a test."""
    espeak._espeak.cache_clear()
    yield
    espeak._espeak.cache_clear()


def spell(front_end: EspeakFrontEnd, ids: list[int]) -> str:
    return " ".join(SYMBOLS[index] for index in ids)


@pytest.mark.espeak
@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("Hello there!", "<bos> h ə l oʊ _ ð ɛɹ ! <eos>"),
        ("two\nlines", "<bos> t uː _ l aɪ n z <eos>"),
        (
            "“Why me?” he asked; we didn't say.",
            '<bos> " w aɪ _ m iː ? " _ h iː _ æ s k t ; _ w iː _ d ɪ d n t _ s eɪ . <eos>',
        ),
        ("It's 4 o'clock, is it not?", "<bos> ɪ t s _ f oː ɹ _ ə k l ɑː k , _ ɪ z _ ɪ t _ n ɑː t ? <eos>"),
    ],
)
def test_phones(front_end: EspeakFrontEnd, text: str, phones: str) -> None:
    assert spell(front_end, front_end.encode(text).ids) == phones


@pytest.mark.espeak
def test_symbols_that_the_checkpoint_does_not_have_are_left_out_and_named(front_end: EspeakFrontEnd) -> None:
    tokens = front_end.encode("Hello (there)!")
    assert tokens.ids == front_end.encode("Hello there!").ids
    [note] = tokens.notes
    assert note.endswith(": ( )")


@pytest.mark.espeak
def test_transcript_and_text_are_converted_together(front_end: EspeakFrontEnd) -> None:
    alone = front_end.encode("I said it.")
    both = front_end.encode("Hello there!", prompt_words="I said it.")
    assert both.ids == front_end.encode("I said it. Hello there!").ids
    assert both.prompt_tokens == len(alone.ids)
    assert spell(front_end, both.ids[both.prompt_tokens - 1 :]).startswith("_ h")  # prefix mode 4 keeps these


def test_sentences_are_not_normalized(front_end: EspeakFrontEnd) -> None:
    assert front_end.sentences("It cost $5. Dr. Smith\n\nsaid so", 100) == [
        Sentence("It cost $5.", "en"),
        Sentence("Dr. Smith", "en"),
        Sentence("said so", "en"),
    ]


@pytest.mark.espeak
@pytest.mark.parametrize("text", ["", "?!", "..."])
def test_text_without_words_is_refused(front_end: EspeakFrontEnd, text: str) -> None:
    with pytest.raises(EmptyText):
        front_end.encode(text)
    with pytest.raises(EmptyText):
        front_end.sentences(text, 100)
    with pytest.raises(EmptyTranscript):
        front_end.encode("Hello", prompt_words=text)


@pytest.mark.espeak
def test_phonemes_of_a_preset_are_refused(front_end: EspeakFrontEnd) -> None:
    with pytest.raises(ForeignPreset, match="vallex"):
        front_end.encode("Hello", prompt_words=Phonemes((30, 25), "en", "vallex"))


def test_unknown_languages_are_refused(front_end: EspeakFrontEnd) -> None:
    with pytest.raises(UsageError, match="'zh'"):
        front_end.encode("Hello", language="zh")


def test_phonemizer_is_an_extra(front_end: EspeakFrontEnd, fresh_espeak: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonemizer.backend", None)
    with pytest.raises(ExtraMissing) as caught:
        front_end.encode("Hello")
    assert "vallecli[espeak]" in caught.value.hint


def test_without_espeak_the_hint_says_how_to_install_it(
    front_end: EspeakFrontEnd, fresh_espeak: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHONEMIZER_ESPEAK_LIBRARY", "/nowhere/libespeak-ng.so")
    with pytest.raises(EspeakMissing) as caught:
        front_end.encode("Hello")
    for way in ("apt install espeak-ng", "brew install espeak-ng", "PHONEMIZER_ESPEAK_LIBRARY"):
        assert way in caught.value.hint


@pytest.mark.espeak
def test_no_warnings_and_nothing_on_stdout() -> None:
    code = "from vallecli.text.espeak import EspeakFrontEnd; EspeakFrontEnd(['<bos>', '<eos>']).encode('Ah, un café.')"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
